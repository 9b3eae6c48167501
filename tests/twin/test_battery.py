from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.twin.battery import OCV_CURVE, Battery, BatteryConfig, cell_ocv


def _battery(**changes: object) -> Battery:
    return Battery(BatteryConfig(**changes), 25.0)  # type: ignore[arg-type]


def test_curve_rises_from_empty_to_full_with_an_lfp_plateau() -> None:
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(OCV_CURVE))
    assert OCV_CURVE[0][0] == 0
    assert OCV_CURVE[-1][0] == 1
    assert cell_ocv(0.8) - cell_ocv(0.2) < 0.1
    assert cell_ocv(0.05) == pytest.approx(3.10)
    assert cell_ocv(-1) == cell_ocv(0)
    assert cell_ocv(2) == cell_ocv(1)


def test_full_pack_stores_its_capacity_and_half_the_health_half_of_it() -> None:
    assert _battery(initial_soc=100).stored_energy == pytest.approx(15.0)
    assert _battery(initial_soc=100, soh=50).stored_energy == pytest.approx(7.5)
    assert _battery(initial_soc=0).stored_energy == 0


@settings(deadline=None)
@given(
    power=st.floats(-10, 10),
    soc=st.floats(15, 90),
    efficiency=st.floats(0.9, 1.0),
    resistance=st.floats(1e-4, 4e-3),
)
def test_energy_balance_closes(power: float, soc: float, efficiency: float, resistance: float) -> None:
    battery = _battery(initial_soc=soc, coulombic_efficiency=efficiency, cell_resistance=resistance)
    before = battery.stored_energy
    for _ in range(600):
        battery.step(power, 0.5)
    change = battery.stored_energy - before
    through = battery.energy_charged - battery.energy_discharged
    assert battery.power == pytest.approx(power, abs=1e-9)
    assert through == pytest.approx(-power * 300 / 3600, abs=1e-9)
    assert battery.energy_lost >= 0
    # the rest is the curvature of the voltage within a step
    assert change == pytest.approx(through - battery.energy_lost, abs=2e-5)


@settings(deadline=None)
@given(powers=st.lists(st.floats(-1000, 1000), min_size=1, max_size=60))
def test_limits_keep_soc_and_cells_in_bounds(powers: list[float]) -> None:
    battery = _battery(energy_capacity=0.5, charge_power_max=2, discharge_power_max=2)
    for wanted in powers:
        for _ in range(100):
            charge, discharge = battery.power_limits()
            battery.step(min(max(wanted, -charge), discharge), 1.0)
            assert 5.0 - 1e-6 <= battery.soc <= 100.0
            assert 2.5 - 1e-6 <= battery.voltage / 112 <= 3.65 + 1e-6


def test_bms_lowers_power_near_the_ends_and_outside_its_temperatures() -> None:
    assert _battery().power_limits() == (10.0, 10.0)
    assert _battery(initial_soc=98.5).power_limits()[0] == pytest.approx(5.0)
    assert _battery(initial_soc=6.5).power_limits()[1] == pytest.approx(5.0)
    assert _battery(initial_soc=100).power_limits() == (0.0, 10.0)
    assert _battery(initial_soc=2).power_limits() == (10.0, 0.0)
    assert _battery(initial_temperature=-5).power_limits() == (0.0, 10.0)
    assert _battery(initial_temperature=58).power_limits() == (0.0, 10.0)
    assert _battery(initial_temperature=61).power_limits() == (0.0, 0.0)


def test_losses_heat_the_pack_and_rest_cools_it_to_ambient() -> None:
    battery = _battery()
    for _ in range(3000):
        battery.step(-8.0, 1.0)
    warm = battery.temperature
    assert warm > 25.5
    charged = battery.soc
    for _ in range(100_000):
        battery.step(0.0, 1.0)
    assert 25.0 <= battery.temperature < 25.01
    assert battery.soc == charged
    cold = _battery(initial_temperature=10.0)
    cold.step(0.0, 1.0)
    assert cold.temperature > 10.0


def test_voltage_falls_under_discharge_and_rises_under_charge() -> None:
    rest, out, into = _battery(), _battery(), _battery()
    rest.step(0.0, 0.1)
    out.step(8.0, 0.1)
    into.step(-8.0, 0.1)
    assert out.voltage < rest.voltage < into.voltage
    assert out.current > 0 > into.current
    assert out.voltage * out.current == pytest.approx(8000, rel=1e-3)


def test_cells_spread_about_the_mean_and_more_under_load() -> None:
    battery = _battery()
    battery.step(0.0, 0.1)
    low, high = battery.cell_voltages()
    assert high - low == pytest.approx(0.008)
    cold, warm = battery.cell_temperatures()
    assert warm - cold == pytest.approx(1.0)
    battery.step(9.0, 0.1)
    assert battery.cell_voltages()[1] - battery.cell_voltages()[0] > 0.008
    assert battery.cell_temperatures()[1] - battery.cell_temperatures()[0] > 1.0
    assert (cold + warm) / 2 == pytest.approx(25.0, abs=0.01)


@pytest.mark.parametrize(
    ("field", "value"),
    [("soc_min", 100.0), ("initial_soc", 101.0), ("energy_capacity", 0.0), ("coulombic_efficiency", 1.1)],
)
def test_impossible_sizes_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        _battery(**{field: value})
