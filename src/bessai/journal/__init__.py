"""The journal: one durable, ordered, bounded log of every cycle and event, and the cursors of its readers.

    journal = Journal.open(Path("data"), layout=layout, device={"model": "SUN2000"})   # control plane, once
    journal.append(record)                       # never blocks, never raises; a thread writes
    journal.close()                              # True when everything is durable

    reader, cursors = JournalReader(Path("data")), Cursors(Path("data"))   # any other process
    for entry in reader.read(cursors.get("pubsub"), 500):
        ...
    cursors.set("pubsub", entry.sequence)

What it promises, and what it may cost:

* **Durable.** What `stats().committed` names survives SIGKILL and power loss. Records with events commit at once,
  telemetry every `window` seconds; a power cut costs at most that window. A reader sees durable records only.
* **Ordered.** The sequence grows by one per stored record. A number is never given twice in one epoch, and a new
  epoch begins whenever that could not be promised: after the loss of the journal, or when a copy of it is used.
  (site, epoch, sequence) names a record for ever.
* **Bounded.** Beyond `max_bytes` the oldest telemetry is dropped, records with events last. While the disk
  fails, records wait in a bounded queue. Every drop is counted: last = held + dropped + skipped + lost.
* **Self-healing.** A full or failing disk is tried again. The journal always opens; damage costs the records of
  one block, at most 128, and an event `journal_recovered` names them.
* **One writer** per directory, held by a lock; readers never hold it up.

Below `Journal`, which has the queue and the thread, `log.Log` decides what stands where: commits go to the
write-ahead log (`wal`), then in compact blocks (`block`) to segments (`segment`, `shelf`). `recovery` opens them.
All file operations are in `disk`.
"""

from bessai.journal.cursors import Cursors, read_cursors
from bessai.journal.entry import Entry
from bessai.journal.errors import JournalError
from bessai.journal.progress import Progress
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
    "Progress",
    "ReaderStats",
    "read_cursors",
]
