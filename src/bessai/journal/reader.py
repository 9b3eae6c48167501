"""Reading the journal, from any process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bessai.journal.block import Block, unpack
from bessai.journal.disk import Disk, RealDisk
from bessai.journal.entry import Entry
from bessai.journal.errors import DamagedRecordError, JournalError
from bessai.journal.layouts import Layouts
from bessai.journal.segment import KEPT
from bessai.journal.stats import ReaderStats
from bessai.journal.view import Place, Span, View

_T = TypeVar("_T")
_EVER: Span = (-(1 << 63), (1 << 63) - 1)
_ATTEMPTS = 50
"""How often a look at files that change under it is repeated."""


class JournalReader:
    """The reading side. Use it from one thread at a time.

    It opens lazily and returns nothing while there is no journal. It sees what is durable and nothing else, and
    never holds up the writer. A damaged part is skipped and its records are counted in `stats().damaged`.

    Every method raises JournalError when the files cannot be read or were written by a newer version.
    """

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        """The journal of a data directory."""
        self.path = directory / "journal"
        self._disk: Disk = disk or RealDisk()
        self._view = View(self._disk, self.path)
        self._layouts = Layouts(self._disk, self.path)
        self._last: tuple[int, Block] | None = None
        self._damaged: dict[int, int] = {}

    def read(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries with a sequence above `after`, in order.

        Fewer than `limit` means that the end was reached.
        """
        entries: list[Entry] = []
        while len(entries) < limit and (block := self._next(after, _EVER)) is not None:
            entries += block.entries(after)
            after = block.last_sequence
        return entries[:limit]

    def blocks(self, after: int, limit: int) -> list[Block]:
        """Columnar blocks with records above `after`, in order, until they hold `limit` records or the end is reached.

        The first may begin with records up to `after`.
        """
        blocks: list[Block] = []
        rows = 0
        while rows < limit and (block := self._next(after, _EVER)) is not None:
            blocks.append(block)
            rows += block.last_sequence - max(after, block.first_sequence - 1)
            after = block.last_sequence
        return blocks

    def tail(self, count: int) -> list[Entry]:
        """The last `count` entries, in order."""
        last, back = self.last_sequence(), count
        while count:
            entries = self.read(max(0, last - back), back + count)
            if len(entries) >= count or back >= last:
                return entries[-count:]
            back *= 2
        return []

    def read_between(self, first_ns: int | None, last_ns: int | None) -> Iterator[Entry]:
        """Entries whose `wall_ns` lies within both ends, in order of sequence; None leaves an end open.

        Reads block by block: memory stays small, however long the range is.
        """
        span = (_EVER[0] if first_ns is None else first_ns, _EVER[1] if last_ns is None else last_ns)
        for block in self.blocks_between(first_ns, last_ns):
            yield from (entry for entry in block.entries() if span[0] <= entry.wall_ns <= span[1])

    def blocks_between(self, first_ns: int | None, last_ns: int | None) -> Iterator[Block]:
        """Blocks that may hold records of `read_between`, in order; each record once, some outside the range."""
        span = (_EVER[0] if first_ns is None else first_ns, _EVER[1] if last_ns is None else last_ns)
        after = 0
        while (block := self._next(after, span)) is not None:
            yield block.since(after + 1)
            after = block.last_sequence

    def first_sequence(self) -> int:
        """Sequence of the oldest record held, 0 when there is none."""
        frame = self._stable(lambda: self._view.find(0, _EVER))
        return frame.frame.first if frame is not None else 0

    def last_sequence(self) -> int:
        """Sequence of the newest durable record, 0 when there is none."""
        return self._stable(self._view.last, lambda _: True)

    def stats(self) -> ReaderStats:
        """What the journal holds and has dropped. Cheap: nothing is counted for it."""
        return self._stable(self._stats)

    def close(self) -> None:
        """Close the files; a later call opens them again."""
        self._view.close()
        self._last = None

    def _stats(self) -> ReaderStats:
        totals, epoch, last = self._view.totals()
        first, newest = self._view.find(0, _EVER), self._view.newest()
        return ReaderStats(
            first_sequence=first.frame.first if first else 0,
            last_sequence=last,
            records=totals.held,
            dropped_queue=totals.queue,
            dropped_space=totals.space,
            dropped_events=totals.events,
            skipped=totals.skipped,
            lost=max(0, last - totals.held - totals.space - totals.skipped),
            epoch=epoch,
            first_wall_ns=first.frame.wall_min if first else 0,
            last_wall_ns=newest.wall_max if newest else 0,
            size_bytes=self._view.size_bytes(),
            damaged=sum(self._damaged.values()),
        )

    def _next(self, after: int, span: Span) -> Block | None:
        """The first sound block with records above `after` that touches a span of time."""
        if self._last is not None:
            identity, block = self._last
            covers = block.first_sequence <= after < block.last_sequence
            if covers and self._stable(lambda: self._view.identity) == identity:
                return block
        while True:
            found = self._stable(lambda start=after: self._look(start, span), _read)  # type: ignore[misc]
            if found is None:
                return None
            place, body = found
            if body is None:  # or what was known of the files is old
                self._view.forget()
                again = self._stable(lambda start=after: self._look(start, span), _read)  # type: ignore[misc]
                following = place.frame.last + 1 if again is None else again[0].frame.first
                if following > place.frame.last:
                    self._damaged[place.frame.first] = following - place.frame.first
                if again is None:
                    return None
                place, body = again
            try:
                if body is None:
                    raise DamagedRecordError("its check fails")
                layout, device = self._layouts.get(place.frame.layout)
                block = unpack(
                    body,
                    first_sequence=place.frame.first,
                    epoch=place.frame.epoch,
                    layout=layout,
                    device=device,
                )
            except DamagedRecordError:
                self._damaged[place.frame.first] = place.frame.count
                after = place.frame.last
                continue
            if place.kind != KEPT:
                block = block.since(self._view.floor)
            self._last = (self._view.identity, block)
            return block

    def _look(self, after: int, span: Span) -> tuple[Place, bytes | None] | None:
        place = self._view.find(after + 1, span)
        return None if place is None else (place, self._view.body(place))

    def _stable(self, look: Callable[[], _T], sound: Callable[[_T], bool] = lambda _: False) -> _T:
        """What `look` finds once no file changed its name under it; what is sound may be outrun by the log alone."""
        for attempt in range(_ATTEMPTS):
            try:
                before = self._view.refresh()
                found = look()
                after = self._view.refresh()
                if after == before or (after[1:] == before[1:] and sound(found)):
                    return found
            except FileNotFoundError:
                self._view.forget()
            except OSError as error:
                raise JournalError(
                    f"{self.path} cannot be read ({error.strerror or error}): check its permissions"
                ) from error
            time.sleep(0.001 * attempt)
        raise JournalError(f"{self.path} changes faster than it can be read")


def _read(found: tuple[Place, bytes | None] | None) -> bool:
    return found is not None and found[1] is not None
