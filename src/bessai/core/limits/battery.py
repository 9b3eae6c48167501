"""All limits of one battery."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessai.core.limits.level import CurrentLimit, Curve, Flag, Limit, Side, StateLimit
from bessai.core.limits.presets import CURRENT, FLAGS, LFP

SOC_POINTS = ("soc", "soc_highest", "soc_lowest")
CURRENT_POINTS = ("charge_current_max", "discharge_current_max", "battery_current", "battery_voltage")

_ALWAYS = Curve(((0.0, 1.0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of a battery; without arguments those of an LFP battery of unknown size. Powers in kW, SOC in %."""

    soc_min: float = 10.0
    """No discharge at or below it."""
    soc_max: float = 95.0
    """No charge at or above it."""
    soc_hysteresis: float = 1.0
    """A blocked direction opens again this far inside."""
    soc_taper: float = 1.0
    """Over this many % before either edge power falls linearly, to a tenth at the edge (judgement: a battery that
    goes into its edge at full power overshoots it and comes back)."""
    charge_power_max: float | None = None
    """None: what the device reports as its maximum."""
    discharge_power_max: float | None = None
    charge_current_max: float | None = None
    """A, of the data sheet; the BMS may allow less. None: what the BMS tells."""
    discharge_current_max: float | None = None
    chemistry: str = "lfp"
    cells_in_series: int | None = None
    """None: unknown, so there is no limit of the DC voltage and of the insulation."""
    levels: tuple[Limit, ...] = field(default=LFP.levels)
    flags: tuple[Flag, ...] = FLAGS
    current: CurrentLimit = CURRENT
    cell_voltage_min: float = LFP.cell_voltage[0]
    """V; with the cells in series it bounds the power of a current where nobody measures the DC voltage."""

    named: tuple[str, ...] = ()
    """Points that the site's own limits file names. A device without one of them is not what the file describes."""

    @property
    def points(self) -> frozenset[str]:
        """Every point that a limit looks at, where a device has it."""
        return frozenset(
            (
                *SOC_POINTS,
                *CURRENT_POINTS,
                *(limit.point for limit in self.levels),
                *(flag.point for flag in self.flags),
            )
        )

    @property
    def trip_levels(self) -> tuple[tuple[str, Side, float], ...]:
        """Point, side and level beyond which no power is allowed in either direction."""
        return tuple(
            (limit.point, limit.side, limit.trip.at)
            for limit in self.levels
            if limit.trip is not None and limit.stops == "both"
        )

    @property
    def states(self) -> tuple[StateLimit, ...]:
        """The curves alone."""
        return tuple(
            StateLimit(
                point=limit.point,
                charge=limit.charge or _ALWAYS,
                discharge=limit.discharge or _ALWAYS,
                hysteresis=limit.hysteresis,
            )
            for limit in self.levels
            if limit.charge is not None or limit.discharge is not None
        )
