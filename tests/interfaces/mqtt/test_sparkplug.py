"""Sparkplug B, read by a small host that decodes the bytes by hand."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest

from bessai.interfaces.courier import Lane
from bessai.interfaces.mqtt.sparkplug import SparkplugCourier
from bessai.model import Layout, Quality
from support.entries import LAYOUT, START_NS, cycle_entry, event_entry
from support.mosquitto import PATIENCE, Mosquitto, Observer
from support.mqtt import SITE, batch, settings

REBIRTH = b"\x12\x1a" + b"\x0a\x14Node Control/Rebirth" + b"\x20\x0b" + b"\x70\x01"


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field number and raw value: int for varints, bytes for the rest."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        value: int | bytes
        if wire == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                size, at = varint(data, at)
            value, at = data[at : at + size], at + size
            assert len(value) == size, "cut off"
        yield number, value


@dataclass
class Metric:
    name: str | None = None
    alias: int = 0
    timestamp: int | None = None
    datatype: int | None = None
    historical: bool = False
    null: bool = False
    value: Any = None
    properties: dict[str, Any] = field(default_factory=dict)


def metric(data: bytes) -> Metric:
    found = Metric()
    for number, value in fields(data):
        match number:
            case 1:
                found.name = value.decode()
            case 2:
                found.alias = value
            case 3:
                found.timestamp = value
            case 4:
                found.datatype = value
            case 5:
                found.historical = bool(value)
            case 7:
                found.null = bool(value)
            case 9:
                keys = [v.decode() for n, v in fields(value) if n == 1]
                values = [dict(fields(v)) for n, v in fields(value) if n == 2]
                assert all(v[1] in {3, 12} for v in values)  # Int32, String
                plain = [v[3] if v[1] == 3 else v[8].decode() for v in values]
                found.properties = dict(zip(keys, plain, strict=True))
            case 11 | 14:
                found.value = value
            case 13:
                (found.value,) = struct.unpack("<d", value)
            case _:
                raise AssertionError(f"field {number} of a metric")
    return found


@dataclass
class Payload:
    kind: str
    device: str
    timestamp: int | None
    seq: int | None
    metrics: list[Metric]

    def named(self, name: str) -> Metric:
        (found,) = [m for m in self.metrics if m.name == name]
        return found


def payload(message: paho.MQTTMessage) -> Payload:
    _, _, kind, node, *device = message.topic.split("/")
    assert node == SITE
    assert not message.retain
    assert message.qos == (1 if kind == "NDEATH" else 0)
    found = list(fields(bytes(message.payload)))
    single = {number: value for number, value in found if number != 2}
    assert set(single) <= {1, 3}
    metrics = [metric(value) for number, value in found if number == 2]
    return Payload(kind, "".join(device), single.get(1), single.get(3), metrics)


class Host:
    """Keeps what it is told, as a host application does, and checks the sequence as it goes."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def all(self) -> list[Payload]:
        found = [payload(m) for m in list(self._observer.messages) if "/NCMD/" not in m.topic]
        expected = 0
        for one in found:
            assert one.timestamp
            if one.kind == "NDEATH":
                assert one.seq is None
                continue
            assert one.seq == (0 if one.kind == "NBIRTH" else expected)
            expected = (one.seq + 1) % 256
        return found

    def kinds(self) -> list[str]:
        return [f"{one.kind} {one.device}".strip() for one in self.all()]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto.start_or_skip(tmp_path / "broker") as found:
        yield found


@pytest.fixture
def observer(broker: Mosquitto) -> Iterator[Observer]:
    with Observer(broker, "spBv1.0/#") as found:
        yield found


def courier(broker: Mosquitto, **options: Any) -> SparkplugCourier:
    found = settings(broker, MQTT_SPARKPLUG="true", MQTT_SPARKPLUG_GROUP="Plants")
    return SparkplugCourier(found, SITE, **options)


def test_a_birth_names_everything_and_data_refers_to_it(broker: Mosquitto, observer: Observer) -> None:
    host = Host(observer)
    with closing(courier(broker)) as found:
        for number in (1, 2):
            found.send(batch([cycle_entry(number), event_entry(number + 100)]), PATIENCE)
        observer.wait_for(lambda seen: len(seen) == 3)
    birth, first, second = host.all()[:3]
    assert [m.topic for m in observer.messages[:2]] == [
        f"spBv1.0/Plants/{k}/{SITE}" for k in ("NBIRTH", "NDATA")
    ]
    assert [m.name for m in birth.metrics] == ["bdSeq", "Node Control/Rebirth", *LAYOUT.names]
    control = birth.named("Node Control/Rebirth")
    assert (control.datatype, control.value) == (11, 0)
    assert birth.named("bdSeq").datatype == 4
    soc = birth.named("soc")
    assert (soc.value, soc.datatype, soc.properties) == (51.0, 10, {"engUnit": "%"})
    assert soc.timestamp == START_NS // 1_000_000 + 750
    aliases = {m.alias: m.name for m in birth.metrics if m.alias}
    assert len(aliases) == len(LAYOUT)
    assert {aliases[m.alias]: m.value for m in first.metrics} == {
        "soc": 51.0, "active_power": -1.5, "battery_power": -1.25, "cell_temperature_max": 25.5,
        "device_status": 512.0, "alarms": 9.0,
    }  # fmt: skip
    assert all(m.name is None and not m.historical for m in first.metrics + second.metrics)
    assert [(aliases[m.alias], m.value) for m in second.metrics] == [("soc", 52.0)], "only what has changed"


def test_the_backlog_is_historical_and_no_value_of_now(broker: Mosquitto, observer: Observer) -> None:
    host = Host(observer)
    with closing(courier(broker)) as found:
        found.send(batch([cycle_entry(1), cycle_entry(2)], Lane.BACKLOG), PATIENCE)
        found.send(batch([cycle_entry(9)]), PATIENCE)
        observer.wait_for(lambda seen: len(seen) == 4)
    birth, one, two, live = host.all()[:4]
    assert birth.named("soc").null
    assert birth.named("soc").properties["Quality"] == 0
    assert [m.historical for m in one.metrics + two.metrics] == [True] * (len(LAYOUT) + 1)
    assert [m.value for m in two.metrics] == [52.0]
    assert [m.historical for m in live.metrics] == [False] * len(LAYOUT)


def test_what_is_not_good_says_so(broker: Mosquitto, observer: Observer) -> None:
    quality = np.array([Quality.STALE, Quality.MISSING, 0, 0, 0, 0], np.uint8)
    values = np.array([50.0, np.nan, 1.0, 2.0, 3.0, 4.0])
    with closing(courier(broker)) as found:
        found.send(batch([cycle_entry(1, quality=quality, values=values)]), PATIENCE)
        found.send(batch([cycle_entry(2, quality=quality, values=values)]), PATIENCE)
        found.send(batch([cycle_entry(3, values=values)]), PATIENCE)
        observer.wait_for(lambda seen: len(seen) == 3)
    _, data, better = Host(observer).all()[:3]
    soc, power, third = data.metrics[:3]
    assert (soc.value, soc.null, soc.properties) == (50.0, False, {"Quality": 500})
    assert (power.value, power.null, power.properties) == (None, True, {"Quality": 0})
    assert (third.value, third.properties) == (1.0, {})
    assert [m.alias for m in better.metrics] == [soc.alias, power.alias]


def test_devices_of_the_site_are_devices(broker: Mosquitto, observer: Observer) -> None:
    layout = Layout(
        names=("soc", "rack_1.soc", "rack_2.soc", "meter.grid_power"), units=("%", "%", "%", "kW")
    )
    with closing(courier(broker, publish=["rack_1", "rack_2"])) as found:
        found.send(batch([cycle_entry(1, layout=layout)]), PATIENCE)
        observer.wait_for(lambda seen: len(seen) == 6)
    host = Host(observer)
    assert host.kinds()[:6] == [
        "NBIRTH",
        "DBIRTH rack_1",
        "DBIRTH rack_2",
        "NDATA",
        "DDATA rack_1",
        "DDATA rack_2",
    ]
    births = host.all()[:3]
    assert [m.name for m in births[1].metrics] == ["soc"]
    aliases = [m.alias for one in births for m in one.metrics if m.alias]
    assert len(aliases) == len(set(aliases)) == 3


def test_a_host_that_asks_gets_a_new_birth(broker: Mosquitto, observer: Observer) -> None:
    with closing(courier(broker)) as found:
        found.send(batch([cycle_entry(1)]), PATIENCE)
        command = f"spBv1.0/Plants/NCMD/{SITE}"
        observer.publish(command, b"\xff no payload", qos=0)
        observer.publish(command, b"", qos=0)
        observer.publish(command, REBIRTH, qos=0)
        number, deadline = 1, time.monotonic() + PATIENCE
        while Host(observer).kinds().count("NBIRTH") == 1:
            number += 1
            found.send(batch([cycle_entry(number)]), PATIENCE)
            assert time.monotonic() < deadline
        observer.wait_for(lambda seen: Host(observer).kinds()[-1] == "NDATA")
    births = [one for one in Host(observer).all() if one.kind == "NBIRTH"]
    assert births[0].named("bdSeq").value == births[1].named("bdSeq").value
    assert births[1].named("soc").value >= 52.0, "what is true now"


def test_the_sequence_goes_round_and_a_death_belongs_to_its_birth(
    broker: Mosquitto, observer: Observer
) -> None:
    with closing(courier(broker)) as found:
        found.send(batch([cycle_entry(n) for n in range(1, 301)], Lane.BACKLOG), PATIENCE)
        found.close()
        observer.wait_for(lambda seen: len(seen) == 302)
        found.send(batch([cycle_entry(301)], Lane.BACKLOG), PATIENCE)
    observer.wait_for(lambda seen: len(seen) == 305)
    seen = Host(observer).all()
    assert max(one.seq or 0 for one in seen) == 255
    numbers = [one.named("bdSeq").value for one in seen if one.kind in {"NBIRTH", "NDEATH"}]
    assert [one.kind for one in seen if one.kind[1:] in {"BIRTH", "DEATH"}] == ["NBIRTH", "NDEATH"] * 2
    assert numbers[0] == numbers[1]
    assert numbers[2] == numbers[3] == (numbers[0] + 1) % 256


def test_nothing_counts_as_sent_that_the_broker_has_not_handled(
    broker: Mosquitto, observer: Observer
) -> None:
    with closing(courier(broker)) as found:
        found.send(batch([cycle_entry(1)]), PATIENCE)
        broker.kill()
        with pytest.raises(Exception, match=r".*") as caught:
            found.send(batch([cycle_entry(2)]), 5.0)
        assert found.explain(caught.value).passing
