from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.twin.pcs import Pcs, PcsConfig, Side

WIDE = (100.0, 100.0)


def _settle(pcs: Pcs, target: float, side: Side = "ac", reactive: float = 0.0, voltage: float = 1.0) -> None:
    for _ in range(100):
        pcs.step(target, side, reactive, WIDE, voltage, 0.1)


@given(power=st.floats(-10, 10), square=st.sampled_from([0.0, 0.0006, 0.002]))
def test_both_sides_are_each_others_inverse(power: float, square: float) -> None:
    pcs = Pcs(PcsConfig(loss_square=square), 25.0)
    assert pcs.ac_of(pcs.dc_of(power)) == pytest.approx(power, abs=1e-9)
    assert pcs.dc_of(power) > power


def test_response_is_first_order() -> None:
    pcs = Pcs(PcsConfig(response_time=0.5), 25.0)
    pcs.step(6.0, "battery", 0.0, WIDE, 1.0, 0.5)
    assert pcs.dc_power == pytest.approx(6.0 * (1 - math.exp(-1)))
    pcs.step(6.0, "battery", 0.0, WIDE, 1.0, 0.5)
    assert pcs.dc_power == pytest.approx(6.0 * (1 - math.exp(-2)))


def test_reactive_power_follows_with_a_time_constant_of_its_own() -> None:
    pcs = Pcs(PcsConfig(reactive_response_time=0.2), 25.0)
    pcs.step(0.0, "ac", 5.0, WIDE, 1.0, 0.2)
    assert pcs.reactive_power == pytest.approx(5.0 * (1 - math.exp(-1)))
    at_once = Pcs(PcsConfig(reactive_response_time=0), 25.0)
    at_once.step(0.0, "ac", 5.0, WIDE, 1.0, 0.001)
    assert at_once.reactive_power == 5.0


@pytest.mark.parametrize("target", [-9.0, -0.5, 0.5, 9.0])
def test_efficiency_is_below_one_both_ways(target: float) -> None:
    pcs = Pcs(PcsConfig(), 25.0)
    _settle(pcs, target)
    assert pcs.active_power == pytest.approx(target)
    assert 85 < pcs.efficiency < 99.5
    assert pcs.temperature > 25.0


def test_own_supply_comes_from_the_grid_while_the_battery_rests() -> None:
    pcs = Pcs(PcsConfig(), 25.0)
    _settle(pcs, 0.0, "battery")
    assert pcs.dc_power == 0.0
    assert pcs.active_power == pytest.approx(-0.03, abs=1e-3)
    assert pcs.efficiency == 0.0


def test_apparent_power_is_limited_and_active_power_comes_first() -> None:
    pcs = Pcs(PcsConfig(), 25.0)
    _settle(pcs, 8.0, reactive=9.0)
    assert pcs.active_power == pytest.approx(8.0)
    assert pcs.reactive_power == pytest.approx(6.0)
    _settle(pcs, 30.0, reactive=-1.0)
    assert pcs.active_power == pytest.approx(10.0)
    assert pcs.reactive_power == pytest.approx(0.0, abs=1e-3)


def test_a_voltage_sag_takes_power_away() -> None:
    pcs = Pcs(PcsConfig(), 25.0)
    _settle(pcs, 10.0, voltage=0.4)
    assert pcs.active_power == pytest.approx(4.0)
    _settle(pcs, 10.0, voltage=0.0)
    assert pcs.dc_power == pytest.approx(pcs.losses(0.0))


def test_battery_limits_hold_at_once() -> None:
    pcs = Pcs(PcsConfig(), 25.0)
    _settle(pcs, -8.0, "battery")
    pcs.step(-8.0, "battery", 0.0, (2.0, 10.0), 1.0, 0.1)
    assert pcs.dc_power == -2.0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="phases must be 1 or 3, not 2"):
        PcsConfig(phases=2)
    with pytest.raises(ValueError, match="response_time"):
        PcsConfig(response_time=0)
    with pytest.raises(ValueError, match="reactive_response_time"):
        PcsConfig(reactive_response_time=-0.1)
