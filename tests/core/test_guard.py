"""The guard as a truth table: an image in, a state, a setpoint and the writes out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.alarms import AlarmBook
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.core.unit_memory import SAFE_STATES
from bessai.model import (
    Bounds,
    Command,
    Condition,
    Decision,
    Event,
    GuardState,
    Operation,
    Priority,
    ProcessImage,
    Quality,
    Request,
    Role,
    Severity,
    Trip,
    UnitDecision,
    WriteOutcome,
)
from bessai.registry import CompiledProfile
from support.profiles import BATTERY, CONTROL, DEAD_MAN, battery, compiled

GOOD = {
    "soc": 50.0,
    "battery_power": 0.0,
    "battery_temperature": 25.0,
    "device_status": 1.0,
    "charge_power_max": 50.0,
    "discharge_power_max": 40.0,
}


class Scene:
    """A guard in front of a device that does what it is told, one cycle a call."""

    def __init__(
        self,
        profile: CompiledProfile,
        *,
        control: bool = True,
        heartbeat: float = 5.0,
        cycle: float = 1.0,
        limits: Limits | None = None,
        foreign: frozenset[str] = frozenset(),
    ) -> None:
        self.profile = profile
        self.dead_man = DeadMan(profile, heartbeat, cycle)
        self.unit = Unit(profile, limits or Limits(), self.dead_man, control=control, foreign=foreign)
        self.guard = SafetyGuard([self.unit])
        self.alarms = AlarmBook({})
        self.events: list[Event] = []
        self.book = RequestBook()
        self.now = 1000.0
        self.measured: float | None = None
        self.obeys = True
        self.refuses: set[str] = set()
        self.command: Command | None = None

    def image(self, **values: float | Quality) -> ProcessImage:
        layout = self.profile.layout
        columns = np.full(len(layout), np.nan)
        quality = np.full(len(layout), Quality.MISSING, np.uint8)
        power = {"battery_power": self.measured if self.measured is not None else (self.unit.standing or 0.0)}
        for name, value in {**GOOD, **power, **values}.items():
            i = layout.index[name]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i], quality[i] = value, Quality.GOOD
        times = np.full(len(layout), self.now)
        return ProcessImage(layout, 0, self.now, 0, columns, quality, times)

    def ask(self, power: float, bounds: Bounds | None = None) -> None:
        self.book.put(
            Request(
                source="test",
                priority=Priority.OPERATOR,
                power=power,
                bounds=bounds or Bounds(),
                expires=self.now + 1e6,
            )
        )

    @property
    def active(self) -> list[Condition]:
        return self.alarms.active

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def cycle(self, *, fresh: bool = True, **values: Any) -> Decision:
        self.now += 1.0
        complete = frozenset({""}) if fresh else frozenset()
        decision = self.guard.decide({"": self.image(**values)}, self.book.live(self.now), fresh=complete)
        self.command = self.guard.command("", self.now)
        if self.command is not None:
            outcome = (
                WriteOutcome(verified=True, written=self.command.writes)
                if self.obeys and self.command.kind not in self.refuses
                else WriteOutcome(verified=False, written=(), error="mode: wrote 2, reads 0")
            )
            self.guard.wrote("", outcome, self.now)
        verified = fresh and self.obeys and self.guard.standing("")
        if verified and decision.state not in SAFE_STATES and (feed := self.guard.feed("", self.now)):
            self.guard.wrote("", WriteOutcome(verified=True, written=feed.writes), self.now)
        self.events += [*self.guard.take_events(), *self.alarms.update(self.guard.conditions, self.now, 0)]
        return decision

    def running(self) -> Scene:
        for _ in range(4):
            self.cycle()
        self.take_events()
        return self

    def expect(self, state: GuardState, setpoint: float | None, **values: Any) -> Decision:
        decision = self.cycle(**values)
        assert (decision.state, decision.setpoint) == (state, setpoint), decision.reasons
        return decision


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(battery(tmp_path))


def test_starts_at_zero_until_enough_valid_cycles(scene: Scene) -> None:
    scene.ask(10)
    scene.expect(GuardState.STARTING, 0.0)
    assert scene.command is not None
    assert scene.command.kind == "zero"
    scene.expect(GuardState.STARTING, 0.0)
    scene.expect(GuardState.NORMAL, 10.0)


def test_values_never_read_are_waited_for_and_then_alarmed(scene: Scene) -> None:
    scene.ask(10)
    for _ in range(10):
        scene.expect(GuardState.STARTING, 0.0, soc=Quality.MISSING)
    assert scene.take_events() == []
    scene.expect(GuardState.HOLD, 0.0, soc=Quality.MISSING)
    assert [e.code for e in scene.take_events()] == ["evidence_lost"]


def test_normal_waits_for_the_power_limits_of_a_slower_class(scene: Scene) -> None:
    scene.ask(10)
    for _ in range(8):
        scene.expect(GuardState.STARTING, 0.0, charge_power_max=Quality.MISSING)
    assert scene.take_events() == []
    scene.expect(GuardState.NORMAL, 10.0)


def test_a_bad_value_at_the_start_alarms_at_once(scene: Scene) -> None:
    scene.expect(GuardState.HOLD, 0.0, soc=Quality.OUT_OF_RANGE, battery_power=Quality.MISSING)
    assert {e.point for e in scene.take_events()} == {"soc", "battery_power"}


def test_a_request_becomes_the_writes_of_the_profile(scene: Scene) -> None:
    scene.running().ask(-12.5)
    scene.cycle()
    assert scene.command is not None
    assert [(w.point, w.value) for w in scene.command.writes] == [
        ("charge_setpoint", 12.5),
        ("duration", 20.0),
        ("mode", 1.0),
    ]


def test_what_the_device_has_is_not_written_again(scene: Scene) -> None:
    scene.running().ask(5)
    scene.cycle()
    assert scene.command is not None
    scene.cycle()
    assert scene.command is None


@pytest.mark.parametrize(
    ("values", "state", "granted", "why"),
    [
        ({}, GuardState.NORMAL, 10.0, ()),
        ({"soc": 10.0}, GuardState.DERATED, 0.0, ("soc_low",)),
        ({"soc": 5.0}, GuardState.DERATED, 0.0, ("soc_low",)),
        ({"soc": 96.0}, GuardState.DERATED, 10.0, ()),
        ({"battery_temperature": 50.0}, GuardState.DERATED, 10.0, ()),
        ({"battery_temperature": 54.0}, GuardState.DERATED, 4.0, ("battery_temperature",)),
        ({"battery_temperature": 55.0}, GuardState.HOLD, 0.0, ("hold",)),
        ({"battery_temperature": 0.0}, GuardState.HOLD, 0.0, ("hold",)),
        ({"battery_temperature": -40.0}, GuardState.HOLD, 0.0, ("hold",)),
        ({"device_status": 2.0}, GuardState.HOLD, 0.0, ("hold",)),
        ({"discharge_power_max": 8.0}, GuardState.NORMAL, 8.0, ("plant",)),
        ({"discharge_power_max": Quality.MISSING}, GuardState.NORMAL, 0.0, ("power_limit_unknown", "plant")),
        *(
            ({name: quality}, GuardState.HOLD, 0.0, ("hold",))
            for name in ("soc", "battery_power", "battery_temperature", "device_status")
            for quality in Quality
            if quality is not Quality.GOOD
        ),
    ],
)
def test_discharge_of_10_kw(
    scene: Scene, values: dict[str, Any], state: GuardState, granted: float, why: tuple[str, ...]
) -> None:
    scene.running().ask(10)
    scene.cycle()
    decision = scene.cycle(**values)
    assert (decision.state, round(decision.setpoint or 0.0, 6)) == (state, granted)
    assert scene.unit.standing == decision.setpoint
    assert set(why) <= set(decision.limited_by)


@pytest.mark.parametrize(
    ("values", "granted"),
    [
        ({}, -10.0),
        ({"soc": 95.0}, 0.0),
        ({"soc": 99.0}, 0.0),
        ({"soc": 5.0}, -10.0),
        ({"battery_temperature": 40.0}, 0.0),
        ({"battery_temperature": 39.9}, -1.0),
        ({"battery_temperature": 0.5}, -1.388),
    ],
)
def test_charge_of_10_kw(scene: Scene, values: dict[str, Any], granted: float) -> None:
    scene.running().ask(-10)
    scene.cycle()
    assert scene.cycle(**values).setpoint == pytest.approx(granted, abs=1e-6)
    assert scene.unit.standing == pytest.approx(granted, abs=1e-6)


def test_a_hold_commands_the_safe_state_at_once_and_alarms(scene: Scene) -> None:
    scene.running().ask(10)
    scene.cycle()
    scene.expect(GuardState.HOLD, 0.0, soc=Quality.STALE)
    assert scene.command is not None
    assert scene.command.kind == "zero"
    events = scene.take_events()
    assert [(e.code, e.severity, e.point, e.active) for e in events] == [
        ("evidence_lost", Severity.ALARM, "soc", True)
    ]


def test_a_hold_ends_after_enough_valid_cycles_and_says_so(scene: Scene) -> None:
    scene.running().ask(10)
    scene.cycle(soc=Quality.STALE)
    scene.take_events()
    scene.expect(GuardState.HOLD, 0.0)
    scene.expect(GuardState.HOLD, 0.0)
    scene.expect(GuardState.NORMAL, 10.0)
    assert [(e.code, e.active) for e in scene.take_events()] == [("evidence_lost", False)]


def test_a_hold_keeps_commanding_the_safe_state(scene: Scene) -> None:
    scene.running()
    commands = 0
    for _ in range(20):
        scene.cycle(soc=Quality.STALE)
        commands += scene.command is not None
    assert commands == 4  # every 5 s, the heartbeat


def test_soc_limits_have_hysteresis(scene: Scene) -> None:
    scene.running().ask(-10)
    scene.expect(GuardState.DERATED, 0.0, soc=95.0)
    scene.expect(GuardState.DERATED, 0.0, soc=94.5)
    scene.expect(GuardState.NORMAL, -10.0, soc=93.9)


def test_no_power_before_the_dead_man_is_proved(scene: Scene) -> None:
    scene.obeys = False
    scene.ask(10)
    for _ in range(20):
        scene.expect(GuardState.STARTING, 0.0)
        assert scene.command is None or scene.command.kind == "zero"
    assert any(e.code == "write_failed" for e in scene.take_events())
    scene.obeys = True
    for _ in range(12):
        decision = scene.cycle()
    assert decision.setpoint == 10.0


def test_refused_power_is_tried_again_with_growing_pauses_and_zero_stands_meanwhile(scene: Scene) -> None:
    scene.running().ask(10)
    scene.refuses = {"discharge"}
    tries = []
    for cycle in range(60):
        decision = scene.cycle()
        if scene.command is not None and scene.command.kind == "discharge":
            tries.append(cycle)
        elif decision.setpoint == 0 and decision.state is GuardState.NORMAL:
            assert decision.limited_by == ("refused",)
            assert scene.unit.standing == 0.0
    assert tries[0] == 0
    assert 5 <= len(tries) <= 9
    assert tries[-1] - tries[-2] >= 10
    assert [e.code for e in scene.take_events()] == ["write_failed"]


def test_the_safe_state_never_waits_for_a_refused_power(scene: Scene) -> None:
    scene.running().ask(10)
    scene.refuses = {"discharge"}
    for _ in range(5):
        scene.cycle()
    while scene.command is None or scene.command.kind != "discharge":
        scene.cycle()
    scene.cycle(soc=Quality.STALE)
    assert scene.command is not None
    assert scene.command.kind == "zero"


def test_a_new_connection_proves_the_dead_man_again(scene: Scene) -> None:
    scene.running().ask(10)
    scene.expect(GuardState.NORMAL, 10.0)
    scene.guard.connection_changed("")
    scene.expect(GuardState.STARTING, 0.0)
    assert scene.command is not None
    assert scene.command.kind == "zero"


def test_power_that_stays_below_is_told_again_and_warned_of(scene: Scene) -> None:
    """A battery that is nearly full tapers: no reason to stop."""
    scene.running().ask(10)
    scene.measured = 2.0
    kinds = []
    for _ in range(60):
        assert scene.cycle().state is GuardState.NORMAL
        kinds += [scene.command.kind] if scene.command else []
    assert set(kinds) == {"discharge"}
    assert 5 <= len(kinds) <= 7
    assert [(e.code, e.severity) for e in scene.take_events()] == [("setpoint_not_reached", Severity.WARNING)]


@pytest.mark.parametrize("measured", [-10.0, 14.0])
def test_power_beyond_the_setpoint_alarms_and_then_holds(scene: Scene, measured: float) -> None:
    scene.running().ask(10)
    scene.measured = measured
    for _ in range(15):
        assert scene.cycle().state is GuardState.NORMAL
    assert [(e.code, e.severity) for e in scene.take_events()] == [("setpoint_not_followed", Severity.ALARM)]
    for _ in range(8):
        scene.cycle()
    scene.expect(GuardState.HOLD, 0.0)
    scene.measured = 0.0
    for _ in range(4):
        scene.cycle()
    scene.expect(GuardState.NORMAL, 10.0)


def test_power_of_its_own_under_zero_is_seen(scene: Scene) -> None:
    scene.running()
    scene.measured = 40.0
    states = {scene.cycle().state for _ in range(30)}
    assert GuardState.HOLD in states


def test_a_wandering_setpoint_does_not_hide_that_power_does_not_follow(scene: Scene) -> None:
    scene.running()
    scene.measured = -45.0
    states = []
    for i in range(40):
        scene.ask(10.0 + i % 2)
        states.append(scene.cycle().state)
    assert GuardState.HOLD in states
    assert "setpoint_not_followed" in [e.code for e in scene.take_events()]


def test_a_dead_man_that_was_not_fed_in_time_is_not_armed(scene: Scene) -> None:
    """Cycles that are never complete do not feed: the device has fallen back, so everything is written anew."""
    scene.running().ask(10)
    scene.cycle()
    for _ in range(19):
        scene.cycle(fresh=False)
    scene.expect(GuardState.STARTING, 0.0)
    assert scene.command is not None
    assert scene.command.kind == "zero"


def test_power_needs_evidence_read_on_this_connection(scene: Scene) -> None:
    scene.running().ask(10)
    scene.guard.connection_changed("")
    for _ in range(10):
        decision = scene.cycle(fresh=False)
        assert (decision.state, decision.setpoint) == (GuardState.STARTING, 0.0)
    for _ in range(3):
        decision = scene.cycle()
    assert decision.setpoint == 10.0


def test_derating_is_commanded_at_every_temperature(scene: Scene) -> None:
    scene.running().ask(40)
    for tenth in range(451, 550):
        decision = scene.cycle(battery_temperature=tenth / 10)
        assert decision.setpoint is not None
        assert decision.setpoint <= decision.bounds.high
        assert scene.unit.standing == decision.setpoint > 0


def test_flicker_at_a_limit_does_not_flood_the_device(scene: Scene) -> None:
    scene.running().ask(-10)
    commands = 0
    for i in range(600):
        scene.cycle(battery_temperature=40.0 + (0.1 if i % 2 else -0.1))
        commands += scene.command is not None
    assert commands <= 3
    assert len(scene.take_events()) <= 3
    scene.ask(40)
    commands = 0
    for i in range(600):
        scene.cycle(battery_temperature=50.0 + (0.01 if i % 2 else -0.01))
        commands += scene.command is not None
    assert commands <= 3


@pytest.mark.parametrize("name", ["soc", "cell_voltage_max"])
@pytest.mark.parametrize("quality", [Quality.MISSING, Quality.STALE, Quality.INVALID, Quality.OUT_OF_RANGE])
def test_a_limit_point_is_evidence_even_when_the_profile_forgets_it(
    tmp_path: Path, name: str, quality: Quality
) -> None:
    points = {
        **BATTERY,
        "cell_voltage_max": {"address": 7, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    }
    control = {**CONTROL, "evidence": ["battery_power"], "running_states": {}}
    scene = Scene(compiled(tmp_path, points, control=control, dead_man=DEAD_MAN))
    good: dict[str, Any] = {"cell_voltage_max": 3.3}
    for _ in range(4):
        scene.cycle(**good)
    scene.ask(10)
    scene.expect(GuardState.NORMAL, 10.0, **good)
    scene.expect(GuardState.HOLD, 0.0, **{**good, name: quality})


def test_a_limit_point_is_excused_only_when_the_device_never_had_it(tmp_path: Path) -> None:
    points = {
        **BATTERY,
        "cell_voltage_max": {"address": 7, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    }
    profile = compiled(tmp_path, points, control=CONTROL, dead_man=DEAD_MAN)
    scene = Scene(profile)
    scene.ask(10)
    for _ in range(4):
        scene.cycle(cell_voltage_max=Quality.ABSENT)
    scene.expect(GuardState.NORMAL, 10.0, cell_voltage_max=Quality.ABSENT)
    scene.expect(GuardState.NORMAL, 10.0, cell_voltage_max=3.3)
    scene.expect(GuardState.HOLD, 0.0, cell_voltage_max=Quality.ABSENT)
    scene = Scene(profile)
    for _ in range(5):
        scene.cycle(cell_voltage_max=Quality.NOT_AVAILABLE)
    scene.expect(GuardState.HOLD, 0.0, cell_voltage_max=Quality.NOT_AVAILABLE)


def test_a_device_limit_that_is_lost_allows_nothing(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path), limits=Limits(discharge_power_max=50.0)).running()
    scene.ask(45)
    scene.expect(GuardState.NORMAL, 8.0, discharge_power_max=8.0)
    scene.expect(GuardState.NORMAL, 0.0, discharge_power_max=Quality.STALE)
    scene.expect(GuardState.NORMAL, 0.0, discharge_power_max=Quality.NOT_AVAILABLE)
    scene = Scene(battery(tmp_path), limits=Limits(discharge_power_max=45.0))
    scene.ask(45)
    for _ in range(4):
        decision = scene.cycle(discharge_power_max=Quality.NOT_AVAILABLE)
    assert decision.setpoint == 45.0  # a device that never told: the site's own limit counts


def test_refusals_of_both_kinds_keep_their_own_pauses(scene: Scene) -> None:
    scene.running()
    scene.refuses = {"charge", "discharge"}
    tries = 0
    for i in range(100):
        scene.ask(10.0 if i % 2 else -10.0)
        scene.cycle()
        tries += scene.command is not None and scene.command.kind != "zero"
    assert tries <= 26


def test_power_without_any_limit_known_is_still_watched(scene: Scene) -> None:
    scene.running()
    scene.measured = 40.0
    states = {scene.cycle(charge_power_max=0.0, discharge_power_max=0.0).state for _ in range(30)}
    assert GuardState.HOLD in states


def test_standby_power_is_no_disobedience(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path), limits=Limits(charge_power_max=1.0, discharge_power_max=1.0)).running()
    scene.ask(0.8)
    scene.measured = -0.15
    for _ in range(100):
        assert scene.cycle().state in {GuardState.NORMAL, GuardState.DERATED}


def test_a_lagging_device_under_a_ramp_is_no_disobedience(scene: Scene) -> None:
    scene.running()
    history = [0.0] * 6
    for i in range(120):
        setpoint = 0.8 * min(i, 120 - i)
        scene.ask(min(setpoint, 39.0))
        history.append(scene.unit.standing or 0.0)
        scene.measured = history[-6]
        assert scene.cycle().state is GuardState.NORMAL
    assert scene.take_events() == []


def test_refusals_without_end_never_stop_the_guard(scene: Scene) -> None:
    scene.obeys = False
    for _ in range(6000):
        scene.cycle()
    scene.obeys = True
    commands = 0
    for _ in range(4):
        scene.cycle()
        commands += scene.command is not None
    assert commands >= 1  # zero is never more than 2 s away


def test_a_register_that_is_too_coarse_holds_less_not_more(tmp_path: Path) -> None:
    points = {**BATTERY, "discharge_setpoint": {**BATTERY["discharge_setpoint"], "gain": 1.0}}
    scene = Scene(compiled(tmp_path, points, control=CONTROL, dead_man=DEAD_MAN)).running()
    scene.ask(7.6)
    scene.cycle()
    assert scene.command is not None
    assert scene.command.writes[0].value == 7.0


def test_a_feed_repeats_nothing_of_an_earlier_command(tmp_path: Path) -> None:
    dead_man = {
        "kind": "rewrite", "time": 20, "feed": ["charge_setpoint", "discharge_setpoint"],
        "fallback": "falls to zero", "sources": ["t"],
    }  # fmt: skip
    scene = Scene(battery(tmp_path, dead_man=dead_man)).running()
    scene.ask(-12)
    scene.cycle()
    scene.ask(0)
    scene.cycle()
    feed = scene.guard.feed("", scene.now + 6)
    assert feed is not None
    assert [(w.point, w.value) for w in feed.writes] == [("discharge_setpoint", 0.0)]


def test_feeding_repeats_the_last_trigger_at_the_heartbeat(scene: Scene) -> None:
    scene.running().ask(5)
    scene.cycle()
    assert scene.guard.feed("", scene.now + 4.9) is None
    feed = scene.guard.feed("", scene.now + 5)
    assert feed is not None
    assert feed.feed
    assert [(w.point, w.value) for w in feed.writes] == [("mode", 2.0)]


@pytest.mark.parametrize(
    ("more", "heartbeat", "why"),
    [
        ({"control": None, "dead_man": None}, 5.0, "no control section"),
        (
            {"dead_man": {"kind": "none", "fallback": "keeps the last command", "sources": ["t"]}},
            5.0,
            "no dead-man",
        ),
        ({}, 11.0, "set WATCHDOG_TIMEOUT and CYCLE_TIME to 10 or less"),
    ],
)
def test_control_is_refused_where_the_dead_man_cannot_be_proved(
    tmp_path: Path, more: dict[str, Any], heartbeat: float, why: str
) -> None:
    scene = Scene(battery(tmp_path, **more), heartbeat=heartbeat)
    scene.ask(10)
    for _ in range(5):
        scene.expect(GuardState.MONITOR, None)
        assert scene.command is None
    (event,) = (e for e in scene.take_events() if e.code == "control_refused")
    assert why in event.message
    assert scene.guard.release("") is None


def test_control_is_refused_when_a_cycle_outlasts_the_dead_man(tmp_path: Path) -> None:
    assert "CYCLE_TIME" in (DeadMan(battery(tmp_path), 5.0, cycle=60.0).refusal or "")
    assert DeadMan(battery(tmp_path), 5.0, cycle=4.0).refusal is None  # fed every 8 s of 20


def test_monitor_mode_writes_nothing_and_still_alarms(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path), control=False)
    scene.ask(10)
    scene.expect(GuardState.MONITOR, None, soc=Quality.STALE)
    assert scene.command is None
    assert [e.code for e in scene.take_events()] == ["evidence_lost"]


def test_a_plants_slow_first_round_is_waited_for_but_not_for_long(tmp_path: Path) -> None:
    """The first rack's value ages before the last rack was read for the first time."""
    scene = Scene(battery(tmp_path), foreign=frozenset({"soc"}))
    scene.ask(10)
    for quality in (Quality.MISSING, Quality.STALE, Quality.MISSING, Quality.STALE):
        scene.expect(GuardState.STARTING, 0.0, soc=quality)
    assert scene.take_events() == []
    for _ in range(10):
        scene.cycle(soc=Quality.STALE)
    scene.expect(GuardState.HOLD, 0.0, soc=Quality.STALE)
    assert [event.code for event in scene.take_events()] == ["evidence_lost"]
    scene.running().expect(GuardState.NORMAL, 10.0)
    scene.expect(GuardState.HOLD, 0.0, soc=Quality.STALE)


def test_values_of_others_make_no_device_known(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path), foreign=frozenset({"soc"}))
    nothing: dict[str, Any] = dict.fromkeys(
        ("battery_power", "battery_temperature", "device_status"), Quality.MISSING
    )
    for _ in range(20):
        scene.cycle(**nothing)
        assert scene.command is None
    scene.cycle()
    assert scene.command is not None


def test_release_hands_control_back(scene: Scene) -> None:
    assert scene.guard.release("") is None
    scene.running()
    release = scene.guard.release("")
    assert release is not None
    assert [(w.point, w.value) for w in release.writes] == [("mode", 0.0)]


def test_a_tampered_decision_still_writes_zero(scene: Scene) -> None:
    """The last look before a write does not trust the decision."""
    scene.running()
    for state, setpoint in ((GuardState.HOLD, 5.0), (GuardState.NORMAL, 99.0), (GuardState.NORMAL, math.nan)):
        told = UnitDecision(unit="", state=state, setpoint=setpoint, bounds=Bounds(-1, 1))
        scene.guard._told[""] = told
        scene.guard._decision = Decision(state=state, setpoint=setpoint, bounds=told.bounds, units=(told,))
        scene.unit.memory.kind = None  # else a zero that stands is not written again
        command = scene.guard.command("", scene.now)
        assert command is not None
        assert (command.kind, command.setpoint) == ("zero", 0.0)
        scene.guard.wrote("", WriteOutcome(verified=False, written=()), scene.now)
        scene.unit.memory.refusals.clear()
    scene.cycle()
    assert "recheck_refused" in [condition.code for condition in scene.active]


def test_commands_come_from_the_guard_alone() -> None:
    with pytest.raises(TypeError, match="SafetyGuard"):
        Command()
    sources = Path(__file__).parents[2] / "src" / "bessai"
    naming = {p.relative_to(sources).as_posix() for p in sources.rglob("*.py") if "_issue" in p.read_text()}
    assert naming == {"core/guard.py", "model/command.py"}


def test_a_command_cannot_be_changed(scene: Scene) -> None:
    scene.cycle()
    assert scene.command is not None
    with pytest.raises(AttributeError):
        scene.command.setpoint = 5.0


def _forbidden(values: dict[str, Any], setpoint: float) -> bool:
    """The envelope once more, written differently."""
    soc, temperature = values["soc"], values["battery_temperature"]
    if isinstance(soc, Quality) or isinstance(temperature, Quality) or values["device_status"] != 1.0:
        return True
    if not 0 < temperature < 55:
        return True
    if setpoint > 0:
        return bool(soc <= 10 or isinstance(values["discharge_power_max"], Quality))
    return bool(soc >= 95 or temperature >= 40)


_VALUES = st.fixed_dictionaries(
    {
        "soc": st.sampled_from(list(Quality)[1:]) | st.floats(0, 100),
        "battery_temperature": st.sampled_from(list(Quality)[1:]) | st.floats(-60, 90),
        "device_status": st.sampled_from([1.0, 2.0]),
        "discharge_power_max": st.sampled_from([Quality.MISSING]) | st.floats(0, 100),
    }
)


@settings(max_examples=60)
@given(st.lists(st.tuples(_VALUES, st.floats(-200, 200), st.booleans()), max_size=25))
def test_no_command_ever_leaves_the_envelope(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[dict[str, Any], float, bool]]
) -> None:
    scene = Scene(battery(tmp_path_factory.mktemp("p")))
    for values, power, obeys in steps:
        scene.ask(power)
        scene.obeys = obeys
        scene.cycle(**values)
        if scene.command is None or scene.command.setpoint is None:
            continue
        setpoint = scene.command.setpoint
        if _forbidden(values, setpoint):
            assert setpoint == 0
        assert -50 <= setpoint <= 100


def test_the_profile_of_these_tests_is_controllable() -> None:
    assert set(CONTROL["evidence"]) == {"soc", "battery_power", "battery_temperature", "device_status"}


@pytest.fixture
def timed(tmp_path: Path) -> Scene:
    """A device that shows how much of its dead-man's time is left."""
    left = {"address": 30, "type": "u16", "unit": "s", "poll": "fast"}
    dead_man = {**DEAD_MAN, "remaining": "left"}
    return Scene(compiled(tmp_path, {**BATTERY, "left": left}, control=CONTROL, dead_man=dead_man))


def test_a_timer_that_never_counts_gets_no_power(timed: Scene) -> None:
    timed.ask(10)
    for _ in range(10):
        decision = timed.cycle(left=0.0)
        assert decision.setpoint == 0.0
    assert decision.state is GuardState.HOLD
    assert "dead_man_idle" in [condition.code for condition in timed.active]


def test_a_timer_that_counts_gets_power_and_loses_it_when_it_stops(timed: Scene) -> None:
    timed.ask(10)
    for _ in range(5):
        timed.cycle(left=18.0)
    timed.expect(GuardState.NORMAL, 10.0, left=15.0)
    for _ in range(4):
        decision = timed.cycle(left=0.0)
    assert (decision.state, decision.setpoint) == (GuardState.HOLD, 0.0)
    assert timed.command is not None
    assert timed.command.kind == "zero"
    for _ in range(6):
        decision = timed.cycle(left=19.0)
    assert (decision.state, decision.setpoint) == (GuardState.NORMAL, 10.0)


def test_an_unreadable_timer_is_no_proof(timed: Scene) -> None:
    timed.ask(10)
    for _ in range(8):
        assert timed.cycle(left=Quality.NOT_AVAILABLE).setpoint == 0.0
    assert "dead_man_unseen" in [condition.code for condition in timed.active]


def test_a_mean_hides_neither_a_full_nor_an_empty_battery(tmp_path: Path) -> None:
    extremes = {
        f"soc_{name}": {"address": 30 + i, "type": "u16", "unit": "%", "poll": "fast"}
        for i, name in enumerate(("highest", "lowest"))
    }
    scene = Scene(compiled(tmp_path, {**BATTERY, **extremes}, control=CONTROL, dead_man=DEAD_MAN))
    scene.ask(-10)
    for _ in range(4):
        scene.cycle(soc=50.0, soc_highest=60.0, soc_lowest=40.0)
    scene.expect(GuardState.NORMAL, -10.0, soc=50.0, soc_highest=60.0, soc_lowest=40.0)
    decision = scene.expect(GuardState.DERATED, 0.0, soc=50.0, soc_highest=95.0, soc_lowest=40.0)
    assert "soc_high" in decision.limited_by
    scene.ask(10)
    scene.expect(GuardState.DERATED, 10.0, soc=50.0, soc_highest=95.0, soc_lowest=40.0)
    scene.expect(GuardState.DERATED, 0.0, soc=50.0, soc_highest=95.0, soc_lowest=10.0)
    assert {"soc_high", "soc_low"} <= {condition.code for condition in scene.active}
    scene.expect(GuardState.HOLD, 0.0, soc=50.0, soc_highest=60.0, soc_lowest=Quality.STALE)


def test_no_battery_is_commanded_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {name: point for name, point in BATTERY.items() if name != "soc"}
    evidence = [name for name in CONTROL["evidence"] if name != "soc"]
    scene = Scene(compiled(tmp_path, points, control={**CONTROL, "evidence": evidence}, dead_man=DEAD_MAN))
    monkeypatch.delitem(GOOD, "soc")
    scene.ask(10)
    for _ in range(5):
        decision = scene.cycle()
    assert decision.state is GuardState.MONITOR
    assert "state of charge" in decision.reasons[0]
    assert scene.command is None


@pytest.mark.parametrize(
    ("values", "state", "ends"),
    [
        ({}, GuardState.NORMAL, False),
        ({"battery_temperature": 36.0}, GuardState.DERATED, False),  # less is allowed, 10 kW still fit
        ({"soc": 95.0}, GuardState.HOLD, True),  # full: what flows must end at once
        ({"charge_power_max": 9.0}, GuardState.HOLD, True),
        ({"battery_temperature": 61.0}, GuardState.HOLD, True),
    ],
)
def test_a_dead_man_test_ends_when_the_power_that_flows_is_not_allowed(
    scene: Scene, values: dict[str, Any], state: GuardState, ends: bool
) -> None:
    scene.ask(-10.0)
    scene.running().cycle()
    test = Operation(kind="deadman_test", user="ana", role=Role.ENGINEER, reason="commissioning")
    assert scene.guard.operate(test, scene.now, 0) is None
    scene.expect(state, 0.0 if ends else -10.0, **values)
    assert scene.unit.withheld is not ends
    assert (scene.command is not None and scene.command.kind == "zero") is ends


def test_an_answer_that_comes_after_the_decision_means_zero_and_no_alarm(scene: Scene) -> None:
    scene.ask(-10.0)
    scene.running()
    scene.now += 1.0
    scene.ask(-12.0)
    scene.guard.decide({"": scene.image()}, scene.book.live(scene.now), fresh=frozenset({""}))
    scene.guard.wrote(
        "", WriteOutcome(verified=False, written=(), error="late"), scene.now
    )  # nothing under way
    assert (
        scene.guard.command("", scene.now) is not None
    )  # -12 kW, whose answer comes after the next decision
    scene.now += 1.0
    scene.ask(-13.0)
    scene.guard.decide({"": scene.image()}, scene.book.live(scene.now), fresh=frozenset({""}))
    scene.guard.wrote("", WriteOutcome(verified=False, written=(), error="late"), scene.now)
    command = scene.guard.command("", scene.now)
    assert command is not None
    assert command.kind == "zero"
    assert scene.guard.memory.objections == {}


def test_no_reset_before_anybody_has_looked(scene: Scene) -> None:
    trip = Trip(code="cell_voltage_high", unit="", point="battery_temperature")
    scene.guard.latch.trip(trip)
    reset = Operation(kind="reset", user="ana", role=Role.ENGINEER, reason="looked", code="all")
    assert "cannot be judged" in str(scene.guard.operate(reset, scene.now, 0))
    scene.cycle()
    assert scene.guard.operate(reset, scene.now, 0) is None
