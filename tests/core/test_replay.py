"""Replay: the same code agrees in every call, other code is shown where it first decides differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.core.black_box import Box, Call, read_box
from bessai.core.replay import ReplayError, replay
from bessai.model import Decision, Quality
from support.small_guard import START_NS, Operation, Recorded, SmallGuard


def build(header: dict[str, Any], **changes: Any) -> SmallGuard:
    return SmallGuard(header["description"]["units"], **changes)


def recorded(directory: Path, day: Callable[[Recorded], None], units: tuple[str, ...] = ("",)) -> Box:
    scene = Recorded(directory, units)
    day(scene)
    scene.box.freeze("test", scene.now, START_NS)
    return read_box(scene.files[0])


def busy(scene: Recorded) -> None:
    scene.recorded.connection_changed(scene.units[0])
    scene.cycles(12)
    scene.cycle(soc=Quality.STALE)
    scene.cycle(soc=95.0)
    scene.cycles(3)
    scene.recorded.operate(Operation(kind="reset", user="ana"), scene.now, START_NS)
    scene.cycles(15)


def test_the_same_code_agrees(tmp_path: Path) -> None:
    box = recorded(tmp_path, busy, ("a", "b"))
    report = replay(box, build)

    assert report.identical
    assert report.same_build
    assert report.cycles == report.agree > 20
    assert report.snapshots >= 3
    assert report.notes == []


steps = st.one_of(
    st.floats(-20, 100).map(lambda soc: ("soc", soc)),
    st.sampled_from(Quality).map(lambda quality: ("soc", quality)),
    st.floats(-10, 10).map(lambda power: ("power", power)),
    st.sampled_from([("reset", "ana"), ("reset", "eve"), ("connection", ""), ("soc", 13.0)]),
)


@settings(max_examples=60)
@given(day=st.lists(steps, min_size=1, max_size=40))
def test_whatever_happened_it_replays_bit_for_bit(
    day: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def live(scene: Recorded) -> None:
        for what, value in day:
            if what == "reset":
                scene.recorded.operate(Operation(kind="reset", user=value), scene.now, START_NS)
            elif what == "connection":
                scene.recorded.connection_changed("")
            else:
                try:
                    scene.cycle(**{what: value})
                except RuntimeError:
                    scene.recorded.feed("", scene.now)

    report = replay(recorded(tmp_path_factory.mktemp("box"), live), build)

    assert report.first is None
    assert report.agree == report.cycles


def test_other_code_is_shown_where_it_first_decides_differently(tmp_path: Path) -> None:
    def day(scene: Recorded) -> None:
        for power in (0.0, 0.0, 0.05, 5.0, 5.0):
            scene.cycle(power=power)

    report = replay(recorded(tmp_path, day), lambda header: build(header, step=0.3))

    assert (report.cycles, report.agree) == (5, 3)
    first = report.first
    assert first is not None
    assert (first.call, first.cycle) == ("decide", 4)
    fields = {field.name: (field.recorded, field.today) for field in first.fields}
    assert fields["setpoint"] == (0.05 + 0.1, 0.35)
    assert "units[0].setpoint" in fields
    assert first.inputs["requests"][0]["power"] == 5.0
    assert first.inputs["fresh"] == [""]
    assert [one["cycle"] for one in first.before] == [1, 2, 3]


def test_what_a_cycle_looked_at_is_shown_when_it_is_new_or_no_evidence(tmp_path: Path) -> None:
    class Stubborn(SmallGuard):
        def decide(self, *args: Any, **kwargs: Any) -> Decision:
            return replace(super().decide(*args, **kwargs), reason="stubborn")

    def day(scene: Recorded) -> None:
        scene.cycle()
        scene.cycle(battery_power=Quality.STALE, soc=51.5)

    box = recorded(tmp_path, day)
    first_cycle = replay(box, lambda _: Stubborn()).first
    assert first_cycle is not None
    assert first_cycle.inputs["points"][""] == {"soc": 50.0, "battery_power": -0.0, "device_status": 1.0}

    class Later(Stubborn):
        def decide(self, *args: Any, **kwargs: Any) -> Decision:
            decision = super().decide(*args, **kwargs)
            return decision if self.memory.cycles > 1 else replace(decision, reason="")

    second_cycle = replay(box, lambda _: Later()).first
    assert second_cycle is not None
    assert second_cycle.inputs["points"][""] == {"soc": 51.5, "battery_power": "stale"}


@pytest.mark.parametrize(
    ("method", "result", "call"),
    [
        ("command", None, "command"),
        ("feed", None, "feed"),
        ("operate", "not today", "operate"),
    ],
)
def test_a_differing_write_or_operation_is_found(tmp_path: Path, method: str, result: Any, call: str) -> None:
    other = type("Other", (SmallGuard,), {method: lambda *_: result})

    report = replay(recorded(tmp_path, busy), lambda _: other())

    assert report.first is not None
    assert report.first.call == call


def test_hidden_memory_is_found_at_the_next_snapshot(tmp_path: Path) -> None:
    class Forgetful(SmallGuard):
        def decide(self, *args: Any, **kwargs: Any) -> Decision:
            decision = super().decide(*args, **kwargs)
            self.memory.units[""].history = []
            return decision

    report = replay(recorded(tmp_path, busy), lambda _: Forgetful())

    assert report.first is not None
    assert report.first.call == "memory"
    assert report.first.fields[0].name == "units..history"


@pytest.mark.parametrize("version", ["same", "another"])
def test_an_error_of_todays_code_is_a_difference(tmp_path: Path, version: str) -> None:
    class Broken(SmallGuard):
        def decide(self, *args: Any, **kwargs: Any) -> Decision:
            raise ZeroDivisionError("oh")

    box = recorded(tmp_path, lambda scene: scene.cycles(3))
    if version == "another":
        box.header["build"] = version
    report = replay(box, lambda _: Broken())

    assert report.agree == 0
    assert report.first is not None
    assert report.first.call == "decide"
    assert [f.today for f in report.first.fields] == [{"raised": "ZeroDivisionError: oh"}]


def test_fields_of_another_version_are_noted_not_compared(tmp_path: Path) -> None:
    box = recorded(tmp_path, lambda scene: scene.cycles(3))
    box.header["build"] = "another"
    for item in box.items:
        if isinstance(item, Call) and item.kind == "decide":
            del item.result["target"]
            item.result["mood"] = "good"

    report = replay(box, build)

    assert report.identical
    assert not report.same_build
    assert {"decide.target is new: not compared", "decide.mood is gone: not compared"} <= set(report.notes)


def test_the_same_version_compares_every_field(tmp_path: Path) -> None:
    box = recorded(tmp_path, lambda scene: scene.cycles(3))
    for item in box.items:
        if isinstance(item, Call) and item.kind == "decide":
            item.result["mood"] = "good"

    assert not replay(box, build).identical


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda box: setattr(box, "items", []), "no snapshot"),
        (lambda box: box.header.update(description={}), "cannot be built"),
        (lambda box: box.items[0].memory["units"][""].update(setpoint="x"), "does not fit.*setpoint"),
    ],
)
def test_what_cannot_be_replayed_says_why(
    tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    box = recorded(tmp_path, lambda scene: scene.cycles(3))
    change(box)

    with pytest.raises(ReplayError, match=message):
        replay(box, build)
