"""What one limit is: a curve of shares, a warning and a trip on a measured quantity, or a flag of the device."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

from bessai.model import Role

Side = Literal["high", "low"]
Directions = Literal["both", "charge", "discharge", "none"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines between points (x, share), constant beyond both ends."""

    points: tuple[tuple[float, float], ...]
    """x in the unit of the measured point, ascending; share 0 … 1 of the rated power."""
    _xs: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_xs", tuple(point[0] for point in self.points))

    def __call__(self, x: float) -> float:
        """The share at x."""
        i = bisect_right(self._xs, x)
        if i == 0:
            return self.points[0][1]
        if i == len(self._xs):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[i - 1], self.points[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)

    @property
    def plateau(self) -> tuple[float, float]:
        """Between which x nothing is taken away (share 1); (inf, -inf) when there is no such stretch."""
        full = [i for i, (_, share) in enumerate(self.points) if share >= 1.0]
        if not full or full[-1] - full[0] != len(full) - 1:
            return float("inf"), float("-inf")
        low = float("-inf") if full[0] == 0 else self._xs[full[0]]
        high = float("inf") if full[-1] == len(self._xs) - 1 else self._xs[full[-1]]
        return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningLevel:
    """A level at which people are told."""

    at: float
    """In the point's unit."""
    clear: float
    """The warning ends only beyond this level, which lies on the safe side of `at`."""
    delay: float
    """Seconds that the level must be reached before it warns, and be cleared before that ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TripLevel:
    """A level that stops the battery until a person resets it."""

    at: float
    """In the point's unit. From here on no power is allowed, delay or not."""
    delay: float
    """Seconds without interruption after which it latches."""
    reset: Role = Role.ENGINEER
    """Who may reset it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How one measured quantity limits the battery."""

    code: str
    """Name of the limit, unique within a battery; the code of its warning and of its trip."""
    point: str
    """Shared name of the measured point."""
    side: Side
    """Whether warning and trip lie above (`high`) or below (`low`) the normal range."""
    unit: str
    charge: Curve | None = None
    """Share of the charge power that a value allows; None: this limit derates no charge."""
    discharge: Curve | None = None
    hysteresis: float
    """In `unit`: a direction that was stopped opens again only this far inside."""
    warning: WarningLevel | None = None
    trip: TripLevel | None = None
    stops: Directions = "both"
    """Which directions a value beyond the trip level stops at once."""
    optional: bool = False
    """True when a device that says `not available`, and always has, is excused; false: only one without the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A state or bit field of the device that stops the battery. Exactly one of the three rules is set."""

    code: str
    point: str
    bits: int | None = None
    """Mask: any of these bits set is bad."""
    bad: tuple[int, ...] | None = None
    """These values are bad."""
    required: tuple[int, ...] | None = None
    """Any other value is bad."""
    action: Literal["hold", "trip"] = "hold"
    """`hold` ends by itself, `trip` latches."""
    stops: Directions = "both"
    """Which directions it stops, at once; `none`: it only warns."""
    delay: float = 0.0
    """Seconds that it must stand before it trips, and be gone before it lets go."""
    plant_wide: bool = False
    """True when a trip stops every battery of the site, not only this one."""
    reset: Role = Role.ENGINEER
    optional: bool = False
    message: str = ""
    """What it means, for people."""

    def active(self, value: float) -> bool:
        """Whether a (known) value is bad."""
        raw = int(value)
        if self.bits is not None:
            return raw & self.bits != 0
        if self.bad is not None:
            return raw in self.bad
        return raw not in (self.required or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentLimit:
    """When a measured current beyond what is allowed now (BMS or data sheet) warns and trips."""

    tolerance: float
    """Share of the limit by which the current may exceed it."""
    margin: float
    """A, on top: what measuring and standby take even where nothing is allowed."""
    warning_delay: float
    """Seconds beyond it before it warns."""
    trip_delay: float
    """Seconds beyond it before it trips."""
    reset: Role = Role.ENGINEER


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimit:
    """The curves of one limit alone."""

    point: str
    charge: Curve
    discharge: Curve
    hysteresis: float
