"""The client on real sockets, against devices that misbehave."""

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import Any

import pytest

from bessai.drivers.modbus import (
    BadReply,
    ConnectionFailed,
    DeviceException,
    Manners,
    ModbusClient,
    NoReply,
    NotSent,
    Urgency,
    read,
    write,
)
from bessai.model import Endpoint
from support.modbus_device import ScriptedDevice, frame

REGISTERS = {i: i * 3 for i in range(100)}


def _of(port: int, host: str = "127.0.0.1", **manners: float) -> ModbusClient:
    options: dict[str, Any] = {"timeout": 0.5, "timeout_min": 0.1, **manners}
    return ModbusClient(Endpoint(host=host, port=port), manners=Manners(**options))


async def _client(device: ScriptedDevice, **options: float) -> ModbusClient:
    client = _of(device.port, **options)  # type: ignore[arg-type]
    await client.connect()
    return client


def test_reads_and_writes() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            client = await _client(device)
            replies = await client.transact(1, [read("holding", 1, 2), read("holding", 99, 1)])
            assert replies == [struct.pack(">HH", 3, 6), struct.pack(">H", 297)]
            assert await client.transact(1, [write("holding", 1, b"\x00\x09")]) == [b""]
            assert device.registers[1] == 9
            client.close()

    asyncio.run(run())


def test_a_window_keeps_several_requests_in_flight() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            waiting: list[tuple[int, int, bytes]] = []

            async def hold(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                waiting.append((transaction, unit, pdu))
                if len(waiting) < 4:
                    return None
                answers = [frame(t, u, device.answer(p)) for t, u, p in reversed(waiting)]
                return b"".join(answers)  # all at once, in the opposite order

            device.hook = hold
            client = await _client(device, outstanding=4)
            replies = await client.transact(1, [read("holding", i, 1) for i in range(4)])
            assert replies == [struct.pack(">H", 3 * i) for i in range(4)]
            client.close()

    asyncio.run(run())


def test_late_and_foreign_replies_are_never_taken() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def babble(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                wrong = bytes((3, 2)) + b"\xde\xad"
                return (
                    frame((transaction - 1) & 0xFFFF, unit, wrong)  # somebody's late reply
                    + frame(transaction, unit + 1, wrong)  # another unit
                    + frame(transaction, unit, device.answer(pdu))
                )

            device.hook = babble
            client = await _client(device)
            assert await client.transact(7, [read("holding", 2, 1)]) == [struct.pack(">H", 6)]
            assert client.stats.strays == 2
            client.close()

    asyncio.run(run())


def test_silence_ends_the_batch_and_spares_the_rest() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def silent(*_: object) -> None:
                return None

            device.hook = silent
            client = await _client(device, timeout=0.1)
            first, *rest = await client.transact(1, [read("holding", i, 1) for i in range(3)])
            assert isinstance(first, NoReply)
            assert all(isinstance(reply, NotSent) for reply in rest)
            assert len(device.requests) == 1
            client.close()

    asyncio.run(run())


def test_a_serial_batch_stops_at_the_first_refusal() -> None:
    async def run() -> None:
        async with ScriptedDevice({1: 0}) as device:
            device.answer = lambda pdu: bytes((pdu[0] | 0x80, 3))  # type: ignore[method-assign]
            client = await _client(device, outstanding=4)
            replies = await client.transact(
                1, [write("holding", 1, b"\0\1"), write("holding", 2, b"\0\1")], Urgency.WRITE, serial=True
            )
            assert isinstance(replies[0], DeviceException)
            assert isinstance(replies[1], NotSent)
            assert len(device.requests) == 1
            client.close()

    asyncio.run(run())


def test_a_write_overtakes_waiting_reads() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            client = await _client(device)
            slow = asyncio.create_task(
                client.transact(1, [read("holding", i, 1) for i in range(50)], Urgency.SLOW)
            )
            await asyncio.sleep(0)
            await client.transact(1, [write("holding", 1, b"\0\1")], Urgency.WRITE)
            assert not slow.done()
            assert device.requests[1][0] == 6
            await slow
            client.close()

    asyncio.run(run())


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 40])
def test_garbage_closes_the_connection(garbage: bytes) -> None:
    async def run() -> None:
        async with ScriptedDevice() as device:

            async def answer(*_: object) -> bytes:
                return garbage

            device.hook = answer
            client = await _client(device)
            replies = await client.transact(1, [read("holding", 0, 1), read("holding", 1, 1)])
            assert isinstance(replies[0], BadReply)
            assert not client.connected

    asyncio.run(run())


def test_a_lost_connection_fails_what_waits_and_a_new_one_works() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def drop(*_: object) -> None:
                device.drop()

            device.hook = drop
            client = await _client(device)
            (reply,) = await client.transact(1, [read("holding", 0, 1)])
            assert isinstance(reply, ConnectionFailed)
            assert not client.connected
            (reply,) = await client.transact(1, [read("holding", 0, 1)])
            assert isinstance(reply, ConnectionFailed)
            device.hook = None
            await client.connect()
            assert await client.transact(1, [read("holding", 1, 1)]) == [struct.pack(">H", 3)]
            client.close()

    asyncio.run(run())


def test_replies_byte_by_byte() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            sent: list[bytes] = []

            async def cut(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                data = frame(transaction, unit, device.answer(pdu))
                for writer in list(device._writers):
                    for i in range(len(data)):
                        writer.write(data[i : i + 1])
                        await writer.drain()
                        await asyncio.sleep(0.001)
                sent.append(data)
                return None

            device.hook = cut
            client = await _client(device, timeout=5)
            assert await client.transact(1, [read("holding", 3, 1)]) == [struct.pack(">H", 9)]
            assert len(sent) <= 1
            client.close()

    asyncio.run(run())


def test_no_device_is_one_clear_sentence() -> None:
    async def run() -> None:
        async with ScriptedDevice() as device:
            port = device.port
        with pytest.raises(ConnectionFailed, match=f"127.0.0.1 port {port}"):
            await _of(port).connect()
        with pytest.raises(ConnectionFailed, match=r"no\.such\.host\.invalid"):
            await _of(502, "no.such.host.invalid").connect()

    asyncio.run(run())


def test_pause_and_settle_are_kept() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            loop = asyncio.get_running_loop()
            times: list[float] = []

            async def stamp(*_: object) -> bytes:
                times.append(loop.time())
                return b""

            device.hook = stamp
            client = _of(device.port, timeout=2, pause=0.05, settle=0.1)
            begin = loop.time()
            await client.connect()
            await client.transact(1, [read("holding", i, 1) for i in range(3)])
            assert times[0] - begin >= 0.09
            assert all(b - a >= 0.045 for a, b in itertools.pairwise(times))
            client.close()

    asyncio.run(run())
