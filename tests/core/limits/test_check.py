"""The limits as truth tables: values in, shares, conditions and trips out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bessai.core.limits import (
    PRESETS,
    Curve,
    Flag,
    Limit,
    Limits,
    TripLevel,
    WarningLevel,
    preset_limits,
)
from bessai.model import Layout, ProcessImage, Quality, Role, Severity
from support.limit_scene import NORMAL, Scene, codes, tripped

SIZED = preset_limits("lfp", 240)


@pytest.mark.parametrize(
    ("values", "charge", "discharge", "limited_by", "told"),
    [
        ({}, 1.0, 1.0, (), set()),
        ({"soc": 94.0}, 1.0, 1.0, (), set()),
        ({"soc": 94.5}, 0.55, 1.0, ("soc_high",), set()),
        ({"soc": 95.0}, 0.0, 1.0, ("soc_high",), {"soc_high"}),
        ({"soc": 99.0}, 0.0, 1.0, ("soc_high",), {"soc_high"}),
        ({"soc": 11.0}, 1.0, 1.0, (), set()),
        ({"soc": 10.5}, 1.0, 0.55, ("soc_low",), set()),
        ({"soc": 10.0}, 1.0, 0.0, ("soc_low",), {"soc_low"}),
        ({"cell_voltage_max": 3.45}, 1.0, 1.0, (), set()),
        ({"cell_voltage_max": 3.525}, 0.51, 1.0, ("cell_voltage_max",), set()),
        ({"cell_voltage_max": 3.60}, 0.02, 1.0, ("cell_voltage_max",), set()),
        ({"cell_voltage_max": 3.65}, 0.0, 0.0, ("cell_voltage_max",), {"limit_reached", "cell_voltage_high"}),
        ({"cell_voltage_min": 2.95}, 1.0, 0.5, ("cell_voltage_min",), set()),
        ({"cell_voltage_min": 2.90}, 1.0, 0.0, ("cell_voltage_min",), {"limit_reached"}),
        ({"cell_voltage_min": 2.40}, 0.0, 0.0, ("cell_voltage_min",), {"limit_reached", "cell_voltage_low"}),
        ({"cell_temperature_min": 9.0}, 0.5, 0.75, ("cell_temperature_min",), set()),
        ({"cell_temperature_min": 0.0}, 0.0, 0.0, ("cell_temperature_min",), {"limit_reached"}),
        ({"cell_temperature_max": 40.0}, 0.0, 1.0, ("cell_temperature_max",), {"limit_reached"}),
        ({"battery_temperature": 50.0}, 0.0, 0.5, ("battery_temperature",), {"limit_reached"}),
        (
            {"cell_temperature_max": 60.0}, 0.0, 0.0, ("cell_temperature_max",),
            {"limit_reached", "cell_temperature_high"},
        ),
        ({"insulation_resistance": 90.0}, 1.0, 1.0, (), set()),
        ({"insulation_resistance": 87.6}, 0.0, 0.0, ("insulation_resistance",), {"insulation_low"}),
        ({"battery_voltage": 876.0}, 0.0, 0.0, ("battery_voltage",), {"dc_voltage_high"}),
        ({"battery_voltage": 576.0}, 0.0, 0.0, ("battery_voltage",), {"dc_voltage_low"}),
        ({"fire_alarm": 1.0}, 0.0, 0.0, ("fire_alarm",), {"fire_alarm"}),
        ({"gas_alarm": 2.0}, 0.0, 0.0, ("gas_alarm",), {"gas_alarm"}),
        ({"battery_alarm": 4.0}, 1.0, 1.0, (), {"battery_alarm"}),
        ({"contactor_status": 0.0}, 0.0, 0.0, ("contactor_status",), {"contactor_open"}),
        ({"breaker_status": 3.0}, 0.0, 0.0, ("breaker_status",), {"breaker_open"}),
    ],
)  # fmt: skip
def test_one_cycle(
    values: dict[str, Any], charge: float, discharge: float, limited_by: tuple[str, ...], told: set[str]
) -> None:
    report = Scene(SIZED).cycle(**values)
    assert (report.charge, report.discharge) == pytest.approx((charge, discharge))
    assert (report.limited_by, codes(report), report.lost) == (limited_by, told, ())


TRIPS = [
    ("cell_voltage_high", {"cell_voltage_max": 3.65}, {"cell_voltage_max": 3.64}, 5.0),
    ("cell_voltage_low", {"cell_voltage_min": 2.40}, {"cell_voltage_min": 2.41}, 5.0),
    ("cell_temperature_high", {"cell_temperature_max": 60.0}, {"cell_temperature_max": 59.9}, 5.0),
    ("battery_temperature_high", {"battery_temperature": 60.0}, {"battery_temperature": 59.9}, 5.0),
    ("dc_voltage_high", {"battery_voltage": 876.0}, {"battery_voltage": 875.0}, 5.0),
    ("dc_voltage_low", {"battery_voltage": 576.0}, {"battery_voltage": 577.0}, 5.0),
    ("insulation_low", {"insulation_resistance": 87.6}, {"insulation_resistance": 88.0}, 5.0),
    ("overcurrent", {"battery_current": -107.1}, {"battery_current": -107.0}, 20.0),
    ("overcurrent", {"battery_current": 159.6}, {"battery_current": 159.5}, 20.0),
    ("fire_alarm", {"fire_alarm": 1.0}, {}, 0.0),
    ("gas_alarm", {"gas_alarm": 1.0}, {}, 0.0),
]


@pytest.mark.parametrize(("code", "beyond", "near", "delay"), TRIPS)
def test_a_trip_comes_after_its_delay_and_not_before(
    code: str, beyond: dict[str, float], near: dict[str, float], delay: float
) -> None:
    scene = Scene(SIZED)
    assert not any(r.trips for r in scene.cycles(100, **near))
    scene.cycle()
    seconds = 0.0
    while not (report := scene.cycle(step=0.5, **beyond)).trips:
        seconds += 0.5
        assert seconds < 60
    assert seconds == delay
    (trip,) = report.trips
    assert (trip.code, trip.unit, trip.wall_ns, trip.reset) == (code, "", 7, Role.ENGINEER)
    assert trip.plant_wide == (code in {"fire_alarm", "gas_alarm"})
    assert trip.value == next(iter(beyond.values())) * (
        -1 if code == "overcurrent" and "-" in str(beyond) else 1
    )
    assert (report.charge, report.discharge) == (0.0, 0.0)
    assert [c.severity for c in report.conditions if c.code == code] == [Severity.ALARM]
    assert tripped(scene.cycle(**beyond)) == {code}  # repeated while it stands, so a reset cannot pass it by
    assert not scene.cycle().trips


@pytest.mark.parametrize(("code", "beyond", "near", "delay"), [t for t in TRIPS if t[3]])
def test_a_trip_needs_its_level_without_interruption(
    code: str, beyond: dict[str, float], near: dict[str, float], delay: float
) -> None:
    scene = Scene(SIZED)
    for _ in range(20):
        assert not any(r.trips for r in scene.cycles(int(delay), **beyond))
        assert not scene.cycle(**near).trips


@pytest.mark.parametrize(("code", "beyond", "near", "delay"), [t for t in TRIPS if t[3]])
@pytest.mark.parametrize("quality", [Quality.STALE, Quality.MISSING, Quality.OUT_OF_RANGE, Quality.ABSENT])
def test_a_value_that_turns_bad_does_not_stop_the_timer(
    code: str, beyond: dict[str, float], near: dict[str, float], delay: float, quality: Quality
) -> None:
    scene = Scene(SIZED)
    scene.cycle()
    scene.cycle(**beyond)
    lost = dict.fromkeys(beyond, quality)
    assert not any(r.trips for r in scene.cycles(int(delay) - 1, **lost))
    (trip,) = scene.cycle(**lost).trips
    assert (trip.code, trip.value) == (code, None)
    assert "lost since" in trip.message
    assert not scene.cycle(**near).trips


@pytest.mark.parametrize(
    ("code", "at", "cleared", "not_cleared", "delay"),
    [
        ("cell_voltage_high", {"cell_voltage_max": 3.60}, {"cell_voltage_max": 3.519}, {"cell_voltage_max": 3.52}, 20),
        ("cell_voltage_low", {"cell_voltage_min": 2.60}, {"cell_voltage_min": 2.81}, {"cell_voltage_min": 2.80}, 20),
        ("cell_temperature_high", {"cell_temperature_max": 50.0}, {"cell_temperature_max": 47.9},
         {"cell_temperature_max": 48.0}, 20),
        ("soh_low", {"soh": 70.0}, {"soh": 73.0}, {"soh": 71.0}, 60),
        ("insulation_low", {"insulation_resistance": 438.0}, {"insulation_resistance": 526.0},
         {"insulation_resistance": 500.0}, 20),
    ],
)  # fmt: skip
def test_a_warning_has_a_delay_both_ways(
    code: str, at: dict[str, float], cleared: dict[str, float], not_cleared: dict[str, float], delay: int
) -> None:
    scene = Scene(SIZED)
    assert not any(code in codes(r) for r in scene.cycles(delay, **at))
    report = scene.cycle(**at)
    assert [c.severity for c in report.conditions if c.code == code] == [Severity.WARNING]
    assert not report.trips
    assert all(code in codes(r) for r in scene.cycles(3 * delay, **not_cleared))
    assert all(code in codes(r) for r in scene.cycles(delay, **cleared))
    assert code not in codes(scene.cycle(**cleared))


@pytest.mark.parametrize("between", [3.60, 3.52, Quality.STALE])
def test_a_warning_is_cleared_only_without_interruption(between: Any) -> None:
    scene = Scene()
    scene.cycles(21, cell_voltage_max=3.60)
    for _ in range(3):
        assert all("cell_voltage_high" in codes(r) for r in scene.cycles(15, cell_voltage_max=3.40))
        assert "cell_voltage_high" in codes(scene.cycle(cell_voltage_max=between))
    scene.cycles(20, cell_voltage_max=3.40)
    assert codes(scene.cycle(cell_voltage_max=3.40)) == set()


def test_a_current_over_the_limit_warns_first() -> None:
    scene = Scene()
    assert not any(r.conditions for r in scene.cycles(5, battery_current=-120.0))
    report = scene.cycle(battery_current=-120.0)
    assert [(c.code, c.severity) for c in report.conditions] == [("overcurrent", Severity.WARNING)]
    assert (report.charge, report.discharge) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "sheet", "charge", "discharge"),
    [
        ({}, (None, None), 80.0, 120.0),
        ({}, (50.0, 500.0), 40.0, 120.0),
        ({"charge_current_max": 0.0}, (None, None), 0.0, 120.0),
        ({"charge_current_max": -5.0}, (None, None), 0.0, 120.0),
        ({"battery_voltage": 700.0}, (None, None), 70.0, 105.0),
        ({"charge_current_max": Quality.NOT_AVAILABLE}, (None, None), None, 120.0),
        ({"charge_current_max": Quality.NOT_AVAILABLE}, (25.0, None), 20.0, 120.0),
        ({"battery_voltage": Quality.ABSENT}, (None, None), None, None),
    ],
)
def test_power_from_the_allowed_current(
    values: dict[str, Any],
    sheet: tuple[float | None, float | None],
    charge: float | None,
    discharge: float | None,
) -> None:
    report = Scene(Limits(charge_current_max=sheet[0], discharge_current_max=sheet[1])).cycle(**values)
    assert (report.charge_power, report.discharge_power) == (charge, discharge)
    assert report.lost == ()


def test_without_a_measured_voltage_the_lowest_of_the_cells_counts() -> None:
    points = {name: value for name, value in NORMAL.items() if name != "battery_voltage"}
    report = Scene(SIZED, points=points).cycle()
    assert report.charge_power == pytest.approx(100 * 240 * 2.40 / 1000)
    assert Scene(points=points).cycle().charge_power is None


def test_a_device_without_current_limits_needs_neither_current_nor_voltage() -> None:
    points = {"soc": 50.0, "battery_current": math.nan, "battery_voltage": math.nan}
    report = Scene(points=points).cycle()
    assert (report.charge, report.lost, report.charge_power) == (1.0, (), None)


OPTIONAL = {"soh", "battery_alarm", "charge_current_max", "discharge_current_max", "battery_current"}
SERIES_ONLY = {"battery_voltage", "insulation_resistance"}


@pytest.mark.parametrize("quality", [q for q in Quality if q is not Quality.GOOD] + [math.nan, math.inf])
@pytest.mark.parametrize("name", NORMAL)
def test_a_value_that_is_not_good_allows_nothing(name: str, quality: Quality | float) -> None:
    excused = quality is Quality.ABSENT or (
        quality is Quality.NOT_AVAILABLE and name in OPTIONAL | SERIES_ONLY
    )
    scene = Scene(SIZED)
    report = scene.cycle(**{name: quality})
    assert [c.point for c in report.lost] == ([] if excused else [name])
    assert (report.charge, report.discharge) == ((1.0, 1.0) if excused else (0.0, 0.0))
    scene.cycle()
    report = scene.cycle(**{name: quality})  # once seen it is never excused
    assert [(c.code, c.point, c.severity) for c in report.lost] == [("evidence_lost", name, Severity.ALARM)]
    assert (report.charge, report.discharge) == (0.0, 0.0)
    assert scene.cycle().lost == ()


def test_an_out_of_range_value_is_shown_and_not_believed() -> None:
    scene = Scene()
    image = scene.image()
    values, quality = image.values.copy(), image.quality.copy()
    at = scene.layout.index["soc"]
    values[at], quality[at] = 240.0, Quality.OUT_OF_RANGE
    (lost,) = scene.check.check(
        ProcessImage(scene.layout, 0, 1001.0, 0, values, quality, image.times.copy())
    ).lost
    assert (lost.value, lost.message) == (240.0, "soc is out_of_range")


def test_the_fullest_and_the_emptiest_battery_of_a_plant_decide() -> None:
    points = {"soc": 50.0, "soc_highest": 60.0, "soc_lowest": 40.0}
    scene = Scene(points=points)
    assert scene.cycle().limited_by == ()
    report = scene.cycle(soc_highest=95.0, soc_lowest=10.0)
    assert (report.charge, report.discharge, report.limited_by) == (0.0, 0.0, ("soc_high", "soc_low"))


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        (Flag(code="x", point="x", bits=0b1010), (0, 1, 4, 5), (2, 8, 3, 10, 15)),
        (Flag(code="x", point="x", bad=(3, 7)), (0, 2, 8), (3, 7)),
        (Flag(code="x", point="x", required=(1, 2)), (1, 2), (0, 3, -1, 65535)),
    ],
)
def test_flags(flag: Flag, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    for values, share in ((good, 1.0), (bad, 0.0)):
        for value in values:
            report = Scene(Limits(flags=(flag,)), points={"soc": 50.0, "x": float(value)}).cycle()
            assert (report.charge, report.discharge) == (share, share), value


@pytest.mark.parametrize(
    ("stops", "shares"),
    [("both", (0.0, 0.0)), ("charge", (0.0, 1.0)), ("discharge", (1.0, 0.0)), ("none", (1.0, 1.0))],
)
def test_a_flag_stops_its_directions_and_lets_go_after_its_delay(
    stops: Any, shares: tuple[float, float]
) -> None:
    flag = Flag(code="x", point="x", bits=1, stops=stops, delay=3.0)
    scene = Scene(Limits(flags=(flag,)), points={"soc": 50.0, "x": 0.0})
    for values in ({"x": 1.0}, {}, {"x": 1.0}, {}, {}, {}):  # bouncing
        report = scene.cycle(**values)
        assert (report.charge, report.discharge) == shares
        assert codes(report) == {"x"}
    report = scene.cycle()
    assert (report.charge, report.discharge, codes(report)) == (1.0, 1.0, set())


def test_a_direction_opens_again_only_beyond_the_hysteresis() -> None:
    scene = Scene()
    shares = [
        scene.cycle(cell_voltage_min=volts).discharge for volts in (2.91, 2.90, 2.91, 2.919, 2.93, 2.91)
    ]
    assert [share > 0 for share in shares] == [True, False, False, False, True, True]


def test_a_trip_level_lets_go_only_beyond_the_hysteresis() -> None:
    scene = Scene(SIZED)
    scene.cycle(insulation_resistance=80.0)
    assert scene.cycle(insulation_resistance=90.0).charge == 0.0
    assert scene.cycle(insulation_resistance=96.3).charge == 0.0
    assert scene.cycle(insulation_resistance=96.4).charge == 1.0


def test_two_layouts_share_one_memory() -> None:
    """A quick image has fewer columns than a whole one."""
    scene = Scene()
    names = ("cell_voltage_max", "soc")
    few = Layout(names, (None, None))
    scene.cycle(cell_voltage_max=3.66)
    values = np.array([3.64, 50.0])
    image = ProcessImage(few, 0, scene.now + 1, 0, values, np.zeros(2, np.uint8), np.zeros(2))
    report = scene.check.check(image)
    assert (report.charge, report.lost) == (0.0, ())
    assert scene.cycle(cell_voltage_max=3.64).charge == 0.0


def test_a_limit_of_the_sites_own() -> None:
    limit = Limit(
        code="cell_temperature_low", point="cell_temperature_min", side="low", unit="°C", hysteresis=2.0,
        charge=Curve(((5.0, 0.0), (10.0, 1.0))),
        warning=WarningLevel(at=3.0, clear=6.0, delay=0.0),
        trip=TripLevel(at=-10.0, delay=2.0, reset=Role.OPERATOR),
        stops="charge",
    )  # fmt: skip
    scene = Scene(Limits(levels=(limit,)))
    assert (scene.cycle(cell_temperature_min=7.5).charge, codes(scene.cycle(cell_temperature_min=3.0))) == (
        0.5,
        {"limit_reached", "cell_temperature_low"},
    )
    reports = scene.cycles(3, cell_temperature_min=-10.0)
    assert [tripped(report) for report in reports] == [set(), set(), {"cell_temperature_low"}]
    assert (reports[0].charge, reports[0].discharge) == (0.0, 1.0)
    assert reports[2].trips[0].reset is Role.OPERATOR


def test_trip_levels_tell_a_second_implementation_what_stops_everything() -> None:
    levels = [(point, side, round(at, 6)) for point, side, at in SIZED.trip_levels]
    assert {("cell_voltage_max", "high", 3.65), ("insulation_resistance", "low", 87.6)} <= set(levels)
    assert len(levels) == sum(limit.trip is not None for limit in SIZED.levels) == 7


def test_points_are_all_that_is_looked_at() -> None:
    assert set(NORMAL) <= SIZED.points
    assert {"soc_highest", "soc_lowest"} <= Limits().points


@pytest.mark.parametrize("chemistry", PRESETS)
def test_nothing_is_remembered_of_a_battery_that_is_well(chemistry: str) -> None:
    limits = preset_limits(chemistry)
    volts = sum(PRESETS[chemistry].cell_voltage) / 2
    warm = {"battery_temperature": 30.0, "cell_temperature_max": 31.0, "cell_temperature_min": 29.0}
    scene = Scene(limits)
    for report in scene.cycles(3, cell_voltage_max=volts, cell_voltage_min=volts, **warm):
        assert (report.charge, report.discharge, report.conditions) == (1.0, 1.0, ())
    memory = scene.check.memory
    assert memory.busy == memory.since == memory.held == {}
