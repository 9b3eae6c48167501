"""A preview says what a request would come to, keeps that promise, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.deadman import DeadMan
from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.memory import to_plain
from bessai.core.previewing import Previews, preview
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.model import (
    Bounds,
    Decision,
    GuardState,
    Operation,
    Priority,
    ProcessImage,
    Quality,
    Request,
    Role,
    Trip,
    WriteOutcome,
)
from bessai.registry import CompiledProfile
from bessai.twin.sim_clock import SimClock
from bessai.twin.sim_loop import SimLoop
from simulation.asking import random_request
from simulation.seeds import base_seed
from simulation.tally import run
from support.profiles import battery

GOOD = {
    "soc": 50.0, "battery_power": 0.0, "battery_temperature": 25.0, "device_status": 1.0,
    "charge_power_max": 50.0, "discharge_power_max": 40.0,
}  # fmt: skip
WAYS = ("ramp", "min_on", "min_off")
OWN = {"write_interval", "refused"}
"""What only delays a device."""


class Scene:
    """A guard in front of devices that do as they are told."""

    def __init__(self, profile: CompiledProfile, names: Sequence[str] = ("",), **dynamics: Any) -> None:
        units = [Unit(profile, Limits(), DeadMan(profile, 5.0, 1.0), name=name) for name in names]
        ramps = RampLimits(**{k: dynamics.pop(k) for k in ("up", "down") if k in dynamics})
        self.profile = profile
        self.guard = SafetyGuard(units, dynamics=Dynamics(ramps, **dynamics))
        self.book = RequestBook()
        self.clock = SimClock(SimLoop(start=1000.0))
        self.now = 1000.0
        self.values: dict[str, float | Quality] = {}
        self.log: list[Any] = []
        self.previews = Previews(self.guard, self.book, self, lambda: 7)  # type: ignore[arg-type]

    def monotonic(self) -> float:
        return self.now

    def image(self, name: str) -> ProcessImage:
        layout = self.profile.layout
        columns, quality = np.full(len(layout), np.nan), np.full(len(layout), Quality.MISSING, np.uint8)
        power = self.guard.units[name].standing or 0.0
        for point, value in {**GOOD, "battery_power": power, **self.values}.items():
            i = layout.index[point]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i], quality[i] = value, Quality.GOOD
        return ProcessImage(layout, 0, self.now, 0, columns, quality, np.full(len(layout), self.now))

    def cycle(self, *, verified: bool = True) -> Decision:
        self.now += 1.0
        names = list(self.guard.units)
        images = {name: self.image(name) for name in names}
        decision = self.guard.decide(images, self.book.live(self.now), fresh=frozenset(names))
        self.log.append(decision)
        for name in names:
            for command in (self.guard.command(name, self.now), self.guard.feed(name, self.now)):
                if command is not None:
                    written = command.writes if verified else ()
                    self.guard.wrote(name, WriteOutcome(verified=verified, written=written), self.now)
                    self.log.append(command)
        return decision

    def cycles(self, count: int) -> Scene:
        for _ in range(count):
            self.cycle()
        return self

    def put(self, message: dict[str, Any]) -> None:
        wanted = {"source": "operator", "for": 3600, **message}
        self.book.put(Request(
            source=wanted["source"], priority=Priority[wanted.get("priority", "operator").upper()],
            power=wanted.get("power"), soc_target=wanted.get("soc_target"), firm=wanted.get("firm", False),
            bounds=Bounds(wanted.get("low", -math.inf), wanted.get("high", math.inf)),
            expires=self.now + wanted["for"],
        ))  # fmt: skip

    def ask(self, **message: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.previews.handlers["preview"]({"op": "preview", **message})["preview"]
        return found

    def operate(self, kind: str, **more: Any) -> None:
        operation = Operation(kind=kind, user="ana", role=Role.ENGINEER, reason="test", **more)
        assert self.guard.operate(operation, self.now, 0) is None

    def everything(self) -> Any:
        kept = to_plain(self.guard.memory), self.log, list(self.book._requests.values())
        return repr((kept, self.guard.conditions, {n: u.standing for n, u in self.guard.units.items()}))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(battery(tmp_path)).cycles(4)


def names(found: Mapping[str, Any]) -> list[str]:
    return [limit["name"] for limit in found["limited_by"]]


SCHEDULE = {"source": "schedule", "priority": "schedule", "power": 5.0}
GRID = {"source": "grid", "priority": "grid_operator", "low": -8.0, "high": 8.0}


@pytest.mark.parametrize(
    ("standing", "values", "asked", "setpoint", "clipped", "limits", "winner"),
    [
        ([], {}, {"power": 20}, 20.0, False, [], "operator"),
        ([], {}, {"power": 0}, 0.0, False, [], "operator"),
        ([], {}, {"power": -60}, -50.0, True, ["plant"], "operator"),
        ([], {}, {"power": 60}, 40.0, True, ["plant"], "operator"),
        ([], {"soc": 99.5}, {"power": -20}, 0.0, True, ["soc_high"], "operator"),
        ([], {"soc": 99.5}, {"power": 20}, 20.0, False, [], "operator"),
        ([], {"soc": 1.0}, {"power": 20}, 0.0, True, ["soc_low"], "operator"),
        ([GRID], {}, {"power": 20}, 8.0, True, ["request:grid"], "operator"),
        ([GRID], {}, {"power": -20}, -8.0, True, ["request:grid"], "operator"),
        ([GRID], {}, {"power": 5, "low": 9, "high": 10}, 0.0, True, ["impossible:operator"], None),
        ([SCHEDULE], {}, {"power": 20}, 5.0, True, [], "schedule"),
        ([SCHEDULE], {}, {"power": 20, "firm": True}, 20.0, False, [], "operator"),
        ([SCHEDULE], {}, {"power": 20, "low": 20, "high": 20}, 20.0, True, ["request:operator"], "schedule"),
        ([SCHEDULE], {}, {"low": -9, "high": 2}, 2.0, False, ["request:operator"], "schedule"),
        ([], {}, {"soc_target": 50}, 0.0, False, [], "operator"),
        ([], {}, {"soc_target": 90, "power": 7}, -7.0, False, [], "operator"),
        ([], {"soc": Quality.STALE}, {"power": 20}, 0.0, True, ["hold"], "operator"),
        ([], {"device_status": 2.0}, {"power": 20}, 0.0, True, ["hold"], "operator"),
    ],
)  # fmt: skip
def test_what_a_request_would_come_to(
    scene: Scene, standing: list[dict[str, Any]], values: dict[str, Any], asked: dict[str, Any],
    setpoint: float, clipped: bool, limits: list[str], winner: str | None,
) -> None:  # fmt: skip
    for request in standing:
        scene.put(request)
    scene.values = values
    scene.cycles(2)
    found = scene.ask(**asked)

    told = (found["setpoint"], found["clipped"], names(found), found["winner"])
    assert told == (setpoint, clipped, limits, winner), found
    assert found["words"]
    assert found["cycle"] == 7
    scene.put(asked)
    decision = scene.cycles(3).cycle()  # and it comes to that
    assert (decision.setpoint, list(decision.limited_by), decision.source) == (setpoint, limits, winner)
    assert [decision.bounds.low, decision.bounds.high] == found["bounds"]


def test_bounds_of_limits_are_told_where_they_are_known(scene: Scene) -> None:
    scene.put(GRID)
    assert scene.ask(power=20)["limited_by"] == [{"name": "request:grid", "low": -8.0, "high": 8.0}]
    scene.book.cancel("grid")
    assert scene.ask(power=99)["limited_by"] == [{"name": "plant", "low": -50.0, "high": 40.0}]
    assert scene.ask(source="late", priority="schedule", low=1)["bounds"] == [1.0, 40.0]


def test_a_plant_that_grants_nothing_says_so(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path))
    found = scene.ask(power=20)
    assert (found["setpoint"], names(found), found["state"]) == (0.0, ["starting"], "starting")
    scene.cycles(4)
    scene.operate("maintenance_on")  # and no cycle has run since
    found = scene.ask(power=20)
    assert (found["setpoint"], names(found), found["clipped"]) == (0.0, ["maintenance"], True)
    scene.operate("maintenance_off")
    assert scene.ask(power=20)["state"] == "normal"
    scene.cycle()
    scene.values = {"battery_temperature": 99.0}
    scene.cycles(2)
    found = scene.ask(power=20)
    assert (found["setpoint"], names(found)) == (0.0, ["battery_temperature", "hold"])
    assert any("temperature" in words for words in found["words"])
    scene.values = {}
    scene.cycles(4)
    scene.guard.latch.trip(Trip(code="soc_high", unit="", message="too full"))
    assert names(scene.ask(power=20)) == ["tripped"]
    watched = Scene(battery(tmp_path))
    watched.guard.units[""]._control = False
    found = watched.cycles(4).ask(power=20)
    assert (found["setpoint"], names(found), found["state"]) == (None, ["monitor"], "monitor")


def test_ramps_are_named_and_not_waited_for(tmp_path: Path) -> None:
    scene = Scene(battery(tmp_path), up=0.02, down=0.02).cycles(5)
    found = scene.ask(power=20)
    assert (found["setpoint"], found["clipped"], names(found)) == (20.0, False, ["ramp_up"])
    scene.put({"power": 20})
    assert scene.cycle().setpoint != 20
    assert scene.cycles(40).cycle().setpoint == 20.0
    assert names(scene.ask(power=20)) == []
    assert names(scene.ask(power=-20)) == ["ramp_down"]


def test_a_request_that_ends_a_dead_man_test_is_foretold(scene: Scene) -> None:
    scene.put({"power": 5})
    scene.cycles(3)
    scene.operate("deadman_test")
    scene.cycle()
    assert (scene.ask(power=9)["setpoint"], names(scene.ask(power=9))) == (5.0, ["dead_man_test"])
    found = scene.ask(source="grid", priority="grid_operator", low=0, high=2)
    assert (found["setpoint"], names(found)) == (0.0, ["request:grid", "hold"])
    assert scene.guard.units[""].withheld  # it only said so
    scene.put({"source": "grid", "priority": "grid_operator", "low": 0, "high": 2})
    assert scene.cycle().setpoint == 0.0


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"power": "x"}, "power"), ({"power": 1, "for": 0}, "for"), ({"power": 1, "for": 3601}, "for"),
        ({"low": 2, "high": 1}, "bounds"), ({"soc_target": 101}, "soc_target"), ({"colour": 1}, "colour"),
        ({"priority": "king"}, "priority"), ({"power": 1, "reason": "a\nb"}, "reason"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_as_a_request_is(
    scene: Scene, wrong: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        scene.ask(**wrong)


def test_a_preview_that_fails_is_an_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.guard.granting, "rehearse", lambda *_: 1 // 0)
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        scene.ask(power=1)
    assert scene.cycle().state is GuardState.NORMAL


steps = st.one_of(
    st.floats(-60, 60).map(lambda power: {"power": power}),
    st.floats(0, 100).map(lambda soc: {"soc_target": soc, "source": "soc"}),
    st.floats(-30, 30).map(lambda low: {"low": low, "high": low + 9, "source": "grid", "priority": "grid_operator"}),
    st.floats(0, 100).map(lambda soc: {"value": ("soc", soc)}),
    st.sampled_from(Quality).map(lambda quality: {"value": ("soc", quality)}),
    st.sampled_from(["maintenance_on", "maintenance_off", "reset", "refused", "connection"]).map(lambda do: {"do": do}),
)  # fmt: skip


@settings(max_examples=60)
@given(day=st.lists(steps, min_size=1, max_size=25), seed=st.integers(0, 999))
def test_a_day_with_previews_is_the_day_without(
    day: list[dict[str, Any]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    profile = battery(tmp_path_factory.mktemp("profile"))
    rng = Random(seed)
    ways = {"up": 0.05, "down": 0.05, "min_off": 2.0} if seed % 2 else {}
    alone, watched = (Scene(profile, ("a", "b") if seed % 3 else ("",), **ways) for _ in range(2))
    for step in day:
        for scene in (alone, watched):
            if "value" in step:
                scene.values = dict([step["value"]])
            elif step.get("do") == "connection":
                scene.guard.connection_changed(next(iter(scene.guard.units)))
            elif step.get("do") in {"maintenance_on", "maintenance_off"}:
                scene.operate(step["do"])
            elif "do" not in step:
                scene.put(step)
            scene.cycle(verified=step.get("do") != "refused")
        for _ in range(2):
            asked = random_request(rng, watched.now, 60.0)
            before = watched.everything()
            preview(watched.guard, watched.book.with_(asked, watched.now), asked, watched.now)
            assert watched.everything() == before
    assert watched.everything() == alone.everything()


@pytest.mark.parametrize("plant", ["pack", "three"])
def test_a_simulated_hour_with_previews_replays_the_one_without(
    plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, asked = base_seed(), Counted()
    alone = run(plant, seed, 600, fault_every=20)
    decide, rng = SafetyGuard.decide, Random(seed)

    def looked_at(self: SafetyGuard, images: Any, requests: Any, *, fresh: Any) -> Decision:
        decision = decide(self, images, requests, fresh=fresh)
        now = next(iter(images.values())).monotonic
        request = random_request(rng, now)
        asked.add(preview(self, sorted([*requests, request], key=lambda r: -r.priority), request, now))
        return decision

    monkeypatch.setattr(SafetyGuard, "decide", looked_at)
    watched = run(plant, seed, 600, fault_every=20)
    assert asked.powers > 20, f"BESSAI_SEED={seed}"
    assert watched.trace == alone.trace, f"BESSAI_SEED={seed}"


class Counted:
    """Previews that grant a power, so that the test is known to have looked."""

    powers = 0

    def add(self, found: dict[str, Any]) -> None:
        self.powers += bool(found["setpoint"])
