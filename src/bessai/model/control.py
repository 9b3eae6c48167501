"""Requests for power, and the decision that each cycle takes on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

_INF = float("inf")


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
    MONITOR = "monitor"
    """No control: by configuration, or because this device cannot be controlled safely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why the setpoint of one cycle is what it is."""

    state: GuardState
    setpoint: float | None
    """Active power in kW that the device is commanded to; None when the gateway does not control it."""
    bounds: Bounds
    """What the guard and the live requests left."""
    asked: float | None = None
    """The power that the winning request preferred."""
    source: str | None = None
    """Who won; None when nobody asked and zero was commanded."""
    request_id: str | None = None
    limited_by: tuple[str, ...] = ()
    """What narrowed the result, for example `soc_max` or `request:grid_operator`."""
    reasons: tuple[str, ...] = ()
    """Why the guard does not allow more, in words."""
