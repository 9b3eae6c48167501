"""What a journal was given, kept outside of it, and what it must therefore give back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from bessai.journal import Entry, JournalReader
from bessai.journal.block import Block, pack, unpack
from bessai.journal.frame import Totals
from bessai.journal.row import Row
from bessai.model import CycleRecord, Event
from support.records import make_event, make_record

Content = tuple[int, int, bytes, bytes, tuple[Event, ...]]
"""Cycle, time, values, quality and events of one record."""

Record = tuple[int, Content]
"""With its sequence."""

Item = CycleRecord | Event


class Violation(AssertionError):
    """The journal broke its word."""


def require(condition: object, *what: object) -> None:
    """Raises Violation."""
    if not condition:
        raise Violation(" ".join(map(str, what)))


def numbered(n: int) -> Item:
    """The n-th thing to journal: telemetry, now and then with an event, sometimes an event alone."""
    if n % 29 == 0:
        return make_event(n)
    noise = np.arange(1.0, 4.0) * n * 0.6180339887498949 % 1  # it does not compress, so few fill a segment
    return make_record(n, events=(make_event(n),) if n % 13 == 0 else (), values=noise)


def content_of(item: Item) -> Content:
    """What must come back of an item."""
    if isinstance(item, Event):
        return 0, item.wall_ns, b"", b"", (item,)
    image = item.image
    return image.cycle, image.wall_ns, image.values.tobytes(), image.quality.tobytes(), item.events


def content(entry: Entry) -> Content:
    """What came back."""
    return entry.cycle, entry.wall_ns, entry.values.tobytes(), entry.quality.tobytes(), entry.events


def records(entries: Sequence[Entry]) -> list[Record]:
    """What came back, by sequence."""
    return [(entry.sequence, content(entry)) for entry in entries]


class Decoder:
    """For journals whose content is mostly the same: what was decoded or encoded once is not again.

    `unpack` and `pack` take the place of the journal's own, which they call for what they have not met yet.
    """

    def __init__(self) -> None:
        self._unpack, self._pack = unpack, pack
        self._packed: dict[tuple[Hashable, ...], bytes] = {}
        self._blocks: dict[tuple[bytes, int, int], Block] = {}
        self._records: dict[int, tuple[Block, list[Record]]] = {}
        """By the identity of a block, which is kept so that no other gets its identity."""

    def unpack(self, data: bytes, *, first_sequence: int, epoch: int, **more: Any) -> Block:
        """See `bessai.journal.block.unpack`."""
        key = (data, first_sequence, epoch)
        if (block := self._blocks.get(key)) is None:
            if len(self._blocks) > 20_000:
                self._blocks.clear()
            block = self._unpack(data, first_sequence=first_sequence, epoch=epoch, **more)
            self._blocks[key] = block
        return block

    def pack(self, rows: Sequence[Row], *, level: int = 1) -> bytes:
        """See `bessai.journal.block.pack`."""
        key = (
            level,
            *(
                (
                    r.wall_ns,
                    r.flags,
                    r.cycle,
                    r.values.tobytes(),
                    r.quality.tobytes(),
                    r.monotonic,
                    r.times.tobytes(),
                    r.forms,
                )
                + tuple(r.numbers)
                for r in rows
            ),
        )
        if (data := self._packed.get(key)) is None:
            if len(self._packed) > 20_000:
                self._packed.clear()
            data = self._packed[key] = self._pack(rows, level=level)
        return data

    def read(self, reader: JournalReader, after: int = 0) -> list[Record]:
        """Every record above `after`."""
        found: list[Record] = []
        for block in reader.blocks(after, 1 << 40):
            if id(block) not in self._records:
                if len(self._records) > 20_000:
                    self._records.clear()
                self._records[id(block)] = (block, records(block.entries()))
            found += [record for record in self._records[id(block)][1] if record[0] > after]
            after = block.last_sequence
        return found


class Oracle:
    """The records of one journal by sequence: acknowledged to the writer, or seen by a reader."""

    def __init__(self) -> None:
        self.sure: dict[int, Content] = {}
        """What the journal may never take back."""
        self.last = 0
        """Highest sequence in `sure`."""
        self.flight: list[Content] = []
        """Given to the journal, in order, not acknowledged yet: they may turn up, in order, from the first."""

    def fork(self) -> Oracle:
        """The same knowledge, for another future."""
        other = Oracle()
        other.sure, other.last, other.flight = dict(self.sure), self.last, list(self.flight)
        return other

    def offer(self, items: Sequence[Item]) -> None:
        """These are about to be appended, in one go."""
        self.flight = [content_of(item) for item in items]

    def acknowledge(self, last: int) -> None:
        """The append returned: all that was in flight is durable, the last of it as `last`."""
        for sequence in range(last - len(self.flight) + 1, last + 1):
            given = self.flight.pop(0)
            require(sequence > self.last, "sequence", sequence, "is given a second time, after", self.last)
            self.sure[sequence] = given
            self.last = sequence

    def see(self, records: Sequence[Record]) -> None:
        """A reader got these."""
        before = 0
        for sequence, got in records:
            require(sequence > before, "sequence", sequence, "follows", before)
            before = sequence
            if sequence > self.last and self.flight:
                expected = self.flight.pop(0)
                self.sure[sequence], self.last = expected, sequence
            known = self.sure.get(sequence)
            require(known is not None, "sequence", sequence, "was never given, last is", self.last)
            require(known == got, "sequence", sequence, "has another content:", got, "instead of", known)

    def check(self, records: Sequence[Record], totals: Totals) -> None:
        """The journal was opened anew, and this is all that it holds.

        Every record is there with its content, except the oldest, which were dropped for space: telemetry
        first, events last; and the journal's own account of it is exact.
        """
        self.see(records)
        self.flight = []
        held = {sequence for sequence, _ in records}
        gone = {sequence: known for sequence, known in self.sure.items() if sequence not in held}
        require(totals.held == len(held), "held", totals.held, "but", len(held), "can be read")
        require(
            totals.space == len(gone),
            f"{len(gone)} are missing, {totals.space} were dropped: {sorted(gone)[-5:]} of {self.last}",
        )
        lost = sum(len(known[4]) for known in gone.values())
        require(totals.events == lost, lost, "events are missing, counted are", totals.events)
        for kind in (True, False):
            newest = max((s for s, known in gone.items() if bool(known[4]) == kind), default=0)
            oldest = min((s for s, got in records if bool(got[4]) == kind), default=self.last + 1)
            require(newest < oldest, "with events" if kind else "telemetry", newest, "went before", oldest)
