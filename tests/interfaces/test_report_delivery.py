"""Report rules and batches through the whole delivery, over the wire to a real gRPC server, across outages."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bessai.interfaces.build import Parts
from bessai.interfaces.delivery import Pace
from bessai.interfaces.pubsub import CONSUMER, PubSubPublisher
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import keep_running
from bessai.journal.entry import Entry
from bessai.model import Layout, Quality
from support.entries import MemoryJournal, cycle_entry, event_entry
from support.fake_pubsub import FakePubSub
from support.memory_courier import wait_until

TOPIC = "projects/plant/topics/telemetry"
LAYOUT = Layout(tuple(f"rack_{i}.soc" for i in range(8)), ("%",) * 8)
BAND = 0.5
RULES = {"rules": [{"points": ["*"], "dead_band": BAND}]}


def _subscriber() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "examples" / "unpack_batch.py"
    spec = importlib.util.spec_from_file_location("unpack_batch", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SUBSCRIBER = _subscriber()


def _records(count: int) -> list[Entry]:
    rng = np.random.default_rng(11)
    values = 50 + rng.normal(0, 0.3, (count, 8)).cumsum(axis=0).round(2)
    quality = (rng.random((count, 8)) < 0.02).astype(np.uint8) * Quality.STALE
    return [
        event_entry(n + 1) if n % 50 == 49  # the last of each part, which is always sent
        else cycle_entry(n + 1, layout=LAYOUT, values=values[n], quality=quality[n].astype(np.uint8))
        for n in range(count)
    ]  # fmt: skip


@contextmanager
def _publishing(journal: MemoryJournal, host: str, form: str) -> Iterator[PubSubPublisher]:
    environment = {"SITE_ID": "plant-1", "PUBLISH_FORMAT": form, "BESSAI_REPORT": json.dumps(RULES)}
    parts = Parts(settings=ServiceSettings.from_environment(environment))
    publisher = PubSubPublisher(
        site="plant-1", project="plant", topic="telemetry", emulator_host=host,
        pace=Pace(
            batch_records=20, poll=0.01, retry_first=0.02, retry_passing=0.05, split_after=0.05, attempt_timeout=5.0,
        ),
        encode=parts.encoder(), filters=parts.filters(CONSUMER),
        open_reader=lambda: journal, open_cursors=lambda: journal,
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(publisher, stop), daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        stop.set()
        publisher.abort()
        thread.join(30)
        assert not thread.is_alive()


def _received(server: FakePubSub) -> dict[int, dict[str, Any]]:
    """By sequence, as docs/message.md says: a record that comes again complete takes the place of the first."""
    records: dict[int, dict[str, Any]] = {}
    for message in server.messages:
        document = json.loads(message.data)
        assert message.attributes["schema"] == document["schema"]
        batch = document["schema"] == "bessai.batch/1"
        for record in SUBSCRIBER.records(document) if batch else [document]:
            if record["sequence"] not in records or record["complete"]:
                records[record["sequence"]] = record
    return records


@pytest.mark.parametrize("form", ["records", "batch"])
def test_a_subscriber_knows_every_point_to_within_its_dead_band(form: str) -> None:
    entries = _records(600)
    journal = MemoryJournal(entries[:100])
    with FakePubSub(topics=[TOPIC]) as server:
        with _publishing(journal, server.host, form) as publisher:
            wait_until(lambda: journal.get(CONSUMER) == 100, "the beginning")
            server.stop()
            journal.append(*entries[100:400])
            wait_until(lambda: publisher.status().failures >= 5, "the outage lasts")
            server.start()
            server.lose_acks(times=2)
            for entry in entries[400:500]:
                journal.append(entry)
            wait_until(lambda: journal.get(CONSUMER) == 500, "the outage is bridged")
        with _publishing(journal, server.host, form):  # another process goes on
            journal.append(*entries[500:])
            wait_until(lambda: journal.get(CONSUMER) == 600, "the end")
        records = _received(server)
        lanes = {message.attributes["lane"] for message in server.messages}
    assert lanes == {"live", "backlog"}
    known: dict[str, dict[str, Any]] = {}
    for entry in entries:
        record = records.get(entry.sequence)
        if entry.kind == "event":
            assert record is not None
            assert record["events"], "events always"
            continue
        if record is not None:
            known |= record["points"]
        assert len(known) == len(LAYOUT)
        for name, value, quality in zip(LAYOUT.names, entry.values, entry.quality, strict=True):
            assert abs(known[name]["value"] - value) <= BAND + 1e-9
            assert known[name]["quality"] == Quality(int(quality)).label
    assert sum(len(record["points"]) for record in records.values()) < 0.7 * 588 * 8, (
        "and much stayed at home"
    )
