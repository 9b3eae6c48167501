"""Frequency response: the vectors of the annex, its limits, and what it does when it knows nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.grid import GridFunctions
from bessai.grid.evidence import HOLD, RELEASE
from bessai.grid.frequency import STEP
from bessai.model import Priority, Quality
from support.grid_plant import Plant, image_of, plant_config

PN = 50_000.0
ON = {"frequency.enabled": True}


def _functions(**changes: Any) -> GridFunctions:
    values = {name.replace("__", "."): value for name, value in changes.items()}
    return GridFunctions(plant_config(), values=ON | values, cycle=0.1)


def _share(functions: GridFunctions, frequency: float, now: float = 10.0, /, **values: float) -> float:
    [request] = functions.propose(image_of(now, grid_frequency=frequency, **values))
    assert request.source == "grid.frequency"
    assert request.priority is Priority.GRID_SUPPORT
    assert request.offset is not None
    assert request.power is None
    return request.offset / PN


@pytest.mark.parametrize(("droop", "expected"), [(2.0, 0.170), (3.0, 0.113), (5.0, 0.068)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_vectors_of_the_facts(droop: float, expected: float, sign: int) -> None:
    share = _share(_functions(frequency__droop=droop), 50.0 - sign * 0.2)
    assert share == pytest.approx(sign * expected, abs=5e-4)


@pytest.mark.parametrize(
    ("shape", "dead_band", "deviation", "expected"),
    [
        ("offset", 30.0, 0.0, 0.0),
        ("offset", 30.0, -0.030, 0.0),
        ("offset", 30.0, 0.030, 0.0),
        ("offset", 30.0, -0.080, 0.02),
        ("offset", 0.0, -0.080, 0.032),
        ("step", 30.0, -0.030, 0.0),
        ("step", 30.0, -0.080, 0.032),
        ("step", 30.0, 0.080, -0.032),
        ("step", 0.0, 0.080, -0.032),
        ("offset", 10.0, 0.510, -0.2),
        ("offset", 0.0, -4.9, 1.0),
        ("offset", 0.0, 4.9, -1.0),
    ],
)
def test_shapes_and_dead_bands(shape: str, dead_band: float, deviation: float, expected: float) -> None:
    functions = _functions(frequency__droop=5.0, frequency__shape=shape, frequency__dead_band=dead_band)
    assert _share(functions, 50.0 + deviation) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("curve", "deviation", "expected"),
    [
        # the trap: the droop divides. 0.3 Hz at 50 Hz: (0.3 - 0.03) / (50 * 0.05)
        ("ieee1547_freq_watt", -0.3, 0.108),
        ("ieee1547_freq_watt", 0.03, 0.0),
        ("uk_dc", -0.015, 0.0),
        ("uk_dc", -0.2, 0.05),
        ("uk_dc", -0.35, 0.525),
        ("uk_dc", 0.5, -1.0),
        ("uk_dm", 0.1, -0.05),
        ("uk_dm", -0.15, 0.525),
        ("uk_dm", -0.3, 1.0),
        ("uk_dr", -0.1075, 0.5),
        ("uk_dr", 0.2, -1.0),
    ],
)
def test_the_curves_of_other_countries(curve: str, deviation: float, expected: float) -> None:
    functions = _functions(
        frequency__curve=curve, frequency__authority_up=50.0, frequency__authority_down=50.0
    )
    part = 1.0 if curve == "ieee1547_freq_watt" else 0.5  # British shares are of what was contracted
    for i in range(1000):
        share = _share(functions, 50.0 + deviation, 10.0 + i * 0.1)
    assert share == pytest.approx(part * expected, abs=0.002)


def test_at_60_hz_the_default_of_the_curve_is_the_one_of_the_code() -> None:
    config = plant_config(nominal_frequency=60.0)
    functions = GridFunctions(config, values=ON | {"frequency.curve": "ieee1547_freq_watt"}, cycle=0.1)
    share = [_share(functions, 59.664, 10.0 + i * 0.1) for i in range(400)][-1]
    assert share == pytest.approx((0.336 - 0.036) / (60 * 0.05), abs=0.002)


@pytest.mark.parametrize(
    ("curve", "reaction", "whole"), [("uk_dc", 0.5, 1.0), ("uk_dm", 0.5, 1.0), ("uk_dr", 2.0, 10.0)]
)
def test_british_services_are_in_time(curve: str, reaction: float, whole: float) -> None:
    functions = _functions(frequency__curve=curve)
    _share(functions, 50.0)
    shares = {t: _share(functions, 49.4, 10.0 + t / 10) for t in range(1, 151)}
    assert shares[round(reaction * 10)] > 0.01
    assert shares[round(whole * 10)] > 0.99


def test_a_slower_response_time_is_a_rise_time() -> None:
    functions = _functions(frequency__response_time=2.0)
    _share(functions, 50.0)
    final = (0.5 - 0.03) / 2.5
    shares = [_share(functions, 49.5, 10.0 + i * 0.05) / final for i in range(1, 200)]
    rise = (
        next(i for i, x in enumerate(shares) if x >= 0.9) - next(i for i, x in enumerate(shares) if x >= 0.1)
    ) * 0.05
    assert rise == pytest.approx(2.0, abs=0.1)


settings = st.fixed_dictionaries(
    {
        "frequency.droop": st.floats(2, 5),
        "frequency.dead_band": st.floats(0, 30),
        "frequency.shape": st.sampled_from(["offset", "step"]),
        "frequency.authority_up": st.floats(0, 100),
        "frequency.authority_down": st.floats(0, 100),
        "frequency.curve": st.sampled_from(["droop", "uk_dc", "uk_dm"]),
    }
)


@given(settings, st.floats(0, 4.9))
def test_up_and_down_are_alike(values: dict[str, Any], deviation: float) -> None:
    values["frequency.authority_down"] = values["frequency.authority_up"]
    # 2**-20 Hz makes 50 - d and 50 + d exact mirrors
    deviation = round(deviation * 2**20) / 2**20
    up = _share(GridFunctions(plant_config(), values=ON | values, cycle=0.1), 50.0 - deviation)
    down = _share(GridFunctions(plant_config(), values=ON | values, cycle=0.1), 50.0 + deviation)
    assert up == pytest.approx(-down, abs=1e-9)


@given(settings, st.lists(st.floats(45, 55), min_size=2, max_size=2), st.floats(0, 100))
def test_lower_frequency_never_asks_for_less_and_nobody_leaves_the_authority(
    values: dict[str, Any], frequencies: list[float], soc: float
) -> None:
    low, high = sorted(frequencies)
    more = _share(GridFunctions(plant_config(), values=ON | values, cycle=0.1), low, soc=soc)
    less = _share(GridFunctions(plant_config(), values=ON | values, cycle=0.1), high, soc=soc)
    assert more >= less - STEP
    for share in (more, less):
        assert -values["frequency.authority_down"] / 100 - 1e-9 <= share
        assert share <= values["frequency.authority_up"] / 100 + 1e-9


@given(settings, st.lists(st.tuples(st.floats(46, 54), st.floats(0, 100)), min_size=1, max_size=30))
def test_whatever_was_before_the_authority_and_the_reserve_hold(
    values: dict[str, Any], rows: list[tuple[float, float]]
) -> None:
    functions = GridFunctions(
        plant_config(), values=ON | values | {"frequency.response_time": 1.0}, cycle=0.1
    )
    for i, (frequency, soc) in enumerate(rows):
        share = _share(functions, frequency, 10 + i * 0.1, soc=soc)
        assert -values["frequency.authority_down"] / 100 - 1e-9 <= share
        assert share <= values["frequency.authority_up"] / 100 + 1e-9
        if soc <= 10:
            assert share <= 0
        if soc >= 90:
            assert share >= 0


@pytest.mark.parametrize(
    ("soc", "frequency", "expected", "exhausted"),
    [
        (50.0, 49.0, 0.388, 0),
        (15.0, 49.0, 0.388, 0),
        (12.5, 49.0, 0.388, 0),
        (11.0, 49.0, 0.2, 0),
        (10.0, 49.0, 0.0, 1),
        (9.0, 49.0, 0.0, 1),
        (9.0, 51.0, -0.388, 1),
        (89.0, 51.0, -0.2, 0),
        (90.0, 51.0, 0.0, 1),
        (95.0, 51.0, 0.0, 1),
        (95.0, 49.0, 0.388, 1),
    ],
)
def test_the_exhausting_direction_fades(
    soc: float, frequency: float, expected: float, exhausted: int
) -> None:
    functions = _functions()
    assert _share(functions, frequency, soc=soc) == pytest.approx(expected)
    codes = [condition.code for condition in functions.conditions()]
    assert codes.count("frequency_reserve_exhausted") == exhausted
    assert (functions.status()["frequency"]["limited_by"] == "soc") is (abs(expected) < 0.388)


def test_nothing_winds_up_while_exhausted() -> None:
    functions = _functions(frequency__response_time=1.0)
    for i in range(2000):
        assert _share(functions, 49.0, 10 + i * 0.1, soc=5.0) == 0.0
    # the battery has energy again and the frequency is whole: what was never given is not given now
    assert {_share(functions, 50.0, 10 + i * 0.1, soc=50.0) for i in range(2000, 2100)} == {0.0}


@pytest.mark.parametrize("why", [Quality.STALE, Quality.MISSING, Quality.INVALID, Quality.FROZEN])
def test_a_lost_frequency_is_held_then_released(why: Quality) -> None:
    functions = _functions()
    before = _share(functions, 49.8)
    shares = []
    for i in range(1, 61):
        [request] = functions.propose(image_of(10 + i * 0.1, {"grid_frequency": why}, grid_frequency=51.0))
        assert request.offset is not None
        shares.append(request.offset / PN)
    assert all(share == before for share in shares[: round(HOLD * 10) - 1])
    assert all(b <= a for a, b in pairwise(shares))
    assert shares[round((HOLD + RELEASE) * 10)] == 0.0
    assert [condition.code for condition in functions.conditions()] == ["grid_frequency_lost"]
    assert _share(functions, 49.8, 20.0) == before  # and it comes back with the frequency
    assert not functions.conditions()


@pytest.mark.parametrize("frequency", [44.9, 55.1, 0.0, float("nan"), float("inf")])
def test_an_impossible_frequency_is_none(frequency: float) -> None:
    functions = _functions()
    assert _share(functions, frequency) == 0.0
    assert not functions.conditions()  # the first reading of a start may be late
    assert _share(functions, frequency, 10.0 + HOLD) == 0.0
    assert [condition.code for condition in functions.conditions()] == ["grid_frequency_lost"]


def test_a_lost_state_of_charge_releases_the_response() -> None:
    functions = _functions()
    assert _share(functions, 49.0) > 0.3
    for i in range(1, 50):
        [request] = functions.propose(image_of(10 + i * 0.1, {"soc": Quality.MISSING}, grid_frequency=49.0))
    assert request.offset == 0.0
    assert [condition.code for condition in functions.conditions()] == ["grid_soc_lost"]


def test_noise_does_not_rewrite_the_device() -> None:
    functions = _functions(frequency__dead_band=0.0, frequency__droop=2.0)
    # 0.4 mHz either way at 2 % are 0.04 % of the rated power
    shares = {_share(functions, 49.9 + 0.0004 * (-1) ** i, 10 + i * 0.1) for i in range(100)}
    assert len(shares) == 1
    assert shares.pop() == pytest.approx(0.1, abs=STEP)


def test_off_asks_for_nothing_and_switching_off_fades() -> None:
    functions = GridFunctions(plant_config(), cycle=0.1)
    assert functions.propose(image_of(1.0, grid_frequency=49.0)) == []
    functions.apply("frequency.enabled", value=True)
    assert _share(functions, 49.0, 2.0) == pytest.approx(0.388)
    functions.apply("frequency.enabled", value=False)
    shares = []
    for i in range(1, 60):
        shares += [
            request.offset for request in functions.propose(image_of(2.0 + i * 0.1, grid_frequency=49.0))
        ]
    assert len(shares) == pytest.approx(RELEASE * 10, abs=1)
    steps = [
        a - b for a, b in zip([0.388 * PN, *shares], shares, strict=False) if a is not None and b is not None
    ]
    assert max(steps) < 0.388 * PN / 25


def test_recovery_only_inside_the_dead_band_and_never_against_the_response() -> None:
    functions = _functions(frequency__recovery=2.0)
    for i in range(200):
        share = _share(functions, 50.01, 10 + i * 0.1, soc=30.0)
    assert share == pytest.approx(-0.02)  # charges
    assert _share(functions, 49.9, 40.0, soc=30.0) == pytest.approx((0.1 - 0.03) / 2.5)


def test_a_step_in_the_closed_loop_is_as_the_annex_wants() -> None:
    functions = _functions(frequency__droop=3.0)
    plant = Plant(functions, cycle=0.2, lag=0.3, frequency=lambda t: 50.0 if t < 105 else 49.8).run(20)
    final = plant.powers[-1]
    assert final == pytest.approx(0.1133 * PN, rel=0.01)
    after = [(t - 105, power / final) for t, power in zip(plant.times, plant.powers, strict=True) if t >= 105]
    assert next(t for t, power in after if power > 0.01) < 1.0
    assert next(t for t, power in after if power > 0.9) - next(t for t, power in after if power > 0.1) < 4.0
    assert max(t for t, power in after if abs(power - 1) > 0.05) < 10.0
