"""The outstation against a master of another make (opendnp3, as yadnp3) in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.dnp3 import BLOCK, LIST, Master, Rig, many_meters, wait

ONLINE, STATE = 0x01, 0x80


def test_an_integrity_poll_tells_every_point(rig: Rig) -> None:
    with Master(rig.port) as master:
        master.started()
        told = {key: (line["value"], line["flags"]) for key, line in master.told.items()}
    assert told["Group30Var5", 0] == (1.5, ONLINE), "MW, with the sign turned"
    assert told["Group30Var5", 1] == (55.0, ONLINE)
    assert told["Group30Var5", 2] == (1.0, ONLINE), "decision.state: normal"
    assert told["Group30Var5", 3] == (0.0, 0), "nothing was commanded: unknown is off-line"
    assert told["Group1Var2", 0] == (True, ONLINE | STATE)
    assert told["Group1Var2", 1] == (True, ONLINE | STATE), "position ON of the double point"
    assert told["Group1Var2", 2] == (False, ONLINE), "position OFF"
    assert told["Group1Var2", 3] == (False, ONLINE), "no fire alarm"
    assert told["Group20Var1", 0] == (1234, ONLINE)
    assert told["Group10Var2", 0] == (False, 0)
    assert told["Group40Var3", 0] == (0.0, 0)


def test_an_event_keeps_the_time_at_which_it_was_measured(rig: Rig) -> None:
    with Master(rig.port) as master:
        master.started()
        rig.feed.points["soc"] = 54.7  # within the dead band
        rig.seen()
        rig.feed.ages["soc"] = 1.5
        rig.feed.points |= {"soc": 60.0, "inverter.device_status": 0.0, "energy_charged_total": 1235.0}
        before = time.time_ns() // 1_000_000
        rig.seen()
        after = time.time_ns() // 1_000_000
        master.scan(1, 2, 3)
        events = {(event["told"], event["index"]): event for event in master.events}
        assert events["Group32Var7", 1]["value"] == 60.0
        assert before - 1500 <= events["Group32Var7", 1]["time"] <= after - 1499
        assert events["Group2Var2", 0]["value"] is False
        assert (events["Group2Var2", 1]["value"], events["Group2Var2", 2]["value"]) == (False, True)
        assert before - 11 <= events["Group2Var2", 0]["time"] <= after
        assert (events["Group22Var5", 0]["value"], events["Group22Var5", 0]["flags"]) == (1235, ONLINE)
        assert len(master.events) == 5, master.events
        master.scan(1, 2, 3)
        assert len(master.events) == 5, "confirmed: they are not told again"
        wait(lambda: rig.status["events"]["held"] == 0)


def test_events_outlive_a_lost_link(rig: Rig) -> None:
    with Master(rig.port) as master:
        master.started()
        master.order("disable")
        wait(lambda: not rig.status["masters"])
        for soc in (60.0, 65.0, 70.0):
            rig.feed.points["soc"] = soc
            rig.seen()
        wait(lambda: rig.status["events"]["held"] == 3)
        master.order("enable")
        master.until(lambda line: line.get("link") == "closed")
        master.until(lambda line: line.get("link") == "open")  # it may say nothing until it is told to
        master.scan(1, 2, 3)
        told = [event for event in master.events if event["told"] == "Group32Var7"]
    assert [event["value"] for event in told] == [60.0, 65.0, 70.0]
    times = [event["time"] for event in told]
    assert times == sorted(times)
    assert len(set(times)) == 3, "each has its own"


def test_commands(rig: Rig) -> None:
    with Master(rig.port) as master:
        master.started()
        assert master.command("operate", "analog", 0, 0.5) == ("SUCCESS", ["SUCCESS"])
        (request,) = rig.feed.sent("request")[:1]
        assert (request["power"], request["priority"], request["source"]) == (-500.0, "grid_operator", "dnp3")
        assert "for" in request, "a lease"
        assert master.command("direct", "analog", 1, 3) == ("SUCCESS", ["SUCCESS"])
        assert master.command("operate", "binary", 0, 1) == ("SUCCESS", ["SUCCESS"])
        commands = rig.feed.sent("grid_command")
        assert [(said["name"], said["value"]) for said in commands] == [
            ("voltage.mode", "power_factor"),
            ("frequency.enabled", True),
        ]
        rig.seen()
        master.scan(0)
        assert master.told["Group40Var3", 0]["value"] == 0.5
        assert master.told["Group40Var3", 0]["flags"] == ONLINE
        assert master.told["Group10Var2", 0]["value"] is True
        assert master.told["Group30Var5", 3]["value"] == 0.5, "the read-back"


@pytest.mark.parametrize(
    ("do", "kind", "index", "value", "status"),
    [
        ("direct", "analog", 0, 0.5, "NO_SELECT"),
        ("operate", "analog", 0, 1.5, "OUT_OF_RANGE"),
        ("operate", "analog", 0, float("nan"), "OUT_OF_RANGE"),
        ("direct", "analog", 1, 9, "OUT_OF_RANGE"),
        ("operate", "analog", 9, 0.0, "NOT_SUPPORTED"),
        ("operate", "binary", 9, 1, "NOT_SUPPORTED"),
    ],
)
def test_what_is_not_commanded(rig: Rig, do: str, kind: str, index: int, value: float, status: str) -> None:
    with Master(rig.port) as master:
        master.started()
        assert master.command(do, kind, index, value)[1] == [status]
    assert not rig.feed.sent("request")
    assert not rig.feed.sent("grid_command")


def test_a_refusal_of_the_gateway_is_no_success(rig: Rig) -> None:
    with Master(rig.port) as master:
        master.started()
        rig.feed.refusal = "the plant is in maintenance"
        assert master.command("operate", "analog", 0, 0.5)[1] == ["AUTOMATION_INHIBIT"]
        rig.feed.refusal = None
        master.scan(0)
        assert master.told["Group40Var3", 0]["flags"] == 0, "nothing stands"
    wait(lambda: "maintenance" in str(rig.status["commands"]["last"]))


def test_a_master_that_may_not_command(tmp_path: Path) -> None:
    text = LIST.replace("commands: true", "commands: false")
    with Rig(tmp_path, text=text) as rig, Master(rig.port) as master:
        master.started()
        assert master.command("operate", "analog", 0, 0.5)[1] == ["NOT_AUTHORIZED"]
        assert master.command("direct", "analog", 1, 3)[1] == ["NOT_AUTHORIZED"]
        assert not rig.feed.sent("request")


def test_the_fallback_of_a_lost_link(tmp_path: Path) -> None:
    more = "link_loss: {after: 1, fallback: value, power: 25}"
    with Rig(tmp_path, more) as rig:
        with Master(rig.port) as master:
            master.started()
            master.command("operate", "analog", 0, 0.5)
        wait(lambda: rig.feed.sent("request")[-1].get("power") == 25.0)
        wait(lambda: rig.status["commands"]["fallback"])


def test_many_points_come_in_confirmed_fragments(tmp_path: Path) -> None:
    plant, names = many_meters(1200)
    count = len(names)
    points = {name: float(n) for n, name in enumerate(names)}
    with Rig(tmp_path, text=BLOCK, points=points, plant=plant) as rig, Master(rig.port) as master:
        master.started()
        values = [master.told["Group30Var5", i]["value"] for i in range(count)]
        assert values == [float(i) for i in range(count)]
        rig.feed.points = dict.fromkeys(names, 1.0)
        rig.seen()
        master.scan(1, 2, 3)
        assert len(master.events) == count - 1, "one had the value already"
        wait(lambda: rig.status["events"]["held"] == 0)
