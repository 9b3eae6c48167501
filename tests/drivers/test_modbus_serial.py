"""The client on serial lines: pseudo terminals, scripted misbehaviour, and pymodbus' serial server."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer

from bessai.drivers.modbus import (
    ConnectionFailed,
    Manners,
    ModbusClient,
    NoReply,
    NotSent,
    Urgency,
    identify,
    mask_write,
    read,
    read_write,
    write,
)
from bessai.drivers.modbus.rtu import frame
from bessai.drivers.modbus.serial import SerialTransport, character_time, silent_interval
from bessai.model import Endpoint
from support.pymodbus_device import IDENTITY, identity, port_of, sim_device, stop
from support.serial_line import ScriptedLine, answer, null_modem

RUNNERS: list[Callable[[Any], Any]] = [asyncio.run, uvloop.run]


def _client(path: str, **manners: Any) -> ModbusClient:
    line = Endpoint(transport="rtu", path=path, baudrate=115200)
    return ModbusClient(line, manners=Manners(**{"timeout": 5.0, **manners}))


async def every_function(client: ModbusClient) -> None:
    """What pymodbus serves, by all functions of ours."""
    assert await client.transact(1, [read("holding", 10, 2), read("input", 3, 1)]) == [
        b"\0\x64\0\x6e",
        b"\0\x1e",
    ]
    assert await client.transact(1, [read("holding", 0, 125)]) == [
        b"".join((10 * i).to_bytes(2, "big") for i in range(125))
    ]
    requests = [
        write("holding", 10, b"\0\7"),
        write("holding", 11, b"\0\x12\0\7"),
        mask_write(11, 0xF2, 0x25),
        read_write(10, 3, 13, b"\0\x63"),
        read("holding", 13, 1),
        write("coil", 3, b"\1"),
        write("coil", 4, bytes((1, 0, 1, 1, 0, 0, 0, 0, 1))),
        read("coil", 0, 16),
        read("discrete", 0, 3),
    ]
    assert await client.transact(1, requests, Urgency.WRITE, serial=True) == [
        b"", b"", b"", b"\0\7\0\x17\0\7", b"\0\x63", b"", b"", b"\xd8\x10", b"\5",
    ]  # fmt: skip
    assert await identify(client, 1) == IDENTITY
    assert client.stats.bad_replies == client.stats.strays == client.stats.crc_errors == 0


@pytest.mark.parametrize("run", RUNNERS)
def test_every_function_against_pymodbus_on_a_serial_line(run: Callable[[Any], Any]) -> None:
    async def body() -> None:
        with null_modem() as (ours, theirs):
            server = ModbusSerialServer(
                sim_device(), identity=identity(), framer=FramerType.RTU, port=theirs, baudrate=115200
            )
            await server.serve_forever(background=True)
            client = _client(ours)
            await client.connect()
            await every_function(client)
            client.close()
            await stop(server)

    run(body())


@pytest.mark.parametrize("run", RUNNERS)
def test_every_function_against_pymodbus_through_a_converter(run: Callable[[Any], Any]) -> None:
    async def body() -> None:
        server = ModbusTcpServer(
            sim_device(), identity=identity(), framer=FramerType.RTU, address=("127.0.0.1", 0)
        )
        await server.serve_forever(background=True)
        port = port_of(server)
        client = ModbusClient(Endpoint(transport="rtu+tcp", host="127.0.0.1", port=port))
        await client.connect()
        await every_function(client)
        client.close()
        await stop(server)

    run(body())


def _on_line(
    scene: Callable[[ScriptedLine, ModbusClient], Awaitable[None]], script: Any = None, **manners: Any
) -> None:
    async def body() -> None:
        async with ScriptedLine(script) as line:
            client = _client(line.path, **manners)
            await client.connect()
            try:
                await scene(line, client)
            finally:
                client.close()

    asyncio.run(body())


def test_a_late_reply_is_never_the_next_ones() -> None:
    def script(request: bytes) -> list[tuple[float, bytes]]:
        return [(0.4 if request[:4] == b"\1\3\0\1" else 0.0, answer(request))]

    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        client.register(1, Manners(timeout=9.0, timeout_min=0.1))
        assert await client.transact(1, [read("holding", 0, 1)]) == [b"\0\0"]  # patience is short now
        late, other = await asyncio.gather(
            client.transact(1, [read("holding", 1, 1), read("holding", 9, 1)]),
            client.transact(2, [read("holding", 2, 1)]),
        )
        assert isinstance(late[0], NoReply)
        assert isinstance(late[1], NotSent)
        assert other == [b"\0\x14"]
        # asked again as soon as the late reply has passed by, not after the longest time-out
        assert await client.transact(1, [read("holding", 3, 1)]) == [b"\0\x1e"]
        assert client.stats.strays == 1
        assert line.times[-1] - line.times[1] < 9.0

    _on_line(scene, script)


def test_a_silent_unit_is_left_alone_until_its_reply_cannot_come_any_more() -> None:
    def script(request: bytes) -> list[tuple[float, bytes]]:
        return [] if request[0] == 1 and request[3] == 99 else [(0.0, answer(request))]

    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        client.register(1, Manners(timeout=1.0, timeout_min=0.1))
        assert await client.transact(1, [read("holding", 1, 1)]) == [b"\0\x0a"]
        assert client.patience(1) < 1.0
        (reply,) = await client.transact(1, [read("holding", 99, 1)])
        assert isinstance(reply, NoReply)
        again = asyncio.create_task(client.transact(1, [read("holding", 2, 1)], Urgency.WRITE))
        served = 0
        while not again.done():
            assert await client.transact(2, [read("holding", 1, 1)]) == [b"\0\x0a"]
            served += 1
        assert served > 1  # the others were not held up
        assert again.result() == [b"\0\x14"]
        asked = [time for time, request in zip(line.times, line.requests, strict=True) if request[0] == 1]
        assert asked[2] - asked[1] >= 0.99

    _on_line(scene, script)


def test_echo_noise_and_a_damaged_reply() -> None:
    def script(request: bytes) -> list[tuple[float, bytes]]:
        damaged = bytearray(answer(request))
        damaged[-1] ^= 1
        return [(0.0, request), (0.0, b"\0\xff"), (0.0, bytes(damaged)), (0.0, answer(request))]

    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        assert await client.transact(1, [read("holding", 4, 1)]) == [b"\0\x28"]
        assert client.stats.crc_errors == 1
        assert client.error is not None
        assert "CRC" in client.error.message
        assert await client.transact(1, [write("holding", 4, b"\0\1")]) == [b""]

    _on_line(scene, script)


def test_an_echo_alone_is_no_write() -> None:
    def script(request: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, request + (answer(request) if request[1] == 3 else b""))]

    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        assert await client.transact(1, [read("holding", 4, 1)]) == [b"\0\x28"]
        (reply,) = await client.transact(1, [write("holding", 4, b"\0\1")])
        assert isinstance(reply, NoReply)

    _on_line(scene, script, timeout=5.0, timeout_min=0.3)


def test_what_was_learned_of_the_echo_outlives_the_connection() -> None:
    def script(request: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, request + (answer(request) if request[1] == 3 else b""))]

    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        (reply,) = await client.transact(1, [read("holding", 4, 1)])
        assert isinstance(reply, bytes)
        await client.connect()
        (reply,) = await client.transact(1, [write("holding", 4, b"\0\1")])
        assert isinstance(reply, NoReply)

    _on_line(scene, script, timeout=5.0, timeout_min=0.3)


def test_more_than_the_line_takes_at_once_is_sent_later() -> None:
    async def body() -> None:
        async with ScriptedLine(lambda _: []) as line:
            transport = SerialTransport(Endpoint(transport="rtu", path=line.path), asyncio.Protocol())
            data = bytes(range(256)) * 400
            transport.write(data[:90_000])
            transport.write(data[90_000:])
            while sum(map(len, line.requests)) < len(data):  # noqa: ASYNC110 - the line itself is the event
                await asyncio.sleep(0.001)
            assert b"".join(line.requests) == data
            assert not transport.is_closing()
            transport.abort()
            transport.write(b"x")
            assert transport.is_closing()

    asyncio.run(body())


def test_an_unplugged_adapter_is_a_lost_connection_and_a_new_one_works() -> None:
    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        line.script = lambda _: []
        waiting = asyncio.create_task(client.transact(1, [read("holding", 1, 1)]))
        while not line.requests:  # noqa: ASYNC110 - its bytes are out
            await asyncio.sleep(0.001)
        line.unplug()
        (reply,) = await waiting
        assert isinstance(reply, ConnectionFailed)
        assert "connection lost" in str(reply)
        assert not client.connected
        with pytest.raises(ConnectionFailed, match=re.escape(line.path)):
            await client.connect()

    _on_line(scene)


def test_the_line_belongs_to_one_program_and_is_given_back() -> None:
    async def scene(line: ScriptedLine, client: ModbusClient) -> None:
        other = _client(line.path)
        with pytest.raises(ConnectionFailed, match=f"{line.path} is in use by another program"):
            await other.connect()
        client.close()
        await other.connect()
        assert await other.transact(1, [read("holding", 1, 1)]) == [b"\0\x0a"]
        await other.connect()  # a new connection replaces the old one
        assert await other.transact(1, [read("holding", 1, 1)]) == [b"\0\x0a"]
        other.close()

    _on_line(scene)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    async def why(path: str) -> str:
        with pytest.raises(ConnectionFailed) as error:
            await _client(path).connect()
        return str(error.value)

    (tmp_path / "file").touch()
    assert (
        asyncio.run(why("/dev/no-such-line")) == "there is no /dev/no-such-line: is the adapter plugged in?"
    )
    assert asyncio.run(why(str(tmp_path / "file"))).endswith("file is no serial line")


def test_a_line_that_may_not_be_opened_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)  # tests may run as root, whom nothing refuses

    async def body() -> None:
        with pytest.raises(ConnectionFailed, match=r"/dev/ttyUSB9 may not be opened.*group dialout"):
            await _client("/dev/ttyUSB9").connect()

    asyncio.run(body())


def test_times_on_the_wire() -> None:
    slow = Endpoint(transport="rtu", path="/dev/x", baudrate=9600, parity="E")
    assert character_time(slow) == pytest.approx(11 / 9600)
    assert silent_interval(slow) == pytest.approx(3.5 * 11 / 9600)
    assert silent_interval(Endpoint(transport="rtu", path="/dev/x", baudrate=115200)) == 0.00175


def test_a_converter_that_delivers_stale_bytes() -> None:
    """Over TCP too a late serial reply has no transaction to tell it by."""

    async def body() -> None:
        seen: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while len(request := await reader.read(512)):
                seen.append(request)
                if len(seen) == 1:
                    await asyncio.sleep(0.3)  # beyond the time-out
                writer.write(answer(request))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(transport="rtu+tcp", host="127.0.0.1", port=port)
        client = ModbusClient(endpoint, manners=Manners(timeout=0.28, timeout_min=0.1))
        await client.connect()
        (reply,) = await client.transact(1, [read("holding", 1, 1)])
        assert isinstance(reply, NoReply)
        assert await client.transact(1, [read("holding", 2, 1)]) == [b"\0\x14"]
        assert frame(1, read("holding", 2, 1).pdu) in seen
        client.close()
        server.close()

    asyncio.run(body())
