"""One lane's way through the journal: what was read, what waits for its acknowledgement, what is suspect."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bessai.interfaces.courier import Lane
from bessai.interfaces.rate import Sizer
from bessai.interfaces.sink import Reader
from bessai.journal.entry import Entry

Choose = Callable[[Entry], Entry | None]
"""Reduces a record to what is to be sent; None when nothing is. Sees the records of one lane in order."""

REFUSALS: Final = 3
"""How often a message is refused alone before its content may be the reason."""
NEIGHBOURS: Final = 8
"""Messages that are tried after a suspect one: when none is accepted either, the content is not the reason."""
_READ_AHEAD: Final = 128
"""Records a read at least: of those that are withheld it takes many to make a batch."""
_READS: Final = 16
"""Reads in a row, so that a lane with nothing to send does not hold up the other."""
_MOST_CELLS: Final = 2_000_000
"""Values read ahead at most, which bounds the memory of a plant with very many points."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A record to be sent, and how many records were read for it: those withheld before it and itself."""

    entry: Entry
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What an acknowledgement finishes: the records from `first` to `last`."""

    first: int
    last: int
    withheld: int
    """Records of the range that were read, and not to be sent."""
    missed: int
    """Sequences of the range without a readable record."""


class Track:
    """Reads ahead a batch at most; the order within the lane is kept whatever is refused."""

    previous: int
    """Sequence of the last record that was sent, or put aside, in this lane; what it began with at first."""
    finished: int
    """Done with everything up to here, as far as this lane is concerned."""
    at: int
    """Read up to here."""
    _refusals: list[int]
    """How often each of the first records was refused alone."""
    _ahead: int
    """Which record is tried alone, counted from the first; those before it were just refused."""

    def __init__(self, lane: Lane, after: int, sizer: Sizer, filters: Callable[[], Choose] | None) -> None:
        self.lane = lane
        self.sizer = sizer
        self._filters = filters
        self._sent = False
        self.previous = after
        self._columns = _MOST_CELLS // 16
        self.jump(after)

    def jump(self, after: int) -> None:
        """Go on after another sequence, with a new filter: the first record is complete again."""
        self.finished = self.at = after
        self._ready: deque[_Ready] = deque()
        self._withheld = 0
        self._choose = self._filters() if self._filters else None
        self._limit: int | None = None
        self._limit_until = 0
        self._forget_suspects()
        if not self._sent and self.lane is Lane.BACKLOG:  # it jumps over what the live lane has delivered
            self.previous = after

    def fill(self, reader: Reader, end: int | None) -> bool:
        """Read until there is a batch, at most up to `end`. True when all that there is was read."""
        want = max(self.sizer.size, NEIGHBOURS + 1 if self.suspecting else 1)
        for _ in range(_READS):
            if len(self._ready) >= want or (end is not None and self.at >= end):
                break
            limit = max(1, min(max(want, _READ_AHEAD), _MOST_CELLS // self._columns))
            entries = reader.read(self.at, limit)
            for entry in entries:
                if end is not None and entry.sequence > end:
                    self.at = end
                    return True
                self._take(entry)
            if len(entries) < limit:
                return True
        return end is not None and self.at >= end

    def batch(self, most: int) -> list[Entry]:
        """The next records to send, at most `most`; empty when none wait."""
        if self._refusals:
            return [self._ready[self._ahead].entry]
        count = min(most, self.sizer.size, self._limit or most, len(self._ready))
        return [self._ready[i].entry for i in range(count)]

    def previous_of(self, entries: Sequence[Entry]) -> int:
        """Sequence of the record before a batch in this lane."""
        return self._ready[self._ahead - 1].entry.sequence if self._ahead else self.previous

    @property
    def waiting(self) -> bool:
        """True when records wait for their acknowledgement."""
        return bool(self._ready)

    @property
    def suspecting(self) -> bool:
        """True while it is being found out which message is refused for its content."""
        return self._limit is not None or bool(self._refusals)

    def suspects(self) -> list[Entry]:
        """Records that go aside when the next batch of this lane is accepted."""
        return [self._ready[i].entry for i in range(self._ahead)]

    def condemned(self) -> list[Entry]:
        """Records that go aside when a batch of the other lane is accepted."""
        return [self._ready[0].entry] if self._refusals and self._refusals[0] >= REFUSALS else []

    def done(self, count: int) -> Finished:
        """The next `count` records were acknowledged or set aside."""
        taken = [self._ready.popleft() for _ in range(count)]
        last = taken[-1].entry.sequence
        read = sum(ready.read for ready in taken)
        finished = Finished(
            first=self.finished + 1, last=last, withheld=read - count,
            missed=max(0, last - self.finished - read),
        )  # fmt: skip
        self.finished = self.previous = last
        self._sent = True
        self._forget_suspects()
        if self._limit is not None:
            self._limit = None if last >= self._limit_until else self._limit * 2
        return finished

    def exhausted(self, end: int) -> Finished:
        """Nothing more is to be sent up to `end`."""
        done = Finished(
            first=self.finished + 1, last=end, withheld=self._withheld,
            missed=max(0, end - self.finished - self._withheld),
        )  # fmt: skip
        self.finished = self.at = end
        self._withheld = 0
        return done

    def refused(self, entries: Sequence[Entry]) -> bool:
        """A batch was refused for its content: find out which message it is, by halves, then alone.

        True when the next one is to be tried at once: had somebody mended the far end in between, its
        acceptance would prove nothing.
        """
        if len(entries) > 1:
            self._limit = len(entries) // 2
            self._limit_until = max(self._limit_until, entries[-1].sequence)
            return False
        if self._ahead == len(self._refusals):
            self._refusals.append(0)
        self._refusals[self._ahead] += 1
        certain = self._refusals[self._ahead] >= REFUSALS
        more = certain and self._ahead < NEIGHBOURS and self._ahead + 1 < len(self._ready)
        self._ahead = self._ahead + 1 if more else 0
        return more

    def interrupted(self) -> None:
        """Something else went wrong: whoever is tried alone, the first is again."""
        self._ahead = 0

    def _forget_suspects(self) -> None:
        self._refusals = []
        self._ahead = 0

    def _take(self, entry: Entry) -> None:
        self.at = entry.sequence
        self._columns = len(entry.layout) or self._columns
        chosen = self._choose(entry) if self._choose else entry
        self._withheld += 1
        if chosen is not None:
            self._ready.append(_Ready(chosen, self._withheld))
            self._withheld = 0
