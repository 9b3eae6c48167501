"""A run on a plant, fed from a plant of one equation in its own time: what is measured, and what ends it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessai.gridcode.feed import Frame
from bessai.gridcode.plant import AbortedError, PlantRun
from bessai.gridcode.plant_plan import Plan
from bessai.gridcode.rows import Row, Verdict

PARAMETERS: dict[str, Any] = {
    "frequency.enabled": {"value": True},
    "frequency.curve": {"value": "droop"},
    "frequency.droop": {"value": 2.0},
    "frequency.dead_band": {"value": 30.0},
    "frequency.shape": {"value": "offset"},
    "voltage.mode": {"value": "voltage_droop"},
    "active.maximum": {"value": "none", "low": -1000.0, "high": 1000.0},
}


class OneEquation:
    """A plant that follows a test signal with a first-order lag. It is the gateway, its feed and the time at once."""

    def __init__(self, period: float = 0.1, lag: float = 0.3) -> None:
        self.now, self.period, self.lag = 50.0, period, lag
        self.power, self.reactive = 100.0, 0.0
        self.signal: dict[str, Any] | None = None
        self.sent: list[str] = []
        self.parameters = {name: dict(one) for name, one in PARAMETERS.items()}
        self.answer = 170.0
        """kW for a step of 0.2 Hz."""
        self.state = "normal"
        self.unknown_after = math.inf
        self._until = -math.inf

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1e9 + self.now

    def ask(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.sent.append(message["op"])
        if message["op"] == "grid":
            return {"ok": True, "grid": {"parameters": self.parameters}}
        if message["op"] == "grid_test":
            self.signal, self._until = message, self.now + message["seconds"]
        else:
            self.signal = None
        return {"ok": True}

    def next(self) -> Frame:
        self.now += self.period
        active = self.signal if self.now < self._until else None
        frequency = active["change"] if active and active["signal"] == "frequency" else 0.0
        voltage = active["change"] if active and active["signal"] == "voltage" else 0.0
        share = 1 - math.exp(-self.period / self.lag)
        self.power += (100.0 - frequency / 0.2 * self.answer - self.power) * share
        self.reactive += (-100.0 * voltage - self.reactive) * share
        known = self.now < self.unknown_after
        values = {"grid_power": self.power if known else None, "grid_reactive_power": self.reactive}
        return Frame(
            time=self.wall(),
            values=dict(values),
            measured=dict.fromkeys(values, self.wall()),
            state=self.state,
        )


def _run(plant: OneEquation, max_power: float = 500.0, max_minutes: float = 5.0) -> list[Row]:
    plan = Plan(
        user="ana", reason="test", authorisation="CEN-1", max_power=max_power, max_minutes=max_minutes
    )
    return PlantRun(plant.ask, plant, plan, pace=plant).run()  # type: ignore[arg-type]  # it is the time as well


def _verdicts(rows: list[Row]) -> dict[str, str]:
    return {row.name: row.verdict.value for row in rows}


def test_an_obedient_plant_passes_and_every_signal_is_taken_back() -> None:
    plant = OneEquation()
    rows = _run(plant)
    found = _verdicts(rows)
    assert found.pop("voltage_reaction.plant_low") == "not tested", "200 ms with samples of 100 ms"
    assert set(found.values()) == {"pass"}
    assert len(found) == 11
    assert plant.sent.count("grid_test") == plant.sent.count("grid_test_end") == 3
    value = next(row for row in rows if row.name == "frequency_droop.plant_down").measured["value"]
    assert value == pytest.approx(170.0, abs=0.5)


def test_a_plant_of_another_droop_fails_the_row_of_its_value_only() -> None:
    plant = OneEquation()
    plant.answer = 120.0
    failing = [row.name for row in _run(plant) if row.verdict is Verdict.FAIL]
    assert failing == ["frequency_droop.plant_down", "frequency_droop.plant_up"]


def test_a_slow_plant_fails_the_rows_of_its_times() -> None:
    failing = {name for name, verdict in _verdicts(_run(OneEquation(lag=2.0))).items() if verdict == "fail"}
    assert {"frequency_rise.plant_down", "voltage_rise.plant_low", "voltage_settling.plant_low"} <= failing
    assert not any("droop" in name for name in failing)


def test_samples_once_a_second_judge_only_what_they_can() -> None:
    found = _verdicts(_run(OneEquation(period=1.0)))
    assert found["frequency_reaction.plant_down"] == "not tested"
    assert found["frequency_rise.plant_down"] == "pass"
    assert found["voltage_rise.plant_low"] == "not tested"


def test_what_would_leave_the_limit_is_not_tried() -> None:
    plant = OneEquation()
    rows = [row for row in _run(plant, max_power=200.0) if row.name.startswith("frequency")]
    assert [row.verdict for row in rows if row.name.endswith("down")] == [Verdict.NOT_TESTED] * 4
    assert [row.verdict for row in rows if row.name.endswith("_up")] == [Verdict.PASS] * 4, "-70 kW is inside"


def test_functions_that_are_off_are_not_tested() -> None:
    plant = OneEquation()
    plant.parameters["frequency.enabled"] = {"value": False}
    plant.parameters["voltage.mode"] = {"value": "reactive_power"}
    assert {row.verdict for row in _run(plant)} == {Verdict.NOT_TESTED}
    assert "grid_test" not in plant.sent


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        ({"answer": 600.0}, "beyond 500 kW"),
        ({"unknown_after": 65.0}, "not known"),
        ({"state": "hold"}, "grants no power: hold"),
    ],
)
def test_trouble_ends_the_run_and_the_signal(trouble: dict[str, Any], why: str) -> None:
    plant = OneEquation()
    for name, value in trouble.items():
        setattr(plant, name, value)
    with pytest.raises(AbortedError, match=why):
        _run(plant)
    assert plant.sent.count("grid_test") == plant.sent.count("grid_test_end")
    assert plant.signal is None


def test_no_signal_is_begun_that_the_time_does_not_allow() -> None:
    plant = OneEquation()
    found = _verdicts(_run(plant, max_minutes=0.5))
    assert plant.sent.count("grid_test") == 1
    assert found["frequency_settling.plant_down"] == "pass"
    assert found["voltage_settling.plant_low"] == "not tested"


def test_a_gateway_without_grid_functions_says_so() -> None:
    plant = OneEquation()
    plant.ask = lambda message: {"ok": False, "error": "op 'grid' is unknown"}  # type: ignore[method-assign]
    with pytest.raises(AbortedError, match="no grid functions"):
        _run(plant)
