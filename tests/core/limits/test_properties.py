"""What holds of the limits whatever the values are."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.limits import PRESETS, LimitReport, Limits, preset_limits
from bessai.model import Quality
from support.limit_scene import NORMAL, Scene, codes, tripped

SIZED = preset_limits("lfp", 240)
BAD = [quality for quality in Quality if quality is not Quality.GOOD]

_NEAR: dict[str, st.SearchStrategy[float]] = {
    "soc": st.floats(0, 100),
    "soh": st.floats(60, 100),
    "battery_temperature": st.floats(-30, 80),
    "cell_temperature_max": st.floats(-30, 80),
    "cell_temperature_min": st.floats(-30, 80),
    "cell_voltage_max": st.floats(2.2, 3.8),
    "cell_voltage_min": st.floats(2.2, 3.8),
    "battery_voltage": st.floats(500, 950),
    "battery_current": st.floats(-200, 200),
    "charge_current_max": st.floats(0, 150),
    "discharge_current_max": st.floats(0, 150),
    "insulation_resistance": st.floats(0, 1000),
    "fire_alarm": st.sampled_from([0.0, 1.0]),
    "gas_alarm": st.sampled_from([0.0, 1.0]),
    "battery_alarm": st.sampled_from([0.0, 1.0]),
    "contactor_status": st.sampled_from([0.0, 1.0]),
    "breaker_status": st.sampled_from([0.0, 1.0]),
}
_VALUES = st.dictionaries(st.sampled_from(sorted(_NEAR)), st.integers(0, 0), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: _NEAR[name] | st.sampled_from([*BAD, math.nan]) for name in names}
    )
)
_STEPS = st.lists(st.tuples(_VALUES, st.sampled_from([0.1, 1.0, 3.0, 30.0])), min_size=1, max_size=30)


@settings(max_examples=150)
@given(_STEPS)
def test_never_a_share_without_every_value_good(steps: list[tuple[dict[str, Any], float]]) -> None:
    scene = Scene(SIZED)
    scene.cycle()
    for values, step in steps:
        report = scene.cycle(step=step, **values)
        bad = {name for name, v in values.items() if isinstance(v, Quality) or math.isnan(v)}
        assert {condition.point for condition in report.lost} == bad
        assert 0.0 <= report.charge <= 1.0
        assert 0.0 <= report.discharge <= 1.0
        if bad:
            assert (report.charge, report.discharge) == (0.0, 0.0)


@settings(max_examples=100)
@given(_STEPS, st.integers(0, 29))
def test_memory_through_json_goes_on_identically(steps: list[tuple[dict[str, Any], float]], at: int) -> None:
    one, other = Scene(SIZED), Scene(SIZED)
    for i, (values, step) in enumerate(steps):
        if i == at % len(steps):
            other.restart()
        assert one.cycle(step=step, **values) == other.cycle(step=step, **values)
    assert one.check.memory == other.check.memory


def _plain(values: dict[str, Any]) -> bool:
    """The second implementation: whether any power at all may flow, written without curves and timers."""
    v = {**NORMAL, **values}
    return (
        all(0 < v[n] < 55 for n in ("battery_temperature", "cell_temperature_max", "cell_temperature_min"))
        and v["cell_voltage_min"] > 2.4
        and v["cell_voltage_max"] < 3.65
        and 576 < v["battery_voltage"] < 876
        and v["insulation_resistance"] > 87.6
        and v["fire_alarm"] == v["gas_alarm"] == 0
        and v["contactor_status"] == v["breaker_status"] == 1
    )


@settings(max_examples=300)
@given(st.fixed_dictionaries({}, optional=_NEAR))
def test_a_second_implementation_agrees(values: dict[str, float]) -> None:
    report = Scene(SIZED).cycle(**values)
    if not _plain(values):
        assert (report.charge, report.discharge) == (0.0, 0.0)
    v = {**NORMAL, **values}
    hot = max(v["battery_temperature"], v["cell_temperature_max"], v["cell_temperature_min"])
    if v["soc"] >= 95 or hot >= 40:
        assert report.charge == 0.0
    if v["soc"] <= 10 or v["cell_voltage_min"] <= 2.9:
        assert report.discharge == 0.0


MONOTONE = [
    ("soc", "charge", 1.0, 50.0, 100.0),
    ("soc", "discharge", -1.0, 0.0, 50.0),
    ("cell_voltage_max", "charge", 1.0, 3.3, 3.9),
    ("cell_voltage_min", "discharge", -1.0, 2.0, 3.3),
    ("cell_temperature_max", "charge", 1.0, 25.0, 90.0),
    ("cell_temperature_max", "discharge", 1.0, 25.0, 90.0),
    ("cell_temperature_min", "charge", -1.0, -40.0, 25.0),
    ("cell_temperature_min", "discharge", -1.0, -40.0, 25.0),
    ("insulation_resistance", "charge", -1.0, 0.0, 2000.0),
]


@pytest.mark.parametrize(("point", "direction", "worse", "low", "high"), MONOTONE)
@settings(max_examples=60)
@given(data=st.data())
def test_a_worse_value_never_allows_more(
    point: str, direction: str, worse: float, low: float, high: float, data: st.DataObject
) -> None:
    a, b = sorted(data.draw(st.tuples(st.floats(low, high), st.floats(low, high))), key=lambda v: worse * v)
    first, second = (getattr(Scene(SIZED).cycle(**{point: value}), direction) for value in (a, b))
    assert second <= first


EXCURSIONS = [
    ("soc", 95.0, 50.0, 0.4),
    ("soc", 10.0, 50.0, 0.4),
    ("cell_voltage_max", 3.65, 3.3, 0.009),
    ("cell_voltage_min", 2.90, 3.2, 0.009),
    ("cell_voltage_min", 2.40, 3.2, 0.009),
    ("cell_temperature_max", 40.0, 25.0, 0.4),
    ("cell_temperature_max", 55.0, 25.0, 0.4),
    ("cell_temperature_max", 60.0, 25.0, 0.4),
    ("cell_temperature_min", 0.0, 20.0, 0.4),
    ("battery_voltage", 876.0, 800.0, 2.0),
    ("insulation_resistance", 87.6, 2000.0, 4.0),
]


@pytest.mark.parametrize(("point", "at", "normal", "noise"), EXCURSIONS)
@settings(max_examples=30)
@given(noises=st.lists(st.floats(-1, 1), min_size=10, max_size=60))
def test_noise_at_a_threshold_is_at_most_one_transition_an_excursion(
    point: str, at: float, normal: float, noise: float, noises: list[float]
) -> None:
    """There and back: each direction closes at most once and opens at most once."""
    scene = Scene(SIZED)
    reports = [scene.cycle()]
    reports += [scene.cycle(**{point: at + noise * n}) for n in noises]
    reports += [scene.cycle(**{point: normal}) for _ in range(100)]
    for direction in ("charge", "discharge"):
        opened = [getattr(report, direction) > 0 for report in reports]
        assert sum(a != b for a, b in pairwise(opened)) in {0, 2}
    for code in {code for report in reports for code in codes(report)} - {"limit_reached"}:
        stands = [code in codes(report) for report in reports]
        assert sum(a != b for a, b in pairwise(stands)) <= 2


@pytest.mark.parametrize("point", ["cell_voltage_max", "cell_temperature_max"])
@settings(max_examples=60)
@given(noises=st.lists(st.floats(-0.02, 0.02), max_size=60))
def test_noise_at_a_warning_warns_at_most_once(point: str, noises: list[float]) -> None:
    at = {"cell_voltage_max": 3.60, "cell_temperature_max": 50.0}[point]
    code = {"cell_voltage_max": "cell_voltage_high", "cell_temperature_max": "cell_temperature_high"}[point]
    scene = Scene()
    reports: list[LimitReport] = [scene.cycle(step=10.0, **{point: at + n}) for n in noises]
    stands = [code in codes(report) for report in reports]
    assert sum(a != b for a, b in pairwise(stands)) <= 1


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(PRESETS)),
    st.lists(st.tuples(st.booleans(), st.floats(0.05, 4.0)), min_size=1, max_size=40),
)
def test_every_level_trip_latches_exactly_after_its_delay(
    chemistry: str, steps: list[tuple[bool, float]]
) -> None:
    limits: Limits = preset_limits(chemistry, 10)
    for limit in limits.levels:
        if limit.trip is None:
            continue
        sign = 1.0 if limit.side == "high" else -1.0
        inside = limit.trip.at - sign * 3 * limit.hysteresis
        scene = Scene(limits, points={"soc": 50.0, limit.point: inside})
        scene.cycle()
        began: float | None = None
        for beyond, step in steps:
            report = scene.cycle(step=step, **{limit.point: limit.trip.at if beyond else inside})
            began = (scene.now if began is None else began) if beyond else None
            due = began is not None and scene.now - began >= limit.trip.delay - 1e-9
            assert tripped(report) == ({limit.code} if due else set())
