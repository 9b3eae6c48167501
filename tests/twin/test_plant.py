from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.model import SHARED_POINTS
from bessai.twin import BatteryConfig, GridConfig, GridEvent, LoadConfig, PcsConfig, Plant, PlantConfig
from bessai.twin.quantities import QUANTITIES, quantity_of

COARSE = PlantConfig(step=1.0)
commands = st.lists(
    st.tuples(st.none() | st.floats(-15, 15), st.sampled_from(["battery", "ac"]), st.floats(0, 600)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(commands=commands, seed=st.integers(0, 2**32))
def test_energy_balances_close(commands: list[tuple[float | None, str, float]], seed: int) -> None:
    plant = Plant(COARSE, seed=seed)
    begin = plant.state()
    load = 0.0
    for power, side, seconds in commands:
        plant.command(power, side)  # type: ignore[arg-type]
        for _ in range(plant.due(seconds)):
            plant.step()
            load += plant.load.active_power / 3600
            now = plant.state()
            assert now.grid_power == pytest.approx(now.active_power - now.load_power, abs=1e-12)
    end = plant.state()
    # everything that came over the meter was consumed, stored or lost
    taken = end.energy_imported - end.energy_exported
    assert taken == pytest.approx(load + end.stored_energy - begin.stored_energy + end.energy_lost, abs=2e-4)
    through = end.energy_charged - end.energy_discharged
    assert end.stored_energy - begin.stored_energy == pytest.approx(
        through - plant.battery.energy_lost, abs=2e-4
    )


@settings(max_examples=20, deadline=None)
@given(commands=commands, seed=st.integers(0, 99))
def test_same_seed_and_steps_give_the_same_bits(
    commands: list[tuple[float | None, str, float]], seed: int
) -> None:
    def run() -> list[object]:
        plant = Plant(COARSE, seed=seed)
        states: list[object] = []
        for power, side, seconds in commands:
            plant.command(power, side)  # type: ignore[arg-type]
            plant.advance(seconds)
            states.append(plant.state())
        return states

    assert run() == run()


def test_another_seed_is_another_plant() -> None:
    one, two = Plant(seed=1), Plant(seed=2)
    one.advance(10)
    two.advance(10)
    assert one.state() != two.state()


@settings(deadline=None)
@given(parts=st.lists(st.integers(0, 2_000), max_size=30))
def test_time_in_parts_is_time_in_one(parts: list[int]) -> None:
    split, whole = Plant(seed=3), Plant(seed=3)
    split.command(2.0)
    whole.command(2.0)
    for part in parts:
        split.advance(part / 1000)
    whole.advance(sum(parts) / 1000)
    assert split.state() == whole.state()
    assert split.steps == sum(parts) // 100


def test_power_follows_a_command_and_returns_to_own_mode() -> None:
    plant = Plant(seed=1)
    plant.command(-5.0)
    plant.advance(0.3)
    assert -5.0 < plant.battery.power < -2.5
    plant.advance(10)
    assert plant.battery.power == pytest.approx(-5.0, abs=1e-6)
    soc = plant.battery.soc
    plant.advance(60)
    assert plant.battery.soc > soc
    plant.command(4.0, "ac")
    plant.advance(10)
    assert plant.pcs.active_power == pytest.approx(4.0, abs=1e-6)
    assert plant.battery.power > 4.0
    plant.command(None)
    plant.advance(20)
    assert plant.battery.power == pytest.approx(0.0, abs=1e-6)
    assert plant.commanded is None


def test_standing_limits_and_bms_bound_the_power() -> None:
    plant = Plant(PlantConfig(battery=BatteryConfig(initial_soc=100)), seed=1)
    plant.command(-5.0)
    plant.advance(30)
    assert plant.battery.power == 0.0
    plant.discharge_limit = 1.5
    plant.command(5.0)
    plant.advance(30)
    assert plant.battery.power == pytest.approx(1.5)


def test_emptying_ends_at_the_lowest_soc() -> None:
    plant = Plant(PlantConfig(battery=BatteryConfig(initial_soc=12), step=1.0), seed=1)
    plant.command(10.0)
    plant.advance(3 * 3600)
    assert 5.0 - 1e-6 <= plant.battery.soc < 5.05
    assert plant.battery.power < 0.01


def test_grid_events_reach_the_plant() -> None:
    events = [GridEvent(start=5, duration=5, frequency_offset=-1.0, voltage_factor=0.5)]
    plant = Plant(PlantConfig(grid=GridConfig(events=events)), seed=1)
    plant.command(9.0, "ac")
    plant.advance(8)
    assert plant.state().frequency < 49.3
    assert plant.pcs.active_power < 5.2
    plant.advance(12)
    assert plant.pcs.active_power == pytest.approx(9.0, abs=1e-3)


def test_a_weak_grid_feels_the_plant_and_settles() -> None:
    """At three times its size in short-circuit power, with the converter's current limit in the loop."""
    quiet = GridConfig(frequency_deviation=0.0, voltage_deviation=0.0)
    grid = replace(quiet, short_circuit_power=30.0, x_over_r=2.0)
    load = LoadConfig(base=0.0, morning=0.0, evening=0.0, deviation=0.0)
    plant = Plant(PlantConfig(grid=grid, load=load), seed=1)
    stiff = Plant(PlantConfig(grid=quiet, load=load), seed=1)
    felt = {}
    for kvar in (-10.0, 0.0, 10.0):
        for one in (plant, stiff):
            one.reactive_target = kvar
            one.command(0.0, "ac")
            one.advance(30)
        felt[kvar] = plant.grid.voltage / 230
        before = plant.grid.voltage
        plant.advance(1)
        assert plant.grid.voltage == pytest.approx(before, abs=1e-6)
        assert stiff.grid.voltage == 230.0
    assert felt[-10.0] < 0.8
    assert felt[0.0] == pytest.approx(1.0, abs=1e-3)
    assert felt[10.0] > 1.2
    assert QUANTITIES["grid_voltage"](plant) == pytest.approx(math.sqrt(3) * plant.grid.voltage)


def test_counters_of_the_day_begin_at_midnight() -> None:
    plant = Plant(PlantConfig(step=1.0, start_hour=23.9), seed=1)
    plant.command(-6.0)
    plant.advance(300)
    before = QUANTITIES["energy_charged_today"](plant)
    assert before == pytest.approx(0.5, rel=0.02)
    plant.advance(60 + 600)
    assert QUANTITIES["energy_charged_total"](plant) == pytest.approx(1.6, rel=0.02)
    assert QUANTITIES["energy_charged_today"](plant) == pytest.approx(1.0, rel=0.02)


def test_time_does_not_go_back_and_steps_have_a_size() -> None:
    with pytest.raises(ValueError, match="cannot go back by 1 s"):
        Plant().advance(-1)
    with pytest.raises(ValueError, match="step"):
        PlantConfig(step=0)


def test_every_shared_quantity_is_modelled() -> None:
    states = {"device_status", "battery_status", "meter_status"}
    assert set(QUANTITIES) == set(SHARED_POINTS) - states
    plant = Plant(seed=1)
    plant.command(7.0, "ac")
    plant.reactive_target = 2.0
    plant.advance(20)
    value = {name: quantity(plant) for name, quantity in QUANTITIES.items()}
    assert value["apparent_power"] ** 2 == pytest.approx(
        value["active_power"] ** 2 + value["reactive_power"] ** 2
    )
    assert value["power_factor"] == pytest.approx(7.0 / value["apparent_power"])
    assert value["line_voltage_ab"] == pytest.approx(value["phase_voltage_a"] * 3**0.5)
    assert 3 * value["phase_voltage_a"] * value["phase_current_a"] == pytest.approx(
        1000 * value["apparent_power"]
    )
    assert value["cell_voltage_min"] * 112 < value["battery_voltage"] < value["cell_voltage_max"] * 112
    assert value["dc_power"] > value["active_power"]


def test_single_phase_plant_has_one_phase() -> None:
    plant = Plant(PlantConfig(pcs=PcsConfig(phases=1)), seed=1)
    assert quantity_of("phase_voltage_b", "V", plant) is None
    line = quantity_of("line_voltage_ab", "V", plant)
    assert line is not None
    assert line(plant) == plant.grid.voltage
    assert quantity_of("rated_power", "W", plant) is None


def test_single_cells_lie_between_the_lowest_and_the_highest() -> None:
    plant = Plant(PlantConfig(), seed=3)
    plant.battery.step(8.0, 60)
    cells = [quantity_of(f"cell_voltage_{n:03}", "V", plant) for n in range(1, 113)]
    values = [cell(plant) for cell in cells if cell is not None]
    assert len(values) == 112
    assert (min(values), max(values)) == pytest.approx(plant.battery.cell_voltages(), abs=1e-9)
    assert len(set(values)) == 112
    assert quantity_of("cell_voltage_113", "V", plant) is None, "the pack has no such cell"
    assert quantity_of("cell_voltage_1", "mV", plant) is None
    assert quantity_of("cell_temperature_57", "°C", plant) is None
    warm = [quantity_of(f"cell_temperature_{n}", "°C", plant) for n in range(1, 57)]
    shown = [cell(plant) for cell in warm if cell is not None]
    assert (min(shown), max(shown)) == pytest.approx(plant.battery.cell_temperatures(), abs=1e-9)
