"""Our client and driver against Modbus servers that others wrote: pymodbus, libmodbus, modbus_tk, modbus-serial."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bessai.drivers import Pace, UniversalDriver
from bessai.drivers.modbus import (
    DeviceException,
    Manners,
    ModbusClient,
    NoReply,
    identify,
    mask_write,
    read,
    read_write,
    write,
)
from bessai.model import Endpoint, Quality
from support.foreign import modbus_serial_server, modbus_tk_server, pymodbus_server
from support.foreign_map import (
    BUSY_ONCE,
    BYTE_BY_BYTE,
    FAILS,
    HOLE,
    LATE,
    ONE_SHORT,
    SIZE,
    WRONG_TRANSACTION,
    coil,
    discrete,
    holding,
    inputs,
)
from support.libmodbus import libmodbus_or_skip
from support.profiles import compiled

WORDS: dict[str, Callable[[int], int]] = {"holding": holding, "input": inputs}
BITS: dict[str, Callable[[int], int]] = {"coil": coil, "discrete": discrete}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A running server and what it can do."""

    endpoint: Endpoint
    functions: frozenset[int]
    """Beside 1 to 6, 15 and 16."""
    window: int
    """Requests that it takes at once."""
    lacks: tuple[str, ...]
    """Tables in which it refuses the addresses of the hole."""
    reads_first: bool
    """Function 23 answers what was there before; the standard writes first."""


_FUNCTIONS = {
    "pymodbus": {22, 23, 43},
    "pymodbus rtu+tcp": {22, 23, 43},
    "libmodbus": {22, 23},
    "modbus_tk": {22, 23},
    "modbus-serial": {43},
}


@pytest.fixture(scope="module", params=_FUNCTIONS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    name: str = request.param
    cache = getattr(request.config, "cache", None)  # the plug-in may be off
    modules = cache.mkdir("modbus-serial") if cache else tmp_path_factory.mktemp("modbus-serial")
    servers: dict[str, Callable[[], AbstractContextManager[int]]] = {
        "pymodbus": pymodbus_server,
        "pymodbus rtu+tcp": lambda: pymodbus_server("rtu"),
        "libmodbus": libmodbus_or_skip,
        "modbus_tk": modbus_tk_server,
        "modbus-serial": lambda: modbus_serial_server(modules),
    }
    with servers[name]() as port:
        transport: Any = "rtu+tcp" if "rtu" in name else "tcp"
        endpoint = Endpoint(transport=transport, host="127.0.0.1", port=port)
        yield Peer(
            endpoint=endpoint,
            functions=frozenset(_FUNCTIONS[name]),
            window=1 if name.startswith("pymodbus") else 8,  # pymodbus forgets all but the last of several
            lacks=tuple(WORDS) if name.startswith("pymodbus") else tuple(WORDS | BITS),
            reads_first=name == "modbus_tk",
        )


async def _client(endpoint: Endpoint, **manners: Any) -> ModbusClient:
    client = ModbusClient(endpoint, manners=Manners(**{"timeout": 5.0, "timeout_min": 5.0, **manners}))
    await client.connect()
    return client


def _words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _packed(bits: list[int]) -> bytes:
    return sum(bit << i for i, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")


@pytest.mark.parametrize("outstanding", [1, 8])
def test_every_table_up_to_the_limit(peer: Peer, outstanding: int) -> None:
    """Functions 1 to 4: one, some, and as many as a frame carries, at both ends of the addresses."""

    async def body() -> None:
        client = await _client(peer.endpoint, outstanding=min(outstanding, peer.window))
        places = [(0, 1), (0, 125), (1, 2), (4321, 63), (HOLE.stop, 125), (SIZE - 125, 125), (SIZE - 1, 1)]
        for table, value in WORDS.items():
            replies = await client.transact(1, [read(table, a, count) for a, count in places])
            assert replies == [_words(*map(value, range(a, a + count))) for a, count in places], table
        places = [(0, 1), (0, 8), (3, 9), (17, 2000), (SIZE - 2000, 2000), (SIZE - 1, 1)]
        for table, value in BITS.items():
            replies = await client.transact(1, [read(table, a, count) for a, count in places])
            assert replies == [_packed([value(a + i) for i in range(count)]) for a, count in places], table
        assert client.stats.strays == client.stats.bad_replies == client.stats.crc_errors == 0
        client.close()

    asyncio.run(body())


def test_writes_of_every_size(peer: Peer) -> None:
    """Functions 5, 6, 15 and 16, and what was not written stays."""

    async def body() -> None:
        client = await _client(peer.endpoint)
        bits = [i % 2 for i in range(1968)]
        many = [(7 * i + 1) & 0xFFFF for i in range(123)]
        replies = await client.transact(
            1,
            [
                write("holding", 7001, _words(0xBEEF)),
                write("holding", 7003, _words(0xCAFE), single=False),
                write("holding", 7010, _words(*many)),
                write("coil", 7001, b"\1"),
                write("coil", 7002, b"\0"),
                write("coil", 7005, b"\1", single=False),
                write("coil", 3001, bytes(bits)),
            ],
        )
        assert replies == [b""] * 7
        assert await client.transact(
            1,
            [
                read("holding", 7000, 5),
                read("holding", 7009, 125),
                read("coil", 7000, 6),
                read("coil", 3000, 1970),
            ],
        ) == [
            _words(7000, 0xBEEF, 7002, 0xCAFE, 7004),
            _words(7009, *many, 7133),
            _packed([coil(7000), 1, 0, coil(7003), coil(7004), 1]),
            _packed([coil(3000), *bits, coil(4969)]),
        ]
        client.close()

    asyncio.run(body())


def test_mask_write_and_read_write(peer: Peer) -> None:
    """Functions 22 and 23, where the server has them; otherwise it says so and the connection lives on."""

    async def body() -> None:
        client = await _client(peer.endpoint)
        (mask,) = await client.transact(1, [mask_write(7200, 0x00F0, 0x0F05)])
        if 22 in peer.functions:
            (found,) = await client.transact(1, [read("holding", 7200, 1)])
            assert (mask, found) == (b"", _words((7200 & 0x00F0) | (0x0F05 & 0xFF0F)))
        else:
            assert isinstance(mask, DeviceException)
        (both,) = await client.transact(1, [read_write(7299, 3, 7300, _words(1, 2))])
        if 23 in peer.functions:
            assert both == (_words(7299, 7300, 7301) if peer.reads_first else _words(7299, 1, 2))
            (found,) = await client.transact(1, [read("holding", 7300, 2)])
            assert found == _words(1, 2)
        else:
            assert isinstance(both, DeviceException)
        assert await client.transact(1, [read("holding", 1, 1)]) == [_words(1)]
        client.close()

    asyncio.run(body())


def test_device_identification(peer: Peer) -> None:
    """Function 43/14, basic objects and the model's name."""

    async def body() -> None:
        client = await _client(peer.endpoint)
        found = await identify(client, 1)
        if 43 in peer.functions:
            assert isinstance(found, dict)
            assert found["vendor"] == "Independent"
            assert found["model"] == "Peer"
            assert found["product"] in {"PYM", "MBS"}
        else:
            assert isinstance(found, DeviceException)
        assert await client.transact(1, [read("holding", 1, 1)]) == [_words(1)]
        client.close()

    asyncio.run(body())


def test_refused_addresses(peer: Peer) -> None:
    """Each function is told exception 2, as an error of that request alone."""

    async def body() -> None:
        client = await _client(peer.endpoint)
        first = HOLE.start
        requests = [
            *(read(table, first - 2, 4) for table in peer.lacks),
            write("holding", first, _words(1)),
            write("holding", first, _words(1, 2)),
        ]
        if "coil" in peer.lacks:
            requests += [write("coil", first, b"\1"), write("coil", first, b"\1\1")]
        for reply in await client.transact(1, requests):
            assert isinstance(reply, DeviceException)
            assert reply.code == 2
            assert reply.unreadable
        assert await client.transact(1, [read("holding", first - 1, 1)]) == [_words(first - 1)]
        client.close()

    asyncio.run(body())


def test_the_driver_reads_round_a_hole_and_remembers(peer: Peer, tmp_path: Path) -> None:
    """A profile over all tables: blocks up to 125, what the server lacks is absent, and asked no more."""
    span = range(HOLE.start - 40, HOLE.stop + 40)
    points: dict[str, Any] = {}
    for table in (*WORDS, *BITS):
        kind = "u16" if table in WORDS else "bool"
        points |= {f"{table}_{a}": {"address": a, "table": table, "type": kind, "poll": "fast"} for a in span}
    points["wide"] = {"address": 5000, "type": "u64", "poll": "fast"}
    points["swapped"] = {"address": 5004, "type": "i32", "word_order": "little", "poll": "fast"}
    points["setpoint"] = {"address": 7500, "type": "f32", "access": "rw", "poll": "fast"}
    profile = compiled(tmp_path, points, connection={"timeout": 5.0, "timeout_min": 5.0})

    async def body() -> None:
        driver = UniversalDriver(profile, peer.endpoint, pace=Pace(slow=1e6, normal=1e6))
        assert await driver.read_fast()
        assert driver._slow is not None
        await driver._slow  # asks once more for what is absent
        stats = driver.client.stats
        first, exceptions = stats.requests, stats.exceptions
        assert exceptions > 0
        assert await driver.read_fast()
        assert stats.exceptions == exceptions
        assert stats.requests - first < first / 4
        values, quality, _ = driver.columns(asyncio.get_running_loop().time())
        found = dict(
            zip(profile.layout.names, zip(values.tolist(), quality.tolist(), strict=True), strict=True)
        )
        for table, value in (WORDS | BITS).items():
            for a in span:
                got = found[f"{table}_{a}"]
                if a in HOLE and table in peer.lacks:
                    assert got[1] == Quality.ABSENT
                elif a not in HOLE:
                    assert got == (value(a), Quality.GOOD)
        assert found["wide"] == (float(int.from_bytes(_words(5000, 5001, 5002, 5003), "big")), Quality.GOOD)
        assert found["swapped"] == (5005 * 65536 + 5004, Quality.GOOD)
        assert driver.status()["absent_points"] == sorted(f"{t}_{a}" for t in peer.lacks for a in HOLE)
        await driver.close()

    asyncio.run(body())


def test_a_write_command_is_verified(peer: Peer, tmp_path: Path) -> None:
    """The driver's own writes with read-back: one register, a float over two, and a coil."""
    from bessai.model import Write
    from bessai.model.command import _issue

    points: dict[str, Any] = {
        "mode": {"address": 7600, "type": "u16", "access": "rw"},
        "power": {"address": 7601, "type": "f32", "word_order": "little", "access": "rw"},
        "switch": {"address": 7600, "table": "coil", "type": "bool", "access": "rw"},
    }
    profile = compiled(tmp_path, points)

    async def body() -> None:
        driver = UniversalDriver(profile, peer.endpoint)
        assert await driver.read_fast()
        writes = (Write("mode", 3), Write("power", -12.5), Write("switch", 1))
        outcome = await driver.write(_issue("charge", -1.0, writes))
        assert outcome.verified, outcome.error
        (data,) = await driver.client.transact(1, [read("holding", 7601, 2)])
        assert data == struct.pack(">f", -12.5)[2:] + struct.pack(">f", -12.5)[:2]
        await driver.close()

    asyncio.run(body())


@pytest.fixture(scope="module")
def libmodbus() -> Iterator[Endpoint]:
    with libmodbus_or_skip() as port:
        yield Endpoint(host="127.0.0.1", port=port)


def test_libmodbus_answers_with_another_transaction(libmodbus: Endpoint) -> None:
    async def body() -> None:
        client = await _client(libmodbus, timeout=0.3, timeout_min=0.3)
        (reply,) = await client.transact(1, [read("holding", WRONG_TRANSACTION, 1)])
        assert isinstance(reply, NoReply)
        assert client.stats.strays == 1
        assert await client.transact(1, [read("holding", 1, 1)]) == [_words(1)]
        client.close()

    asyncio.run(body())


def test_libmodbus_answers_late(libmodbus: Endpoint) -> None:
    """The late reply of one request is not taken for the next one's, and patience that suffices gets it."""

    async def body() -> None:
        client = await _client(libmodbus, timeout=0.2, timeout_min=0.2)
        late, rest = await client.transact(1, [read("holding", LATE, 1), read("holding", 9, 1)])
        assert isinstance(late, NoReply)
        assert not isinstance(rest, bytes)
        for _ in range(20):  # what waits behind the sleeping server is late as well
            (reply,) = await client.transact(1, [read("holding", 9, 1)])
            if isinstance(reply, bytes):
                break
        assert reply == _words(9)
        assert client.stats.strays >= 1
        client.close()
        patient = await _client(libmodbus)
        assert await patient.transact(1, [read("holding", LATE, 2)]) == [_words(LATE, LATE + 1)]
        patient.close()

    asyncio.run(body())


def test_libmodbus_sends_byte_by_byte(libmodbus: Endpoint) -> None:
    async def body() -> None:
        client = await _client(libmodbus)
        wanted = _words(*range(BYTE_BY_BYTE, BYTE_BY_BYTE + 20))
        assert await client.transact(1, [read("holding", BYTE_BY_BYTE, 20)]) == [wanted]
        client.close()

    asyncio.run(body())


def test_libmodbus_sends_a_register_less(libmodbus: Endpoint, tmp_path: Path) -> None:
    """A reply of the wrong length is no reply: nothing of it becomes a value, and the rest is read."""
    points = {
        "first": {"address": ONE_SHORT, "type": "u16", "poll": "fast"},
        "second": {"address": ONE_SHORT + 1, "type": "u16", "poll": "fast"},
        "other": {"address": 10, "type": "u16", "poll": "fast"},
    }
    profile = compiled(tmp_path, points, connection={"retries": 1})

    async def body() -> None:
        driver = UniversalDriver(profile, libmodbus)
        assert not await driver.read_fast()
        assert "answered by 4 bytes" in (driver.problem or "")
        values, quality, _ = driver.columns(asyncio.get_running_loop().time())
        assert quality.tolist() == [Quality.MISSING, Quality.MISSING, Quality.GOOD]
        assert values[2] == 10
        assert driver.connected
        await driver.close()

    asyncio.run(body())


def test_libmodbus_is_busy_and_fails(libmodbus: Endpoint, tmp_path: Path) -> None:
    """Busy is asked again; a failure that stays costs its own block only."""
    points = {
        "busy": {"address": BUSY_ONCE, "type": "u16", "poll": "fast"},
        "other": {"address": 10, "type": "u16", "poll": "fast"},
    }

    async def body() -> None:
        driver = UniversalDriver(compiled(tmp_path, points), libmodbus)
        for _ in range(2):
            assert await driver.read_fast()
        assert driver.client.stats.exceptions in {1, 2}
        values, quality, _ = driver.columns(asyncio.get_running_loop().time())
        assert (values.tolist(), quality.tolist()) == ([BUSY_ONCE, 10], [0, 0])
        await driver.close()
        points["fails"] = {"address": FAILS, "type": "u16", "poll": "fast"}
        del points["busy"]
        driver = UniversalDriver(compiled(tmp_path, points, connection={"retries": 1}), libmodbus)
        assert not await driver.read_fast()
        assert "exception 4" in (driver.problem or "")
        _, quality, _ = driver.columns(asyncio.get_running_loop().time())
        assert quality.tolist() == [Quality.GOOD, Quality.MISSING]
        await driver.close()

    asyncio.run(body())
