"""The journal: one durable, ordered, bounded log of every cycle and event, and the cursors of its readers.

    journal = Journal.open(Path("data"), layout=layout, device={"model": "SUN2000"})   # control plane, once
    journal.append(record)                       # never blocks, never raises; a thread writes
    journal.close()                              # True when everything is durable

    reader, cursors = JournalReader(Path("data")), Cursors(Path("data"))   # any other process
    for entry in reader.read(cursors.get("pubsub"), 500):
        ...
    cursors.set("pubsub", entry.sequence)

What it promises, and what it may cost:

* **Durable.** `journal.db` is SQLite in WAL mode with `synchronous=FULL`: what `stats().committed` names survives
  SIGKILL and power loss. Records with events commit at once, telemetry every `window` seconds; a power cut costs
  at most that window.
* **Ordered.** The sequence grows by one per stored record and is never given twice, also after a deletion or the
  loss of the database: `journal.sequence` reserves it in blocks (see `reservation`). A jump means records that
  were dropped, or a database that was lost.
* **Bounded.** Beyond `max_bytes` the oldest telemetry is dropped, records with events last. While the disk
  fails, records wait in a bounded queue. Every drop is counted, durably.
* **Self-healing.** A full or failing disk is tried again every second. A damaged database is renamed to
  `journal-corrupt-<utc>.db` (the newest two are kept), a new one begins, and an event `journal_recovered` says so.
* **One writer** per directory, held by a lock; readers never hold it up.

Back it up as a whole directory: `journal.db` alone lacks what stands in `journal.db-wal`.
"""

from bessai.journal.cursors import Cursors, read_cursors
from bessai.journal.entry import Entry
from bessai.journal.errors import JournalError
from bessai.journal.reader import JournalReader
from bessai.journal.stats import JournalStats, ReaderStats
from bessai.journal.writer import Journal

__all__ = [
    "Cursors",
    "Entry",
    "Journal",
    "JournalError",
    "JournalReader",
    "JournalStats",
    "ReaderStats",
    "read_cursors",
]
