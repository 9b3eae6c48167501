"""What starts and prolongs a recording, and how a storm of alarms is kept from filling the disk with copies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from bessai.model import Trip

_BUCKETS = {"alarm": (6, 600.0), "freeze": (6, 600.0), "trip": (24, 300.0)}
"""Files that one kind may begin at once, and seconds until it earns another. Judgement: the files of a storm tell
the same story, trips are few because they latch."""

_LONGEST = 10
"""A recording lasts at most so many times `after`."""

_NOTED = 100
"""Triggers that one file lists."""


class Effect(Enum):
    """What a trigger does."""

    OPENS = "opens"
    """A new file begins with the seconds before."""
    PROLONGS = "prolongs"
    """It is noted in the file that is being written."""
    NOTHING = "nothing"
    """Too many of its kind, or of them all in this file."""


@dataclass(slots=True)
class Triggers:
    """Decides; every time is monotonic seconds.

    Args:
        after: seconds kept after a trigger.
    """

    after: float
    until: float | None = None
    """When the recording under way ends; None when there is none."""
    suppressed: int = 0
    """Triggers without a record since the last file began."""
    _began: float = 0.0
    _noted: int = 0
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict)
    _standing: set[tuple[str, str, bool]] | None = None

    def effect(self, kind: str, now: float) -> Effect:
        """What a trigger of this kind does now."""
        if self.until is not None and (end := now + self.after) <= self._began + _LONGEST * self.after:
            self.until = max(self.until, end)
            self._noted += 1
            if self._noted <= _NOTED:
                return Effect.PROLONGS
        elif self._taken(kind, now):
            self.until, self._began, self._noted = now + self.after, now, 0
            return Effect.OPENS
        self.suppressed += 1
        return Effect.NOTHING

    def new_trips(self, trips: Iterable[Trip], wall_ns: int) -> list[Trip]:
        """Those of the standing trips that did not stand before.

        In the first decision after a start those count that tripped in it, not those remembered from before.
        """
        now = {(trip.code, trip.unit, trip.plant_wide): trip for trip in trips}
        before, self._standing = self._standing, set(now)
        if before is None:
            return [trip for trip in now.values() if trip.wall_ns >= wall_ns]
        return [trip for key, trip in now.items() if key not in before]

    def _taken(self, kind: str, now: float) -> bool:
        most, seconds = _BUCKETS[kind]
        tokens, last = self._tokens.get(kind, (float(most), now))
        tokens = min(float(most), tokens + max(0.0, now - last) / seconds)
        enough = tokens >= 1
        self._tokens[kind] = (tokens - enough, now)
        return enough
