"""The promise of the whole: the device is pulled, the service plane killed, the cloud gone, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from bessai.journal import JournalReader
from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.fake_pubsub import FakePubSub
from support.gateway import GatewayProcess, power
from support.memory_courier import check_chains

TOPIC = "projects/test/topics/telemetry"


def test_device_pulled_service_plane_killed_cloud_gone(tmp_path: Path) -> None:
    asyncio.run(_scenario(tmp_path))


async def _scenario(tmp_path: Path) -> None:
    # ten simulated seconds a second: the dead-man's two minutes pass while the cable is pulled
    twin = TwinServer(load_profile("huawei_sun2000"), seed=7, speed=10)
    await twin.start()
    with (
        FakePubSub(topics=[TOPIC]) as cloud,
        GatewayProcess(
            tmp_path / "data",
            INVERTER_PORT=str(twin.port),
            GCP_PROJECT_ID="test",
            GCP_PUBSUB_TOPIC="telemetry",
            PUBSUB_EMULATOR_HOST=cloud.host,
        ) as gateway,
    ):
        await gateway.until(lambda s: s["control"]["state"] == "normal")
        gateway.request(-3.0)
        status = await gateway.until(lambda s: abs(power(s) + 3.0) < 0.2)
        assert twin.device.value("battery_power") < -2.8

        await twin.unplug()
        await asyncio.to_thread(cloud.stop)
        os.kill(status["service_plane"]["pid"], signal.SIGKILL)
        held = await gateway.until(lambda s: s["control"]["state"] == "hold")
        assert held["control"]["setpoint"] == 0.0
        assert not held["healthy"]
        await asyncio.sleep(4)
        await asyncio.to_thread(cloud.start)
        await _until(lambda: twin.device.fallbacks == 1 and abs(twin.device.value("battery_power")) < 0.1)

        await twin.plug_in()
        recovered = await gateway.until(lambda s: abs(power(s) + 3.0) < 0.2)
        assert recovered["cycle"]["missed"] == 0
        assert recovered["service_plane"]["restarts"] >= 1

        assert await asyncio.to_thread(gateway.end) == 0
        await asyncio.sleep(0.5)
        assert abs(twin.device.value("battery_power")) < 0.1, "a clean stop ends the forced mode"

        # a new gateway on the same journal publishes what the first one had no time for
        last = _last_sequence(tmp_path / "data")
        with gateway:
            await gateway.until(lambda s: s["control"]["state"] == "normal")
            await asyncio.to_thread(_published, cloud, last)
            assert await asyncio.to_thread(gateway.end) == 0
    await twin.stop()

    received = sorted({int(message.attributes["sequence"]) for message in cloud.messages})
    assert received == list(range(1, len(received) + 1)), "none missing"
    assert len(received) >= last
    check_chains(cloud.messages)
    assert all(
        m.attributes["id"] == f"site-1/{m.attributes['epoch']}/{m.attributes['sequence']}"
        for m in cloud.messages
    )
    assert {m.ordering_key for m in cloud.messages} == {"site-1", "site-1/backlog"}
    contents: dict[str, bytes] = {}
    for message in cloud.messages:
        assert contents.setdefault(message.attributes["id"], message.data) == message.data
    events = {e["code"] for m in cloud.messages for e in json.loads(m.data)["events"]}
    assert {"device_disconnected", "evidence_lost", "service_plane_died", "gateway_stopped"} <= events


async def _until(check: Callable[[], bool]) -> None:
    for _ in range(600):
        if check():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not within a minute")


def _last_sequence(data: Path) -> int:
    reader = JournalReader(data)
    try:
        return reader.last_sequence()
    finally:
        reader.close()


def _published(cloud: FakePubSub, last: int) -> None:
    for _ in range(600):
        if set(range(1, last + 1)) <= set(cloud.sequences()):
            return
        cloud.wait_for(len(cloud.messages) + 1)
    raise AssertionError(f"not all up to {last} arrived")
