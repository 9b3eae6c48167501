"""Devices as they are: dead units on a bus, spikes, frozen data, moving exponents, the wrong device.

Where time matters it is simulated: hours of a bus pass in a moment, and always in the same way.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

import pytest

from bessai.drivers import Link, UniversalDriver
from bessai.drivers.modbus import Manners
from bessai.model import Command, Endpoint, Quality, Write
from bessai.model.command import _issue
from support.memory_device import MemoryDevice
from support.memory_transport import in_memory
from support.profiles import compiled
from support.virtual_time import VirtualLoop


def simulate(device: MemoryDevice, body: Coroutine[Any, Any, None]) -> None:
    """Run a scene in simulated time."""
    with in_memory(device.receive), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(body)


def state(driver: UniversalDriver, name: str) -> tuple[float, Quality]:
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    i = driver.profile.layout.index[name]
    return round(float(values[i]), 6), Quality(int(quality[i]))


def qualities(driver: UniversalDriver) -> set[Quality]:
    return {Quality(q) for q in driver.columns(asyncio.get_running_loop().time())[1].tolist()}


def connected(driver: UniversalDriver) -> bool:
    return driver.connected


def command(*writes: tuple[str, float]) -> Command:
    return _issue("charge", -1.0, tuple(Write(point, value) for point, value in writes))


# A bus


@pytest.mark.parametrize("transport", ["tcp", "rtu+tcp"])
def test_a_dead_unit_costs_the_others_little(tmp_path: Path, transport: Literal["tcp", "rtu+tcp"]) -> None:
    """Five units on one connection, one dies: an hour later the others have not missed a reading."""
    points = {f"p{i}": {"address": i, "type": "u16", "poll": "fast"} for i in range(10)}
    profile = compiled(tmp_path, points, connection={"timeout": 2.0})
    device = MemoryDevice(
        {n: {a: 100 * n + a for a in range(10)} for n in range(1, 6)}, serial=transport != "tcp"
    )

    async def body() -> None:
        loop = asyncio.get_running_loop()
        link = Link(Endpoint(transport=transport, host="bus"), Manners(timeout=2.0), rng=random.Random(1))
        drivers = {n: UniversalDriver(profile, link, unit=n) for n in range(1, 6)}
        good = dict.fromkeys(drivers, 0)
        late = 0

        async def rounds(count: int) -> None:
            nonlocal late
            for _ in range(count):
                begin = loop.time()
                found = await asyncio.gather(*(driver.read_fast() for driver in drivers.values()))
                for n, fine in zip(drivers, found, strict=True):
                    good[n] += fine
                late += loop.time() - begin > 1.0
                await asyncio.sleep(max(0.0, begin + 1.0 - loop.time()))

        await rounds(60)
        assert set(good.values()) == {60}
        device.silent = {3}
        device.asked.clear()
        await rounds(3600)
        assert {n: good[n] for n in good if n != 3} == {1: 3660, 2: 3660, 4: 3660, 5: 3660}
        assert device.asked[3] < 3600 / 30
        assert late < 3600 / 20
        assert state(drivers[3], "p0")[1] is Quality.STALE
        assert "does not answer" in (drivers[3].problem or "")
        assert state(drivers[4], "p7") == (407, Quality.GOOD)
        device.silent = set()
        before = good[3]
        await rounds(70)
        device.asked.clear()
        device.hook = lambda unit, _: None if device.asked[unit] == 5 else b""  # one lost reply of each
        await rounds(20)
        assert device.asked == dict.fromkeys(drivers, 21)  # is asked for again at once
        assert good[3] > before  # healed by itself, on the same connection
        assert state(drivers[3], "p0") == (300, Quality.GOOD)
        assert drivers[3].problem is None
        assert link.client.stats.connects == 1
        await drivers[3].close()

    simulate(device, body())


def test_a_unit_that_is_dead_from_the_start(tmp_path: Path) -> None:
    """Nothing is known of it, so the whole time-out is waited for; the others are read all the same."""
    profile = compiled(tmp_path, {"p": {"address": 0, "type": "u16", "poll": "fast"}})
    device = MemoryDevice({n: {0: n} for n in (1, 2)})

    async def body() -> None:
        link = Link(Endpoint(host="bus"), rng=random.Random(1))
        drivers = [UniversalDriver(profile, link, unit=n) for n in (1, 2, 9)]
        for _ in range(600):
            await asyncio.gather(*(driver.read_fast() for driver in drivers))
            await asyncio.sleep(1)
        assert [state(driver, "p")[1] for driver in drivers] == [0, 0, Quality.MISSING]
        assert device.asked[9] < 60
        assert link.client.stats.connects == 1
        await drivers[0].close()

    simulate(device, body())


def test_when_every_unit_is_dead_the_connection_is_made_anew(tmp_path: Path) -> None:
    profile = compiled(tmp_path, {"p": {"address": 0, "type": "u16", "poll": "fast"}})
    device = MemoryDevice({n: {0: n} for n in (1, 2)})

    async def body() -> None:
        link = Link(Endpoint(host="bus"), rng=random.Random(1))
        drivers = [UniversalDriver(profile, link, unit=n) for n in (1, 2)]

        async def second() -> list[bool]:
            found = await asyncio.gather(*(driver.read_fast() for driver in drivers))
            await asyncio.sleep(1)
            return found

        assert await second() == [True, True]
        device.silent = {1, 2}
        for _ in range(120):
            assert await second() == [False, False]
        assert link.client.stats.connects > 1
        device.silent = set()
        for _ in range(70):
            await second()
        assert await second() == [True, True]
        await drivers[0].close()

    simulate(device, body())


def test_stations_are_read_and_written_at_their_units(tmp_path: Path) -> None:
    """One device on several unit ids, one of them elsewhere than the profile says."""
    points: dict[str, Any] = {
        "soc": {"address": 0, "type": "u16", "unit": "%", "station": "bms", "poll": "fast"},
        "mode": {"address": 0, "type": "u16", "station": "vebus", "access": "rw", "poll": "fast"},
        "own": {"address": 0, "type": "u16", "access": "rw", "poll": "fast"},
    }
    profile = compiled(tmp_path, points, connection={"unit": 100, "stations": {"bms": 225, "vebus": 227}})
    device = MemoryDevice({100: {0: 1}, 225: {0: 55}, 230: {0: 3}})

    async def body() -> None:
        driver = UniversalDriver(profile, "gx", stations={"vebus": 230})
        assert await driver.read_fast()
        assert [state(driver, name)[0] for name in points] == [55, 3, 1]
        outcome = await driver.write(command(("mode", 4), ("own", 5), ("mode", 6)))
        assert outcome.verified
        assert device.written == [(230, 0, 4), (100, 0, 5), (230, 0, 6)]
        device.silent = {225}  # a station that is away is the device's own trouble
        assert not await driver.read_fast()
        device.silent = set()
        for _ in range(10):
            await asyncio.sleep(2)
            await driver.read_fast()
        assert state(driver, "soc") == (55, Quality.GOOD)
        await driver.close()

    simulate(device, body())


# What cannot be true


SPIKY: dict[str, Any] = {
    "soc": {"address": 0, "type": "u16", "gain": 0.1, "unit": "%", "rate_max": 1.0, "poll": "fast"},
    "other": {"address": 1, "type": "u16", "poll": "fast"},
}


def test_a_spike_is_marked_and_a_lasting_change_believed(tmp_path: Path) -> None:
    device = MemoryDevice({1: {0: 500, 1: 7}})

    async def body() -> None:
        driver = UniversalDriver(compiled(tmp_path, SPIKY), "device")

        async def see(raw: int) -> tuple[float, Quality]:
            device.units[1][0] = raw
            assert await driver.read_fast()
            found = state(driver, "soc")
            assert state(driver, "other") == (7, Quality.GOOD)
            await asyncio.sleep(1)
            return found

        assert await see(500) == (50.0, Quality.GOOD)
        assert await see(505) == (50.5, Quality.GOOD)
        assert await see(6000) == (600.0, Quality.IMPLAUSIBLE)
        assert await see(505) == (50.5, Quality.GOOD)
        assert await see(800) == (80.0, Quality.IMPLAUSIBLE)
        assert await see(802) == (80.2, Quality.GOOD)  # twice: it is so
        assert await see(0) == (0.0, Quality.IMPLAUSIBLE)
        assert await see(3000) == (300.0, Quality.IMPLAUSIBLE)  # and another one, which agrees with nothing
        assert await see(802) == (80.2, Quality.GOOD)
        await asyncio.sleep(60)
        assert await see(300) == (30.0, Quality.GOOD)  # after a minute that is no jump
        assert driver.status()["spikes"] == 4
        await driver.close()

    simulate(device, body())


def test_a_counter_that_stands_still_freezes_everything(tmp_path: Path) -> None:
    points = {"beat": {"address": 0, "type": "u16", "poll": "fast"}, "soc": {**SPIKY["soc"], "address": 1}}
    profile = compiled(tmp_path, points, alive={"point": "beat", "within": 5})
    device = MemoryDevice({1: {0: 0, 1: 500}})

    async def body() -> None:
        driver = UniversalDriver(profile, "device")

        async def seconds(count: int, step: int) -> None:
            for _ in range(count):
                device.units[1][0] = (device.units[1][0] + step) % 65536
                assert await driver.read_fast()
                await asyncio.sleep(1)

        await seconds(60, 1)
        assert qualities(driver) == {Quality.GOOD}
        await seconds(4, 0)
        assert qualities(driver) == {Quality.GOOD}
        await seconds(3, 0)
        assert qualities(driver) == {Quality.FROZEN}
        assert state(driver, "soc")[0] == 50.0
        await seconds(1, 1)
        assert qualities(driver) == {Quality.GOOD}
        await driver.close()

    simulate(device, body())


def test_an_exponent_moves_while_running(tmp_path: Path) -> None:
    """Values follow it in the same reading, writes use it, and without it there is neither value nor write."""
    points: dict[str, Any] = {
        "power": {"address": 0, "type": "i16", "unit": "kW", "gain": 0.001, "scale": "sf", "poll": "fast"},
        "sf": {"address": 1, "type": "i16", "valid": [-10, 10], "sentinel": -32768, "poll": "fast"},
        "setpoint": {
            "address": 2, "type": "i16", "unit": "kW", "gain": 0.001, "scale": "sf", "access": "rw", "poll": "fast",
        },
    }  # fmt: skip
    device = MemoryDevice({1: {0: 1500, 1: 1, 2: 0}})

    async def body() -> None:
        driver = UniversalDriver(compiled(tmp_path, points), "device")
        assert await driver.read_fast()
        assert state(driver, "power") == (15.0, Quality.GOOD)
        assert (await driver.write(command(("setpoint", 20.0)))).verified
        assert device.units[1][2] == 2000
        device.units[1] |= {0: 150, 1: 2}
        assert await driver.read_fast()
        assert state(driver, "power") == (15.0, Quality.GOOD)
        assert (await driver.write(command(("setpoint", 20.0)))).verified
        assert device.units[1][2] == 200
        for raw, quality in ((0x8000, Quality.NOT_AVAILABLE), (11, Quality.OUT_OF_RANGE)):
            device.units[1][1] = raw
            assert await driver.read_fast()
            value, found = state(driver, "power")
            assert (math.isnan(value), found) == (True, quality)
            device.written.clear()
            outcome = await driver.write(command(("setpoint", 20.0)))
            assert not outcome.verified
            assert "sf" in (outcome.error or "")
            assert device.written == []
        await driver.close()

    simulate(device, body())


# Who is it?


@pytest.mark.parametrize("kind", ["number", "text"])
def test_another_device_is_neither_trusted_nor_written_to(tmp_path: Path, kind: str) -> None:
    points: dict[str, Any] = {
        "model": {"address": 10, "type": "text", "count": 2, "poll": "once"},
        "code": {"address": 12, "type": "u16", "poll": "once"},
        "soc": {"address": 0, "type": "u16", "unit": "%", "poll": "fast"},
        "mode": {"address": 1, "type": "u16", "access": "rw", "poll": "fast"},
    }
    check = {"point": "code", "equals": [7]} if kind == "number" else {"point": "model", "matches": "^AB"}
    profile = compiled(tmp_path, points, fingerprint=[{**check, "identity": True}])
    right = {0: 55, 1: 0, 10: 0x4142, 11: 0, 12: 7}
    device = MemoryDevice({1: right | {10: 0x5858, 12: 8}})

    async def body() -> None:
        driver = UniversalDriver(profile, "device")
        for _ in range(20):
            assert not await driver.read_fast()
            await asyncio.sleep(1)
        assert qualities(driver) == {Quality.MISSING}
        assert not connected(driver)
        assert "another device" in (driver.problem or "")
        assert not (await driver.write(command(("mode", 1)))).verified
        assert device.written == []
        assert device.asked[1] < 5
        device.units[1] = dict(right)
        for _ in range(20):
            await driver.read_fast()
            await asyncio.sleep(1)
        assert state(driver, "soc") == (55, Quality.GOOD)
        assert connected(driver)
        assert (await driver.write(command(("mode", 1)))).verified
        device.units[1] = right | {10: 0x5858, 12: 8}  # exchanged, while the cable was out
        driver.client.close("unplugged")
        for _ in range(5):
            assert not await driver.read_fast()
            await asyncio.sleep(1)
        assert qualities(driver) == {Quality.MISSING}
        assert not (await driver.write(command(("mode", 0)))).verified
        assert device.written == [(1, 1, 1)]
        await driver.close()

    simulate(device, body())


# Memory that wears


def test_a_register_that_wears_is_written_when_it_changes(tmp_path: Path) -> None:
    points: dict[str, Any] = {
        "limit": {
            "address": 0, "type": "u16", "access": "rw", "persistent": True, "writes_per_day": 3, "poll": "fast",
        },
        "power": {"address": 1, "type": "u16", "access": "rw", "poll": "fast"},
    }  # fmt: skip
    device = MemoryDevice({1: {0: 0, 1: 0}})

    async def body() -> None:
        driver = UniversalDriver(compiled(tmp_path, points), "device")
        assert await driver.read_fast()

        async def write(limit: int, power: int) -> None:
            outcome = await driver.write(command(("limit", limit), ("power", power)))
            assert outcome.verified
            assert (device.units[1][0], device.units[1][1]) == (limit, power)

        for power in range(10):
            await write(80, power)
        assert driver.writes == {"limit": 1, "power": 10}
        device.units[1][0] = 0  # somebody else changes it: the read-back tells, the next command mends
        assert not (await driver.write(command(("limit", 80), ("power", 1)))).verified
        await write(80, 1)
        assert driver.writes["limit"] == 2
        await write(70, 1)
        assert driver.worn() == []
        driver.client.close("rebooted")
        await asyncio.sleep(10)
        for _ in range(10):
            if await driver.read_fast():
                break
            await asyncio.sleep(1)
        await write(70, 2)  # who knows what it remembers
        assert driver.writes["limit"] == 4
        assert driver.worn() == ["limit"]
        await asyncio.sleep(86_400)
        await driver.read_fast()
        await write(60, 2)
        assert driver.worn() == []
        await driver.close()

    simulate(device, body())
