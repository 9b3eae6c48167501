"""Which records a consumer is done with: everything up to a floor, and ranges beyond it.

A consumer that was away delivers the newest records first and the backlog beside them, so what it has done has
gaps for a while. The gaps close from below; when all are closed, only the floor is left.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_RANGES = 16
"""Ranges beyond the floor that are kept. With more, the newest two are joined by forgetting the last one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Immutable; `done` returns the next state."""

    floor: int = 0
    """Done with every sequence up to here."""
    ranges: tuple[tuple[int, int], ...] = ()
    """Done with these too: (first, last), disjoint, ascending, each with a gap before it."""

    @property
    def newest(self) -> int:
        """The highest sequence that is done."""
        return self.ranges[-1][1] if self.ranges else self.floor

    @property
    def gap(self) -> tuple[int, int] | None:
        """The oldest gap as (after, last): sequences above `after`, up to `last`; None without one."""
        return (self.floor, self.ranges[0][0] - 1) if self.ranges else None

    def done(self, first: int, last: int) -> Progress:
        """With `first` to `last` done too.

        When that makes more than `MOST_RANGES` ranges, the newest range is forgotten: its records are
        delivered twice, none is lost.
        """
        if first > last:
            return self
        floor, ranges = self.floor, sorted([*self.ranges, (first, last)])
        merged: list[tuple[int, int]] = []
        for low, high in ranges:
            if low <= floor + 1:
                floor = max(floor, high)
            elif merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        while merged and merged[0][0] <= floor + 1:
            floor = max(floor, merged.pop(0)[1])
        return Progress(floor, tuple(merged[:MOST_RANGES]))

    def raised(self, floor: int) -> Progress:
        """With everything up to `floor` done."""
        return self.done(min(self.floor, floor) + 1, floor) if floor > self.floor else self
