"""Active power for the grid operator: set-point, maximum with its measured time, ramp, AGC, volt-watt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bessai.core.state_file import MemoryState
from bessai.grid import NONE, GridFunctions
from bessai.grid.change import ChangeDesk
from bessai.model import Bounds, Priority, Quality, Request
from support.grid_plant import Plant, image_of, plant_config

PN = 50_000.0


def _functions(cycle: float = 0.1, config: dict[str, Any] | None = None, **changes: Any) -> GridFunctions:
    values = {name.replace("__", "."): value for name, value in changes.items()}
    return GridFunctions(plant_config(**(config or {})), values=values, cycle=cycle)


def _request(functions: GridFunctions, now: float = 10.0, /, **values: float) -> Request | None:
    found = [one for one in functions.propose(image_of(now, **values)) if one.source == "grid.active"]
    assert len(found) < 2
    return found[0] if found else None


def test_without_an_order_nothing_is_asked_for() -> None:
    assert _request(_functions()) is None


def test_set_point_maximum_and_ramp_are_one_request() -> None:
    functions = _functions(active__setpoint=-12_000, active__maximum=20_000, active__ramp=6)
    request = _request(functions)
    assert request is not None
    assert request.priority is Priority.GRID_OPERATOR
    assert request.power == -12_000.0
    assert request.bounds == Bounds(high=20_000.0)
    assert request.ramp == pytest.approx(functions.config.rated_power / 1000)  # 6 % a minute, in kW a second
    assert request.expires == 13.0


def test_a_lease_lasts_three_long_cycles() -> None:
    request = _request(_functions(cycle=5.0, active__setpoint=1.0))
    assert request is not None
    assert request.expires == 25.0


def test_agc_set_points_are_refused_while_agc_is_off() -> None:
    functions = _functions()
    for source in ("agc", "iec104", "dnp3"):
        with pytest.raises(ValueError, match=r"active\.agc"):
            functions.check("active.setpoint", 1_000, source=source)
    assert functions.check("active.setpoint", 1_000) == 1_000.0  # a person's order is not AGC's
    assert functions.check("active.setpoint", NONE, source="iec104") == NONE
    functions.apply("active.agc", functions.check("active.agc", value=True))
    functions.apply("active.setpoint", functions.check("active.setpoint", 1_000, source="agc"))
    request = _request(functions)
    assert request is not None
    assert request.power == 1_000.0
    functions.apply("active.agc", value=False)
    assert functions.values["active.setpoint"] == NONE
    assert _request(functions) is None


def test_agc_that_falls_silent_gets_the_fallback_once() -> None:
    functions = _functions(config={"fallback": {"active.setpoint": 0.0}, "fallback_after": 5.0})
    functions.apply("active.agc", value=True)
    functions.apply("active.setpoint", 9_000.0)
    seen: dict[float, float | None] = {}
    for i in range(100):
        request = _request(functions, 10 + i * 0.1)
        assert request is not None
        seen[round(i * 0.1, 1)] = request.power
    assert seen[4.9] == 9_000.0
    assert seen[5.2] == 0.0
    [event] = functions.take_events()
    assert event.code == "grid_fallback_applied"
    assert [condition.code for condition in functions.conditions()] == ["grid_operator_silent"]
    functions.apply("active.setpoint", 4_000.0)
    request = _request(functions, 20.0)
    assert request is not None
    assert request.power == 4_000.0
    assert not functions.conditions()
    assert not functions.take_events()


def test_a_persons_command_is_no_sign_that_agc_lives() -> None:
    functions = _functions(config={"fallback": {"active.setpoint": 0.0}, "fallback_after": 5.0})
    clock = SimpleNamespace(monotonic=lambda: 14.0, wall_ns=lambda: 1)
    desk = ChangeDesk(functions, MemoryState(), clock)
    functions.apply("active.agc", value=True)
    functions.apply("active.setpoint", 9_000.0)
    _request(functions, 10.0)
    command = {
        "op": "grid_command",
        "name": "voltage.setpoint",
        "value": 101,
        "user": "luis",
        "reason": "evening",
    }
    desk.handlers["grid_command"]({**command, "role": "operator"})
    request = _request(functions, 15.2)
    assert request is not None
    assert request.power == 0.0, "AGC was not heard since 10 s"
    desk.handlers["grid_command"]({**command, "value": 100, "role": "operator"})
    _request(functions, 15.4)
    assert [condition.code for condition in functions.conditions()] == ["grid_operator_silent"]


def test_a_fallback_that_ends_agc_ends_its_set_point() -> None:
    functions = _functions(config={"fallback": {"active.agc": False}, "fallback_after": 5.0})
    functions.apply("active.agc", value=True)
    functions.apply("active.setpoint", 9_000.0)
    _request(functions, 10.0)
    assert _request(functions, 15.2) is None
    assert functions.values["active.setpoint"] == NONE


@pytest.mark.parametrize("lag", [0.2, 1.0, 3.0])
def test_the_response_to_a_maximum_is_measured(lag: float) -> None:
    plant = Plant(_functions(0.2), lag=lag, power=40_000.0, active=40_000.0).run(2)
    ordered = plant.now - 0.1  # between two cycles
    plant.functions.apply("active.maximum", 10_000.0, at=ordered)
    plant.run(20)
    [event] = plant.events
    assert event.code == "curtailment_reached"
    assert event.value is not None
    reached = next(
        t
        for t, power in zip(plant.times, plant.powers, strict=True)
        if t > ordered and power <= 10_000 + 0.01 * PN
    )
    assert event.value == pytest.approx(reached - ordered, abs=0.001)
    assert event.value > lag
    assert not plant.conditions


def test_a_measurement_from_before_the_order_proves_nothing() -> None:
    functions = _functions()
    _request(functions, 10.0, grid_power=5_000.0)
    functions.apply("active.maximum", 10_000.0, at=10.05)
    functions.propose(image_of(10.1, age=0.1, grid_power=5_000.0))
    assert not functions.take_events()
    functions.propose(image_of(10.2, age=0.1, grid_power=5_000.0))
    [event] = functions.take_events()
    assert event.value == pytest.approx(0.05)


def test_a_plant_that_does_not_keep_to_the_maximum_is_an_alarm() -> None:
    functions = _functions(active__curtailment_time=5)
    functions.apply("active.maximum", 10_000.0, at=10.0)
    codes = {}
    for i in range(1, 100):
        functions.propose(image_of(10 + i * 0.1, grid_power=11_000.0))
        codes[i] = [condition.code for condition in functions.conditions()]
    assert not codes[49]
    assert codes[52] == ["curtailment_not_reached"]
    functions.propose(image_of(20.0, grid_power=9_000.0))
    assert not functions.conditions()
    [event] = functions.take_events()
    assert event.value == pytest.approx(10.0)


@pytest.mark.parametrize("how", [Quality.MISSING, Quality.STALE])
def test_what_is_not_measured_is_not_reached(how: Quality) -> None:
    functions = _functions(active__curtailment_time=5)
    functions.apply("active.maximum", 10_000.0, at=10.0)
    for i in range(1, 60):
        functions.propose(image_of(10 + i * 0.1, {"grid_power": how}, grid_power=0.0))
    assert not functions.take_events()
    assert [condition.code for condition in functions.conditions()] == ["curtailment_not_reached"]


def test_a_ramp_has_its_time() -> None:
    functions = _functions(active__curtailment_time=5, active__ramp=20)
    functions.apply("active.maximum", 10_000.0, at=10.0)
    for i in range(1, 1200):  # 20 000 kW too many at 10 000 kW a minute: two minutes
        functions.propose(image_of(10 + i * 0.1, grid_power=30_000.0 - i / 1200 * 19_000))
        assert not functions.conditions()


def test_power_that_comes_back_above_the_maximum_is_noticed() -> None:
    functions = _functions(active__curtailment_time=5)
    functions.apply("active.maximum", 10_000.0, at=10.0)
    functions.propose(image_of(10.1, grid_power=9_000.0))
    for i in range(2, 60):
        functions.propose(image_of(10 + i * 0.1, grid_power=20_000.0))
    assert [condition.code for condition in functions.conditions()] == ["curtailment_not_reached"]
    functions.apply("active.maximum", NONE)
    functions.propose(image_of(17.0, grid_power=20_000.0))
    assert not functions.conditions()


def test_a_higher_maximum_measures_nothing() -> None:
    functions = _functions(active__maximum=10_000)
    functions.apply("active.maximum", 20_000.0, at=10.0)
    for i in range(1, 20):
        functions.propose(image_of(10 + i * 0.1, grid_power=5_000.0))
    assert not functions.take_events()


@pytest.mark.parametrize(
    ("volts", "high"), [(1.0, None), (1.06, None), (1.08, 25_000.0), (1.10, 0.0), (1.2, 0.0)]
)
def test_volt_watt(volts: float, high: float | None) -> None:
    functions = _functions(active__volt_watt=True)
    for i in range(800):
        request = _request(functions, 10 + i * 0.1, grid_voltage=volts * 220_000)
    if high is None:
        assert request is None
    else:
        assert request is not None
        assert request.bounds.low == -float("inf")  # charging lowers the voltage
        assert request.bounds.high == pytest.approx(high, abs=10)


def test_volt_watt_keeps_its_limit_while_the_voltage_is_not_known() -> None:
    functions = _functions(active__volt_watt=True, voltage__mode="voltage")
    for i in range(800):
        _request(functions, 10 + i * 0.1, grid_voltage=1.08 * 220_000)
    for i in range(100):
        requests = functions.propose(image_of(90 + i * 0.1, {"grid_voltage": Quality.MISSING}))
    assert requests[-1].source == "grid.active"
    assert requests[-1].bounds.high == pytest.approx(25_000, abs=10)
    assert [condition.code for condition in functions.conditions()] == ["grid_voltage_lost"]  # once
