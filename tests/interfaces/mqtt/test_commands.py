"""Commands: what is asked of the control plane, and what is refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bessai.core.local_socket import LocalSocket
from bessai.core.requests import RequestBook
from bessai.interfaces.mqtt import MqttCourier
from bessai.interfaces.mqtt.commands import Command, Commands
from bessai.interfaces.schedule.requester import socket_ask
from bessai.model import Priority, SystemClock
from support.answering_socket import AnsweringSocket
from support.entries import cycle_entry
from support.fake_gateway import FakeGateway
from support.mosquitto import PATIENCE, Mosquitto, Observer
from support.mqtt import SITE, batch, correlation, settings

BASE = f"bessai/{SITE}"
LOGIN = {"MQTT_USERNAME": "gateway", "MQTT_PASSWORD": "right", "MQTT_COMMANDS": "true"}


class Plane:
    """The control plane's own handling of requests, without its socket; time stands still."""

    def __init__(self, tmp_path: Path) -> None:
        self.book = RequestBook()
        self.clock = SystemClock()
        self.asked: list[dict[str, Any]] = []
        self.dead = False
        self._socket = LocalSocket(tmp_path / "gateway.sock", self.book, dict, self.clock)
        self.now = 1_800_000_000.0
        self.commands = Commands(self.ask, wall=lambda: self.now, monotonic=lambda: self.now)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.dead:
            raise ConnectionRefusedError("no gateway")
        self.asked.append(message)
        return self._socket.answer(json.dumps(message).encode())

    def send(self, payload: object, **changes: Any) -> dict[str, Any]:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.commands.handle(Command(payload=data, arrived=self.now, **changes))


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def test_a_command_is_a_lease_below_the_operator(plane: Plane) -> None:
    result = plane.send({"power": -5, "seconds": 60, "reason": "cheap energy", "id": "a1"})
    assert result == {"id": "a1", "ok": True, "source": "mqtt", "seconds": 60.0}
    (request,) = plane.book.live(plane.clock.monotonic())
    assert (request.source, request.power, request.reason, request.id) == ("mqtt", -5.0, "cheap energy", "a1")
    assert request.priority is Priority.POWER_PLANT
    assert Priority.SCHEDULE < request.priority < Priority.OPERATOR
    assert plane.send({"cancel": True}) == {"id": None, "ok": True, "source": "mqtt", "cancelled": True}
    assert plane.book.live(plane.clock.monotonic()) == []


COMMAND: dict[str, Any] = {"power": 1.0, "seconds": 10}


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"discharge!", "the command is no JSON"),
        (b"\xff\xfe\x00", "the command is no JSON"),
        (b"[" * 4000, "the command is no JSON"),
        (b" " * 5000, "has 5000 bytes"),
        ([1], "no JSON object"),
        ({}, "power is missing: give a number (kW, + = discharge)"),
        ({"power": 1}, "seconds is missing"),
        ({**COMMAND, "power": "5"}, "power='5': give a number"),
        ({**COMMAND, "power": True}, "power=True: give a number"),
        (b'{"power": NaN, "seconds": 1}', "the command is no JSON"),
        (b'{"power": 1e999, "seconds": 1}', "power=inf: give a number"),
        ({**COMMAND, "seconds": 3601}, "for=3601: a lease lasts more than 0 and at most 3600 s"),
        ({**COMMAND, "seconds": -1}, "for=-1: a lease lasts"),
        ({**COMMAND, "powr": 1}, "'powr' is unknown: use cancel, id, power"),
        ({**COMMAND, "id": 7}, "id: give a printable text"),
        ({**COMMAND, "reason": "a\nb"}, "reason: give a printable text"),
        ({**COMMAND, "reason": "x" * 129}, "reason: give a printable text"),
        ({**COMMAND, "until": "tomorrow"}, "until='tomorrow': give a time such as"),
        ({**COMMAND, "cancel": True}, "cancel ends the request"),
        ({"cancel": "yes"}, "cancel='yes': use true"),
    ],
)
def test_each_mistake_has_one_sentence(plane: Plane, payload: object, says: str) -> None:
    result = plane.send(payload)
    assert not result["ok"]
    assert says in result["error"]
    assert plane.book.live(plane.clock.monotonic()) == []


def test_a_command_that_may_be_old_is_refused(plane: Plane) -> None:
    assert "retained" in plane.send(COMMAND, retained=True)["error"]
    late = Command(payload=json.dumps(COMMAND).encode(), arrived=plane.now - 5, expiry=5.0)
    assert plane.commands.handle(late)["error"] == "the command has expired"
    assert "has expired" in plane.send({**COMMAND, "until": "2027-01-15T07:59:59Z"})["error"]
    assert plane.asked == []
    assert plane.send({**COMMAND, "until": "2027-01-15T08:00:01Z"}, expiry=5.0)["ok"]


def test_a_command_that_comes_twice_is_done_once(plane: Plane) -> None:
    first = plane.send({**COMMAND, "id": "a"})
    assert plane.send({**COMMAND, "id": "a"}) == {**first, "duplicate": True}
    assert len(plane.asked) == 1
    for number in range(300):
        plane.send({**COMMAND, "id": f"n{number}"})
    assert "duplicate" not in plane.send({**COMMAND, "id": "a"}), "not remembered for ever"


def test_a_command_that_was_refused_may_come_again(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    plane.dead = True
    with caplog.at_level(logging.WARNING):
        result = plane.send({**COMMAND, "id": "a"})
    assert result == {"id": "a", "ok": False, "error": "the gateway does not answer: no gateway"}
    assert "MQTT command 'a' refused" in caplog.text
    plane.dead = False
    assert plane.send({**COMMAND, "id": "a"})["ok"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto.start_or_skip(tmp_path / "broker", tls=True, users={"gateway": "right"}) as found:
        yield found


def test_there_and_back_through_a_broker_and_a_socket(broker: Mosquitto, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with (
        AnsweringSocket(path, (gateway := FakeGateway()).answer),
        Observer(broker, "#", user=("gateway", "right")) as person,
        closing(MqttCourier(settings(broker, **LOGIN), SITE, socket_ask(path))) as courier,
    ):
        # left at the broker before the gateway came: nobody knows when
        person.publish(f"{BASE}/command", b'{"power": 9, "seconds": 60, "id": "old"}', retain=True)
        courier.send(batch([cycle_entry(1)]), PATIENCE)
        person.wait_for(lambda _: len(person.of(f"{BASE}/command/result")) == 1)

        person.publish(
            f"{BASE}/command", b'{"power": -5, "seconds": 60, "reason": "cheap", "id": "new"}',
            ResponseTopic="my/answers", CorrelationData=b"\x00c1",
        )  # fmt: skip
        person.wait_for(lambda _: len(person.of("my/answers")) == 1)
        # with the gateway's rights, a command must not write where the gateway writes
        person.publish(f"{BASE}/command", b"{}", ResponseTopic=f"{BASE}/state")
        person.publish(f"{BASE}/command", b'{"cancel": true, "id": "end"}', ResponseTopic="my/answers")
        person.wait_for(lambda _: len(person.of("my/answers")) == 2)

    results = [json.loads(m.payload) for m in person.of(f"{BASE}/command/result")]
    assert [(r["id"], r["ok"]) for r in results] == [
        ("old", False), ("new", True), (None, False), ("end", True),
    ]  # fmt: skip
    assert "retained" in results[0]["error"]
    answer, _ = person.of("my/answers")
    assert json.loads(answer.payload) == results[1]
    assert correlation(answer) == b"\x00c1"
    assert correlation(person.of(f"{BASE}/command/result")[1]) == b"\x00c1"
    assert [m.get("power") for m in gateway.messages] == [-5.0, None]
    assert len(person.of(f"{BASE}/state")) == 1


def test_without_the_setting_nobody_listens(broker: Mosquitto, tmp_path: Path) -> None:
    login = {**LOGIN, "MQTT_COMMANDS": "false"}
    path = tmp_path / "gateway.sock"
    with (
        AnsweringSocket(path, (gateway := FakeGateway()).answer),
        Observer(broker, "#", user=("gateway", "right")) as person,
        closing(MqttCourier(settings(broker, **login), SITE, socket_ask(path))) as courier,
    ):
        courier.send(batch([cycle_entry(1)]), PATIENCE)
        person.publish(f"{BASE}/command", json.dumps(COMMAND).encode())
        courier.send(batch([cycle_entry(2)]), PATIENCE)
    assert gateway.messages == []
    assert "SUBSCRIBE from bessai-plant-1" not in broker.log()


def test_commands_need_somebody_to_ask(broker: Mosquitto) -> None:
    with pytest.raises(ValueError, match="MQTT_COMMANDS=true needs the gateway's socket"):
        MqttCourier(settings(broker, **LOGIN), SITE)
