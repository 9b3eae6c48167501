"""Attempts to make the control plane command a battery wrongly; each was tried because it looked possible."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any, Literal

import pytest

from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.fitting import commands_nothing, missing_limit_points
from bessai.core.guard import SafetyGuard
from bessai.core.latch import Latch
from bessai.core.limits import Limits
from bessai.core.settings import Settings
from bessai.core.unit_memory import SAFE_STATES
from bessai.model import Bounds, Endpoint, GuardState, Operation, Priority, Quality, Request, Role, Trip
from bessai.site import single_device_site
from core.test_guard import Scene
from support.profiles import BATTERY, CONTROL, DEAD_MAN, battery, compiled

PANEL = {"fire_alarm": {"address": 30, "type": "u16", "poll": "fast"}}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(battery(tmp_path))


def act(scene: Scene, kind: str, **more: Any) -> str | None:
    operation = Operation(kind=kind, user="ana", role=Role.ENGINEER, reason="try", **more)
    return scene.guard.operate(operation, scene.now, int(scene.now * 1e9))


def codes(scene: Scene) -> set[str]:
    return {condition.code for condition in scene.guard.conditions}


def breaks(scene: Scene, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def raises(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(scene.unit, what, raises)


# A decision that fails


def test_a_failed_decision_never_commands_a_device_that_is_only_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(battery(tmp_path), control=False)
    breaks(scene, monkeypatch, "judge")
    with pytest.raises(RuntimeError):
        scene.guard.decide({"": scene.image()}, [], fresh=frozenset({""}))
    decision = scene.guard.fall_back("broken")
    assert [unit.state for unit in decision.units] == [GuardState.MONITOR]
    assert decision.units[0].setpoint is None
    assert scene.guard.command("", scene.now) is None


def test_a_failed_decision_is_told_as_an_alarm_that_stands(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.running()
    breaks(scene, monkeypatch, "look")
    for _ in range(2):
        with pytest.raises(RuntimeError):
            scene.cycle()
        scene.guard.fall_back("decision failed: RuntimeError: broken")
        assert "cycle_failed" in codes(scene)
    assert scene.unit.memory.state is GuardState.HOLD, "not what it was before"


def test_a_failed_decision_ends_a_dead_man_test(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.running().ask(10.0)
    scene.expect(GuardState.NORMAL, 10.0)
    assert act(scene, "deadman_test") is None
    scene.cycle()
    with monkeypatch.context() as patch:
        breaks(scene, patch, "look")
        with pytest.raises(RuntimeError):
            scene.cycle()
        scene.guard.fall_back("broken")
    command = scene.guard.command("", scene.now)
    assert command is not None
    assert command.kind == "zero"


def test_a_trip_latches_also_when_another_unit_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {**BATTERY, **PANEL}
    profile = compiled(tmp_path, points, control=CONTROL, dead_man=DEAD_MAN)
    scene, other = Scene(profile), Scene(profile)
    scene.unit.name, other.unit.name = "a", "b"
    guard = SafetyGuard([scene.unit, other.unit])
    breaks(scene, monkeypatch, "look")
    images = {"a": scene.image(fire_alarm=0.0), "b": other.image(fire_alarm=1.0)}
    with pytest.raises(RuntimeError):
        guard.decide(images, [], fresh=frozenset({"a", "b"}))
    assert [trip.code for trip in guard.latch.standing] == ["fire_alarm"]


# A dead-man test


@pytest.fixture
def testing(scene: Scene) -> Scene:
    scene.running().ask(-20.0)
    scene.expect(GuardState.NORMAL, -20.0)
    assert act(scene, "deadman_test") is None
    scene.expect(GuardState.NORMAL, -20.0)
    assert scene.command is None
    return scene


@pytest.mark.parametrize(
    "values", [{"charge_power_max": 5.0}, {"soc": 95.0}, {"battery_temperature": 39.0}], ids=str
)
def test_a_dead_man_test_ends_when_limits_leave_less_than_what_flows(
    testing: Scene, values: dict[str, Any]
) -> None:
    decision = testing.cycle(**values)
    bounds = decision.units[0].bounds
    assert bounds.clip(decision.setpoint or 0.0) == decision.setpoint
    assert testing.command is not None
    assert testing.command.kind == "zero"
    assert "recheck_refused" not in codes(testing)


def test_a_dead_man_test_ends_when_somebody_narrows_the_power(testing: Scene) -> None:
    testing.book.put(
        Request(
            source="dso",
            priority=Priority.GRID_OPERATOR,
            power=None,
            bounds=Bounds(0.0, 0.0),
            expires=testing.now + 1e6,
        )
    )
    decision = testing.cycle()
    assert decision.setpoint == 0.0
    assert testing.command is not None
    assert testing.command.kind == "zero"


def test_a_dead_man_test_that_nobody_ends_ends_at_zero_without_a_false_alarm(testing: Scene) -> None:
    testing.measured = -20.0
    for _ in range(80):
        testing.cycle()
        if not testing.unit.withheld:
            break
    assert not testing.unit.withheld
    assert testing.command is not None
    assert testing.command.kind == "zero"
    assert "recheck_refused" not in codes(testing)


def test_a_dead_man_test_takes_an_engineer(scene: Scene) -> None:
    scene.running().ask(10.0)
    scene.expect(GuardState.NORMAL, 10.0)
    for kind in ("deadman_test", "deadman_test_end"):
        operation = Operation(kind=kind, user="eve", role=Role.OPERATOR, reason="try", passed=True)
        assert "engineer" in (scene.guard.operate(operation, scene.now, 0) or "")
    assert scene.guard.latch.test_of("") is None


# Trips


def test_a_trip_of_a_unit_that_has_another_name_now_stops_the_plant(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path))
    latch = Latch()
    latch.trip(Trip(code="cell_voltage_high", unit="pcs_1", point="cell_voltage_max", value=3.7))
    scene.guard = SafetyGuard([scene.unit], latch=latch)
    scene.ask(10.0)
    for _ in range(6):
        scene.expect(GuardState.TRIPPED, 0.0)
    assert act(scene, "reset", code="all") is None
    scene.guard.settled(scene.guard.latch.memory.revision)
    for _ in range(4):
        decision = scene.cycle()
    assert decision.setpoint == 10.0


def test_no_reset_before_anybody_looked(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path))
    latch = Latch()
    latch.trip(Trip(code="battery_temperature_high", unit="", point="battery_temperature", value=70.0))
    scene.guard = SafetyGuard([scene.unit], latch=latch)
    objection = act(scene, "reset", code="all")
    assert objection is not None
    assert scene.guard.latch.standing


def test_disobedience_is_not_reset_while_the_device_disobeys(scene: Scene) -> None:
    scene.running()
    scene.guard.latch.trip(Trip(code="command_disobeyed", unit="", point="battery_power"))
    scene.measured = 20.0
    for _ in range(40):
        scene.cycle()
    assert act(scene, "reset", code="all") is not None
    scene.measured = 0.0
    for _ in range(3):
        scene.cycle()
    assert act(scene, "reset", code="all") is None


def test_another_reset_does_not_forget_disobedience(scene: Scene) -> None:
    scene.running()
    scene.unit.memory.disobeyed = [scene.now - 60, scene.now - 30]
    scene.guard.latch.trip(Trip(code="dead_man_test_failed", unit=""))
    assert act(scene, "reset", code="all") is None
    assert len(scene.unit.memory.disobeyed) == 2


# The second look


def test_a_standing_objection_writes_zero_once_and_the_record_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.running()
    monkeypatch.setattr("bessai.core.guard.objection", lambda *_: "no")
    scene.ask(10.0)
    written = []
    for _ in range(30):
        scene.cycle()
        written += [scene.command.kind] if scene.command is not None else []
    assert "recheck_refused" in codes(scene)
    assert len(written) <= 30 / 5 + 1, "no more than its dead-man needs"
    monkeypatch.undo()
    scene.cycle()
    scene.cycle()
    assert "recheck_refused" not in codes(scene)
    assert scene.unit.standing == 10.0


def test_a_ramp_does_not_run_ahead_of_what_the_second_look_refuses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.guard = SafetyGuard([scene.unit], dynamics=Dynamics(RampLimits(up=0.02, down=0.02)))
    scene.running()
    monkeypatch.setattr("bessai.core.guard.objection", lambda *_: "no")
    scene.ask(20.0)
    for _ in range(15):
        scene.cycle()
    monkeypatch.undo()
    scene.cycle()
    assert abs(scene.unit.standing or 0.0) <= 1.0, "one step from the zero that stood"


# Evidence


@pytest.mark.parametrize("quality", [Quality.ABSENT, Quality.NOT_AVAILABLE, Quality.MISSING])
def test_no_power_without_a_state_of_charge(tmp_path: Path, quality: Quality) -> None:
    control = {**CONTROL, "evidence": [name for name in CONTROL["evidence"] if name != "soc"]}
    scene = Scene(battery(tmp_path, control=control))
    scene.ask(10.0)
    for _ in range(15):
        decision = scene.cycle(soc=quality)
        assert decision.setpoint == 0.0
    assert decision.state is GuardState.HOLD
    assert "evidence_lost" in codes(scene)


# Requests


def test_a_held_write_never_stands_outside_what_requests_leave(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path, control={**CONTROL, "write_interval": 30}))
    scene.running().ask(20.0)
    scene.expect(GuardState.NORMAL, 20.0)
    scene.book.put(
        Request(
            source="dso",
            priority=Priority.GRID_OPERATOR,
            power=-10.0,
            bounds=Bounds(-50.0, -5.0),
            expires=scene.now + 1e6,
        )
    )
    decision = scene.cycle()
    assert decision.bounds.low <= (decision.setpoint or 0.0) <= max(decision.bounds.high, 0.0)


def test_an_impossible_reactive_wish_does_not_lift_a_limit_of_active_power(scene: Scene) -> None:
    scene.running().ask(20.0)
    scene.book.put(
        Request(
            source="dso",
            priority=Priority.GRID_OPERATOR,
            power=None,
            bounds=Bounds(0.0, 0.0),
            reactive=2.0,
            reactive_bounds=Bounds(1.0, 5.0),
            expires=scene.now + 1e6,
        )
    )
    scene.expect(GuardState.NORMAL, 0.0)


@pytest.mark.parametrize(
    ("bounds", "power", "expected"),
    [
        (Bounds(0.0, 3.0), 3.0, 0.0),
        (Bounds(-3.0, 3.0), -3.0, 0.0),
        (Bounds(4.0, 4.9), 20.0, 0.0),
        (Bounds(0.0, 5.0), 20.0, 5.0),
        (Bounds(-50.0, -4.0), 0.0, 0.0),
    ],
)
def test_bounds_narrower_than_the_exclusion_zone(
    scene: Scene, bounds: Bounds, power: float, expected: float
) -> None:
    scene.unit.power_min = 5.0
    scene.running().ask(power, bounds)
    for _ in range(5):
        decision = scene.cycle()
        assert decision.setpoint == expected
        assert scene.unit.standing == expected


# Whatever happens


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_no_verified_power_is_outside_its_unit_and_no_zero_is_left_out(
    tmp_path: Path, seed: int
) -> None:
    random_ = random.Random(seed)
    scene = Scene(battery(tmp_path))
    for _ in range(300):
        dice = random_.random()
        values: dict[str, Any] = {}
        if dice < 0.1:
            values[random_.choice(["soc", "battery_temperature", "device_status", "charge_power_max"])] = (
                random_.choice([math.nan, math.inf, -1e9, Quality.STALE, Quality.ABSENT, Quality.MISSING])
            )
        elif dice < 0.2:
            act(
                scene,
                random_.choice(["deadman_test", "maintenance_on", "maintenance_off", "deadman_test_end"]),
                passed=random_.random() < 0.8,
            )
        elif dice < 0.25:
            act(scene, "reset", code="all")
            scene.guard.settled(scene.guard.latch.memory.revision)
        elif dice < 0.45:
            low, high = sorted(random_.uniform(-60, 60) for _ in range(2))
            scene.ask(random_.choice([0.0, 20.0, -20.0, 1e-4]), Bounds(low, high))
        elif dice < 0.5:
            scene.guard.connection_changed("")
        scene.obeys = random_.random() > 0.1
        try:
            decision = scene.cycle(fresh=random_.random() > 0.1, **values)
        except (ValueError, OverflowError):
            decision = scene.guard.fall_back("broken")
            command = scene.guard.command("", scene.now)
            assert command is None or command.kind == "zero"
            continue
        (unit,) = decision.units
        assert unit.bounds.clip(unit.setpoint or 0.0) == (unit.setpoint or 0.0)
        if unit.state in SAFE_STATES:
            assert unit.setpoint == 0.0
        if scene.command is not None and scene.command.setpoint:
            assert scene.command.setpoint == unit.setpoint
            assert unit.state in {GuardState.NORMAL, GuardState.DERATED}


# What is said at the start


def test_a_limits_file_about_points_that_no_device_tells_is_refused(tmp_path: Path) -> None:
    site = single_device_site(battery(tmp_path), Endpoint(host="127.0.0.1"))
    said = missing_limit_points(site, Limits(named=("battery_temperature", "cell_voltage_max")))
    assert len(said) == 1
    assert "cell_voltage_max" in said[0]
    assert missing_limit_points(site, Limits()) == []


@pytest.mark.parametrize(("mode", "control", "told"), [
    ("control", False, True), ("control", True, False), ("monitor", False, False),
])  # fmt: skip
def test_control_with_nothing_to_control_says_so(
    tmp_path: Path, mode: Literal["control", "monitor"], control: bool, told: bool
) -> None:
    profile = battery(tmp_path) if control else compiled(tmp_path, BATTERY)
    settings = Settings.model_construct(control_mode=mode)
    site = single_device_site(profile, Endpoint(host="127.0.0.1"))
    assert (commands_nothing(settings, site) is not None) is told
