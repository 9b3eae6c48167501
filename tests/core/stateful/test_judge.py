"""The judge of trips, judged: what it says of one decision after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.model import Bounds, Decision, GuardState, Role, Trip
from support.stateful import Devices, Kept, TripJudge, UnitJudge

HOT = Trip(code="battery_temperature_high", unit="one", point="battery_temperature")
FIRE = Trip(code="fire_alarm", unit="one", point="fire_alarm", plant_wide=True)


def told(*trips: Trip) -> Decision:
    return Decision(state=GuardState.TRIPPED, setpoint=0.0, bounds=Bounds(0, 0), trips=trips)


class Scene:
    """Two units; `see` gives the first one values, the second one is at home."""

    def __init__(self, devices: Devices) -> None:
        setup = devices.several()
        self.units = {unit.name: UnitJudge(unit) for unit in setup.units}
        self.watch = TripJudge(self.units)
        self.home = {**setup.units[0].home, "battery_power": 0.0, "battery_current": 0.0}

    def see(self, now: float, *trips: Trip, **values: float) -> str | None:
        self.units["one"].see({**self.home, **values}, now)
        self.units["two"].see(self.home, now)
        return self.watch.check(told(*trips), now)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(Devices.of(tmp_path))


@pytest.mark.parametrize(
    ("values", "delay"),
    [
        ({"battery_temperature": 60.0}, 5.0),
        ({"battery_voltage": 876.0}, 5.0),
        ({"battery_voltage": 576.0}, 5.0),
        ({"insulation_resistance": 87.6}, 5.0),
        ({"battery_current": 107.1}, 20.0),
        ({"battery_current": -107.1}, 20.0),
        ({"fire_alarm": 1.0}, 0.0),
        ({"gas_alarm": 1.0}, 0.0),
    ],
)
def test_a_cause_must_trip_after_its_delay(scene: Scene, values: dict[str, float], delay: float) -> None:
    if delay:
        assert scene.see(0.0, **values) is None
        assert scene.see(delay - 0.1, **values) is None
    assert "nothing tripped" in str(scene.see(delay, **values))


def test_a_trip_stops_its_unit_and_a_fire_all_of_them(scene: Scene) -> None:
    assert scene.see(0.0, HOT) is None
    assert scene.watch.against("one", 5.0) == "a trip stands"
    assert scene.watch.against("one", 0.0) is None
    assert scene.watch.against("two", 5.0) is None
    assert scene.see(1.0, HOT, FIRE) is None
    assert scene.watch.against("two", 5.0) == "a trip stands"


def test_a_trip_goes_only_by_a_reset_that_is_on_disk(scene: Scene) -> None:
    assert scene.see(0.0, HOT) is None
    assert "nobody reset it" in str(scene.see(1.0))
    assert scene.watch.reset("all", Role.ENGINEER, 7, 1.0) is None
    assert "nobody reset it" in str(scene.see(2.0))
    scene.watch.settled(7)
    assert scene.see(3.0) is None


def test_a_reset_needs_the_role_and_the_cause_gone(scene: Scene) -> None:
    assert scene.see(0.0, HOT) is None
    assert "takes a engineer" in str(scene.watch.reset("all", Role.OPERATOR, 1, 0.0))
    assert scene.see(1.0, HOT, battery_temperature=61.0) is None
    assert "cause is there" in str(scene.watch.reset("all", Role.ENGINEER, 1, 1.0))


def test_what_was_on_disk_stands_after_a_restart(scene: Scene) -> None:
    assert scene.see(0.0, HOT) is None
    kept = scene.watch.to_keep()
    scene.watch.restarted(kept)
    assert "nobody reset it" in str(scene.see(1.0))
    scene.watch.restarted(Kept())  # it was not on disk yet
    assert scene.see(2.0) is None


def test_maintenance_stops_all_and_ends_by_the_role_that_began_it(scene: Scene) -> None:
    assert scene.watch.switched(True, Role.ENGINEER) is None
    assert scene.watch.against("two", 1.0) == "people work on the plant"
    assert "ended the maintenance" in str(scene.watch.switched(False, Role.OPERATOR))
    assert scene.watch.switched(False, Role.ENGINEER) is None
