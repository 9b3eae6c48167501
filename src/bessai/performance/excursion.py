"""When an event begins, what was its worst, and when it ends: one quantity, two limits, a way back with hysteresis."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["frequency", "rocof", "voltage"]
KINDS: tuple[Kind, ...] = ("frequency", "rocof", "voltage")
UNITS = {"frequency": "Hz", "rocof": "Hz/s", "voltage": "% Un"}

_DIRECTIONS = {"frequency": ("under", "over"), "rocof": ("falling", "rising"), "voltage": ("sag", "swell")}

Ending = Literal["returned", "unknown", "clock set back"]


@dataclass(slots=True, kw_only=True)
class GridEvent:
    """One excursion beyond a limit. Times are UTC nanoseconds."""

    kind: Kind
    epoch: int
    sequence: int
    """Of the record that began it; with the epoch and the kind it names the event for ever."""
    start_ns: int
    """Of the first measurement beyond the limit."""
    low: float
    """The limits that were in force, in the unit of the kind."""
    high: float
    end_ns: int | None = None
    """Of the first measurement that was back inside; None while it lasts, and where the end was not seen."""
    known_ns: int = 0
    """Of the last measurement seen."""
    minimum: float
    minimum_ns: int
    maximum: float
    maximum_ns: int
    excursions: int = 1
    """How often it left the limits."""
    ending: Ending | None = None
    """None while it is open. `unknown`: the data ended before the event did."""
    rocof_worst: float | None = None
    """Hz/s of largest magnitude while it lasted; None when it was not measurable."""
    rows: int = 0
    """Records kept of it."""
    truncated: bool = False
    """It lasted longer than records are kept of one event."""
    dropped: bool = False
    """Its records made room for newer ones."""

    @property
    def duration(self) -> float | None:
        """Seconds between start and end; None when the end is unknown."""
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e9

    @property
    def direction(self) -> str:
        """What it was, for people: `under` or `over`, `falling` or `rising`, `sag` or `swell`."""
        below = self.low - self.minimum >= self.maximum - self.high
        return _DIRECTIONS[self.kind][0 if below else 1]

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    def note(self, value: float, time_ns: int) -> None:
        """Take a measurement into the extremes."""
        if value < self.minimum:
            self.minimum, self.minimum_ns = value, time_ns
        if value > self.maximum:
            self.maximum, self.maximum_ns = value, time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a kind of event begins, and where it ends."""

    low: float
    high: float
    back: float
    """How far inside the limits the quantity must be again."""
    after_ns: int
    """How long it is recorded, and may leave the limits again, after its end."""
    gap_ns: int
    """How long there may be no measurement."""

    def outside(self, value: float) -> bool:
        """Beyond the limits."""
        return not self.low <= value <= self.high

    def inside(self, value: float) -> bool:
        """Back for good."""
        return self.low + self.back <= value <= self.high - self.back

    def follow(self, event: GridEvent, value: float | None, time_ns: int, tick_ns: int) -> None:
        """Take one record into an open event; its `ending` says whether it is over.

        Args:
            event: the open event.
            value: a new good measurement, None without one.
            time_ns: when it was measured.
            tick_ns: when it was recorded.
        """
        if value is not None:
            if self.outside(value):
                event.excursions += event.end_ns is not None
                event.end_ns = None
            elif event.end_ns is None and self.inside(value):
                event.end_ns = time_ns
            if event.end_ns is None:
                event.note(value, time_ns)
            event.known_ns = time_ns
        if event.end_ns is not None and tick_ns - event.end_ns >= self.after_ns:
            event.ending = "returned"
        elif tick_ns - event.known_ns > self.gap_ns:
            event.ending = "unknown" if event.end_ns is None else "returned"
