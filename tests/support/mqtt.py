"""Batches as the delivery makes them, and couriers for a broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessai.interfaces.courier import Batch, Lane, Message
from bessai.interfaces.envelope import SCHEMA_ID, encode, from_entry
from bessai.interfaces.mqtt import MqttSettings
from bessai.journal.entry import Entry
from support.mosquitto import Mosquitto

SITE = "plant-1"


def batch(entries: Sequence[Entry], lane: Lane = Lane.LIVE) -> Batch:
    return Batch(lane=lane, entries=entries, encode=lambda found: [message(entry, lane) for entry in found])


def message(entry: Entry, lane: Lane, data: bytes | None = None) -> Message:
    name = f"{SITE}/{entry.epoch}/{entry.sequence}"
    return Message(
        id=name,
        sequence=entry.sequence,
        data=encode(from_entry(entry, SITE)) if data is None else data,
        attributes={
            "id": name, "site": SITE, "epoch": str(entry.epoch), "sequence": str(entry.sequence),
            "lane": lane.value, "schema": SCHEMA_ID, "kind": entry.kind,
        },
        ordering_key=SITE,
    )  # fmt: skip


def settings(broker: Mosquitto, **changes: str) -> MqttSettings:
    environment = {"SITE_ID": SITE, "MQTT_URL": broker.url}
    if broker.tls:
        environment["MQTT_CA_FILE"] = str(broker.folder / "ca.pem")
    found = MqttSettings.from_environment({**environment, **changes})
    assert found is not None
    return found


def attributes(message: Any) -> dict[str, str]:
    return dict(message.properties.UserProperty)


def correlation(message: Any) -> bytes:
    found: bytes = message.properties.CorrelationData
    return found
