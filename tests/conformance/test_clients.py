"""Clients that others wrote against the twin: mbpoll, pymodbus and libmodbus read what the twin's device says."""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType

from bessai.model import Endpoint
from bessai.registry import Profile, load_profile
from bessai.twin import TwinBus, TwinDevice, TwinServer, TwinSite, TwinUnit

METER, INVERTER = 1, 2


@pytest.fixture(scope="module")
def meter() -> Profile:
    return load_profile("eastron_sdm630")


@pytest.fixture(scope="module")
def inverter() -> Profile:
    return load_profile("huawei_sun2000")


def _freeze(site: TwinSite) -> None:
    """Measured values stand still, so that two readings of one register agree."""
    for device in site.devices.values():
        device.faults.freeze = True


@asynccontextmanager
async def plant(meter: Profile, inverter: Profile, transport: Any) -> AsyncIterator[tuple[str, TwinSite]]:
    """A meter and an inverter on one bus: where it is, and the site."""
    endpoint = Endpoint(transport=transport, host="127.0.0.1", port=0)
    units = [
        TwinUnit(name="meter", profile=meter, unit=METER),
        TwinUnit(name="inverter", profile=inverter, unit=INVERTER),
    ]
    async with TwinSite([TwinBus(endpoint, units)], seed=3) as site:
        _freeze(site)
        bus = site.buses[0]
        yield (str(bus.port) if isinstance(bus, TwinServer) else bus.path), site


def _numbers(device: TwinDevice) -> dict[str, tuple[str, int, int]]:
    """Table, address and size of each number that can be read."""
    absent = device.registers.absent
    return {
        name: (point.table, point.address, point.registers)
        for name, point in device.profile.points.items()
        if point.type != "text" and point.access != "w" and name not in absent and point.station is None
    }


def _words(device: TwinDevice, table: str, address: int, count: int) -> list[int]:
    return device.read(table, address, count)


# mbpoll

_LINE = re.compile(r"^\[(\d+)\]:\s+(-?[\d.e+]+)", re.MULTILINE)


async def mbpoll(*arguments: str) -> tuple[int, dict[int, float], str]:
    """Exit code, value by address, and all that it said."""
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("mbpoll is not installed (Debian package mbpoll)")
    process = await asyncio.create_subprocess_exec(
        program,
        *("-0", "-1", "-q", "-o", "5", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    text = output.decode()
    return process.returncode or 0, {int(a): float(v) for a, v in _LINE.findall(text)}, text


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
def test_mbpoll_reads_and_writes(meter: Profile, inverter: Profile, transport: str) -> None:
    """Floats of the meter's input registers, words of the inverter's holding registers, writes, and a refusal."""

    async def body() -> None:
        async with plant(meter, inverter, transport) as (place, site):
            where = (
                ["-m", "tcp", "-p", place]
                if transport == "tcp"
                else ["-m", "rtu", "-b", "9600", "-P", "none"]
            )
            target = "127.0.0.1" if transport == "tcp" else place
            meter_device, inverter_device = site.devices["meter"], site.devices["inverter"]
            for name in ("phase_voltage_a", "phase_current_c", "grid_power", "grid_frequency"):
                point = meter.points[name]
                address = str(point.address)
                code, found, said = await mbpoll(
                    *where, "-a", str(METER), "-t", "3:float", "-B", "-r", address, target
                )
                assert code == 0, said
                value = found[point.address] * point.gain + point.offset
                assert value == pytest.approx(meter_device.value(name), rel=1e-4, abs=1e-3)
            code, found, said = await mbpoll(
                *where, "-a", str(INVERTER), "-t", "4", "-r", "37760", "-c", "1", target
            )
            assert code == 0, said
            assert found == {37760: _words(inverter_device, "holding", 37760, 1)[0]}
            assert found[37760] / 10 == pytest.approx(inverter_device.value("soc"))
            code, _, said = await mbpoll(*where, "-a", str(INVERTER), "-t", "4", "-r", "47083", target, "3")
            assert code == 0, said
            assert _words(inverter_device, "holding", 47083, 1) == [3]
            code, found, said = await mbpoll(*where, "-a", str(INVERTER), "-t", "4", "-r", "1", target)
            assert "Illegal data address" in said
            assert not found

    asyncio.run(body())


# pymodbus


@pytest.mark.parametrize(("transport", "framer"), [("tcp", FramerType.SOCKET), ("rtu+tcp", FramerType.RTU)])
def test_pymodbus_reads_every_point(
    meter: Profile, inverter: Profile, transport: str, framer: FramerType
) -> None:
    async def body() -> None:
        async with plant(meter, inverter, transport) as (place, site):
            client = AsyncModbusTcpClient("127.0.0.1", port=int(place), timeout=10, framer=framer)
            assert await client.connect()
            read = {
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
            }
            for unit, name in ((METER, "meter"), (INVERTER, "inverter")):
                device = site.devices[name]
                numbers = _numbers(device)
                assert len(numbers) > 10
                for point, (table, address, count) in numbers.items():
                    reply = await read[table](address, count=count, device_id=unit)
                    assert not reply.isError(), point
                    assert reply.registers == _words(device, table, address, count), point
            written = await client.write_registers(47247, [0, 2500], device_id=INVERTER)
            assert not written.isError()
            assert site.devices["inverter"].log[-1].value == 2.5
            refused = await client.read_holding_registers(1, count=1, device_id=INVERTER)
            assert refused.exception_code == 2
            client.close()

    asyncio.run(body())


# libmodbus


class Libmodbus:
    """The few calls of libmodbus's client that the test makes."""

    def __init__(self, place: str, transport: str) -> None:
        name = ctypes.util.find_library("modbus")
        if name is None:
            pytest.skip("libmodbus is not installed (Debian package libmodbus5)")
        self._lib = lib = ctypes.CDLL(name, use_errno=True)
        for make in (lib.modbus_new_tcp, lib.modbus_new_rtu):
            make.restype = ctypes.c_void_p
        lib.modbus_strerror.restype = ctypes.c_char_p
        if transport == "tcp":
            context = lib.modbus_new_tcp(b"127.0.0.1", int(place))
        else:
            context = lib.modbus_new_rtu(place.encode(), 9600, ctypes.c_char(b"N"), 8, 1)
        self._context = ctypes.c_void_p(context)
        lib.modbus_set_response_timeout(self._context, 10, 0)
        assert lib.modbus_connect(self._context) == 0, self.error()

    def error(self) -> str:
        return str(self._lib.modbus_strerror(ctypes.get_errno()).decode())

    def read(self, unit: int, table: str, address: int, count: int) -> list[int] | str:
        """The words, or what libmodbus says instead."""
        self._lib.modbus_set_slave(self._context, unit)
        words = (ctypes.c_uint16 * count)()
        call = {
            "holding": self._lib.modbus_read_registers,
            "input": self._lib.modbus_read_input_registers,
        }[table]
        return list(words) if call(self._context, address, count, words) == count else self.error()

    def write(self, unit: int, address: int, words: list[int]) -> bool:
        self._lib.modbus_set_slave(self._context, unit)
        data = (ctypes.c_uint16 * len(words))(*words)
        return bool(self._lib.modbus_write_registers(self._context, address, len(words), data) == len(words))

    def close(self) -> None:
        self._lib.modbus_close(self._context)
        self._lib.modbus_free(self._context)


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
def test_libmodbus_reads_every_point(meter: Profile, inverter: Profile, transport: str) -> None:
    async def body() -> None:
        async with plant(meter, inverter, transport) as (place, site):
            client = await asyncio.to_thread(Libmodbus, place, transport)
            for unit, name in ((METER, "meter"), (INVERTER, "inverter")):
                device = site.devices[name]
                for point, (table, address, count) in _numbers(device).items():
                    found = await asyncio.to_thread(client.read, unit, table, address, count)
                    assert found == _words(device, table, address, count), point
            assert await asyncio.to_thread(client.write, INVERTER, 47247, [0, 1500])
            assert site.devices["inverter"].log[-1].value == 1.5
            refused = await asyncio.to_thread(client.read, INVERTER, "holding", 1, 1)
            assert refused == "Illegal data address"
            await asyncio.to_thread(client.close)

    asyncio.run(body())
