"""Values, qualities and events without a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bessai.interfaces.scada.feed import Columns, Frame
from bessai.interfaces.scada.sources import Sources
from bessai.interfaces.scada.states import state_of
from bessai.interfaces.scada.station import INVALID, NOT_TOPICAL, OVERFLOW, Station
from bessai.model import Quality
from bessai.site.scada import MonitorPoint

STATES = [
    # what of the point, first and second source, state
    ({}, 0.0, 0.0, 0.0),
    ({}, 2.0, 2.0, 1.0),
    ({"bit": 2}, 4.0, 4.0, 1.0),
    ({"bit": 1}, 4.0, 4.0, 0.0),
    ({"on_when": frozenset({5, 6})}, 6.0, 6.0, 1.0),
    ({"on_when": frozenset({5, 6})}, 1.0, 1.0, 0.0),
    ({}, float("nan"), 0.0, None),
    ({"kind": "double", "second": "b"}, 1.0, 0.0, 2.0),
    ({"kind": "double", "second": "b"}, 0.0, 1.0, 1.0),
    ({"kind": "double", "second": "b"}, 0.0, 0.0, 0.0),
    ({"kind": "double", "second": "b"}, 1.0, 1.0, 3.0),
    ({"kind": "double", "second": "b"}, 1.0, float("nan"), None),
    ({"kind": "double", "on_when": frozenset({3}), "off_when": frozenset({1})}, 3.0, 3.0, 2.0),
    ({"kind": "double", "on_when": frozenset({3}), "off_when": frozenset({1})}, 1.0, 1.0, 1.0),
    ({"kind": "double", "on_when": frozenset({3}), "off_when": frozenset({1})}, 2.0, 2.0, 0.0),
]


@pytest.mark.parametrize(("more", "first", "second", "state"), STATES)
def test_a_state(more: dict[str, Any], first: float, second: float, state: float | None) -> None:
    point = replace(MonitorPoint(ioa=1, name="a", kind="single"), **more)
    found = state_of(point, first, second)
    assert np.isnan(found) if state is None else found == state


class Scene:
    """A station whose feed has one column a point."""

    def __init__(self, *points: MonitorPoint, stale: float = 30.0) -> None:
        self.station = Station(points, stale, now=0.0)
        names = tuple(dict.fromkeys(point.name for point in points))
        self.columns = Columns(names=names, units=(None,) * len(names), period=1.0,
                               part=np.array([0]), alarms={})  # fmt: skip
        self.station.started(self.columns)
        self.now = 0.0

    def cycle(
        self, *values: float, quality: Quality = Quality.GOOD, age: float = 0.0, part: bool = False
    ) -> Any:
        self.now += 1.0
        size = len(values)
        frame = Frame(
            cycle=1, wall_ns=int(self.now * 1e9), positions=self.columns.part if part else None,
            values=np.array(values), quality=np.full(size, int(quality), np.uint8),
            ages=np.full(size, age, np.float32), decision={}, events=(), missed=0,
        )  # fmt: skip
        changes = self.station.frame(frame, self.now)
        return [(int(p), float(v), int(f), int(t)) for p, v, f, t in zip(
            changes.points, changes.values, changes.flags, changes.times, strict=True)]  # fmt: skip


def point(kind: Any = "float", **more: Any) -> MonitorPoint:
    return replace(MonitorPoint(ioa=1, name="a", kind="float"), kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "value", "flag"),
    [
        ("scaled", 32767.0, 0),
        ("scaled", 32768.0, OVERFLOW),
        ("scaled", -32768.0, 0),
        ("scaled", -32769.0, OVERFLOW),
        ("normalized", 100.0, 0),
        ("normalized", -100.5, OVERFLOW),
        ("float", 1e38, 0),
        ("float", 1e39, OVERFLOW),
    ],
)
def test_what_does_not_fit_the_type_is_an_overflow(kind: str, value: float, flag: int) -> None:
    scene = Scene(point(kind, full_scale=100.0 if kind == "normalized" else None))
    assert [event[2] for event in scene.cycle(value)] == [flag]


QUALITIES = [(quality, INVALID) for quality in Quality if quality not in (
    Quality.GOOD, Quality.STALE, Quality.FROZEN)]  # fmt: skip


@pytest.mark.parametrize(
    ("quality", "flag"),
    [*QUALITIES, (Quality.STALE, NOT_TOPICAL), (Quality.FROZEN, NOT_TOPICAL)],
)
def test_a_value_that_is_no_evidence_says_so_and_keeps_the_last_one(quality: Quality, flag: int) -> None:
    scene = Scene(point())
    scene.cycle(5.0)
    value = 5.0 if flag == NOT_TOPICAL else float("nan")
    noticed = 2_000_000_000  # not the time of the value that it was measured before
    assert scene.cycle(value, quality=quality, age=0.5) == [(0, 5.0, flag, noticed)]
    assert scene.cycle(value, quality=quality) == []
    assert scene.cycle(5.0, age=0.25) == [(0, 5.0, 0, 3_750_000_000)]  # as measured, not as it came


def test_a_good_value_that_is_not_a_number_is_invalid() -> None:
    assert Scene(point()).cycle(float("nan")) == []  # it was so before
    scene = Scene(point())
    scene.cycle(1.0)
    assert [event[1:3] for event in scene.cycle(float("inf"))] == [(1.0, INVALID)]


def test_thirty_seconds_without_a_good_value_are_too_many() -> None:
    scene = Scene(point(), stale=30.0)
    scene.cycle(5.0)
    found = [(n, scene.cycle(5.0, quality=Quality.GOOD, age=float(n))) for n in range(1, 40)]
    assert [(n, events) for n, events in found if events] == [(31, [(0, 5.0, NOT_TOPICAL, 32_000_000_000)])]


def test_the_dead_band_is_counted_from_what_was_reported_last() -> None:
    scene = Scene(point(dead_band=1.0, scale=10.0, sign=-1))
    scene.cycle(0.0)
    assert scene.cycle(0.06) == []
    assert scene.cycle(0.09) == []
    assert [event[1] for event in scene.cycle(0.11)] == [pytest.approx(-1.1)]
    assert scene.cycle(0.02) == []
    assert scene.cycle(0.20) == []


def test_counters_are_no_events() -> None:
    scene = Scene(point("counter"))
    assert scene.cycle(1.0) == scene.cycle(2.0) == []
    assert scene.station.values[0] == 2.0


def test_a_part_of_the_points_leaves_the_others_as_they_were() -> None:
    scene = Scene(point(), point(ioa=2, name="b"))
    scene.cycle(1.0, 2.0)
    assert [event[:2] for event in scene.cycle(3.0, part=True)] == [(0, 3.0)]
    assert scene.station.values.tolist() == [3.0, 2.0]


def test_events_of_one_cycle_are_in_the_order_of_their_times() -> None:
    scene = Scene(point(), point(ioa=2, name="b"), point(ioa=3, name="c"))
    scene.columns = Columns(
        names=("a", "b", "c"), units=(None,) * 3, period=1.0, part=np.array([0]), alarms={}
    )
    scene.cycle(0.0, 0.0, 0.0)
    frame = Frame(
        cycle=2, wall_ns=10**10, positions=None, values=np.array([1.0, 2.0, 3.0]),
        quality=np.zeros(3, np.uint8), ages=np.array([0.1, 0.3, 0.2], np.float32), decision={}, events=(), missed=0,
    )  # fmt: skip
    changes = scene.station.frame(frame, 5.0)
    assert changes.points.tolist() == [1, 2, 0]
    assert changes.times.tolist() == sorted(changes.times.tolist())


def test_the_gateways_own_values() -> None:
    names = ["decision.setpoint", "decision.power_max", "decision.tripped", "decision.limited", "decision.state",
             "decision.offset", "alarm:fire", "gateway.alarm", "gateway.alive"]  # fmt: skip
    sources = Sources(names, 0.0)
    sources.started(
        Columns(names=(), units=(), period=1.0, part=np.array([], int), alarms={("x", None): "alarm"})
    )

    def frame(decision: dict[str, Any], *events: dict[str, Any]) -> dict[str, float]:
        sources.frame(
            Frame(cycle=1, wall_ns=1, positions=None, values=np.array([]), quality=np.array([], np.uint8),
                  ages=np.array([], np.float32), decision=decision, events=events, missed=0),
            1.0,
        )  # fmt: skip
        good = sources.quality == int(Quality.GOOD)
        return {n: float(v) for n, v, g in zip(sources.names, sources.values, good, strict=True) if g}

    told = frame({"setpoint": 5.0, "bounds": [-1.0, 9.0], "trips": [], "limited_by": ["soc_max"],
                  "state": "tripped", "offset": None})  # fmt: skip
    assert told == {
        "decision.setpoint": 5.0, "decision.power_max": 9.0, "decision.tripped": 0.0, "decision.limited": 1.0,
        "decision.state": 4.0, "alarm:fire": 0.0, "gateway.alarm": 1.0, "gateway.alive": 1.0,
    }  # fmt: skip
    told = frame({}, {"code": "fire", "severity": "warning", "active": True, "point": "p"},
                 {"code": "x", "severity": "alarm", "active": False, "point": None})  # fmt: skip
    assert told == {"alarm:fire": 1.0, "gateway.alarm": 0.0, "gateway.alive": 1.0}
