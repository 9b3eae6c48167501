"""The requester in front of a gateway's socket, in a time that the test makes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bessai.core.local_socket import LocalSocket
from bessai.core.requests import RequestBook
from bessai.interfaces.build import build_sinks
from bessai.interfaces.schedule import ScheduleRequester
from bessai.interfaces.schedule.requester import Ask, socket_ask
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import keep_running
from bessai.model import Bounds, Priority, SystemClock
from support.answering_socket import AnsweringSocket

START = 1_800_000_000.0
"""A whole second of 2027, the zero of every time below."""


class Gateway:
    """Answers on a real socket and keeps what it is asked, with the time of it."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self.answer: dict[str, Any] = {"ok": True}
        self.time: Callable[[], float] = lambda: 0.0

    def hear(self, message: dict[str, Any]) -> dict[str, Any]:
        self.heard.append((self.time(), message))
        return self.answer


class Scene:
    """A requester, its file and its gateway; time passes when the requester sleeps."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = 0.0
        self.file = tmp_path / "schedule.csv"
        self.path = tmp_path / "gateway.sock"
        self.gateway = Gateway()
        self.gateway.time = lambda: round(self.now, 6)
        self.ask: Ask = socket_ask(self.path)
        self.requester = ScheduleRequester(self.file, self._ask, lambda: START + self.now, self._wait)
        self.until = 0.0
        self.step: tuple[float, float] | None = None
        self._written = 0

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.ask(message)

    def write(self, *rows: tuple[float, float, str]) -> None:
        lines = [f"{_iso(start)},{_iso(end)},{rest}" for start, end, rest in rows]
        self.file.write_text("\n".join(["start,end,power_kw,soc_target_pct,low_kw,high_kw,reason", *lines]))
        self.touch()

    def touch(self) -> None:
        self._written += 1
        os.utime(
            self.file, ns=(self._written, self._written)
        )  # a change is one even within a tick of the disk

    def _wait(self, seconds: float) -> bool:
        assert 0 < seconds <= 1.0
        self.now += seconds
        if self.step and self.now >= self.step[0]:
            self.now, self.step = self.now + self.step[1], None
        return self.now >= self.until

    def run(self, until: float) -> list[tuple[float, dict[str, Any]]]:
        """What the gateway hears until then."""
        self.gateway.heard.clear()
        self.until = until
        self.requester.run(threading.Event())
        return list(self.gateway.heard)

    def powers(self, until: float) -> list[tuple[float, float | str]]:
        """When which power was asked for, or `cancel`."""
        return [(time, m.get("power", m["op"])) for time, m in self.run(until)]


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(START + moment, UTC).isoformat()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with AnsweringSocket(made.path, made.gateway.hear):
        yield made


def test_an_entry_is_asked_for_at_its_second_renewed_and_cancelled_at_its_end(scene: Scene) -> None:
    scene.write((10.25, 22.0, "40,,0,45,peak"))
    heard = scene.run(60)
    assert [time for time, _ in heard] == [10.25, 15.25, 20.25, 22.0]
    assert [round(m["for"], 3) for _, m in heard[:-1]] == [11.75, 6.75, 1.75]
    assert heard[0][1] == {
        "op": "request",
        "source": "schedule",
        "priority": "schedule",
        "power": 40.0,
        "low": 0.0,
        "high": 45.0,
        "for": 11.75,
        "reason": "peak",
        "id": "schedule/2027-01-15T08:00:10Z",
    }
    assert heard[-1][1] == {"op": "cancel", "source": "schedule"}
    assert scene.requester.status().delivered == 3


def test_a_lease_is_never_longer_than_half_a_minute(scene: Scene) -> None:
    scene.write((0, 86_400, "40,,,,"))
    assert {m["for"] for _, m in scene.run(60)} == {30.0}


def test_entries_that_touch_follow_each_other_without_a_cancel(scene: Scene) -> None:
    scene.write((3.0, 6.5, "40,,,,"), (6.5, 9.0, "-20,,,,"))
    assert scene.powers(15) == [(3.0, 40.0), (6.5, -20.0), (9.0, "cancel")]


def test_a_state_of_charge_is_asked_for_without_a_power(scene: Scene) -> None:
    scene.write((0, 3, ",80,,,"))
    (_, message), *_ = scene.run(2)
    assert message["soc_target"] == 80.0
    assert "power" not in message
    assert message["reason"] == "schedule, line 2"


def test_a_new_file_counts_at_once_and_a_bad_one_is_named(scene: Scene) -> None:
    scene.write((0, 600, "40,,,,"))
    assert scene.powers(3) == [(0.0, 40.0)]
    scene.write((0, 600, "25,,,,"))
    assert scene.powers(6) == [(3.0, 25.0)]
    scene.write((0, 600, "25x,,,,"))
    assert scene.powers(12) == [(8.0, 25.0)]
    status = scene.requester.status()
    assert status.state == "retrying"
    assert "line 2, power_kw" in str(status.last_error)
    assert "the schedule read before goes on" in str(status.last_error)
    scene.file.unlink()
    assert scene.powers(14) == [(13.0, 25.0)]
    assert "cannot be read" in str(scene.requester.status().last_error)
    scene.write()
    assert scene.powers(20) == [(14.0, "cancel")]
    assert scene.requester.status().state == "ok"


def test_without_a_file_nothing_is_asked(scene: Scene) -> None:
    assert scene.powers(5) == []
    assert "there is no schedule" in str(scene.requester.status().last_error)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ((5.0, 100.0), [(2.0, 40.0), (105.0, "cancel")]),  # forward, beyond the end
        ((5.0, -4.5), [(2.0, 40.0), (0.5, "cancel"), (2.0, 40.0), (7.0, 40.0)]),  # back, before the start
        ((1.0, 30.0), [(31.0, 40.0), (36.0, 40.0)]),  # forward, into it
        ((5.0, -2.5), [(2.0, 40.0), (7.5, 40.0)]),  # back, within it: still the same lease
        ((5.0, -3.0), [(2.0, 40.0), (7.0, 40.0)]),
    ],
)
def test_a_wall_clock_that_is_set_is_right_within_a_second(
    scene: Scene, step: tuple[float, float], expected: list[tuple[float, float | str]]
) -> None:
    scene.write((2.0, 50.0, "40,,,,"))
    scene.step = step
    heard = scene.powers(max(10.0, step[0] + step[1] + 5.5))
    assert heard[: len(expected)] == expected


def test_a_gateway_that_is_not_there_is_asked_again_every_second(scene: Scene) -> None:
    scene.write((0.0, 50.0, "40,,,,"))
    asks: list[float] = []

    def nobody(_: dict[str, Any]) -> dict[str, Any]:
        asks.append(scene.now)
        raise ConnectionRefusedError("nobody listens")

    scene.ask = nobody
    scene.run(4)
    assert asks == [0.0, 1.0, 2.0, 3.0]
    status = scene.requester.status()
    assert (status.failures, status.last_error) == (1, "the gateway did not take the request: nobody listens")
    scene.ask = socket_ask(scene.path)
    assert scene.powers(6) == [(4.0, 40.0)]
    assert scene.requester.status().last_error is None


def test_what_the_gateway_refuses_is_said(scene: Scene) -> None:
    scene.write((0.0, 50.0, "40,,,,"))
    scene.gateway.answer = {"ok": False, "error": "64 sources have live requests already"}
    assert len(scene.run(3)) == 3
    assert "64 sources" in str(scene.requester.status().last_error)


def test_the_service_plane_runs_it_when_there_is_a_file(tmp_path: Path) -> None:
    environment = {"SITE_ID": "s", "OTEL_EXPORTER_OTLP_ENDPOINT": "", "DATA_DIR": str(tmp_path)}
    with_both = {**environment, "SCHEDULE_FILE": "s.csv", "BESSAI_SOCKET": str(tmp_path / "g.sock")}
    assert [s.name for s in build_sinks(ServiceSettings.from_environment(environment))] == [
        "pubsub",
        "history",
        "otel",
    ]
    (sink,) = build_sinks(ServiceSettings.from_environment(with_both))[3:]
    assert (sink.name, sink.state) == ("schedule", "ok")


def test_it_ends_when_told(scene: Scene) -> None:
    stop = threading.Event()
    requester = ScheduleRequester(scene.file, scene.ask)
    thread = threading.Thread(target=keep_running, args=(requester, stop))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_the_control_plane_takes_what_it_sends(scene: Scene, tmp_path: Path) -> None:
    book = RequestBook()
    control_plane = LocalSocket(tmp_path / "unused", book, dict, SystemClock())
    scene.write((0.0, 2.0, "40,,0,45,peak"))
    scene.ask = lambda message: control_plane.answer(json.dumps(message).encode())
    scene.run(1)
    (request,) = book.live(SystemClock().monotonic())
    assert (request.source, request.priority, request.power) == ("schedule", Priority.SCHEDULE, 40.0)
    assert (request.bounds, request.reason) == (Bounds(0.0, 45.0), "peak")
    scene.run(4)
    assert book.live(SystemClock().monotonic()) == []
    assert scene.requester.status().last_error is None
