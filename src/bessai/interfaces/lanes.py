"""Which records go next: the newest first, and what an outage has left behind beside them.

In normal operation there is one lane, the live one, and every record goes in order. When it has not been up to
date for a few seconds, what waits is split off: the live lane goes on with the newest record, and the backlog
drains beside it, one batch each in turn. `Progress` holds what is done; its gaps close from below.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bessai.interfaces.courier import Lane
from bessai.interfaces.rate import Sizer
from bessai.interfaces.sink import Reader
from bessai.interfaces.track import Choose, Finished, Track
from bessai.journal.entry import Entry
from bessai.journal.progress import MOST_RANGES, Progress

_LIVE_AIM: Final = 1.0
_BACKLOG_AIM: Final = 0.5
"""Seconds that a batch should take; the live lane waits for one of the backlog at most."""
_BACKLOG_FIRST: Final = 16
"""Records of the first batch of a backlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePace:
    """How the lanes are cut."""

    most: int
    """Records a batch."""
    split_after: float | None
    """Seconds that the live lane may be behind before the backlog is split off; None: never, strictly in order."""


class Lanes:
    """Two tracks and what they have finished. `progress` is what is to be saved."""

    def __init__(
        self,
        progress: Progress,
        pace: LanePace,
        filters: Callable[[], Choose] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if pace.split_after is None:
            progress = Progress(progress.floor)
        self.progress = progress
        self.withheld = 0
        """Records that were not to be sent."""
        self.missed = 0
        """Sequences without a readable record."""
        self.scanning = False
        """True when a lane has more to read, though it found nothing to send yet."""
        self._pace = pace
        self._clock = clock
        self.live = Track(
            Lane.LIVE, progress.newest, Sizer(first=pace.most, most=pace.most, aim=_LIVE_AIM), filters
        )
        self.backlog = Track(
            Lane.BACKLOG,
            progress.floor,
            Sizer(first=_BACKLOG_FIRST, most=pace.most, aim=_BACKLOG_AIM),
            filters,
        )
        self._turn = self.live
        self._caught_up_at: float | None = None
        self._read_all_at = -math.inf

    def next(self, reader: Reader) -> Track | None:
        """The lane whose batch goes next; None when nothing is to be sent."""
        self._split_when_behind(reader)
        self.scanning = False
        for track in (self._turn, self.other(self._turn)):
            self._fill(track, reader)
            if track.waiting:
                return track
        return None

    def done(self, track: Track, count: int) -> None:
        """The lane's next `count` records were acknowledged or set aside."""
        self._count(track.done(count))
        if track is self.live and not track.waiting:
            self._caught_up_at = self._read_all_at

    def other(self, track: Track) -> Track:
        """The other lane."""
        return self.backlog if track is self.live else self.live

    @property
    def suspecting(self) -> bool:
        """True while it is being found out which message is refused for its content."""
        return self.live.suspecting or self.backlog.suspecting

    def tried(self, track: Track) -> None:
        """The lane had its turn, with or without success."""
        self._turn = self.other(track)

    def left(self, last: int) -> int:
        """Records that wait in a journal that ends with `last`."""
        gaps = self.live.finished - self.progress.floor - sum(b - a + 1 for a, b in self.progress.ranges)
        return max(0, gaps + last - (self.live.finished if self.live.waiting else self.live.at))

    def _fill(self, track: Track, reader: Reader) -> None:
        if track is self.live:
            read_all = track.fill(reader, None)
            if read_all:
                self._read_all_at = self._clock()
                if not track.waiting:
                    self._caught_up_at = self._read_all_at
        else:
            end = self._gap_end()
            if end is None:
                return
            if track.finished < self.progress.floor:
                track.jump(self.progress.floor)
            read_all = track.fill(reader, end)
            # Before the live lane is acknowledged, its beginning is no record that a subscriber has seen.
            if not track.waiting and track.at >= end and self.progress.ranges:
                self._count(track.exhausted(end))
                self.scanning = True  # there may be another gap behind this one
        if not read_all:
            self.scanning = True

    def _gap_end(self) -> int | None:
        """The last sequence of the gap that the backlog lane is to close."""
        if self.progress.gap is not None:
            return self.progress.gap[1]
        return self.live.finished if self.live.finished > self.progress.newest else None

    def _split_when_behind(self, reader: Reader) -> None:
        if self._pace.split_after is None or len(self.progress.ranges) >= MOST_RANGES:
            return
        now = self._clock()
        if self._caught_up_at is None:
            self._caught_up_at = now if self._recent(reader) else -math.inf
        if now - self._caught_up_at <= self._pace.split_after:
            return
        last = reader.last_sequence()
        if last - self.live.finished > 1:
            self.live.jump(last - 1)
            self.backlog.sizer.restart()
        self._caught_up_at = now

    def _recent(self, reader: Reader) -> bool:
        """True when what waits at the start is no older than what a live lane may hold."""
        first: list[Entry] = reader.read(self.live.finished, 1)
        late_ns = reader.stats().last_wall_ns - first[0].wall_ns if first else 0
        return late_ns <= 1e9 * (self._pace.split_after or 0.0)

    def _count(self, done: Finished) -> None:
        self.progress = self.progress.done(done.first, done.last)
        self.withheld += done.withheld
        self.missed += done.missed
