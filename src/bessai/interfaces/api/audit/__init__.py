"""What people did, in a log that shows when it was tampered with: `DATA_DIR/audit/*.jsonl`.

    await audit.note(user="ana", role="operator", address="10.0.0.7", action="request", target="10 kW", reason="peak")

* An entry is a JSON line. It holds the SHA-256 of the entry before and its own, over everything in it.
* It is on the disk before `note` returns; a caller acts only then.
* Files end at `FILE_BYTES`, the next goes on with the chain; the oldest of more than `FILES` are given up.
* The newest entry's number and hash stand in `identity.db` as well, so that a shortened or rewritten log is found.
  Who can write both, and compute, can forge both: copy the log elsewhere for that.
* A torn last line, from a power cut, is cut off and noted. What was once complete is never mended away: it stays, and
  every later check names it.
"""

from bessai.interfaces.api.audit.entries import AuditError, Entry
from bessai.interfaces.api.audit.head import Head
from bessai.interfaces.api.audit.log import FILE_BYTES, FILES, Audit
from bessai.interfaces.api.audit.verify import Verdict

__all__ = ["FILES", "FILE_BYTES", "Audit", "AuditError", "Entry", "Head", "Verdict"]
