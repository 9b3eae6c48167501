"""The functions together: values, test signals, status, speed; and a day of frequency in a moment."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bessai.grid import PARAMETERS, GridFunctions, TestSignal
from bessai.model import Bounds, Decision, GuardState, Quality
from bessai.twin.grid import Grid
from bessai.twin.grid import GridConfig as TwinGridConfig
from support.grid_plant import CALM, Plant, image_of, plant_config

PN = 50_000.0


def test_values_begin_with_the_defaults_and_take_what_was_kept() -> None:
    functions = GridFunctions(plant_config(), values={"frequency.droop": 3}, cycle=0.1)
    assert set(functions.values) == set(PARAMETERS)
    assert functions.values["frequency.droop"] == 3.0
    assert functions.values["frequency.dead_band"] == 30.0
    follower = GridFunctions(plant_config(converters="gfl"), cycle=0.1)
    assert follower.values["active.ramp"] == 20.0  # the annex gives a ramp for these


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("frequency.droop", 1.9, "2 … 5 % (AT-IBR Art. 3-6 e)"),
        ("frequency.droop", 5.1, "2 … 5 % (AT-IBR Art. 3-6 e)"),
        ("frequency.dead_band", 150, "0 … 30 mHz (AT-IBR Art. 3-6 f)"),
        ("frequency.dead_band", -1, "0 … 30 mHz"),
        ("voltage.droop", 1.9, "2 … 10 % (AT-IBR Art. 3-3 i)"),
        ("voltage.droop", 10.1, "2 … 10 %"),
        ("active.ramp", 21, "0 … 20 % Pn/min or none (AT-IBR Art. 4-7"),
        ("active.maximum", -1, "0 … 50000 kW or none"),
        ("active.setpoint", 50_001, "-50000 … 50000 kW"),
        ("voltage.reactive_power", -55_001, "-55000 … 55000 kvar"),
        ("voltage.power_factor", 0.5, "magnitude at least 0.8"),
        ("voltage.mode", "both", "off, voltage, voltage_droop, power_factor, reactive_power"),
        ("frequency.enabled", 1, "true or false"),
        ("frequency.droop", True, "a number"),
        ("frequency.droop", math.nan, "a number"),
        ("frequency.droop", math.inf, "a number"),
        ("frequency.droop", None, "a number"),
        ("frequency.droop", "3", "a number"),
        ("frequency.soc_low", 85, "apart"),
        ("frequency.drop", 3, "frequency.droop"),
    ],
)
def test_what_is_not_sound_is_refused_with_the_mend(name: str, value: Any, said: str) -> None:
    functions = GridFunctions(plant_config(), cycle=0.1)
    before = functions.values
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is looked at
        functions.check(name, value)
    assert said in str(refusal.value)
    assert functions.values == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("frequency.droop", 2), ("frequency.droop", 5), ("voltage.droop", 10), ("frequency.dead_band", 0),
     ("active.ramp", 0), ("active.ramp", "none"), ("voltage.power_factor", -0.8), ("active.maximum", "none")],
)  # fmt: skip
def test_the_edges_are_inside(name: str, value: Any) -> None:
    checked = GridFunctions(plant_config(), cycle=0.1).check(name, value)
    assert checked == value
    assert type(checked) in {float, str}


def test_the_site_may_narrow() -> None:
    config = plant_config(bounds={"frequency.droop": (3.0, 4.0)})
    functions = GridFunctions(config, cycle=0.1)
    assert functions.values["frequency.droop"] == 4.0  # the default is drawn in
    with pytest.raises(ValueError, match="own bounds"):
        functions.check("frequency.droop", 2)


def test_a_function_without_its_point_cannot_be_switched_on() -> None:
    bare = plant_config(points=type(plant_config().points)(frequency=None, voltage=None))
    functions = GridFunctions(bare, cycle=0.1)
    for name, value in (("frequency.enabled", True), ("voltage.mode", "voltage"), ("active.volt_watt", True)):
        with pytest.raises(ValueError, match="needs a point"):
            functions.check(name, value)
    assert functions.propose(image_of(1.0)) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_test_signal_is_added_for_its_time(sign: int) -> None:
    functions = GridFunctions(plant_config(), values={"frequency.enabled": True}, cycle=0.1)
    functions.propose(image_of(10.0))
    functions.inject(TestSignal(quantity="frequency", kind="step", change=sign * 0.2, seconds=2.0))
    shares = []
    for i in range(1, 40):
        [request] = functions.propose(image_of(10 + i * 0.1))
        assert request.offset is not None
        shares.append(request.offset / PN)
        running = "grid_test_running" in [condition.code for condition in functions.conditions()]
        assert running is (functions.test is not None) is (functions.status()["test"] is not None)
    assert shares[:20] == pytest.approx([-sign * 0.068] * 20)
    assert shares[20:] == [0.0] * 19


def test_a_ramp_grows_and_an_end_ends_it() -> None:
    functions = GridFunctions(plant_config(), values={"voltage.mode": "voltage_droop"}, cycle=0.1)
    functions.inject(TestSignal(quantity="voltage", kind="ramp", change=-2.0, seconds=10.0))
    targets = []
    for i in range(60):
        functions.propose(image_of(10 + i * 0.1))
        targets.append(functions.status()["voltage"]["target"])
    assert all(b >= a for a, b in pairwise(targets))
    assert targets[50] == pytest.approx(0.01 / 0.15 * 55_000, rel=0.01)
    functions.inject(None)
    functions.propose(image_of(16.1))
    assert functions.status()["voltage"]["target"] == 0.0


@pytest.mark.parametrize("bad", [{"change": 0.0}, {"change": 2.1}, {"seconds": 0.0}, {"seconds": 601.0},
                                 {"kind": "sine"}, {"quantity": "power"}, {"change": math.nan}])  # fmt: skip
def test_a_test_signal_has_limits(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TestSignal(**{"quantity": "frequency", "kind": "step", "change": 0.1, "seconds": 1.0, **bad})


def test_a_test_signal_does_not_replace_a_lost_measurement() -> None:
    functions = GridFunctions(plant_config(), values={"frequency.enabled": True}, cycle=0.1)
    functions.inject(TestSignal(quantity="frequency", kind="step", change=-0.2, seconds=20.0))
    [request] = functions.propose(image_of(10.0, {"grid_frequency": Quality.MISSING}))
    assert request.offset == 0.0


@pytest.mark.parametrize("state", [GuardState.HOLD, GuardState.TRIPPED, GuardState.MAINTENANCE])
def test_a_test_signal_does_not_outlast_a_plant_that_is_granted_no_power(state: GuardState) -> None:
    functions = GridFunctions(plant_config(), values={"frequency.enabled": True}, cycle=0.1)

    def told(state: GuardState) -> None:
        functions.told(Decision(state=state, setpoint=0.0, bounds=Bounds()))

    functions.inject(TestSignal(quantity="frequency", kind="step", change=-0.2, seconds=600.0))
    functions.propose(image_of(10.0))
    told(GuardState.DERATED)
    [asked] = functions.propose(image_of(10.1))
    assert asked.offset
    told(state)
    [event] = functions.take_events()
    assert (event.code, event.wall_ns) == ("grid_test_ended", int(10.1e9))
    told(GuardState.NORMAL)
    [asked] = functions.propose(image_of(10.2))
    assert asked.offset == 0.0


def test_the_status_is_plain_data() -> None:
    functions = GridFunctions(plant_config(), values=EVERYTHING, cycle=0.1)
    for quality in (Quality.GOOD, Quality.MISSING):
        functions.propose(image_of(10.0, dict.fromkeys(CALM, quality)))
        json.dumps(functions.status(), allow_nan=False)


EVERYTHING: dict[str, Any] = {
    "frequency.enabled": True, "frequency.recovery": 2.0, "voltage.mode": "voltage_droop", "active.ramp": 20.0,
    "active.maximum": 40_000.0, "active.setpoint": 10_000.0, "active.volt_watt": True,
}  # fmt: skip


def test_the_same_images_give_the_same_requests() -> None:
    def run() -> list[str]:
        functions, random = GridFunctions(plant_config(), values=EVERYTHING, cycle=0.1), Random(7)
        said = []
        for i in range(300):
            bad = {name: Quality.STALE for name in CALM if random.random() < 0.1}
            row = {name: value * random.gauss(1, 0.002) for name, value in CALM.items()}
            said.append(repr(functions.propose(image_of(10 + i * 0.1, bad, **row))))
        return said

    assert run() == run()


PERIOD = 5
"""Seconds."""


def _record() -> Iterator[float]:
    """A day of frequency, a value in `PERIOD`: BESSAI_FREQUENCY_CSV (last column, Hz), or the twin's wandering grid.

    No public record of the Chilean system was at hand; the twin's is an Ornstein-Uhlenbeck process with events.
    """
    if file := os.environ.get("BESSAI_FREQUENCY_CSV"):
        with Path(file).open(newline="") as rows:
            for row in csv.reader(rows):
                try:
                    yield float(row[-1])
                except ValueError:
                    continue  # a heading
        return
    grid = Grid(TwinGridConfig(frequency_deviation=0.04, frequency_time=300.0), Random(2026))
    for second in range(0, 86_400, PERIOD):
        grid.step(float(second), PERIOD)
        event = -0.4 if 20_000 <= second < 20_600 else 0.3 if 60_000 <= second < 60_900 else 0.0
        yield grid.frequency + event


def _day(recovery: float) -> tuple[list[float], float]:
    """A battery of a quarter of an hour through the day: its charge in %, and the kWh that went in and out."""
    values = {
        "frequency.enabled": True, "frequency.droop": 2.0, "frequency.dead_band": 15.0, "frequency.recovery": recovery,
        "frequency.soc_low": 20.0, "frequency.soc_high": 80.0,
    }  # fmt: skip
    functions = GridFunctions(plant_config(), values=values, cycle=PERIOD)
    socs, out = [50.0], 0.0
    for i, frequency in enumerate(_record()):
        [request] = functions.propose(image_of(float(i * PERIOD), grid_frequency=frequency, soc=socs[-1]))
        assert request.offset is not None
        energy = request.offset * PERIOD / 3600
        out += abs(energy)
        taken = energy / 0.95 if energy > 0 else energy * 0.95  # losses either way
        socs.append(socs[-1] - taken / (0.25 * PN) * 100)
    return socs, out


def test_a_day_of_frequency_keeps_energy_and_charge_bounded() -> None:
    reserve = {}
    for recovery in (0.0, 5.0):
        socs, out = _day(recovery)
        reserve[recovery] = sum(21 < soc < 79 for soc in socs) / len(socs)
        print(
            f"{out:.0f} kWh, {min(socs):.1f} … {max(socs):.1f} %, reserve both ways {reserve[recovery]:.1%}"
        )
        assert len(socs) > 10_000
        assert 20.0 - 0.1 <= min(socs) <= max(socs) <= 80.0 + 0.1
        assert 0.1 * PN < out < 24 * PN  # it worked, and not more than the rated power
    assert reserve[5.0] > reserve[0.0]  # recovery earns its keep
    assert reserve[5.0] > 0.75


def test_frequency_and_voltage_work_in_one_loop() -> None:
    functions = GridFunctions(plant_config(), values=EVERYTHING | {"active.setpoint": 20_000.0}, cycle=0.2)
    plant = Plant(
        functions, frequency=lambda t: 50.0 if t < 110 else 49.9, voltage=lambda t: 1.0 if t < 110 else 0.985
    ).run(30)
    assert plant.powers[-1] == pytest.approx(20_000 + (0.1 - 0.03) / 2.5 * PN, abs=0.002 * PN)
    assert plant.reactives[-1] == pytest.approx(0.015 / 0.15 * 55_000, abs=0.005 * 55_000)
