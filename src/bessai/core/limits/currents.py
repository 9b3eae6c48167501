"""The currents that the BMS allows: power caps, and the measured current beyond them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bessai.core.limits.battery import Limits
from bessai.core.limits.judge import Verdict
from bessai.model import Severity

CODE = "overcurrent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Currents:
    """The current limits of a battery, with the places of their points in a cycle's values."""

    limits: Limits
    allowed: tuple[int | None, int | None] = (None, None)
    """Places of `charge_current_max` and `discharge_current_max`."""
    current: int | None = None
    voltage: int | None = None

    @classmethod
    def of(cls, limits: Limits, index: Mapping[str, int]) -> Currents | None:
        """None where neither the device nor the data sheet limits the current."""
        told = "charge_current_max" in index or "discharge_current_max" in index
        given = limits.charge_current_max is not None or limits.discharge_current_max is not None
        return cls(limits=limits) if told or given else None

    def placed(self, place: Mapping[str, int]) -> Currents:
        """The same, for values in this order."""
        return replace(
            self,
            allowed=(place.get("charge_current_max"), place.get("discharge_current_max")),
            current=place.get("battery_current"),
            voltage=place.get("battery_voltage"),
        )

    def judge(self, known: list[float | None], verdict: Verdict) -> tuple[float | None, float | None]:
        """Judge the measured current; answers the powers for charge and discharge in kW.

        Without a measured DC voltage the lowest that the cells in series may have counts, which allows less; where
        that is unknown too, there is no power limit from the current.
        """
        limits = self.limits
        sheet = (limits.charge_current_max, limits.discharge_current_max)
        volts = None if self.voltage is None else known[self.voltage]
        if volts is None and limits.cells_in_series is not None:
            volts = limits.cells_in_series * limits.cell_voltage_min
        current = None if self.current is None else known[self.current]
        powers: list[float | None] = []
        for i, (direction, sign) in enumerate((("charge", -1.0), ("discharge", 1.0))):
            place, own = self.allowed[i], sheet[i]
            told = None if place is None else known[place]
            amperes = min((max(0.0, a) for a in (told, own) if a is not None), default=None)
            powers.append(None if amperes is None or volts is None else amperes * max(0.0, volts) / 1000.0)
            if amperes is not None or f"{CODE}/{direction}" in verdict.memory.since:
                self._over(direction, None if current is None else sign * current, amperes, verdict)
        return powers[0], powers[1]

    def _over(self, direction: str, current: float | None, amperes: float | None, verdict: Verdict) -> None:
        rule, key, memory = self.limits.current, f"{CODE}/{direction}", verdict.memory
        if current is not None and amperes is not None:
            if current <= amperes * (1.0 + rule.tolerance) + rule.margin:
                memory.since.pop(key, None)
                return
        elif key not in memory.since:
            return
        if verdict.lasts(key, rule.trip_delay):
            message = f"{direction} current beyond what the battery allows"
            verdict.latch(CODE, "battery_current", current, message, rule.reset)
            verdict.stop("battery_current", "both")
        if verdict.lasts(key, rule.warning_delay):
            limit = "its limit" if amperes is None else f"{amperes:g} A"
            verdict.tell(
                CODE,
                Severity.ALARM if verdict.lasts(key, rule.trip_delay) else Severity.WARNING,
                f"{direction} current is beyond {limit}",
                "battery_current",
                current,
            )
