"""What a driver tells of its talk with a device, against a device that is slow, refuses, and hangs up."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from bessai.drivers import Registers, UniversalDriver
from bessai.drivers.modbus import Manners, ModbusClient, Talk, latency_of, read
from bessai.drivers.modbus.talk import LAST, RING
from bessai.drivers.telling import words_of
from bessai.model import Endpoint
from support.modbus_device import ScriptedDevice, frame
from support.profiles import REGISTERS, battery, compiled


def _talk(*latencies: float) -> Talk:
    talk = Talk()
    for took in latencies:
        talk.latencies[talk.replies & LAST] = took
        talk.replies += 1
    return talk


def test_percentiles_are_of_replies_that_there_were() -> None:
    assert latency_of([Talk()]) is None
    one = latency_of([_talk(0.25)])
    assert one is not None
    assert (one.p50, one.p99, one.max, one.count) == (0.25, 0.25, 0.25, 1)
    hundred = latency_of([_talk(*(i / 100 for i in range(1, 101)))])
    assert hundred is not None
    assert (hundred.p50, hundred.p99, hundred.max, hundred.count) == (0.5, 0.99, 1.0, 100)
    both = latency_of([_talk(1.0, 2.0), _talk(3.0)])
    assert both is not None
    assert (both.p50, both.count) == (2.0, 3)


def test_only_the_newest_latencies_are_kept() -> None:
    talk = _talk(*[9.0] * 50, *[0.5] * RING)
    told = latency_of([talk])
    assert told is not None
    assert (told.max, told.count, talk.replies) == (0.5, RING, RING + 50)


def test_latency_errors_and_exceptions_are_counted_for_each_unit() -> None:
    async def run() -> None:
        async with ScriptedDevice(dict.fromkeys(range(10), 7)) as device:

            async def hook(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                if unit == 1:
                    await asyncio.sleep(0.06)
                elif unit == 3:
                    return None
                elif unit == 4:
                    return frame(transaction, unit, bytes((pdu[0] | 0x80, 6)))
                return frame(transaction, unit, device.answer(pdu))

            device.hook = hook
            client = ModbusClient(
                Endpoint(host="127.0.0.1", port=device.port), manners=Manners(timeout=5.0, timeout_min=0.05)
            )
            client.register(3, Manners(timeout=0.05, timeout_min=0.05))
            await client.connect()
            for unit in (1, 1, 2):
                await client.transact(unit, [read("holding", 0, 1)])
            await client.transact(2, [read("holding", 50, 1)])
            await client.transact(4, [read("holding", 0, 1), read("holding", 1, 1)])
            await client.transact(3, [read("holding", 0, 1)])
            slow = latency_of([client.talk(1)])
            assert slow is not None
            assert slow.p50 >= 0.055
            assert slow.count == client.talk(1).replies == 2
            assert (client.talk(1).exceptions, client.talk(1).error) == ({}, None)
            assert (client.talk(2).replies, client.talk(2).exceptions) == (2, {2: 1})
            assert client.talk(4).exceptions == {6: 2}
            silent = client.talk(3)
            assert (silent.replies, silent.timeouts, latency_of([silent])) == (0, 1, None)
            assert silent.error is not None
            assert silent.error.message == "no reply within 0.05 s"
            assert client.error is None
            client.close()
            assert client.error is None  # our own closing is no error

    asyncio.run(run())


def test_the_last_error_of_a_device_is_told_with_its_age(tmp_path: Path) -> None:
    async def run() -> None:
        registers = dict(REGISTERS)
        del registers[3]
        async with ScriptedDevice(registers) as device:
            driver = UniversalDriver(battery(tmp_path), "127.0.0.1", device.port)
            assert driver.status()["talk"]["latency"] is None
            await driver.read_fast()
            talk = driver.status()["talk"]
            assert talk["exceptions"] == [
                {"code": 2, "name": "illegal data address", "count": driver.client.stats.exceptions}
            ]
            assert talk["last_error"]["message"] == "device answered exception 2 (illegal data address)"
            assert talk["last_error"]["age"] >= 0
            assert talk["replies"] == talk["latency"]["count"] == len(device.requests)
            device.drop()
            for _ in range(200):
                if not driver.client.connected:
                    break
                await asyncio.sleep(0.02)
            assert "connection" in driver.status()["talk"]["last_error"]["message"]
            await driver.close()

    asyncio.run(run())


def test_an_endpoint_that_refuses_is_the_last_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with ScriptedDevice({}) as device:
            port = device.port
        driver = UniversalDriver(battery(tmp_path), "127.0.0.1", port)
        await driver.read_fast()
        assert "cannot connect" in driver.status()["talk"]["last_error"]["message"]
        await driver.close()

    asyncio.run(run())


def test_registers_are_those_that_came(tmp_path: Path) -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            profile = battery(tmp_path)
            driver = UniversalDriver(profile, "127.0.0.1", device.port)
            assert driver.registers("soc") is None
            await driver.read_fast()
            soc = profile.points["soc"]
            device.registers[soc.address] = 0x0203
            asked = len(device.requests)
            assert _words(driver.registers("soc")) == _hex(REGISTERS, soc.address, soc.registers)
            assert len(device.requests) == asked  # nothing is read to answer
            await driver.read_fast()
            assert _words(driver.registers("soc")) == ("0x0203",)
            with pytest.raises(KeyError):
                driver.registers("none_such")
            await driver.close()

    asyncio.run(run())


def test_registers_of_a_device_that_lacks_some_are_the_newest_of_each(tmp_path: Path) -> None:
    async def run() -> None:
        registers = dict(REGISTERS)
        del registers[3]
        async with ScriptedDevice(registers) as device:
            profile = battery(tmp_path)
            driver = UniversalDriver(profile, "127.0.0.1", device.port)
            await driver.read_fast()
            assert driver.registers("battery_temperature") is None
            soc = profile.points["soc"]
            assert _words(driver.registers("soc")) == _hex(registers, soc.address, soc.registers)
            device.registers[soc.address] = 0xBEEF
            await driver.read_fast()
            assert _words(driver.registers("soc")) == ("0xBEEF",)
            await driver.close()

    asyncio.run(run())


def _words(found: Registers | None) -> tuple[str, ...]:
    assert found is not None
    assert found.age >= 0
    return found.words


def _hex(registers: dict[int, int], address: int, count: int) -> tuple[str, ...]:
    return tuple(
        f"0x{struct.pack('>H', registers[a]).hex().upper()}" for a in range(address, address + count)
    )


def test_words_of_bits_texts_and_another_block(tmp_path: Path) -> None:
    profile = compiled(
        tmp_path,
        {
            "a": {"address": 5, "type": "bool", "table": "coil", "poll": "fast"},
            "b": {"address": 14, "type": "bool", "table": "coil", "poll": "fast"},
            "name": {"address": 5, "type": "text", "count": 2, "poll": "fast"},
        },
    )
    blocks = {block.table: block for block in profile.plans["fast"].blocks}
    bits = bytes((0b1, 0b10))  # of coils 5 to 14
    assert words_of(profile.points["a"], blocks["coil"], bits) == ("1",)
    assert words_of(profile.points["b"], blocks["coil"], bits) == ("1",)
    assert words_of(profile.points["b"], blocks["coil"], bytes((0xFF, 0b01))) == ("0",)
    text = profile.points["name"]
    assert words_of(text, blocks["holding"], b"Hi\0\1") == ("0x4869", "0x0001")
    assert words_of(text, blocks["coil"], bits) is None
    assert words_of(profile.points["a"], blocks["holding"], b"Hi\0\1") is None
