"""A battery's values as images, one second apart."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from bessai.core.limits import LimitCheck, LimitReport, Limits, Memory
from bessai.model import Layout, ProcessImage, Quality

NORMAL: dict[str, float] = {
    "soc": 50.0,
    "soh": 99.0,
    "battery_temperature": 25.0,
    "cell_temperature_max": 26.0,
    "cell_temperature_min": 24.0,
    "cell_voltage_max": 3.32,
    "cell_voltage_min": 3.30,
    "battery_voltage": 800.0,
    "battery_current": 0.0,
    "charge_current_max": 100.0,
    "discharge_current_max": 150.0,
    "insulation_resistance": 2000.0,
    "fire_alarm": 0.0,
    "gas_alarm": 0.0,
    "battery_alarm": 0.0,
    "contactor_status": 1.0,
    "breaker_status": 1.0,
}
REQUIRED = tuple(NORMAL)


class Scene:
    """A check in front of a battery; each call is one cycle, `step` seconds after the last."""

    def __init__(self, limits: Limits | None = None, *, points: dict[str, float] | None = None) -> None:
        self.values = dict(NORMAL if points is None else points)
        self.layout = Layout(tuple(self.values), tuple(None for _ in self.values))
        self.check = LimitCheck(limits or Limits())
        self.now = 1000.0

    def image(self, **changes: float | Quality) -> ProcessImage:
        columns = np.full(len(self.layout), np.nan)
        quality = np.zeros(len(self.layout), np.uint8)
        for name, value in {**self.values, **changes}.items():
            i = self.layout.index[name]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i] = value
        times = np.full(len(self.layout), self.now)
        return ProcessImage(self.layout, 0, self.now, 7, columns, quality, times)

    def cycle(self, *, step: float = 1.0, **changes: float | Quality) -> LimitReport:
        self.now += step
        return self.check.check(self.image(**changes))

    def cycles(self, count: int, *, step: float = 1.0, **changes: float | Quality) -> list[LimitReport]:
        return [self.cycle(step=step, **changes) for _ in range(count)]

    def restart(self) -> None:
        """A new check with the memory of the old one, as it comes back from JSON."""
        text = json.dumps(asdict(self.check.memory))
        self.check = LimitCheck(self.check.limits)
        self.check.memory = Memory(**json.loads(text))


def codes(report: LimitReport) -> set[str]:
    return {condition.code for condition in report.conditions}


def tripped(report: LimitReport) -> set[str]:
    return {trip.code for trip in report.trips}
