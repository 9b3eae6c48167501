from __future__ import annotations

import cmath
import math
from dataclasses import replace
from random import Random
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bessai.twin.grid import Grid, GridConfig, GridEvent, voltage_behind
from bessai.twin.meter import Load, LoadConfig, Meter


def test_frequency_wanders_about_nominal() -> None:
    grid = Grid(GridConfig(), Random(4))
    seen = []
    for i in range(20_000):
        grid.step(10.0 * i, 10.0)
        seen.append(grid.frequency)
    assert fmean(seen) == pytest.approx(50.0, abs=0.002)
    assert pstdev(seen) == pytest.approx(0.02, rel=0.1)
    assert seen[:5] != seen[5:10]


def test_wander_does_not_depend_on_the_step() -> None:
    coarse = [_wandered(10.0, 40, seed) for seed in range(400)]
    fine = [_wandered(2.0, 200, 1000 + seed) for seed in range(400)]
    assert pstdev(coarse) == pytest.approx(pstdev(fine), rel=0.2)


def _wandered(dt: float, steps: int, seed: int) -> float:
    grid = Grid(GridConfig(), Random(seed))
    for i in range(steps):
        grid.step(i * dt, dt)
    return grid.frequency


def test_events_are_felt_while_they_last() -> None:
    quiet = {"frequency_deviation": 0.0, "voltage_deviation": 0.0}
    dip = GridEvent(start=10, duration=20, frequency_offset=-0.5, ramp=5)
    sag = GridEvent(start=100, duration=1, voltage_factor=0.7)
    grid = Grid(GridConfig(events=[dip, sag], **quiet), Random(0))
    felt = {}
    for time in (9, 12.5, 20, 27.5, 30, 99, 100.5, 101):
        grid.step(time, 0.1)
        felt[time] = (round(grid.frequency, 6), round(grid.voltage, 6))
    assert felt == {
        9: (50.0, 230.0), 12.5: (49.75, 230.0), 20: (49.5, 230.0), 27.5: (49.75, 230.0), 30: (50.0, 230.0),
        99: (50.0, 230.0), 100.5: (50.0, 161.0), 101: (50.0, 230.0),
    }  # fmt: skip


QUIET = GridConfig(frequency_deviation=0.0, voltage_deviation=0.0)


@given(
    source=st.floats(0.85, 1.15), active=st.floats(-0.15, 0.15), reactive=st.floats(-0.15, 0.15),
    x_over_r=st.floats(0, 30),
)  # fmt: skip
def test_the_voltage_behind_an_impedance_is_that_of_the_circuit(
    source: float, active: float, reactive: float, x_over_r: float
) -> None:
    """Against the circuit itself: the current through the impedance, iterated with complex numbers."""
    angle = math.atan(x_over_r)
    impedance, voltage = cmath.rect(1.0, angle), complex(source)
    before = 0j
    for _ in range(500):
        before, voltage = voltage, source + impedance * (complex(active, reactive) / voltage).conjugate()
    assume(abs(voltage - before) < 1e-12)  # near collapse the iteration finds no end
    assert voltage_behind(source, active, reactive, x_over_r) == pytest.approx(abs(voltage), rel=1e-9)


def test_a_weak_grid_rises_with_export_and_sinks_with_absorbed_reactive_power() -> None:
    grid = Grid(replace(QUIET, short_circuit_power=1000.0, x_over_r=3.0), Random(0))
    grid.step(0.1, 0.1)
    assert grid.voltage == pytest.approx(230.0)
    felt = {}
    for power in ((100.0, 0.0), (0.0, 100.0), (0.0, -100.0), (-100.0, 0.0)):
        grid.carry(*power)
        felt[power] = round(grid.voltage / 230 - 1, 3)
    # dV/V = (R P + X Q) / V² to first order: 0.0316 for 100 kW and 0.0949 for 100 kvar
    assert felt == {(100.0, 0.0): 0.027, (0.0, 100.0): 0.087, (0.0, -100.0): -0.107, (-100.0, 0.0): -0.038}
    before = grid.voltage
    grid.step(0.2, 0.1)
    assert grid.voltage == before
    assert grid.source_voltage == 230.0


def test_a_stiff_grid_carries_anything() -> None:
    grid = Grid(QUIET, Random(0))
    grid.carry(1e6, -1e6)
    assert grid.voltage == 230.0


def test_more_than_the_grid_can_carry_is_the_voltage_of_its_limit() -> None:
    grid = Grid(replace(QUIET, short_circuit_power=100.0), Random(0))
    grid.carry(-500.0, 0.0)
    assert 0 <= grid.voltage < 230
    grid.carry(0.0, -1e9)
    assert grid.voltage == 0.0


@pytest.mark.parametrize("wrong", [{"short_circuit_power": 0.0}, {"x_over_r": -1.0}])
def test_an_impossible_grid_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(QUIET, **wrong)


def test_load_peaks_morning_and_evening_and_is_never_negative() -> None:
    load = Load(LoadConfig(deviation=0.0), Random(0))
    by_hour = {}
    for hour in (3.0, 7.5, 13.0, 19.5):
        load.step(hour, 1.0)
        by_hour[hour] = load.active_power
    assert by_hour[3.0] < by_hour[7.5] < by_hour[19.5]
    assert by_hour[13.0] < by_hour[7.5]
    noisy = Load(LoadConfig(base=0.0, morning=0.0, evening=0.0, deviation=5.0), Random(0))
    for _ in range(200):
        noisy.step(3.0, 60.0)
        assert noisy.active_power >= 0


def test_load_peak_reaches_over_midnight() -> None:
    load = Load(LoadConfig(morning=0.0, evening_hour=23.5, deviation=0.0), Random(0))
    load.step(0.5, 1.0)
    after = load.active_power
    load.step(22.5, 1.0)
    assert after == pytest.approx(load.active_power)


def test_meter_counts_each_direction_apart() -> None:
    meter = Meter()
    meter.step(6.0, 1.0, 1800)
    meter.step(-2.0, -1.0, 3600)
    assert (meter.energy_exported, meter.energy_imported) == (3.0, 2.0)
    assert (meter.active_power, meter.reactive_power) == (-2.0, -1.0)
