"""Replies that come late, twice, short or to somebody else, and a device that reboots; on real sockets."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from bessai.drivers import UniversalDriver
from bessai.model import Command, Quality, Write
from bessai.model.command import _issue
from bessai.registry import CompiledProfile
from support.modbus_device import ScriptedDevice, frame
from support.profiles import battery, compiled


def state(driver: UniversalDriver, name: str) -> tuple[float, Quality]:
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    i = driver.profile.layout.index[name]
    return round(float(values[i]), 6), Quality(int(quality[i]))


def qualities(driver: UniversalDriver) -> set[Quality]:
    return {Quality(q) for q in driver.columns(asyncio.get_running_loop().time())[1].tolist()}


def command(*writes: tuple[str, float]) -> Command:
    return _issue("charge", -1.0, tuple(Write(point, value) for point, value in writes))


def numbered(tmp_path: Path, **connection: Any) -> CompiledProfile:
    """Twelve registers in four blocks; each holds its address."""
    places = [100 * block + i for block in range(1, 5) for i in range(3)]
    points = {f"p{a}": {"address": a, "type": "u16", "poll": "fast"} for a in places}
    return compiled(tmp_path, points, connection=connection)


def right(driver: UniversalDriver) -> int:
    """How many values there are, none of which may be another register's."""
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    found = {n: v for n, v, q in zip(driver.profile.layout.names, values, quality, strict=True) if q == 0}
    for name, value in found.items():
        assert value == int(name[1:])
    return len(found)


@pytest.mark.parametrize("outstanding", [1, 4])
def test_late_replies_are_never_taken_for_others(tmp_path: Path, outstanding: int) -> None:
    """Replies come after the time-out, together with the next one's, and now and then twice."""

    async def body() -> None:
        rng = random.Random(5)
        async with ScriptedDevice({a: a for a in range(1000)}) as device:
            kept: list[bytes] = []

            async def late(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                reply = frame(transaction, unit, device.answer(pdu))
                if rng.random() < 0.2:
                    kept.append(reply)
                    return None
                out = b"".join(kept) + reply * rng.choice([1, 1, 2])
                kept.clear()
                return out

            device.hook = late
            profile = numbered(tmp_path, timeout=0.03, timeout_min=0.03, retries=3, outstanding=outstanding)
            driver = UniversalDriver(profile, "127.0.0.1", device.port, rng=random.Random(1))
            for _ in range(25):
                await driver.read_fast()
                right(driver)
            stats = driver.client.stats
            assert min(stats.timeouts, stats.strays) > 0
            device.hook = None
            await _until_all(driver)
            await driver.close()

    asyncio.run(body())


async def _until_all(driver: UniversalDriver) -> None:
    for _ in range(200):
        if await driver.read_fast():
            break
        await asyncio.sleep(0.05)
    assert right(driver) == 12
    assert driver.problem is None


@pytest.mark.parametrize("what", ["short", "long", "unit", "transaction", "function", "other request"])
def test_replies_that_do_not_fit(tmp_path: Path, what: str) -> None:
    """One block of four is answered wrongly: its values are not there, the others are; then it heals."""

    async def body() -> None:
        async with ScriptedDevice({a: a for a in range(1000)}) as device:

            async def wrong(transaction: int, unit: int, pdu: bytes) -> bytes:
                if pdu != bytes.fromhex("03 00c8 0003"):
                    return b""
                reply = device.answer(pdu)
                return {
                    "short": frame(transaction, unit, device.answer(bytes.fromhex("03 00c8 0002"))),
                    "long": frame(transaction, unit, device.answer(bytes.fromhex("03 00c8 0004"))),
                    "unit": frame(transaction, unit + 1, reply),
                    "transaction": frame(transaction ^ 0x100, unit, reply),
                    "function": frame(transaction, unit, b"\4" + reply[1:]),
                    "other request": frame(transaction, unit, device.answer(bytes.fromhex("03 012c 0002"))),
                }[what]

            device.hook = wrong
            profile = numbered(tmp_path, timeout=0.1, timeout_min=0.1, retries=1)
            driver = UniversalDriver(profile, "127.0.0.1", device.port, rng=random.Random(1))
            assert not await driver.read_fast()
            # silence ends the reading where it stands; a reply that does not fit costs its own block
            assert right(driver) == (3 if what in {"unit", "transaction"} else 9)
            assert state(driver, "p200")[1] is Quality.MISSING
            stats = driver.client.stats
            assert (stats.strays if what in {"unit", "transaction"} else stats.bad_replies) > 0
            device.hook = None
            await _until_all(driver)
            await driver.close()

    asyncio.run(body())


def test_a_device_reboots(tmp_path: Path) -> None:
    """It is away, refuses connections, is busy, holds nothing yet, and is read again by itself."""

    async def body() -> None:
        async with ScriptedDevice({a: a for a in range(1000)}) as device:
            driver = UniversalDriver(
                numbered(tmp_path, retries=1), "127.0.0.1", device.port, rng=random.Random(1)
            )
            assert await driver.read_fast()
            await device.stop()
            await asyncio.sleep(0.02)
            assert not await driver.read_fast()
            assert not driver.connected
            everything, device.registers = device.registers, {}
            booting = 6

            async def busy(transaction: int, unit: int, pdu: bytes) -> bytes:
                nonlocal booting
                booting -= 1
                return frame(transaction, unit, bytes((pdu[0] | 0x80, 6))) if booting > 0 else b""

            device.hook = busy
            await device.start()
            for _ in range(200):
                await driver.read_fast()
                await asyncio.sleep(0.02)
                if driver.status()["absent_points"]:
                    break
            assert Quality.ABSENT in qualities(driver)
            device.registers = everything
            for poller in driver._pollers.values():  # else only after a while
                await poller.poll_absent(driver.client)
            await _until_all(driver)
            assert driver.client.stats.connects == 2
            await driver.close()

    asyncio.run(body())


def test_a_busy_write_is_repeated_and_counted_once(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice({20: 0, 25: 0}) as device:
            left = 2

            async def busy(transaction: int, unit: int, pdu: bytes) -> bytes:
                nonlocal left
                if pdu[0] == 6 and pdu[2] == 20 and left:
                    left -= 1
                    return frame(transaction, unit, bytes((0x86, 6)))
                return b""

            device.hook = busy
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            assert (await driver.write(command(("duration", 20), ("mode", 1)))).verified
            assert driver.writes == {"duration": 1, "mode": 1}
            assert [pdu.hex() for pdu in device.requests[:4]] == ["0600190014", *["0600140001"] * 3]
            await driver.close()

    asyncio.run(body())
