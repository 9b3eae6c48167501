"""Records, state and last will at a real broker."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from bessai.interfaces.courier import Batch, Lane
from bessai.interfaces.mqtt import MqttCourier, MqttSettings
from bessai.interfaces.mqtt.errors import BrokerError, ClosedError, TooLargeError
from bessai.model import Layout, Quality
from support.entries import LAYOUT, cycle_entry, event_entry
from support.mosquitto import PATIENCE, Mosquitto, Observer
from support.mqtt import SITE, attributes, batch, message, settings
from support.records import wait_until

BASE = f"bessai/{SITE}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto.start_or_skip(tmp_path / "broker") as found:
        yield found


@pytest.fixture
def observer(broker: Mosquitto) -> Iterator[Observer]:
    with Observer(broker, "#") as found:
        yield found


def test_every_record_of_both_lanes_arrives_in_order_with_its_attributes(
    broker: Mosquitto, observer: Observer
) -> None:
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([cycle_entry(n) for n in range(1, 31)], Lane.BACKLOG), PATIENCE)
        courier.send(batch([cycle_entry(n) for n in range(31, 61)]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/records")) == 60)
    seen = observer.of(f"{BASE}/records")
    assert [json.loads(m.payload)["sequence"] for m in seen] == list(range(1, 61))
    assert [m.payload for m in seen] == [message(cycle_entry(n), Lane.LIVE).data for n in range(1, 61)]
    assert all(m.qos == 1 and not m.retain for m in seen)
    assert [attributes(m)["lane"] for m in (seen[0], seen[-1])] == ["backlog", "live"]
    assert attributes(seen[6])["id"] == f"{SITE}/0/7"


def test_the_backlog_leaves_the_state_alone(broker: Mosquitto, observer: Observer) -> None:
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([cycle_entry(1)], Lane.BACKLOG), PATIENCE)
        courier.send(batch([cycle_entry(9)]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/points/soc")) == 1)
        observer.wait_for(lambda _: bool(observer.of(f"{BASE}/state")))
    assert [json.loads(m.payload)["sequence"] for m in observer.of(f"{BASE}/state")] == [9]
    assert json.loads(observer.of(f"{BASE}/points/soc")[0].payload) == {
        "value": 59.0, "unit": "%", "quality": "good", "time": "2026-01-01T00:00:08.750000Z",
    }  # fmt: skip


def test_who_comes_later_finds_the_state_and_the_points(broker: Mosquitto) -> None:
    names = (*LAYOUT.names, "rack_1.soc", "a/b+c#")
    layout = Layout(names=names, units=(*LAYOUT.units, "%", None), states=LAYOUT.states, bits=LAYOUT.bits)
    with closing(MqttCourier(settings(broker, MQTT_TOPIC_PREFIX="plants/north"), SITE)) as courier:
        courier.send(batch([cycle_entry(3, layout=layout), cycle_entry(4, layout=layout)]), PATIENCE)
        with Observer(broker, "plants/#") as late:
            base = f"plants/north/{SITE}"
            late.wait_for(lambda seen: len(seen) == 2 + len(names))
    assert all(m.retain for m in late.messages)
    assert json.loads(late.of(f"{base}/state")[0].payload)["sequence"] == 4
    assert late.of(f"{base}/availability")[0].payload == b"online"
    assert {m.topic for m in late.messages} >= {f"{base}/points/rack_1.soc", f"{base}/points/a%2Fb%2Bc%23"}
    assert json.loads(late.of(f"{base}/points/device_status")[0].payload)["meaning"] == "on_grid"


def test_a_point_is_told_when_it_changes(broker: Mosquitto, observer: Observer) -> None:
    stale = np.array([0, Quality.STALE, 0, 0, 0, 0], np.uint8)
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        for entry in (cycle_entry(1), cycle_entry(2), cycle_entry(3, quality=stale)):
            courier.send(batch([entry]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/state")) == 3)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/points/active_power")) == 2)
    assert [json.loads(m.payload)["value"] for m in observer.of(f"{BASE}/points/soc")] == [51.0, 52.0, 53.0]
    assert [json.loads(m.payload)["quality"] for m in observer.of(f"{BASE}/points/active_power")] == [
        "good", "stale",
    ]  # fmt: skip
    assert len(observer.of(f"{BASE}/points/battery_power")) == 1


def test_a_record_with_few_points_does_not_replace_the_state(broker: Mosquitto, observer: Observer) -> None:
    few = Layout(names=("soc", "active_power"), units=("%", "kW"))
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([cycle_entry(1), cycle_entry(2, layout=few)]), PATIENCE)
        courier.send(batch([cycle_entry(3, layout=few)]), PATIENCE)
        courier.send(batch([event_entry(4)]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/events")) == 1)
    assert [json.loads(m.payload)["sequence"] for m in observer.of(f"{BASE}/state")] == [1]
    assert [json.loads(m.payload)["value"] for m in observer.of(f"{BASE}/points/soc")] == [52.0, 53.0]


def test_events_have_a_topic_in_both_lanes(broker: Mosquitto, observer: Observer) -> None:
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([event_entry(1)], Lane.BACKLOG), PATIENCE)
        courier.send(batch([cycle_entry(2), event_entry(3)]), PATIENCE)
        observer.wait_for(lambda _: len(observer.of(f"{BASE}/events")) == 2)
    seen = [json.loads(m.payload) for m in observer.of(f"{BASE}/events")]
    assert [(e["site"], e["sequence"], e["code"]) for e in seen] == [
        (SITE, 1, "evidence_lost"), (SITE, 3, "evidence_lost"),
    ]  # fmt: skip


def test_a_broker_that_is_killed_in_the_middle_loses_nothing(broker: Mosquitto) -> None:
    entries = [cycle_entry(n) for n in range(1, 1001)]
    records = f"{BASE}/records"
    small = Batch(
        Lane.BACKLOG, entries, lambda found: [message(e, Lane.BACKLOG, b"%d" % e.sequence) for e in found]
    )
    errors: list[Exception] = []
    with closing(MqttCourier(settings(broker), SITE)) as courier:

        def send() -> None:
            try:
                courier.send(small, PATIENCE)
            except Exception as error:  # noqa: BLE001  looked at below
                errors.append(error)

        with Observer(broker, records) as before:
            sending = threading.Thread(target=send)
            sending.start()
            before.wait_for(lambda seen: len(seen) >= 20)
            broker.kill()
            sending.join()
        assert len(errors) == 1, "the batch was taken as delivered although the broker had died"
        assert courier.explain(errors[0]).passing
        assert len(before.messages) < 1000
        broker.start()
        with Observer(broker, records) as after:
            courier.send(small, PATIENCE)
            after.wait_for(lambda seen: len(seen) == 1000)
    assert [m.payload for m in after.messages] == [b"%d" % n for n in range(1, 1001)]
    first = {attributes(m)["id"] for m in before.messages}
    assert first <= {attributes(m)["id"] for m in after.messages}


def test_a_closed_courier_is_offline_and_connects_anew(broker: Mosquitto, observer: Observer) -> None:
    topic = f"{BASE}/availability"
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([cycle_entry(1)]), PATIENCE)
        courier.close()
        observer.wait_payload(topic, b"offline")
        courier.send(batch([cycle_entry(2)]), PATIENCE)
        observer.wait_payload(topic, b"online")
    observer.wait_payload(topic, b"offline")
    assert [m.payload for m in observer.of(topic)] == [b"online", b"offline"] * 2
    assert len(observer.of(f"{BASE}/points/battery_power")) == 2, "told again at a new connection"


_CHILD = """
import time
from bessai.interfaces.mqtt import MqttCourier, MqttSettings
from support.entries import cycle_entry
from support.mqtt import SITE, batch
settings = MqttSettings.from_environment({"SITE_ID": SITE, "MQTT_URL": "%s"})
MqttCourier(settings, SITE).send(batch([cycle_entry(1)]), 30.0)
time.sleep(600)
"""


def test_a_gateway_that_is_killed_is_offline(broker: Mosquitto, observer: Observer) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).resolve()) for p in sys.path)}
    child = subprocess.Popen([sys.executable, "-c", _CHILD % broker.url], env=environment)
    try:
        observer.wait_payload(f"{BASE}/availability", b"online")
        child.kill()
        observer.wait_payload(f"{BASE}/availability", b"offline")
    finally:
        child.kill()
        child.wait()


def test_close_ends_a_send_that_waits(broker: Mosquitto) -> None:
    courier = MqttCourier(settings(broker), SITE)
    courier.send(batch([cycle_entry(1)]), PATIENCE)
    broker.kill(signal.SIGSTOP)
    ended = threading.Event()
    errors: list[Exception] = []

    def send() -> None:
        try:
            courier.send(batch([cycle_entry(2)]), 600.0)
        except Exception as error:  # noqa: BLE001  looked at below
            errors.append(error)
        ended.set()

    threading.Thread(target=send, daemon=True).start()
    assert not ended.wait(0.2)
    courier.close()
    assert ended.wait(PATIENCE)
    assert isinstance(errors[0], ClosedError)


def test_a_broker_that_does_not_answer_costs_the_time_allowed(broker: Mosquitto) -> None:
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        courier.send(batch([cycle_entry(1)]), PATIENCE)
        broker.kill(signal.SIGSTOP)
        with pytest.raises(TimeoutError) as caught:
            courier.send(batch([cycle_entry(2)]), 0.2)
        assert "does not answer in time" in courier.explain(caught.value).sentence
        broker.kill(signal.SIGCONT)


class SlowBroker:
    """Takes a connection and answers a burst of messages only once no more come. Its receive maximum is 3."""

    def __init__(self, reason: int = 0) -> None:
        self.bursts: list[int] = []
        self._reason = reason
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, suppress(EOFError, OSError):
            _packet(connection)
            connection.sendall(bytes([0x20, 6, 0, 0, 3, 0x21, 0, 3]))
            while True:
                kind, first = _packet(connection)
                if kind == 0x82:  # a subscription, which is refused
                    connection.sendall(bytes([0x90, 4]) + first[:2] + bytes([0, 0x87]))
                    continue
                waiting = [first]
                while select.select([connection], [], [], 0.3)[0]:
                    waiting.append(_packet(connection)[1])
                self.bursts.append(len(waiting))
                for body in waiting:
                    at = 2 + int.from_bytes(body[:2], "big")  # behind the topic is the number of the message
                    connection.sendall(bytes([0x40, 4]) + body[at : at + 2] + bytes([self._reason, 0]))


def _packet(connection: socket.socket) -> tuple[int, bytes]:
    """The next packet: its first byte, and what stands behind its length."""

    def read(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    (kind,) = read(1)
    size = shift = 0
    while True:
        (byte,) = read(1)
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return kind, read(size)


def test_no_more_is_in_flight_than_the_broker_takes() -> None:
    broker = SlowBroker()
    found = MqttSettings(host="127.0.0.1", port=broker.port, tls=False, client_id="x")
    with closing(MqttCourier(found, SITE)) as courier:
        courier.send(batch([cycle_entry(n) for n in range(1, 8)], Lane.BACKLOG), PATIENCE)
    assert max(broker.bursts) <= 3
    assert sum(broker.bursts) == 1 + 7  # online, and the records


def test_a_message_that_was_acknowledged_with_an_error_was_not_delivered() -> None:
    broker = SlowBroker(reason=0x97)
    found = MqttSettings(host="127.0.0.1", port=broker.port, tls=False, client_id="x")
    with closing(MqttCourier(found, SITE)) as courier:
        with pytest.raises(BrokerError) as caught:
            courier.send(batch([cycle_entry(1)], Lane.BACKLOG), PATIENCE)
        assert "quota" in courier.explain(caught.value).sentence


def test_records_go_on_where_nothing_may_be_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    broker = SlowBroker()
    found = MqttSettings(host="127.0.0.1", port=broker.port, tls=False, client_id="x", home_assistant=True)
    with closing(MqttCourier(found, SITE)) as courier, caplog.at_level(logging.WARNING):
        courier.send(batch([cycle_entry(1)], Lane.BACKLOG), PATIENCE)
    assert sum(broker.bursts) == 2
    assert "does not allow the client x to subscribe to homeassistant/status" in caplog.text


def test_a_message_that_is_too_large_is_known_as_poison(tmp_path: Path) -> None:
    big = cycle_entry(1, texts={"note": "x" * 5000})
    with (
        Mosquitto.start_or_skip(tmp_path / "small", lines=("max_packet_size 5000",)) as broker,
        closing(MqttCourier(settings(broker), SITE)) as courier,
    ):
        with pytest.raises(TooLargeError) as caught:
            courier.send(batch([big], Lane.BACKLOG), PATIENCE)
        trouble = courier.explain(caught.value)
        assert trouble.poison
        assert not trouble.reconnect
        assert "5000 bytes" in trouble.sentence
        courier.send(batch([cycle_entry(2)], Lane.BACKLOG), PATIENCE)


def test_a_connection_without_encryption_is_warned_of(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        MqttCourier(settings(broker), SITE)
    assert "is not encrypted" in caplog.text


def test_a_courier_says_whether_it_is_connected(broker: Mosquitto) -> None:
    seen = []
    with closing(MqttCourier(settings(broker), SITE)) as courier:
        seen.append(courier.connected)
        courier.send(batch([cycle_entry(1)]), PATIENCE)
        seen.append(courier.connected)
        broker.kill()
        wait_until(lambda: not courier.connected)
        broker.start()
        courier.send(batch([cycle_entry(2)]), PATIENCE)
        seen.append(courier.connected)
    seen.append(courier.connected)
    assert seen == [False, True, True, False]
