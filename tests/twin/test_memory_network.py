"""The gateway's own client against twins on a network in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bessai.drivers.modbus import ConnectionFailed, DeviceException, ModbusClient, read, write
from bessai.model import Endpoint
from bessai.registry import load_profile
from bessai.twin import Plant, TwinDevice
from bessai.twin.memory_network import MemoryNetwork
from bessai.twin.sim_loop import NothingWillEverHappenError, SimLoop


def _play(job: Callable[[SimLoop], Coroutine[Any, Any, None]]) -> float:
    """Run a job on simulated time; the seconds that it took there."""
    loop = SimLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(loop.create_task(job(loop)))
    finally:
        for task in loop.tasks():
            task.cancel()
        with contextlib.suppress(NothingWillEverHappenError, asyncio.CancelledError):
            loop.run_until_complete(asyncio.gather(*loop.tasks(), return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
    return loop.now - 1000.0


def test_devices_answer_at_their_own_places_and_time_moves_with_the_loop() -> None:
    async def job(loop: SimLoop) -> None:
        profile = load_profile("huawei_sun2000")
        plant = Plant(seed=1)
        first, second = TwinDevice(profile, plant, unit=1), TwinDevice(profile, Plant(seed=2), unit=7)
        network = MemoryNetwork(loop, {("a", 502): {1: first}, ("b", 502): {7: second}}, latency=0.01)
        loop.connect = network.connect
        written: list[tuple[TwinDevice, float]] = []
        network.wrote = lambda device, now: written.append((device, now))
        near, far = ModbusClient(Endpoint(host="a", port=502)), ModbusClient(Endpoint(host="b", port=502))
        await near.connect()
        await far.connect()
        (soc,) = await near.transact(1, [read("holding", 37760, 1)])
        assert isinstance(soc, bytes)
        assert int.from_bytes(soc[-2:], "big") == 500
        await asyncio.sleep(30)
        (reply,) = await near.transact(7, [read("holding", 37760, 1)])
        assert isinstance(reply, DeviceException), "no such unit here"
        (reply,) = await far.transact(7, [write("holding", 47100, b"\0\1")])
        assert isinstance(reply, bytes)
        assert [device for device, _ in written] == [second]
        assert second.value("forced_mode") == 1
        assert plant.time == pytest.approx(30.0, abs=0.2), "also where nobody reads"
        (reply,) = await far.transact(7, [read("holding", 9999, 1)])
        assert isinstance(reply, DeviceException)
        assert reply.code == 2
        with pytest.raises(ConnectionFailed, match="refused"):
            await ModbusClient(Endpoint(host="c", port=502)).connect()

    assert _play(job) == pytest.approx(30.1, abs=0.2)


def test_a_closed_connection_delivers_nothing() -> None:
    async def job(loop: SimLoop) -> None:
        device = TwinDevice(load_profile("huawei_sun2000"), Plant(seed=1), unit=1)
        network = MemoryNetwork(loop, {("a", 502): {1: device}})
        loop.connect = network.connect
        client = ModbusClient(Endpoint(host="a", port=502))
        await client.connect()
        asked = loop.create_task(client.transact(1, [read("holding", 37760, 1)]))
        await asyncio.sleep(0)
        client.close()
        (reply,) = await asked
        assert isinstance(reply, ConnectionFailed)

    _play(job)


def test_a_hang_is_told() -> None:
    async def job(loop: SimLoop) -> None:
        await loop.create_future()

    with pytest.raises(NothingWillEverHappenError):
        _play(job)
