"""Records of how the grid behaved at the point of connection, and of how the plant answered.

    writer = PerformanceWriter(Path("data"), plant)             # service plane, once
    writer.fold_blocks(reader.blocks(writer.folded, 512))       # the journal, into memory
    writer.flush()                                              # twice a minute

    Performance(Path("data"), plant).fecf(start_ns, end_ns)     # any other process

What is recorded: rate of change of frequency; frequency and voltage events with the records around them; the FECF
index; the hourly performance of primary control; availability over 12 months; energy by quarter hours.

What it promises:

* **Evidence only.** A gap is a gap: nothing is interpolated, and an index with too few samples is unknown.
* **Exactly once.** The sequence of the last record folded stands in the transaction that stores the rest. All of it
  can be made again from the journal, for as far as that reaches: `rebuild`.
* **Evidence first.** Slots of ten seconds are stored, and indices computed from them when somebody asks.
* **Bounded.** In days with data, and in bytes for the records of events.

From a block of the journal `samples` takes the columns of the point of connection; `folding` hands them to `rocof`,
`events` (with `excursion`), `hours` and `quarters`; `writer` and `database` store them. `fecf`, `primary`,
`availability` and `energy` compute what `reader` is asked for.
"""

from bessai.performance.errors import PerformanceError
from bessai.performance.reader import Performance
from bessai.performance.rebuild import rebuild
from bessai.performance.settings import Plant, read_plant
from bessai.performance.writer import PerformanceWriter

__all__ = ["Performance", "PerformanceError", "PerformanceWriter", "Plant", "read_plant", "rebuild"]
