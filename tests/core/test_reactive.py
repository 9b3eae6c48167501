"""Reactive power as truth tables: what the devices take, what the active power leaves, and how units share it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.core.deadman import DeadMan
from bessai.core.effect import ReactiveCheck
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.reactive import share
from bessai.core.unit import Unit
from bessai.model import (
    Bounds,
    Decision,
    GuardState,
    Layout,
    Priority,
    ProcessImage,
    Quality,
    Request,
    Severity,
    WriteOutcome,
)
from bessai.registry import CompiledProfile
from support.profiles import BATTERY, CONTROL, DEAD_MAN, compiled

REACTIVE: dict[str, Any] = {
    "reactive_power_max": {"address": 40, "type": "u16", "gain": 0.1, "unit": "kvar", "poll": "normal"},
    "absorbed_reactive_power_max": {
        "address": 41,
        "type": "u16",
        "gain": 0.1,
        "unit": "kvar",
        "poll": "normal",
    },
    "apparent_power_max": {"address": 42, "type": "u16", "gain": 0.1, "unit": "kVA", "poll": "normal"},
    "reactive_power": {"address": 44, "type": "i16", "gain": 0.001, "unit": "kvar", "poll": "fast"},
    "reactive_setpoint": {"address": 43, "type": "i16", "gain": 0.001, "unit": "kvar", "access": "rw"},
}
GOOD: dict[str, float | Quality] = {
    "soc": 50.0, "battery_temperature": 25.0, "device_status": 1.0, "charge_power_max": 50.0,
    "discharge_power_max": 50.0, "reactive_power_max": 20.0, "absorbed_reactive_power_max": 12.0,
    "apparent_power_max": 50.0,
}  # fmt: skip


def _profile(
    folder: Path, *, reactive: bool = True, apparent: bool = True, measured: bool = False
) -> CompiledProfile:
    more: dict[str, Any] = {}
    if reactive:
        more = {
            "reactive": [{"point": "reactive_setpoint", "quantity": "reactive"}],
            "reactive_power_max": "reactive_power_max",
            "absorbed_reactive_power_max": "absorbed_reactive_power_max",
        }
        more |= {"apparent_power_max": "apparent_power_max"} if apparent else {}
        more |= {"measured_reactive": "reactive_power"} if measured else {}
    return compiled(folder, BATTERY | REACTIVE, control=CONTROL | more, dead_man=DEAD_MAN)


class Plant:
    """A guard in front of devices that do what they are told."""

    def __init__(self, **profiles: CompiledProfile) -> None:
        self.units = [Unit(p, Limits(), DeadMan(p, 5.0, 1.0), name=name) for name, p in profiles.items()]
        self.guard = SafetyGuard(self.units)
        self.now = 1000.0
        self.requests: list[Request] = []
        self.written: dict[str, list[tuple[str, float]]] = {}
        for _ in range(4):
            self.cycle()

    def ask(
        self, power: float | None, reactive: float | None, *, rank: Priority = Priority.OPTIMISER, **more: Any
    ) -> None:
        self.requests.append(
            Request(
                source=rank.name.lower(), priority=rank, power=power, reactive=reactive, expires=self.now + 100, **more
            )
        )  # fmt: skip
        self.requests.sort(key=lambda request: -request.priority)

    def cycle(self, **values: float | Quality) -> Decision:
        self.now += 1.0
        images = {unit.name: self._image(unit, values) for unit in self.units}
        live = [request for request in self.requests if request.expires > self.now]
        decision = self.guard.decide(images, live, fresh=frozenset(images))
        for name in images:
            command = self.guard.command(name, self.now)
            if command is not None:
                self.written[name] = [(write.point, write.value) for write in command.writes]
                self.guard.wrote(name, WriteOutcome(verified=True, written=command.writes), self.now)
            if (feed := self.guard.feed(name, self.now)) is not None:
                self.guard.wrote(name, WriteOutcome(verified=True, written=feed.writes), self.now)
        return decision

    def _image(self, unit: Unit, values: dict[str, float | Quality]) -> ProcessImage:
        layout = unit.profile.layout
        columns, quality = np.full(len(layout), np.nan), np.full(len(layout), Quality.MISSING, np.uint8)
        for name, value in {**GOOD, "battery_power": unit.standing or 0.0, **values}.items():
            i = layout.index[name]
            if isinstance(value, Quality):
                quality[i] = value
            else:
                columns[i], quality[i] = value, Quality.GOOD
        return ProcessImage(layout, 0, self.now, 0, columns, quality, np.full(len(layout), self.now))


@pytest.mark.parametrize(
    ("power", "asked", "granted", "limited"),
    [
        (0.0, 5.0, 5.0, ()),
        (0.0, -5.0, -5.0, ()),
        (0.0, 25.0, 20.0, ("reactive_power_max",)),
        (0.0, -25.0, -12.0, ("reactive_power_max",)),
        (30.0, 20.0, 20.0, ()),  # 30² + 20² < 50²
        (-30.0, -12.0, -12.0, ()),
        (48.0, 20.0, 14.0, ("apparent_power_max",)),  # 48² + 14² = 50²
        (-48.0, 20.0, 14.0, ("apparent_power_max",)),
        (48.0, -20.0, -12.0, ("reactive_power_max",)),
        (49.9, 20.0, 3.16, ("apparent_power_max",)),
        (50.0, 20.0, 0.0, ("apparent_power_max",)),
    ],
)
def test_active_power_comes_first(
    tmp_path: Path, power: float, asked: float, granted: float, limited: tuple[str, ...]
) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(power, asked)
    decision = plant.cycle()
    assert decision.setpoint == power
    assert decision.reactive == pytest.approx(granted, abs=0.002)
    assert abs(decision.reactive or 0.0) <= abs(granted) + 1e-3
    assert decision.reactive_asked == asked
    assert decision.limited_by == limited
    assert power**2 + (decision.reactive or 0.0) ** 2 <= 50.0**2


def test_without_an_apparent_power_the_reactive_limit_alone_counts(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path, apparent=False))
    plant.ask(48.0, 20.0)
    assert plant.cycle().reactive == 20.0


@pytest.mark.parametrize(
    ("values", "limited"),
    [
        ({"reactive_power_max": Quality.STALE}, "reactive_power_max"),
        ({"absorbed_reactive_power_max": Quality.MISSING}, "reactive_power_max"),
        ({"apparent_power_max": Quality.MISSING}, "apparent_power_max"),
    ],
)
def test_a_limit_that_is_not_known_allows_none(
    tmp_path: Path, values: dict[str, float | Quality], limited: str
) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(5.0, 5.0)
    decision = plant.cycle(**values)
    assert (decision.setpoint, decision.reactive, decision.limited_by) == (5.0, 0.0, (limited,))


def test_it_is_written_first_and_ends_with_its_lease(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(5.0, -3.0)
    plant.cycle()
    assert plant.written["pcs"][0] == ("reactive_setpoint", -3.0)
    assert ("discharge_setpoint", 5.0) in plant.written["pcs"]
    plant.now += 100
    decision = plant.cycle()
    assert (decision.setpoint, decision.reactive, decision.reactive_asked) == (0.0, 0.0, None)
    assert ("reactive_setpoint", 0.0) in plant.written["pcs"], "after the zero, which it must not keep away"


def test_a_higher_priority_narrows_it(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(5.0, 15.0)
    plant.ask(None, None, rank=Priority.GRID_OPERATOR, reactive_bounds=Bounds(-2.0, 4.0))
    decision = plant.cycle()
    assert (decision.setpoint, decision.reactive) == (5.0, 4.0)
    assert decision.limited_by == ("request:grid_operator",)
    assert [(c.source, c.role) for c in decision.considered] == [
        ("grid_operator", "narrowed"),
        ("optimiser", "won"),
    ]


def test_a_device_that_cannot_be_told_says_so(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path, reactive=False))
    plant.ask(5.0, 3.0)
    decision = plant.cycle()
    assert (decision.setpoint, decision.reactive) == (5.0, None)
    assert decision.limited_by == ("reactive_not_supported",)


def test_an_unsafe_device_gives_none(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(5.0, 3.0)
    plant.cycle()
    decision = plant.cycle(soc=Quality.STALE)
    assert (decision.state, decision.setpoint, decision.reactive) == (GuardState.HOLD, 0.0, 0.0)
    assert "hold" in decision.limited_by
    assert ("reactive_setpoint", 0.0) in plant.written["pcs"], "after the zero, which it must not keep away"


def test_units_share_it_by_what_they_have_left(tmp_path: Path) -> None:
    able = _profile(tmp_path)
    (tmp_path / "other").mkdir()
    plant = Plant(a=able, b=able, c=_profile(tmp_path / "other", reactive=False))
    plant.ask(12.0, 9.0)
    decision = plant.cycle()
    assert [unit.reactive for unit in decision.units] == [4.5, 4.5, None]
    assert decision.reactive == 9.0


@pytest.mark.parametrize(
    ("wanted", "bounds", "expected"),
    [
        (0.0, [(-5, 5)], [0.0]),
        (3.0, [(-5, 5), (-5, 10)], [1.0, 2.0]),
        (-4.0, [(-6, 5), (-2, 10)], [-3.0, -1.0]),
        (40.0, [(-5, 5), (-5, 10)], [5.0, 10.0]),
        (1.0, [(-5, 0), (-5, 10)], [0.0, 1.0]),
        (1.0, [(0, 0)], [0.0]),
        (0.001, [(-1, 1), (-1, 1)], [0.0, 0.0]),  # whole vars, towards zero
    ],
)
def test_shares(wanted: float, bounds: list[tuple[float, float]], expected: list[float]) -> None:
    offers = {str(i): Bounds(*pair) for i, pair in enumerate(bounds)}
    assert list(share(wanted, offers).values()) == expected
    assert math.fsum(expected) == pytest.approx(wanted, abs=abs(wanted)), "never more than asked"


BEYOND = (25.0, -13.0, math.nan, math.inf)
"""Kvar that no device here takes."""


@pytest.mark.parametrize("kvar", BEYOND)
@pytest.mark.parametrize("power", [0.0, 5.0])
def test_a_first_look_gone_wrong_ends_in_no_kvar_and_leaves_the_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: float, kvar: float
) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(power, 5.0)
    plant.cycle()
    monkeypatch.setattr("bessai.core.reactive.share", lambda _, bounds: dict.fromkeys(bounds, kvar))
    plant.cycle()
    assert ("reactive_setpoint", 0.0) in plant.written["pcs"]
    memory = plant.units[0].memory
    assert (memory.setpoint, memory.reactive) == (power, 0.0)
    assert plant.guard.standing("pcs"), "its dead-man is fed: the active power has done nothing wrong"
    plant.written.clear()
    plant.cycle()
    assert not plant.written, "what it has already is not written again"
    assert [c.code for c in plant.guard.conditions] == ["recheck_refused"]
    assert "kvar" in plant.guard.conditions[0].message or "not a number" in plant.guard.conditions[0].message
    monkeypatch.undo()
    plant.cycle()
    assert memory.reactive == 5.0
    plant.cycle()
    assert not plant.guard.conditions


def test_kvar_beyond_the_apparent_power_are_objected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.core.reactive.beside", lambda _unit, bounds, _power: bounds)
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(48.0, 20.0)
    plant.cycle()
    memory = plant.units[0].memory
    assert (memory.setpoint, memory.reactive) == (48.0, 0.0)


def test_no_kvar_while_the_dead_man_is_not_armed(tmp_path: Path) -> None:
    plant = Plant(pcs=_profile(tmp_path))
    plant.ask(0.0, 5.0)
    plant.cycle()
    unit = plant.units[0]
    assert unit.memory.reactive == 5.0
    unit.dead_man.disarm()  # as a late answer does that disproves it, after the decision
    command = plant.guard.command("pcs", plant.now)
    assert command is not None
    assert ("reactive_setpoint", 0.0) in [(write.point, write.value) for write in command.writes]


@pytest.mark.parametrize(
    ("measured", "seconds", "warns"),
    [
        (5.0, 60, False),
        (4.6, 60, False),  # 0.5 kvar and 5 % of 20 kvar are no difference
        (3.9, 60, True),
        (-5.0, 60, True),
        (12.0, 60, True),
        (0.0, 9, False),  # still on its way
        (Quality.STALE, 60, False),
    ],
)
def test_measured_kvar_that_do_not_follow_are_a_warning_and_never_more(
    tmp_path: Path, measured: float | Quality, seconds: int, warns: bool
) -> None:
    plant = Plant(pcs=_profile(tmp_path, measured=True))
    plant.ask(10.0, 5.0)
    decision = plant.cycle(reactive_power=0.0)
    for _ in range(seconds):
        decision = plant.cycle(reactive_power=measured)
    assert (decision.state, decision.setpoint, decision.reactive) == (GuardState.NORMAL, 10.0, 5.0)
    found = list(plant.guard.conditions)
    assert [c.code for c in found] == (["reactive_power_not_followed"] if warns else [])
    if warns:
        assert (found[0].severity, found[0].point, found[0].value) == (
            Severity.WARNING, "reactive_power", measured,
        )  # fmt: skip
        plant.cycle(reactive_power=5.0)
        assert not plant.guard.conditions


def test_a_moving_kvar_setpoint_is_followed_within_the_response_time(tmp_path: Path) -> None:
    """A voltage control tells new kvar in every cycle; what comes 3 s late is no difference."""
    plant = Plant(pcs=_profile(tmp_path, measured=True))
    told = [0.0] * 4
    for i in range(120):
        wanted = round(8.0 * math.sin(i / 5), 3)
        plant.requests.clear()
        plant.ask(0.0, wanted)
        decision = plant.cycle(reactive_power=told[-3])
        told.append(decision.reactive or 0.0)
        assert not plant.guard.conditions, i


def test_a_measured_point_without_a_promised_sign_is_judged_by_its_size(tmp_path: Path) -> None:
    profile = _profile(tmp_path, measured=True)
    assert profile.control is not None
    check = ReactiveCheck(profile.control.model_copy(update={"measured_reactive": "other"}))
    layout = Layout(("other", "reactive_power_max"), ("kvar", "kvar"))
    for second in range(60):
        for kvar, warns in ((-5.0, False), (5.0, False)):
            image = ProcessImage(
                layout, 0, float(second), 0, np.array([kvar, 20.0]), np.zeros(2, np.uint8), np.zeros(2)
            )
            assert bool(check.check(image, 5.0)) is warns
    image = ProcessImage(layout, 0, 100.0, 0, np.array([0.0, 20.0]), np.zeros(2, np.uint8), np.zeros(2))
    check.check(image, 5.0)
    late = ProcessImage(layout, 0, 120.0, 0, np.array([0.0, 20.0]), np.zeros(2, np.uint8), np.zeros(2))
    assert check.check(late, 5.0)
