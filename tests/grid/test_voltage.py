"""Reactive power: the four modes, their dynamics at the point of connection, and what limits them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.grid import GridFunctions
from bessai.grid.capability import Capability
from bessai.grid.evidence import HOLD, RELEASE
from bessai.model import Priority, Quality
from support.grid_plant import Plant, image_of, plant_config

SN = 55_000.0
UN = 220_000.0
SET = {
    "voltage": ("voltage.setpoint", 101.0),
    "voltage_droop": ("voltage.setpoint", 102.0),
    "power_factor": ("voltage.power_factor", 0.95),
    "reactive_power": ("voltage.reactive_power", 20_000.0),
}


def _functions(
    mode: str, cycle: float = 0.1, config: dict[str, Any] | None = None, **changes: Any
) -> GridFunctions:
    values = {name.replace("__", "."): value for name, value in changes.items()}
    return GridFunctions(plant_config(**(config or {})), values={"voltage.mode": mode, **values}, cycle=cycle)


def _kvar(
    functions: GridFunctions, now: float, bad: dict[str, Quality] | None = None, /, **values: float
) -> float:
    [request] = functions.propose(image_of(now, bad, **values))
    assert request.source == "grid.reactive"
    assert request.priority is Priority.GRID_SUPPORT
    assert request.reactive is not None
    return request.reactive


def _settled(functions: GridFunctions, **values: float) -> float:
    """What the plant is told after a while, when it gives what it is told and the rest stays as it is."""
    kvar = 0.0
    for i in range(300):
        kvar = _kvar(functions, 10 + i * 0.1, **{"grid_reactive_power": kvar, **values})
    return kvar


@pytest.mark.parametrize(
    ("volts", "droop", "dead_band", "setpoint", "share"),
    [
        (1.0, 5.0, 0.0, 100.0, 0.0),
        (0.99, 5.0, 0.0, 100.0, 0.2),
        (1.01, 5.0, 0.0, 100.0, -0.2),
        (0.99, 2.0, 0.0, 100.0, 0.5),
        (0.99, 10.0, 0.0, 100.0, 0.1),
        (0.99, 5.0, 0.5, 100.0, 0.1),
        (1.004, 5.0, 0.5, 100.0, 0.0),
        (1.0, 5.0, 0.0, 102.0, 0.4),
        (0.9, 5.0, 0.0, 100.0, 1.0),
        (1.1, 5.0, 0.0, 100.0, -1.0),
    ],
)
def test_droop_is_met_at_the_measured_voltage(
    volts: float, droop: float, dead_band: float, setpoint: float, share: float
) -> None:
    functions = _functions(
        "voltage_droop", voltage__droop=droop, voltage__dead_band=dead_band, voltage__setpoint=setpoint
    )
    assert _settled(functions, grid_voltage=volts * UN) == pytest.approx(share * SN, abs=0.005 * SN)


@pytest.mark.parametrize(
    ("factor", "power", "kvar"),
    [
        (0.95, 40_000.0, 13_147.4),
        (-0.95, 40_000.0, -13_147.4),
        (0.95, -40_000.0, 13_147.4),
        (-0.95, -40_000.0, -13_147.4),
        (1.0, 40_000.0, 0.0),
        (-1.0, 40_000.0, 0.0),
        (0.9, 0.0, 0.0),
    ],
)
def test_power_factor_and_its_sign(factor: float, power: float, kvar: float) -> None:
    functions = _functions("power_factor", voltage__power_factor=factor)
    assert _settled(functions, grid_power=power) == pytest.approx(kvar, abs=0.002 * SN)


@pytest.mark.parametrize(
    ("mode", "inputs", "share"),
    [
        ("ieee1547_volt_var", {"grid_voltage": 0.92 * UN}, 0.44),
        ("ieee1547_volt_var", {"grid_voltage": 0.95 * UN}, 0.22),
        ("ieee1547_volt_var", {"grid_voltage": 0.98 * UN}, 0.0),
        ("ieee1547_volt_var", {"grid_voltage": 1.02 * UN}, 0.0),
        ("ieee1547_volt_var", {"grid_voltage": 1.05 * UN}, -0.22),
        ("ieee1547_volt_var", {"grid_voltage": 1.2 * UN}, -0.44),
        ("ieee1547_watt_var", {"grid_power": 10_000.0}, 0.0),
        ("ieee1547_watt_var", {"grid_power": 25_000.0}, 0.0),
        ("ieee1547_watt_var", {"grid_power": 37_500.0}, -0.22),
        ("ieee1547_watt_var", {"grid_power": 50_000.0}, -0.4166),  # the circle of Sn is nearer than -0.44
        ("ieee1547_watt_var", {"grid_power": -50_000.0}, 0.0),
    ],
)
def test_the_curves_of_ieee_1547(mode: str, inputs: dict[str, float], share: float) -> None:
    assert _settled(_functions(mode), **inputs) == pytest.approx(share * SN, abs=0.002 * SN)


def test_volt_var_takes_its_open_loop_time() -> None:
    functions = _functions("ieee1547_volt_var")
    bad = {"grid_reactive_power": Quality.MISSING}
    _kvar(functions, 9.9, bad)
    kvar = [_kvar(functions, 10 + i * 0.1, bad, grid_voltage=0.92 * UN) for i in range(100)]
    assert next(i for i, q in enumerate(kvar) if q >= 0.9 * 0.44 * SN) * 0.1 == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("mode", list(SET))
@pytest.mark.parametrize(
    ("cycle", "lag", "ratio"), [(0.1, 0.05, 20.0), (0.1, 0.3, 3.0), (0.2, 0.1, 3.0), (0.2, 0.3, 10.0)]
)
def test_a_set_point_is_reached_as_the_annex_wants(mode: str, cycle: float, lag: float, ratio: float) -> None:
    strength = ratio * SN
    functions = _functions(mode, cycle, {"short_circuit_power": strength})
    plant = Plant(
        functions, cycle=cycle, lag=lag, short_circuit_power=strength, power=40_000.0, active=40_000.0,
        loss=0.02 * SN, reactive=0.02 * SN,
    ).run(30)  # fmt: skip
    start, before = plant.now, plant.reactives[-1]
    assert abs(before) < 0.01 * SN  # what cables take is made up for
    name, value = SET[mode]
    if mode == "voltage":
        value = 100 + 15 / ratio  # asks for 15 % of Sn
    functions.apply(name, functions.check(name, value))
    plant.run(30)
    final = plant.reactives[-1]
    assert abs(final - before) > 0.05 * SN
    way = [
        (t - start, (q - before) / (final - before))
        for t, q in zip(plant.times, plant.reactives, strict=True) if t >= start
    ]  # fmt: skip
    assert next(t for t, share in way if share > 0.9) - next(t for t, share in way if share > 0.1) < 1.0
    assert max(t for t, share in way if abs(share - 1) > 0.05) < 5.0
    assert max(share for _, share in way) < 1.05
    if mode == "voltage":
        assert plant.voltages[-1] == pytest.approx(value / 100, abs=0.001)
    if mode == "reactive_power":
        assert final == pytest.approx(20_000.0, abs=0.005 * SN)
    if mode == "power_factor":
        assert final == pytest.approx(13_147.4, abs=0.005 * SN)


@pytest.mark.parametrize("mode", ["voltage", "voltage_droop"])
@pytest.mark.parametrize("real", [1.6, 3.0, 8.0, 40.0])
def test_a_grid_that_nobody_described_is_stable(mode: str, real: float) -> None:
    """A weak grid is assumed: slow where the grid is strong, calm everywhere."""
    functions = _functions(mode, 0.2, {"short_circuit_power": None})
    plant = Plant(
        functions, cycle=0.2, lag=0.3, short_circuit_power=real * SN,
        voltage=lambda t: 1.0 if t < 105 else 0.97,
    ).run(65)  # fmt: skip
    tail = plant.reactives[-25:]
    assert max(tail) - min(tail) < 0.005 * SN
    expected = 0.03 / (0.05 + 1 / real) * SN if mode == "voltage_droop" else min(0.03 * real, 1.0) * SN
    assert tail[-1] == pytest.approx(expected, abs=0.02 * SN)


@pytest.mark.parametrize("mode", ["power_factor", "reactive_power", "voltage_droop"])
def test_what_cables_and_transformers_take_is_made_up_for(mode: str) -> None:
    functions = _functions(mode, 0.2, voltage__reactive_power=10_000.0, voltage__power_factor=0.97)
    plant = Plant(functions, power=30_000.0, loss=0.08 * SN, voltage=lambda _: 0.99).run(80)
    expected = {
        "power_factor": 30_000 * math.tan(math.acos(0.97)),
        "reactive_power": 10_000.0,
        "voltage_droop": 0.01 / (0.05 + 0.1) * SN,
    }[mode]
    assert plant.reactives[-1] == pytest.approx(expected, abs=0.005 * SN)
    assert plant.commands[-1] == pytest.approx(expected + 0.08 * SN, abs=0.005 * SN)


MODES = st.sampled_from(
    ["voltage", "voltage_droop", "power_factor", "reactive_power", "ieee1547_watt_var", "off"]
)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(MODES, st.floats(95, 105), st.floats(-30_000, 30_000)), min_size=2, max_size=6),
    st.floats(-45_000, 45_000),
)
def test_changes_of_mode_and_set_point_are_bumpless(
    rows: list[tuple[str, float, float]], power: float
) -> None:
    functions = _functions("off", 0.2)
    plant = Plant(functions, power=power, active=power)
    for mode, setpoint, kvar in rows:
        for name, value in (
            ("voltage.mode", mode), ("voltage.setpoint", setpoint), ("voltage.reactive_power", kvar),
        ):  # fmt: skip
            functions.apply(name, functions.check(name, value))
        before = plant.commands[-1] if plant.commands else 0.0
        plant.run(0.2)
        target = functions.status()["voltage"]["target"] or 0.0
        # a cycle goes the cycle's share of the way to the new target, and never past it
        share = -math.expm1(-0.2 / (0.5 / math.log(9)))
        trim = functions.status()["voltage"]["trim"]
        assert (
            abs(plant.commands[-1] - before)
            <= share * abs(target + trim - before) + 0.002 * SN + abs(before) * 0.1
        )
        plant.run(3)


@settings(max_examples=50)
@given(
    st.sampled_from(["voltage", "voltage_droop", "power_factor", "reactive_power", "ieee1547_volt_var"]),
    st.lists(
        st.tuples(st.floats(0.7, 1.3), st.floats(-60_000, 60_000), st.floats(-40_000, 40_000)),
        min_size=1,
        max_size=30,
    ),
)
def test_the_capability_is_never_left(mode: str, rows: list[tuple[float, float, float]]) -> None:
    points = ((-50_000.0, -16_000.0, 10_000.0), (0.0, -30_000.0, 25_000.0), (50_000.0, -16_000.0, 12_000.0))
    capability = Capability(50_000.0, SN, points)
    functions = _functions(
        mode, 0.1, {"capability": points}, voltage__reactive_power=50_000.0, voltage__power_factor=0.8
    )
    for i, (volts, power, flowing) in enumerate(rows):
        now = 10 + i * 0.1
        kvar = _kvar(functions, now, grid_voltage=volts * UN, grid_power=power, grid_reactive_power=flowing)
        low, high = capability.at(power)
        assert low - 1e-6 <= kvar <= high + 1e-6
        assert power**2 + kvar**2 <= SN**2 * 1.000001 or kvar == 0


@pytest.mark.parametrize(
    ("power", "low", "high"),
    [
        (0.0, -30_000.0, 25_000.0),
        (25_000.0, -23_000.0, 18_500.0),
        (50_000.0, -16_000.0, 12_000.0),
        (51_000.0, -16_000.0, 12_000.0),
        (54_000.0, 0.0, 0.0),
        (None, -16_000.0, 10_000.0),
    ],
)
def test_the_curve_of_capability(power: float | None, low: float, high: float) -> None:
    points = ((-50_000.0, -16_000.0, 10_000.0), (0.0, -30_000.0, 25_000.0), (50_000.0, -16_000.0, 12_000.0))
    assert Capability(50_000.0, SN, points).at(power) == pytest.approx((low, high))


def test_without_a_curve_the_circle_counts() -> None:
    capability = Capability(44_000.0, SN, ())
    assert capability.at(0.0)[1] == SN
    assert capability.at(33_000.0)[1] == pytest.approx(44_000.0)
    assert capability.at(-33_000.0)[0] == pytest.approx(-44_000.0)
    assert capability.at(60_000.0)[1] == 0.0
    assert capability.at(None)[1] == pytest.approx(33_000.0)  # beside the rated power


def test_nothing_winds_up_at_the_limit() -> None:
    functions = _functions("voltage", 0.2)
    plant = Plant(functions, voltage=lambda t: 0.8 if t < 160 else 1.0).run(60)
    assert plant.reactives[-1] == pytest.approx(SN, rel=0.01)
    plant.run(3)
    assert plant.reactives[-1] < 0.05 * SN  # an integrator that had gone on for a minute would need a minute


@pytest.mark.parametrize(
    ("mode", "point", "code"),
    [
        ("voltage", "grid_voltage", "grid_voltage_lost"),
        ("voltage_droop", "grid_voltage", "grid_voltage_lost"),
        ("ieee1547_volt_var", "grid_voltage", "grid_voltage_lost"),
        ("power_factor", "grid_power", "grid_power_lost"),
        ("ieee1547_watt_var", "grid_power", "grid_power_lost"),
    ],
)
def test_a_lost_measurement_is_held_then_released(mode: str, point: str, code: str) -> None:
    functions = _functions(mode, voltage__power_factor=0.95)
    inputs = {"grid_voltage": 0.96 * UN, "grid_power": 40_000.0}
    before = _settled(functions, **inputs)
    assert abs(before) > 0.1 * SN
    row = [_kvar(functions, 39.9 + i * 0.1, {point: Quality.STALE}, **inputs) for i in range(1, 60)]
    assert row[: round(HOLD * 10) - 1] == pytest.approx([before] * (round(HOLD * 10) - 1), abs=0.001 * SN)
    assert all(abs(b) <= abs(a) for a, b in pairwise(row))
    assert row[round((HOLD + RELEASE) * 10)] == 0.0
    assert [condition.code for condition in functions.conditions()] == [code]
    back = _kvar(functions, 46.0, **inputs)
    assert 0 < abs(back) < abs(before) or mode == "voltage"  # from 0 on, not with a jump
    assert not functions.conditions()


@pytest.mark.parametrize("volts", [0.0, 0.09, 1.51, math.nan])
def test_an_impossible_voltage_is_none(volts: float) -> None:
    functions = _functions("voltage")
    assert _kvar(functions, 10.0, grid_voltage=volts * UN) == 0.0
    assert _kvar(functions, 10.0 + HOLD, grid_voltage=volts * UN) == 0.0
    assert [condition.code for condition in functions.conditions()] == ["grid_voltage_lost"]


def test_reactive_power_needs_no_voltage_and_no_meter() -> None:
    functions = _functions("reactive_power", voltage__reactive_power=10_000.0)
    bad = dict.fromkeys(("grid_voltage", "grid_power", "grid_reactive_power"), Quality.MISSING)
    kvar = [_kvar(functions, 10 + i * 0.1, bad) for i in range(50)][-1]
    assert kvar == pytest.approx(10_000.0, abs=0.001 * SN)
    assert not functions.conditions()


def test_what_does_not_follow_does_not_wind_up_the_trim() -> None:
    functions = _functions("reactive_power", voltage__reactive_power=20_000.0)
    for i in range(600):
        kvar = _kvar(functions, 10 + i * 0.1, grid_reactive_power=0.0)
    assert kvar == pytest.approx(20_000.0, abs=0.02 * SN)


@pytest.mark.parametrize("reading", [math.nan, math.inf, -1e9])
def test_an_impossible_reading_of_kvar_spoils_nothing(reading: float) -> None:
    functions = _functions("voltage_droop")
    for i in range(50):
        kvar = _kvar(functions, 10 + i * 0.1, grid_reactive_power=reading, grid_voltage=0.99 * UN)
        assert 0 <= kvar <= 0.2 * SN


def test_off_goes_to_zero_evenly_and_then_is_silent() -> None:
    functions = _functions("reactive_power", voltage__reactive_power=20_000.0)
    before = _settled(functions)
    functions.apply("voltage.mode", functions.check("voltage.mode", "off"))
    row = []
    for i in range(60):
        row += [request.reactive for request in functions.propose(image_of(40 + i * 0.1))]
    assert len(row) == pytest.approx(RELEASE * 10, abs=1)
    steps = [a - b for a, b in zip([before, *row], row, strict=False) if a is not None and b is not None]
    assert min(steps) > 0
    assert max(steps) < before / 25


def test_noise_does_not_rewrite_the_device() -> None:
    functions = _functions("voltage_droop")
    kvar = _settled(functions, grid_voltage=0.99 * UN)
    row = [
        _kvar(functions, 40 + i * 0.1, grid_voltage=(0.99 + 5e-5 * (-1) ** i) * UN, grid_reactive_power=kvar)
        for i in range(200)
    ]
    assert len(set(row)) <= 2  # the last of settling may come first
    assert len(set(row[100:])) == 1


def test_kvar_that_are_not_granted_do_not_wind_up_the_trim() -> None:
    """A minute without leave, then the leave: no bump beyond what was asked for."""
    functions = _functions("reactive_power", 0.2, voltage__reactive_power=10_000.0)
    plant = Plant(functions, grants=False).run(60)
    assert plant.reactives[-1] == 0.0
    assert functions.status()["voltage"]["limited_by"] == "not_granted"
    plant.grants = True
    plant.run(20)
    assert max(plant.reactives) < 10_500
    assert plant.reactives[-1] == pytest.approx(10_000, abs=0.005 * SN)
