"""What the operator sees of every point now, and what has changed: no network in it.

    station = Station(scada.points, stale=30.0, now=time.monotonic())
    changes = station.frame(frame, now)          # beyond the dead band, or of another quality: one event each
    changes = station.tick(now, wall_ns)         # what nobody refreshed

A value keeps the time at which it was measured. Its quality follows from the gateway's own: what was not read, or is no
number, is invalid (IV); what is old is not topical (NT), at the latest after `stale` seconds without a good value; what
does not fit the type is an overflow (OV). The gateway neither blocks nor substitutes values: BL and SB stay clear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bessai.interfaces.scada.feed import Columns, Frame
from bessai.interfaces.scada.sources import Sources
from bessai.interfaces.scada.states import Discrete
from bessai.model import Quality
from bessai.site.scada import MonitorPoint

OVERFLOW: Final = 0x01
"""OV: beyond what the type can tell."""
NOT_TOPICAL: Final = 0x40
"""NT: not refreshed in time."""
INVALID: Final = 0x80
"""IV: not to be used."""

FEED_GRACE: Final = 5.0
"""Seconds without the gateway's feed after which nothing is topical: the age that data may have (provisional)."""

_GOOD = int(Quality.GOOD)
_FLAGS = np.full(256, INVALID, dtype=np.uint8)
"""The quality bits of each of the gateway's qualities."""
_FLAGS[_GOOD] = 0
_FLAGS[[int(Quality.STALE), int(Quality.FROZEN)]] = NOT_TOPICAL

_LARGEST = {"scaled": 32767.0, "float": float(np.finfo(np.float32).max)}
_SMALLEST = {"scaled": -32768.0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """Events, in the order in which they were measured."""

    points: NDArray[np.intp]
    """Position of each in the point list."""
    values: NDArray[np.float64]
    """In the unit shown; of states: 0, 1 (single) or 0 … 3 (double)."""
    flags: NDArray[np.uint8]
    """Quality bits."""
    times: NDArray[np.int64]
    """UTC nanoseconds at which the value was measured; for one that became bad: at which that was noticed."""

    def __len__(self) -> int:
        return len(self.points)


class Station:
    """The state of every point.

    Args:
        points: the list.
        stale: seconds without a good value after which a point is not topical.
        now: monotonic seconds.
    """

    def __init__(self, points: Sequence[MonitorPoint], stale: float, now: float) -> None:
        self.points: Final = tuple(points)
        self.sources: Final = Sources((name for point in points for name in point.sources), now)
        size = len(self.points)
        self.values = np.zeros(size)
        """In the unit shown; the last known one where it is unknown now."""
        self.flags = np.full(size, INVALID, dtype=np.uint8)
        """Quality bits."""
        self.times = np.zeros(size, dtype=np.int64)
        """UTC nanoseconds."""
        self.fed = False
        """True while cycles arrive."""
        self.period = 1.0
        """Seconds between cycles."""
        self.cycles = 0
        """Cycles that arrived since the start."""
        self.missed = 0
        """Cycles that this process was too slow for."""
        self._stale = stale
        self._fed_at = now
        self._source = self._each(lambda p: self.sources.index[p.name], np.intp)
        self._second = self._each(lambda p: self.sources.index[p.sources[-1]], np.intp)
        self._factor = self._each(lambda p: p.scale * p.sign, np.float64)
        self._dead_band = self._each(lambda p: p.dead_band, np.float64)
        self._high = self._each(lambda p: p.full_scale or _LARGEST.get(p.kind, np.inf), np.float64)
        self._low = self._each(lambda p: -(p.full_scale or np.inf), np.float64)
        self._low = np.maximum(self._low, self._each(lambda p: _SMALLEST.get(p.kind, -np.inf), np.float64))
        self._silent = self._each(lambda p: p.kind == "counter", np.bool_)
        self._discrete = Discrete(self.points, self.sources.index)
        self._reported = self.values.copy()
        self._reported_flags = self.flags.copy()

    def silence(self, now: float) -> float:
        """Seconds since the last cycle arrived, or since the start."""
        return now - self._fed_at

    def started(self, columns: Columns) -> None:
        """The feed begins."""
        self.sources.started(columns)
        self.period = columns.period

    def frame(self, frame: Frame, now: float, *, quiet: bool = False) -> Changes:
        """Take up a cycle; `quiet`: what it brings is no news to anybody."""
        self.fed, self._fed_at, self.missed = True, now, frame.missed
        self.cycles += 1
        self.sources.frame(frame, now)
        changes = self._refresh(now, frame.wall_ns)
        return changes if not quiet else _none()

    def lost(self) -> None:
        """The feed has ended."""
        self.fed = False

    def tick(self, now: float, wall_ns: int) -> Changes:
        """Look at what time did: call it about once a second, and after something of the gateway's own changed."""
        if not self.fed:
            self.sources.learn({"gateway.alive": 0.0})
        self.sources.put_own(now, wall_ns)
        return self._refresh(now, wall_ns)

    def report_again(self, name: str) -> None:
        """Let the next look report a source's points as if they had changed."""
        i = self.sources.index.get(name)
        if i is not None:
            self._reported_flags[self._source == i] ^= 0xFF

    def aged(self, now: float, limit: float) -> list[int]:
        """Positions of the site's points that were not good for longer than `limit` seconds."""
        old = (now - self.sources.good_at > limit) & self.sources.of_site
        found: list[int] = np.flatnonzero(old[self._source]).tolist()
        return found

    def age(self, point: int, now: float) -> float:
        """Seconds since a point's value was last good."""
        return float(now - self.sources.good_at[self._source[point]])

    def _refresh(self, now: float, wall_ns: int) -> Changes:
        sources = self.sources
        raw = sources.values * 1.0
        shown = raw[self._source] * self._factor
        flags = _FLAGS[sources.quality]
        flags[(flags == 0) & ~np.isfinite(raw)] = INVALID
        flags = flags[self._source] | flags[self._second]
        good_at = np.minimum(sources.good_at[self._source], sources.good_at[self._second])
        old = now - good_at > self._stale
        if not self.fed and now - self._fed_at > min(FEED_GRACE, self._stale):
            old[:] = True
        self._discrete.fill(shown, raw)
        flags[old] |= NOT_TOPICAL
        unknown = ~np.isfinite(shown)
        shown[unknown] = self.values[unknown]
        flags[(shown > self._high) | (shown < self._low)] |= OVERFLOW
        alive = self._alive
        if alive is not None:
            flags[alive] &= ~np.uint8(NOT_TOPICAL)  # that it is not alive is always news of today
        bad = flags & (INVALID | NOT_TOPICAL) != 0
        measured = np.maximum(sources.times[self._source], sources.times[self._second])
        self.times = np.where(bad & (flags != self._reported_flags), wall_ns, measured)
        self.values, self.flags = shown, flags
        moved = (np.abs(shown - self._reported) > self._dead_band) & (flags & INVALID == 0)
        found = np.flatnonzero((moved | (flags != self._reported_flags)) & ~self._silent)
        if not found.size:
            return _none()
        found = found[np.argsort(self.times[found], kind="stable")]
        self._reported[found] = shown[found]
        self._reported_flags[found] = flags[found]
        return Changes(points=found, values=shown[found], flags=flags[found], times=self.times[found])

    @property
    def _alive(self) -> NDArray[np.intp] | None:
        i = self.sources.index.get("gateway.alive")
        return None if i is None else np.flatnonzero(self._source == i)

    def _each(self, what: Callable[[MonitorPoint], float], kind: type) -> NDArray[Any]:
        return np.array([what(point) for point in self.points], dtype=kind)


def _none() -> Changes:
    return Changes(
        points=np.empty(0, dtype=np.intp),
        values=np.empty(0),
        flags=np.empty(0, dtype=np.uint8),
        times=np.empty(0, dtype=np.int64),
    )
