"""Drivers that share a connection, and writes that must not trust an old one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bessai.drivers import UniversalDriver
from bessai.drivers.link import Link
from bessai.drivers.universal import manners_of
from bessai.model import Command, Endpoint, Write
from bessai.model.command import _issue
from support.modbus_device import ScriptedDevice
from support.profiles import BATTERY, CONTROL, DEAD_MAN, REGISTERS, battery, compiled


async def _until(attempt: Callable[[], Awaitable[bool]]) -> bool:
    for _ in range(200):
        if await attempt():
            return True
        await asyncio.sleep(0.05)
    return False


def _command(*steps: tuple[str, float]) -> Command:
    return _issue("charge", 2.5, tuple(Write(point, value) for point, value in steps))


def test_a_connection_that_another_driver_made_is_looked_at_before_it_is_written_to(tmp_path: Path) -> None:
    """Whoever answers there now may be another device: its identity is checked first."""
    points = BATTERY | {"model_id": {"address": 7, "type": "u16", "poll": "once"}}
    fingerprint = [{"point": "model_id", "equals": [17], "identity": True}]
    profile = compiled(tmp_path, points, control=CONTROL, dead_man=DEAD_MAN, fingerprint=fingerprint)

    async def run() -> None:
        async with ScriptedDevice({**REGISTERS, 7: 17}) as device:
            endpoint = Endpoint(host="127.0.0.1", port=device.port)
            link = Link(endpoint, manners_of(profile.connection))
            mine = UniversalDriver(profile, link, unit=1)
            other = UniversalDriver(battery(tmp_path), link, unit=2)
            assert await mine.read_fast()
            assert mine.connected
            device.drop()
            device.registers[7] = 99  # the address was given to another device
            assert await _until(lambda: asyncio.sleep(0, not link.connected))
            assert await _until(other.read_fast)
            states = (link.connected, mine.connected)
            assert states == (True, False)
            outcome = await mine.write(_command(("mode", 1)))
            assert not outcome.verified
            assert device.registers[20] == 0
            assert not await mine.read_fast()
            assert "another device" in (mine.problem or "")
            await mine.close()
            await other.close()

    asyncio.run(run())


def test_whatever_keeps_a_link_from_connecting_is_told_and_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        driver = UniversalDriver(battery(tmp_path), "127.0.0.1", 1)

        async def broken(**_: object) -> None:
            raise OSError("the certificate is gone")

        monkeypatch.setattr(driver.client, "connect", broken)
        assert not await driver.read_fast()
        assert "the certificate is gone" in (driver.problem or "")
        monkeypatch.undo()
        assert not await driver.read_fast(), "the next attempt has to wait"
        assert "the certificate is gone" in (driver.problem or "")
        await driver.close()

    asyncio.run(run())


def test_a_link_survives_the_driver_that_gave_up_waiting(tmp_path: Path) -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            link = Link(Endpoint(host="127.0.0.1", port=device.port))
            first = UniversalDriver(battery(tmp_path), link, unit=1)
            second = UniversalDriver(battery(tmp_path), link, unit=2)
            impatient = asyncio.create_task(first.read_fast())
            await asyncio.sleep(0)
            patient = asyncio.create_task(second.read_fast())
            await asyncio.sleep(0)
            impatient.cancel()
            assert await patient
            assert device.connections == 1
            assert await first.read_fast()
            await first.close()

    asyncio.run(run())


def test_a_sequence_that_writes_a_lasting_register_twice_ends_as_it_says(tmp_path: Path) -> None:
    points = BATTERY | {"mode": BATTERY["mode"] | {"persistent": True, "access": "w", "poll": "never"}}
    profile = compiled(tmp_path, points)

    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(profile, "127.0.0.1", device.port)
            await driver.client.connect()
            for _ in range(3):
                steps = (("mode", 0), ("charge_setpoint", 2.5), ("mode", 1))
                outcome = await driver.write(_command(*steps))
                assert outcome.verified
                assert device.registers[20] == 1
            assert driver.writes["mode"] == 6
            await driver.write(_command(("mode", 1)))
            assert driver.writes["mode"] == 6, "what it holds already is not written again"
            await driver.close()

    asyncio.run(run())
