"""The site as a Sparkplug B edge node, with a connection of its own.

The plant's points are metrics of the node, those of the devices of a site file are metrics of Sparkplug devices.
The specification has everything sent with QoS 0, which nobody acknowledges. Each batch therefore ends with a
question that the broker answers only after it has handled everything before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from paho.mqtt.client import MQTTMessage

from bessai.interfaces.courier import Batch, Lane, Trouble
from bessai.interfaces.mqtt.connection import Connection, Sent, Will
from bessai.interfaces.mqtt.settings import MqttSettings
from bessai.interfaces.mqtt.sparkplug_payload import (
    BOOLEAN,
    NOTHING,
    Payload,
    Reading,
    add_bd_seq,
    add_birth,
    add_reading,
    death,
    wants_rebirth,
)
from bessai.interfaces.mqtt.topics import level
from bessai.interfaces.mqtt.trouble import explain
from bessai.journal.entry import Entry

_log = logging.getLogger(__name__)

_REBIRTH: Final = "Node Control/Rebirth"


@dataclass(slots=True, kw_only=True)
class _Metric:
    device: str
    """Empty for the node."""
    name: str
    unit: str | None
    alias: int
    current: Reading = NOTHING


class SparkplugCourier:
    """Sends what has changed: live data as it is, the backlog marked as historical.

    Args:
        settings: where to; `sparkplug_group` must be set.
        site: the unique id of the site, and the edge node id.
        publish: names the devices whose points go with the plant's own; None stands for every point.
    """

    def __init__(self, settings: MqttSettings, site: str, publish: Sequence[str] | None = None) -> None:
        if settings.sparkplug_group is None:
            raise ValueError("MQTT_SPARKPLUG_GROUP is not set: set it to the Sparkplug group id")
        self._settings = settings
        self._group = settings.sparkplug_group
        self._node = level(site)
        self._publish = publish
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._metrics: dict[str, _Metric] = {}
        self._told: dict[Lane, dict[str, tuple[str, int]]] = {}
        self._birth_due = threading.Event()
        self._seq = 0
        # A number that differs from that of the run before, whose late death must not be taken for ours.
        self._bd_seq = int(time.time()) % 256

    def send(self, batch: Batch, timeout: float) -> None:
        """Publish the batch. See `Courier`."""
        deadline = time.monotonic() + timeout
        try:
            connection = self._connected(deadline)
            cycles = [entry for entry in batch.entries if entry.kind == "cycle"]
            for entry in cycles:
                self._learn(entry, batch.lane)
            sent = self._send_birth(connection, deadline) if self._birth_due.is_set() else []
            for entry in cycles:
                sent += self._send_data(connection, entry, batch.lane, deadline)
            connection.wait(sent, deadline)
            connection.barrier(deadline)
        except BaseException:
            self.close()  # the receiver would miss a number of the sequence
            raise

    @property
    def connected(self) -> bool:
        """The broker has accepted the connection and was not lost since."""
        connection = self._connection
        return connection is not None and connection.accepted

    def explain(self, error: Exception) -> Trouble:
        """See `Courier`."""
        return explain(error, self._settings)

    def close(self) -> None:
        """See `Courier`. The broker then publishes NDEATH."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self, deadline: float) -> Connection:
        with self._lock:
            if self._connection is not None and self._connection.usable:
                return self._connection
        self.close()
        self._bd_seq = (self._bd_seq + 1) % 256
        connection = Connection(
            self._settings,
            f"{self._settings.client_id}-sparkplug",
            will=Will(topic=self._topic("NDEATH"), payload=death(self._bd_seq, _now_ms()), retain=False),
            subscribe=[self._topic("NCMD")],
            on_message=self._take,
        )
        with self._lock:
            self._connection = connection
        self._told = {lane: {} for lane in Lane}
        self._birth_due.set()
        connection.open(deadline)
        for refused in connection.deaf:
            _log.warning("Sparkplug: %s", self.explain(refused).sentence)
        return connection

    def _take(self, message: MQTTMessage) -> None:
        if wants_rebirth(bytes(message.payload)):
            self._birth_due.set()

    def _learn(self, entry: Entry, lane: Lane) -> None:
        """Note the metrics, and their values when they are those of now. One that is new needs a birth."""
        for name, unit in zip(entry.layout.names, entry.layout.units, strict=True):
            if name not in self._metrics and self._wanted(name):
                device, dot, short = name.partition(".")
                self._metrics[name] = _Metric(
                    device=device if dot else "", name=short or name, unit=unit, alias=len(self._metrics) + 1
                )
                self._birth_due.set()
        if lane is Lane.LIVE:
            for name, reading in _readings(entry):
                if name in self._metrics:
                    self._metrics[name].current = reading

    def _wanted(self, name: str) -> bool:
        device, dot, _ = name.partition(".")
        return self._publish is None or not dot or device in self._publish

    def _send_birth(self, connection: Connection, deadline: float) -> list[Sent]:
        self._birth_due.clear()
        self._seq = 0
        now = _now_ms()
        devices: dict[str, Any] = {"": Payload()}
        add_bd_seq(devices[""], self._bd_seq, now)
        devices[""].metrics.add(name=_REBIRTH, datatype=BOOLEAN, timestamp=now, boolean_value=False)
        for metric in self._metrics.values():
            payload = devices.setdefault(metric.device, Payload())
            add_birth(payload, metric.name, metric.unit, metric.current, metric.alias, now)
        return [
            self._publish_payload(connection, "DBIRTH" if device else "NBIRTH", device, payload, deadline)
            for device, payload in devices.items()
        ]

    def _send_data(self, connection: Connection, entry: Entry, lane: Lane, deadline: float) -> list[Sent]:
        told = self._told[lane]
        payloads: dict[str, Any] = {}
        for name, reading in _readings(entry):
            metric = self._metrics.get(name)
            # as text: NaN equals nothing, not even itself
            if metric is None or told.get(name) == (key := (repr(reading.value), reading.quality)):
                continue
            told[name] = key
            payload = payloads.setdefault(metric.device, Payload())
            add_reading(payload, reading, metric.alias, historical=lane is Lane.BACKLOG)
        return [
            self._publish_payload(connection, "DDATA" if device else "NDATA", device, payload, deadline)
            for device, payload in payloads.items()
        ]

    def _publish_payload(
        self, connection: Connection, kind: str, device: str, payload: Any, deadline: float
    ) -> Sent:
        payload.timestamp = _now_ms()
        payload.seq = self._seq
        self._seq = (self._seq + 1) % 256
        return connection.publish(
            self._topic(kind, device),
            payload.SerializeToString(),
            qos=0,
            content_type=None,
            deadline=deadline,
        )

    def _topic(self, kind: str, device: str = "") -> str:
        tail = f"/{level(device)}" if device else ""
        return f"spBv1.0/{self._group}/{kind}/{self._node}{tail}"


def _readings(entry: Entry) -> list[tuple[str, Reading]]:
    ages = np.nan_to_num(entry.ages.astype(np.float64), nan=0.0)
    times = (entry.wall_ns // 1_000_000 - np.rint(ages * 1000)).astype(np.int64).tolist()
    values, quality = entry.values.tolist(), entry.quality.tolist()
    return [
        (name, Reading(value=values[i], quality=quality[i], ms=times[i]))
        for i, name in enumerate(entry.layout.names)
    ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
