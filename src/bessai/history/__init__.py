"""The history: what every point was, from seconds to decades, in buckets of 10 s, 1 min, 15 min and 1 day.

    writer = HistoryWriter(Path("data"))                     # service plane, once
    writer.fold_blocks(reader.blocks(writer.folded, 512))    # into memory
    writer.flush()                                           # every few minutes

    history, journal = History(Path("data")), JournalReader(Path("data"))      # any other process
    (soc,) = query(history, journal, ["soc"], start_ns, end_ns, max_points=500)

What it promises:

* **Evidence only.** Minimum, maximum, mean and last are of good, finite samples; `count` and `good` tell the rest.
* **Exact.** Every sample counts once, whatever crashes: the sequence of the last record folded is part of the
  transaction that stores it. What is not stored yet is read from the journal. Samples that come late, because the
  clock stepped back, are merged into the buckets in which they belong. Minima, maxima, counts and lasts are those of
  the samples; a stored mean is exact to a millionth of the bucket's span.
* **Bounded.** In time for each level, and in bytes; the finest level's oldest data go first.
* **Self-healing.** A damaged database is set aside, and a new one made of what the journal holds.

Buckets begin at whole multiples of their length since 1970-01-01T00:00:00Z, so a day is a day of UTC.
"""

from bessai.history.answer import Series, query
from bessai.history.errors import HistoryError
from bessai.history.levels import LEVELS, Keep
from bessai.history.reader import History, HistoryStats
from bessai.history.writer import HistoryWriter

__all__ = ["LEVELS", "History", "HistoryError", "HistoryStats", "HistoryWriter", "Keep", "Series", "query"]
