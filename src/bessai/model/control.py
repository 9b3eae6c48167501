"""Requests for power, and the decision that each cycle takes on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

_INF = float("inf")


class Role(IntEnum):
    """What a person may do to the gateway. A higher number may do all that a lower one may."""

    OPERATOR = 10
    ENGINEER = 20

    @property
    def label(self) -> str:
        """The name used in messages."""
        return self.name.lower()


class Priority(IntEnum):
    """Who outranks whom. A higher number narrows what a lower one may have."""

    OPTIMISER = 10
    SCHEDULE = 20
    POWER_PLANT = 30
    """A virtual power plant."""
    GRID_SUPPORT = 40
    """Frequency and voltage support."""
    OPERATOR = 50
    """The local operator."""
    GRID_OPERATOR = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """A closed interval of active power in kW, generator convention. Empty when `low > high`."""

    low: float = -_INF
    high: float = _INF

    def __and__(self, other: Bounds) -> Bounds:
        """What both allow; may be empty."""
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    @property
    def empty(self) -> bool:
        """True when no power satisfies it. NaN on either side counts as empty."""
        return not self.low <= self.high

    def clip(self, power: float) -> float:
        """The power inside the bounds that is nearest to the one asked for."""
        return min(max(power, self.low), self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A lease on power: somebody proposes a power and bounds until an expiry."""

    source: str
    """Who asks; one live request per source, a newer one replaces it."""
    priority: Priority
    power: float | None
    """Preferred active power in kW, + = discharge; None to set bounds only."""
    bounds: Bounds = field(default_factory=Bounds)
    """What everybody of lower priority must keep to."""
    expires: float
    """Monotonic seconds at which the lease ends."""
    reactive: float | None = None
    """Preferred reactive power in kvar, + = export; None for no wish."""
    reactive_bounds: Bounds = field(default_factory=Bounds)
    """In kvar, what everybody of lower priority must keep to."""
    firm: bool = False
    """True: nobody of lower priority may prefer another power. Bounds of one value would also keep an offset out."""
    offset: float | None = None
    """kW added to whatever power is preferred, for instance by a frequency response. Ramps and dwell times of the
    preferred power do not slow it; bounds of its own priority and of higher ones limit the sum, lower ones do not."""
    ramp: float | None = None
    """kW per second by which the preferred power may change, on top of the plant's own ramps; 0 holds it while
    anybody asks. Whoever asks knows the power that his percentage is of. Safety is never slowed."""
    soc_target: float | None = None
    """State of charge in % at which this request wants to arrive: `power` is then the highest power on the way
    there (its magnitude; None: as much as the plant may), and its direction follows from the state of charge."""
    reason: str = ""
    id: str = ""
    """Correlation id chosen by whoever asks."""


class GuardState(Enum):
    """What the guard allows."""

    STARTING = "starting"
    """Not enough valid cycles yet: zero power only."""
    NORMAL = "normal"
    """Requests are granted within the plant's limits."""
    DERATED = "derated"
    """Granted within limits that the battery's state has narrowed."""
    HOLD = "hold"
    """Unsafe or unproven: the device is commanded to its safe state."""
    TRIPPED = "tripped"
    """A limit was violated: the device is commanded to its safe state until a person resets the trip."""
    MAINTENANCE = "maintenance"
    """People work on the plant: zero power, whoever asks. Alarms and telemetry go on."""
    MONITOR = "monitor"
    """No control: by configuration, or because this device cannot be controlled safely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A latched trip. It stands across restarts until somebody resets it."""

    code: str
    """The limit that was violated, as in the alarm catalogue."""
    unit: str
    """The commanded device that it stops; empty: the only one of the site, or all of them (`plant_wide`)."""
    plant_wide: bool = False
    point: str | None = None
    value: float | None = None
    message: str = ""
    wall_ns: int = 0
    """UTC nanoseconds at which it tripped."""
    reset: Role = Role.ENGINEER
    """Who may reset it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A live request, and what became of it in this cycle."""

    source: str
    priority: Priority
    power: float | None
    bounds: Bounds
    seconds_left: float
    role: str
    """`won`, `narrowed` (its bounds clipped the winner), `outranked`, `bounds_only` or `impossible`."""
    reason: str = ""
    id: str = ""
    reactive: float | None = None
    soc_target: float | None = None
    offset: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDecision:
    """What one commanded device is told, and why not more."""

    unit: str
    """The device's name; empty for the only device of a site without a site file."""
    state: GuardState
    setpoint: float | None
    """kW; None when the gateway does not control it."""
    bounds: Bounds
    """kW, what the guard allows this device now."""
    reactive: float | None = None
    """kvar; None when nobody asked, or the device has no way to be told."""
    limited_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why the setpoint of one cycle is what it is."""

    state: GuardState
    setpoint: float | None
    """Active power in kW that the plant is commanded to; None when the gateway does not control it."""
    bounds: Bounds
    """What the guard and the live requests left."""
    asked: float | None = None
    """The power that the winning request preferred."""
    source: str | None = None
    """Who won; None when nobody asked and zero was commanded."""
    request_id: str | None = None
    reason: str = ""
    """Why the winner asked, in its own words."""
    offset: float | None = None
    """kW of the setpoint that answer the grid, on top of what was preferred; None when nobody offers any."""
    target: float | None = None
    """kW inside the bounds, before ramps and dwell times; the setpoint is on its way there."""
    reactive: float | None = None
    """Reactive power in kvar that the plant is commanded to; None when nobody asked."""
    reactive_asked: float | None = None
    limited_by: tuple[str, ...] = ()
    """What narrowed the result, for example `soc_max` or `request:grid_operator`."""
    reasons: tuple[str, ...] = ()
    """Why the guard does not allow more, in words."""
    considered: tuple[Considered, ...] = ()
    """Every live request, highest priority first."""
    trips: tuple[Trip, ...] = ()
    """The latched trips that stand."""
    units: tuple[UnitDecision, ...] = ()
    """One a commanded device."""
