"""What becomes of lines that wait: together, again, too many, and under way when something changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.notify.desk import Desk
from bessai.interfaces.notify.queue import MOST_LINES, Line, Queue
from bessai.model import Severity
from support.notify_plant import PLACE, Scene, at, config

NOON = at("2026-11-30 12:00")
ONE = """
recipients:
  ana: {channels: [{url: "json://h/a"}]}
rules: [{tell: [ana]}]
"""


def line(code: str = "soc_high", **more: Any) -> Line:
    fields: dict[str, Any] = {
        "kind": "began", "code": code, "severity": int(Severity.WARNING), "message": "m", "began_ns": 1, "queued": 0.0,
    }  # fmt: skip
    return Line(**(fields | more))


def under_way(queue: Queue) -> None:
    queue.begin(list(queue.waiting.values()), "ref", 0.0)


def waits(*lines: Line) -> Line:
    """The one line that they become."""
    queue = Queue()
    for one in lines:
        queue.put(one)
    (found,) = queue.waiting.values()
    return found


def test_what_there_was_no_place_for_is_counted_until_it_was_told() -> None:
    queue = Queue()
    for number in range(MOST_LINES + 2):
        queue.put(line(f"c{number}"))
    assert (queue.unlisted, "c0|||" in queue.waiting) == (2, True), "of the same severity the first stays"
    under_way(queue)
    assert queue.unlisted == 0
    queue.not_arrived(1.0, "refused", sure=True, jitter=1.0)
    assert queue.unlisted == 2
    under_way(queue)
    queue.arrived(2.0, 20)
    assert queue.unlisted == 0


def test_a_line_has_the_worst_that_came() -> None:
    assert {waits(line(severity=a), line(severity=b)).severity for a, b in ((1, 2), (2, 1))} == {2}


def test_an_end_that_waits_and_a_new_begin_are_a_new_begin() -> None:
    found = waits(
        line(kind="ended", began_ns=1, ended_ns=5, count=4), line(began_ns=7), line(kind="ended", ended_ns=9)
    )
    assert (found.kind, found.began_ns, found.ended_ns, found.count) == ("began", 7, 9, 1)


def test_what_may_have_arrived_says_so_whatever_came_meanwhile() -> None:
    queue = Queue()
    queue.put(line())
    under_way(queue)
    queue.put(line(kind="ended", ended_ns=5))
    queue.not_arrived(1.0, "no answer", sure=False, jitter=1.0)
    (found,) = queue.waiting.values()
    assert (found.again, found.kind, found.ended_ns, queue.doubtful) == (True, "began", 5, 1)
    assert waits(line(), line(again=True)).again


@pytest.fixture
def one(tmp_path: Path) -> Scene:
    return Scene(config(tmp_path, ONE), NOON)


def test_acknowledged_while_it_was_under_way_it_is_not_tried_again(one: Scene) -> None:
    one.take("evidence_lost", point="soc")
    one.now += 10
    (letter,) = one.desk.due(one.now)
    one.take("alarm_acknowledged", "info", about="evidence_lost", point="soc", user="ana")
    one.desk.outcome(letter.id, one.now, why="refused")
    assert (one.go(3600, step=10), one.desk.state.silenced) == ([], 1)


def test_what_was_under_way_on_a_channel_that_is_gone_goes_to_its_heir(one: Scene, tmp_path: Path) -> None:
    one.take("evidence_lost", point="soc")
    one.now += 10
    assert one.desk.due(one.now)
    other = config(tmp_path, ONE.replace("json://", "xml://"))
    Desk(other, one.desk.state, PLACE, resumed=False)  # as when the file is read again
    assert one.desk.state.queues["ana/xml"].sending is None
    moved = Scene(other, one.now, one.desk.state)
    assert moved.go(60) == ["ana/xml: ALARM norte: evidence_lost soc"]
    assert "may have reached you before" in moved.body


def test_each_day_counts_for_itself(tmp_path: Path) -> None:
    scene = Scene(config(tmp_path, 'daily: {at: "08:00", tell: [ana]}' + ONE), NOON)
    scene.take("soc_high", "warning")
    scene.go(21 * 3600, step=60)
    assert "1 alarms and warnings began" in scene.body
    scene.go(24 * 3600, step=60)
    assert "0 alarms and warnings began" in scene.body


def _listed(code: str, state: str = "unacknowledged") -> dict[str, Any]:
    return {
        "code": code, "point": None, "severity": "alarm", "message": "m", "value": None, "active": True,
        "state": state, "first_out": False, "began_wall_ns": round((NOON - 8 * 3600) * 1e9),
    }  # fmt: skip


def test_the_list_ends_nothing_that_it_does_not_keep(one: Scene) -> None:
    one.take("soc_high")
    one.take("chattering", "warning", about="soc_high")
    assert len(one.go(10)) == 1
    assert not one.desk.reconcile([_listed("soc_high")], one.now)
    assert one.go(400) == []


def test_what_somebody_took_note_of_is_not_told_from_the_list(one: Scene) -> None:
    assert not one.desk.reconcile([_listed("soc_high", "acknowledged")], one.now)
    assert one.go(400) == []


def test_what_comes_and_goes_is_escalated_all_the_same(tmp_path: Path) -> None:
    steps = "tell: [ana], escalate: [{after_minutes: 15, tell: [ana]}]"
    scene = Scene(config(tmp_path, ONE.replace("tell: [ana]", steps)), NOON)
    told = []
    for _ in range(4):
        scene.take("soc_high")
        told += scene.go(5 * 60, step=10)
    assert "ana/json: ALARM NOT ACKNOWLEDGED norte: soc_high" in told


def test_what_the_list_tells_to_be_worse_leaves_people_their_time(tmp_path: Path) -> None:
    steps = "tell: [ana], escalate: [{after_minutes: 15, tell: [ana]}]"
    scene = Scene(config(tmp_path, ONE.replace("tell: [ana]", steps)), NOON - 8 * 3600)
    scene.take("soc_high", "warning")
    assert len(scene.go(8 * 3600, step=60)) == 2
    assert scene.desk.reconcile([_listed("soc_high")], scene.now)
    assert scene.go(14 * 60, step=10) == ["ana/json: ALARM norte: soc_high"]
    assert scene.go(120, step=10) == ["ana/json: ALARM NOT ACKNOWLEDGED norte: soc_high"]
