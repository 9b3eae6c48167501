"""What a schedule holds, and what of it is in force at an instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bessai.interfaces.schedule.times import instant
from bessai.registry.problems import Problem

_DAYS_AHEAD = 9
"""Days in which every daily entry comes at least once."""


class ScheduleError(ValueError):
    """A schedule that cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for while an entry is in force."""

    power: float | None = None
    """kW, + = discharge; with `soc_target` the highest power on the way, None: as much as the plant may."""
    reactive: float | None = None
    """kvar, + = export."""
    soc_target: float | None = None
    """State of charge in % to arrive at."""
    low: float | None = None
    high: float | None = None
    """kW, bounds that everybody of lower priority must keep to."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A wish from one instant to another."""

    start: float
    """Seconds since 1970, UTC."""
    end: float
    """Seconds since 1970, UTC; not included."""
    wish: Wish
    where: str
    """Where it stands in the file, for example `line 4`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """A wish at the same local time of several weekdays."""

    start: int
    """Seconds of the local clock since midnight."""
    end: int
    """Seconds of the local clock since midnight; at most a day later than `start`, so it may be beyond 24 h."""
    days: frozenset[int]
    """Weekdays on which it starts, Monday is 0."""
    wish: Wish
    where: str

    def on(self, day: date, zone: ZoneInfo) -> Entry | None:
        """The entry that starts on a local day; None when the day is none of its own."""
        if day.weekday() not in self.days:
            return None
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  the zone is added below
        start, end = (instant(midnight + timedelta(seconds=s), zone) for s in (self.start, self.end))
        return Entry(start=start, end=end, wish=self.wish, where=self.where) if end > start else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of time in which one entry is in force."""

    start: float
    end: float
    """Seconds since 1970, UTC; not included."""
    entry: Entry


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Entries with dates, and daily ones behind them: where both are, the one with a date counts."""

    entries: tuple[Entry, ...]
    """By start, none overlaps another."""
    daily: tuple[Daily, ...] = ()
    """None overlaps another."""
    zone: ZoneInfo | None = None
    """The file's time zone; daily entries need one."""
    source: str = ""
    """The file."""
    _starts: list[float] = field(init=False)
    _days: dict[date, list[Entry]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._starts = [entry.start for entry in self.entries]

    def current(self, now: float) -> Entry | None:
        """What is in force at an instant (seconds since 1970); None when nothing is."""
        index = bisect_right(self._starts, now) - 1
        if index >= 0 and now < self.entries[index].end:
            return self.entries[index]
        for entry in self._around(now, 1):
            if entry.start <= now < entry.end:
                return entry
        return None

    def boundary(self, now: float) -> float | None:
        """The next instant at which something begins or ends; None when nothing ever will."""
        index = bisect_right(self._starts, now)
        near = [*self.entries[max(0, index - 1) : index + 1], *self._around(now, _DAYS_AHEAD)]
        return min((t for entry in near for t in (entry.start, entry.end) if t > now), default=None)

    def parts(self, now: float) -> Iterator[Part]:
        """What is in force from now on, in order; endless when there are daily entries."""
        begin: float | None = now
        part: Part | None = None
        while begin is not None:
            entry, end = self.current(begin), self.boundary(begin)
            if part is not None and part.entry != entry:
                yield part
                part = None
            if entry is not None and end is not None:
                part = Part(start=part.start if part else begin, end=end, entry=entry)
            begin = end

    def _around(self, now: float, days: int) -> Iterator[Entry]:
        if self.zone is None or not self.daily:
            return
        today = datetime.fromtimestamp(now, self.zone).date()
        if len(self._days) > 64:
            self._days.clear()
        for offset in range(-2, days + 1):
            day = today + timedelta(days=offset)
            if day not in self._days:
                found = (daily.on(day, self.zone) for daily in self.daily)
                self._days[day] = [entry for entry in found if entry is not None]
            yield from self._days[day]
