"""What the check of a battery's limits answers, and all that it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessai.model import Condition, Trip


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReport:
    """What the limits allow in one cycle."""

    charge: float
    """Allowed share of the rated charge power, 0 … 1."""
    discharge: float
    charge_power: float | None
    """kW that the allowed current and the DC voltage leave; None: no such limit here."""
    discharge_power: float | None
    limited_by: tuple[str, ...]
    """Points (and `soc_high`, `soc_low`) that narrow it."""
    conditions: tuple[Condition, ...]
    trips: tuple[Trip, ...]
    """What must latch now, repeated while it stands; `unit` is empty."""
    lost: tuple[Condition, ...]
    """Points that the device has and whose value is not evidence: nothing is allowed meanwhile."""


@dataclass(slots=True)
class Memory:
    """Everything that persists between cycles. `Memory(**json)` restores it exactly."""

    seen: dict[str, bool] = field(default_factory=dict)
    """Points that were ever good: from then on they are never excused."""
    full: bool = False
    """Charge is stopped at the upper edge of the state of charge."""
    empty: bool = False
    blocked: dict[str, bool] = field(default_factory=dict)
    """`code/direction` whose curve reached 0 and has not opened again."""
    held: dict[str, bool] = field(default_factory=dict)
    """Codes that were beyond their trip level (or whose flag was bad) and are not back yet."""
    warned: dict[str, bool] = field(default_factory=dict)
    """Codes whose warning stands."""
    since: dict[str, float] = field(default_factory=dict)
    """`code/timer` to the monotonic seconds at which it began."""
    busy: dict[str, bool] = field(default_factory=dict)
    """Codes with anything of the above; every other limit needs only one comparison."""
