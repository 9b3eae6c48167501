"""The driver on real sockets: blocks, splits, repeats, reconnects, writes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from bessai.drivers import Pace, UniversalDriver
from bessai.model import Command, Quality, Write
from bessai.model.command import _issue
from support.libmodbus import libmodbus_or_skip
from support.modbus_device import ScriptedDevice, frame
from support.profiles import BATTERY, CONTROL, DEAD_MAN, REGISTERS, battery, compiled


def _run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


async def _value(driver: UniversalDriver, name: str) -> tuple[float, Quality]:
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    i = driver.profile.layout.index[name]
    return round(float(values[i]), 6), Quality(int(quality[i]))


def test_reads_points_in_few_blocks(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            assert await driver.read_fast()
            assert await _value(driver, "soc") == (55.5, Quality.GOOD)
            assert len(device.requests) == 1
            await driver.close()

    _run(body)


def test_values_the_device_disowns(tmp_path: Path) -> None:
    async def body() -> None:
        registers = {**REGISTERS, 0: 65535, 3: 0x7FFF}
        async with ScriptedDevice(registers) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.read_fast()
            value, quality = await _value(driver, "soc")
            assert np.isnan(value)
            assert quality is Quality.NOT_AVAILABLE
            assert (await _value(driver, "battery_temperature"))[1] is Quality.OUT_OF_RANGE
            await driver.close()

    _run(body)


def test_a_refused_block_is_split_and_the_split_remembered(tmp_path: Path) -> None:
    async def body() -> None:
        registers = dict(REGISTERS)
        del registers[3]
        async with ScriptedDevice(registers) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port, pace=Pace(slow=1e6))
            await driver.read_fast()
            assert await _value(driver, "soc") == (55.5, Quality.GOOD)
            assert (await _value(driver, "device_status"))[1] is Quality.GOOD
            assert (await _value(driver, "battery_temperature"))[1] is Quality.ABSENT
            much_later = asyncio.get_running_loop().time() + 1e6  # an absent point does not age
            column = driver.profile.layout.index["battery_temperature"]
            assert driver.columns(much_later)[1][column] == Quality.ABSENT
            await asyncio.sleep(0.2)  # the slower classes
            device.requests.clear()
            assert await driver.read_fast()
            assert [pdu.hex() for pdu in device.requests] == ["0300000003", "0300040001"]
            assert driver.status()["absent_points"] == ["battery_temperature"]
            await driver.close()

    _run(body)


def test_an_absent_point_comes_back_without_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        registers = dict(REGISTERS)
        del registers[3]
        async with ScriptedDevice(registers) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port, pace=Pace(slow=0.0))
            await driver.read_fast()
            device.registers[3] = 250
            for _ in range(20):
                await driver.read_fast()
                await asyncio.sleep(0.02)
            assert await _value(driver, "battery_temperature") == (25.0, Quality.GOOD)
            assert driver.status()["absent_points"] == []
            await driver.close()

    _run(body)


def test_a_moment_of_refusals_leaves_no_trace(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice({}) as device:  # every address refused
            driver = UniversalDriver(
                battery(tmp_path), "127.0.0.1", device.port, pace=Pace(normal=0.0, slow=0.0)
            )
            await driver.read_fast()
            assert "soc" in driver.status()["absent_points"]
            device.registers = dict(REGISTERS)
            for _ in range(20):
                await driver.read_fast()
                await asyncio.sleep(0.02)
            assert driver.status()["absent_points"] == []
            device.requests.clear()
            assert await driver.read_fast()
            assert device.requests[0].hex() == "0300000005"
            await driver.close()

    _run(body)


@pytest.mark.parametrize("how", ["silent", "close"])
def test_a_register_that_kills_the_connection_is_left_alone(tmp_path: Path, how: str) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            asked = 0

            async def poisoned(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                nonlocal asked
                if pdu[:3] != bytes((3, 0, 5)):  # the block of class normal
                    return b""
                asked += 1
                if how == "close":
                    device.drop()
                return None

            device.hook = poisoned
            profile = battery(tmp_path, connection={"timeout": 0.1, "retries": 1})
            driver = UniversalDriver(profile, "127.0.0.1", device.port, pace=Pace(normal=0.05))
            good = 0
            for _ in range(100):
                good += await driver.read_fast()
                await asyncio.sleep(0.02)
            assert asked == 1
            assert good >= 60
            await driver.close()

    _run(body)


def test_nameplate_values_are_read_anew_on_every_connection(tmp_path: Path) -> None:
    points = {**BATTERY, "charge_power_max": {**BATTERY["charge_power_max"], "poll": "once"}}

    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            profile = compiled(tmp_path, points, control=CONTROL, dead_man=DEAD_MAN)
            driver = UniversalDriver(profile, "127.0.0.1", device.port)
            await _read_until(driver, "charge_power_max", 50.0)
            device.registers[5] = 70  # another device takes its place
            device.drop()
            await asyncio.sleep(0.02)
            await _read_until(driver, "charge_power_max", 7.0)
            await driver.close()

    _run(body)


async def _read_until(driver: UniversalDriver, name: str, wanted: float) -> None:
    """Read until the point is good; its first good value must be the wanted one."""
    for _ in range(100):
        await driver.read_fast()
        await asyncio.sleep(0.02)
        value, quality = await _value(driver, name)
        if driver.connected and quality is Quality.GOOD:
            assert value == wanted
            return
    raise AssertionError(f"{name} was never read")


def test_a_lost_reply_now_and_then_is_forgiven(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            lose = True

            async def lossy(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                nonlocal lose
                if pdu[:3] == bytes((3, 0, 5)) and lose:
                    lose = False
                    return None
                return b""

            device.hook = lossy
            profile = battery(tmp_path, connection={"timeout": 0.05, "retries": 0})
            driver = UniversalDriver(profile, "127.0.0.1", device.port, pace=Pace(normal=0.05))
            poller = driver._pollers["normal"]
            for _ in range(3):
                lose = True
                while lose:
                    await driver.read_fast()
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.1)
                (pause,) = (pause for _, pause in poller._shunned.values())
                assert pause == 5.0  # not longer than the first time
                for block in poller._shunned:
                    poller._shunned[block] = (0.0, pause)  # the time has passed
                driver._due["normal"] = 0.0
                for _ in range(10):
                    await driver.read_fast()
                    await asyncio.sleep(0.02)
                assert (await _value(driver, "charge_power_max"))[1] is Quality.GOOD
            await driver.close()

    _run(body)


def test_busy_is_repeated(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            left = 2

            async def busy(transaction: int, unit: int, pdu: bytes) -> bytes:
                nonlocal left
                if left:
                    left -= 1
                    return frame(transaction, unit, bytes((pdu[0] | 0x80, 6)))
                return b""

            device.hook = busy
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            assert await driver.read_fast()
            assert (await _value(driver, "soc"))[1] is Quality.GOOD
            await driver.close()

    _run(body)


def test_old_values_become_stale(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port, pace=Pace(stale_fast=0.05))
            await driver.read_fast()
            await asyncio.sleep(0.1)
            value, quality = await _value(driver, "soc")
            assert (value, quality) == (55.5, Quality.STALE)
            await driver.close()

    _run(body)


def test_reconnects_by_itself_after_the_device_was_away(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port, rng=random.Random(1))
            assert await driver.read_fast()
            await device.stop()
            await asyncio.sleep(0.05)
            assert not await driver.read_fast()
            assert driver.status()["problem"] is not None
            await device.start()
            for _ in range(100):
                if await driver.read_fast():
                    break
                await asyncio.sleep(0.1)
            assert driver.problem is None
            await driver.close()

    _run(body)


def test_a_silent_device_is_disconnected_and_tried_again(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def silent(*_: object) -> None:
                return None

            device.hook = silent
            profile = battery(tmp_path, connection={"timeout": 0.1, "retries": 1})
            driver = UniversalDriver(profile, "127.0.0.1", device.port)
            assert not await driver.read_fast()
            assert not driver.connected
            assert "does not answer" in (driver.problem or "")
            device.hook = None
            for _ in range(100):
                if await driver.read_fast():
                    break
                await asyncio.sleep(0.05)
            assert device.connections == 2
            await driver.close()

    _run(body)


def _command(*writes: tuple[str, float]) -> Command:
    return _issue("charge", -1.0, tuple(Write(point, value) for point, value in writes))


def test_writes_in_order_and_reads_back(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            outcome = await driver.write(_command(("charge_setpoint", 2.5), ("duration", 20), ("mode", 1)))
            assert outcome.verified
            assert [pdu[0] for pdu in device.requests] == [16, 6, 6, 3, 3, 3]
            assert (device.registers[21], device.registers[22], device.registers[20]) == (0, 2500, 1)
            assert driver.writes == {"charge_setpoint": 1, "duration": 1, "mode": 1}
            await driver.close()

    _run(body)


@pytest.mark.parametrize(("kind", "sent"), [("charge", [16]), ("zero", [16, 6, 6, 3, 3, 3])])
def test_after_a_stall_only_what_is_safe_goes_on(tmp_path: Path, kind: str, sent: list[int]) -> None:
    """This process stands still after the first register: what was decided before is too old then."""

    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def stall(transaction: int, unit: int, pdu: bytes) -> bytes:
                if len(device.requests) == 1:
                    time.sleep(0.4)  # noqa: ASYNC251 - nothing runs meanwhile, that is what it is about
                return b""

            device.hook = stall
            pace = Pace(stale_fast=0.2)
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port, pace=pace)
            await driver.client.connect()
            writes = (Write("charge_setpoint", 2.5), Write("duration", 20), Write("mode", 1))
            outcome = await driver.write(_issue(kind, -1.0, writes))
            assert [pdu[0] for pdu in device.requests] == sent
            assert outcome.verified == (kind == "zero")
            assert kind == "zero" or "too old" in (outcome.error or "")
            await driver.close()

    _run(body)


def test_what_cannot_be_encoded_is_not_half_written(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            outcome = await driver.write(_command(("charge_setpoint", 2.5), ("mode", 70_000)))
            assert not outcome.verified
            assert "does not fit" in (outcome.error or "")
            assert device.requests == []
            await driver.close()

    _run(body)


def test_a_device_that_forgets_is_not_believed(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def forget(transaction: int, unit: int, pdu: bytes) -> bytes:
                return frame(transaction, unit, pdu) if pdu[0] == 6 else b""

            device.hook = forget
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            outcome = await driver.write(_command(("mode", 1)))
            assert not outcome.verified
            assert outcome.error == "mode: wrote 1, reads 0"
            await driver.close()

    _run(body)


def test_after_a_forgotten_value_nothing_feeds_before_the_others_are_proved(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            forgets = [True]

            async def forget(transaction: int, unit: int, pdu: bytes) -> bytes:
                return frame(transaction, unit, pdu[:5]) if pdu[0] == 16 and forgets[0] else b""

            device.hook = forget
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            command = _command(("charge_setpoint", 2.5), ("duration", 20), ("mode", 1))
            sent = []
            for attempt in range(4):
                forgets[0] = attempt < 2
                device.requests.clear()
                outcome = await driver.write(command)
                assert outcome.verified == (attempt >= 2)
                sent.append([pdu[0] for pdu in device.requests])
            plain = [16, 6, 6, 3, 3, 3]
            assert sent == [plain, [16, 6, 3, 3], [16, 6, 3, 3, 6, 3, 3, 3], plain]
            await driver.close()

    _run(body)


def test_a_refused_write_ends_the_command(tmp_path: Path) -> None:
    async def body() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:

            async def refuse(transaction: int, unit: int, pdu: bytes) -> bytes:
                return frame(transaction, unit, bytes((pdu[0] | 0x80, 3))) if pdu[0] == 16 else b""

            device.hook = refuse
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            await driver.client.connect()
            outcome = await driver.write(_command(("charge_setpoint", 2.5), ("mode", 1)))
            assert (outcome.verified, outcome.written) == (False, ())
            assert "charge_setpoint" in (outcome.error or "")
            assert device.registers[20] == 0
            await driver.close()

    _run(body)


def test_only_a_command_can_be_written(tmp_path: Path) -> None:
    async def body() -> None:
        driver = UniversalDriver(battery(tmp_path), "127.0.0.1", 1)
        with pytest.raises(TypeError, match="SafetyGuard"):
            await driver.write(("mode", 1))  # type: ignore[arg-type]

    _run(body)


def test_against_libmodbus(tmp_path: Path) -> None:
    """Interoperation with a server that is neither ours nor pymodbus: every register holds its address."""
    points = {
        f"p{i}": {"address": i * 3, "type": "u16" if i % 2 else "u32", "poll": "fast"} for i in range(300)
    }
    profile = compiled(tmp_path, points | {"mode": {"address": 2000, "type": "u16", "access": "rw"}})

    async def body(port: int) -> None:
        driver = UniversalDriver(profile, "127.0.0.1", port)
        assert await driver.read_all()
        values, quality, _ = driver.columns(asyncio.get_running_loop().time())
        expected = [3 * i if i % 2 else (3 * i << 16) + 3 * i + 1 for i in range(300)]
        assert values[:300].tolist() == expected
        assert not quality.any()
        assert (await driver.write(_command(("mode", 7)))).verified
        await driver.close()

    with libmodbus_or_skip() as port:
        asyncio.run(body(port))
