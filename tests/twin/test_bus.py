"""Several units on one wire, and every kind of wire."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from pymodbus.client import AsyncModbusTlsClient, ModbusSerialClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from bessai.registry import Profile
from bessai.twin import Plant, TwinDevice, TwinSerial, TwinServer
from bessai.twin.server import server_tls

from .conftest import MakeProfile
from .wire import UNIT, Raw, answer, client, play, refusal, request, serial


def _two(profile: Profile, **options: Any) -> TwinServer:
    return TwinServer(devices={n: TwinDevice(profile, Plant(), unit=n) for n in (1, 2)}, **options)


@pytest.fixture
def shared(make_profile: MakeProfile) -> Profile:
    """The mini device, with a counter that shows it alive and points on a second unit id."""
    mini = make_profile()
    points = {name: point.model_dump(exclude_unset=True) for name, point in mini.points.items()}
    points["heartbeat"] = {"address": 300, "type": "u16", "poll": "fast"}
    points["grid_power"] = {
        "address": 100, "type": "i16", "gain": 0.001, "unit": "kW", "station": "meter",
    }  # fmt: skip
    points["meter_lock"] = {"address": 5, "type": "u16", "access": "rw", "station": "meter"}
    return make_profile(
        points=points,
        connection={"unit": UNIT, "stations": {"meter": 30}},
        alive={"point": "heartbeat", "within": 5},
    )


def test_two_units_have_their_own_registers(shared: Profile) -> None:
    profile = shared.model_copy(update={"connection": shared.connection.model_copy(update={"stations": {}})})
    profile = profile.model_copy(update={"points": {k: p for k, p in shared.points.items() if not p.station}})

    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1, 201, 777, unit=2, function=6))
        assert await wire.get(12) == request(1, 201, 777, unit=2, function=6)
        assert await wire.ask(2, address=201, unit=1) == answer(2, 0, unit=1)
        assert await wire.ask(3, address=201, unit=2) == answer(3, 777, unit=2)
        assert await wire.ask(4, 9, unit=3) == refusal(4, 11, unit=3)

    play(lambda: _two(profile), scene)


def test_unknown_units_may_be_silent(shared: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1, unit=9))
        assert await wire.silent()
        assert await wire.ask(2) == answer(2, 500)

    play(lambda: TwinServer(shared, Plant(), missing="silence"), scene)


def test_one_unit_id_twice_is_refused(shared: Profile) -> None:
    async def make() -> None:
        device = TwinDevice(shared, Plant(), unit=1)
        with pytest.raises(ValueError, match="unit 30 is taken twice"):
            TwinServer(devices={1: device, 2: TwinDevice(shared, Plant(), unit=2)})

    asyncio.run(make())


def test_stations_answer_under_their_own_unit_id(shared: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        assert await wire.ask(1, address=100) == answer(1, 500)
        server.plant.meter.active_power = -2.5
        assert await wire.ask(2, address=100, unit=30) == answer(2, 65536 - 2500, unit=30)
        assert await wire.ask(3, 9, address=101, unit=30) == refusal(3, 2, unit=30)
        assert await wire.ask(4, 9, address=5) == refusal(4, 2)
        wire.send(request(5, 5, 42, unit=30, function=6))
        assert await wire.get(12) == request(5, 5, 42, unit=30, function=6)
        assert server.device.value("meter_lock") == 42
        assert server.units == [UNIT, 30]

    def server() -> TwinServer:
        return TwinServer(shared, Plant(), speed=0.001)

    play(server, scene)


def test_a_site_may_move_stations(shared: Profile) -> None:
    device = TwinDevice(shared, Plant(), stations={"meter": 77})
    assert device.units == (UNIT, 77)
    assert device.read("holding", 5, 1, unit=77) == [0]


def test_the_alive_counter_counts_seconds_and_stops_when_frozen(shared: Profile) -> None:
    device = TwinDevice(shared, Plant())
    assert device.value("heartbeat") == 0
    device.advance(2.5)
    assert device.read("holding", 300, 1) == [2]
    device.faults.freeze = True
    device.advance(10)
    assert device.read("holding", 300, 1) == [2]
    device.faults.clear()
    assert device.read("holding", 300, 1) == [12]
    device.plant.connection.steps = 0xFFFF * 10  # the count that would be the sentinel
    assert device.read("holding", 300, 1) == [0]


def test_limits_may_be_percentages(make_profile: MakeProfile) -> None:
    mini = make_profile()
    points = {name: point.model_dump(exclude_unset=True) for name, point in mini.points.items()}
    points["charge_limit"] = {"address": 205, "type": "u16", "gain": 0.01, "unit": "%", "access": "rw"}
    control = mini.control.model_dump(exclude_unset=True) if mini.control else {}
    control["charge_limit"] = [{"point": "charge_limit", "quantity": "limit", "of": "charge_power_max"}]
    device = TwinDevice(make_profile(points=points, control=control), Plant())
    device.write("holding", 205, [2500])
    assert device.plant.charge_limit == pytest.approx(2.5)


def test_serial_frames_over_tcp(shared: Profile) -> None:
    async def play_it() -> None:
        async with TwinServer(shared, Plant(), transport="rtu+tcp") as server:
            assert server.endpoint == f"rtu+tcp://127.0.0.1:{server.port}"
            async with client(server, framer=FramerType.RTU) as master:
                assert (await master.read_holding_registers(100, count=1, device_id=UNIT)).registers == [500]
                assert (await master.read_holding_registers(204, count=1, device_id=UNIT)).exception_code == 2
            async with client(server, 0.2, FramerType.RTU) as master:
                with pytest.raises(ModbusIOException):
                    await master.read_holding_registers(100, count=1, device_id=9)

    asyncio.run(asyncio.wait_for(play_it(), 60))


def test_serial_frames_that_cannot_be_read(shared: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        good = serial(bytes([UNIT, 3, 2, 1, 0xF4]))
        wire.send(serial(bytes([UNIT, 99, 0, 0])))
        assert await wire.get(5) == serial(bytes([UNIT, 99 | 0x80, 1]))
        wire.send(serial(bytes([UNIT, 3, 0, 100, 0, 126])))
        assert await wire.get(5) == serial(bytes([UNIT, 0x83, 3]))
        wire.send(serial(bytes([UNIT, 3, 0, 100, 0, 1]))[:-1] + b"\0")
        assert await wire.silent()
        wire.send(serial(bytes([UNIT, 3, 0, 100, 0, 1]))[:5])  # half a frame, then a pause
        await asyncio.sleep(0.6)
        wire.send(serial(bytes([UNIT, 3, 0, 100, 0, 1])))
        assert await wire.get(7) == good

    play(lambda: TwinServer(shared, Plant(), transport="rtu+tcp"), scene)


def _masters(path: str) -> tuple[list[int], list[int], int, bool]:
    """What a serial master reads: of two units, an exception, and whether a third is silent."""
    master = ModbusSerialClient(path, baudrate=19200, timeout=5, retries=0)
    assert master.connect()
    try:
        first = master.read_holding_registers(100, count=1, device_id=1).registers
        assert not master.write_register(201, 250, device_id=2).isError()
        second = master.read_holding_registers(201, count=1, device_id=2).registers
        code = master.read_holding_registers(204, count=1, device_id=1).exception_code
    finally:
        master.close()  # type: ignore[no-untyped-call]
    master = ModbusSerialClient(path, timeout=0.2, retries=0)
    assert master.connect()
    try:
        master.read_holding_registers(100, count=1, device_id=3)
        silent = False
    except ModbusIOException:
        silent = True
    finally:
        master.close()  # type: ignore[no-untyped-call]
    return list(first), list(second), code, silent


def test_a_serial_line_and_its_link(make_profile: MakeProfile, tmp_path: Path) -> None:
    profile = make_profile(connection={"unit": UNIT})
    link = tmp_path / "line"
    link.symlink_to(tmp_path / "left over")

    async def play_it() -> None:
        devices = {n: TwinDevice(profile, Plant(), unit=n) for n in (1, 2)}
        async with TwinSerial(devices=devices, link=link) as line:
            assert line.endpoint == f"rtu://{link}"
            assert str(link.readlink()) == line.path
            first, second, code, silent = await asyncio.to_thread(_masters, str(link))
            assert (first, second, code, silent) == ([500], [250], 2, True)
        assert not link.is_symlink()

    asyncio.run(asyncio.wait_for(play_it(), 60))


def test_unit_0_is_a_broadcast_on_a_serial_line(make_profile: MakeProfile) -> None:
    profile = make_profile(connection={"unit": UNIT})

    async def play_it() -> None:
        devices = {n: TwinDevice(profile, Plant(), unit=n) for n in (1, 2)}
        async with TwinSerial(devices=devices) as line:
            master = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            os.write(master, serial(bytes([0, 6, 0, 201, 0, 99])))
            async with asyncio.timeout(30):
                while any(device.value("charge_setpoint") != 0.99 for device in devices.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            with pytest.raises(BlockingIOError):
                os.read(master, 100)
            os.close(master)

    asyncio.run(asyncio.wait_for(play_it(), 60))


def test_a_link_does_not_replace_a_file(mini: Profile, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")

    async def play_it() -> None:
        with pytest.raises(FileExistsError):
            await TwinSerial(mini, link=taken).start()

    asyncio.run(play_it())
    assert taken.read_text() == "mine"


def test_tls_asks_for_the_masters_certificate(mini: Profile, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("device", "gateway"):
        pair = authority.issue_cert("127.0.0.1", common_name=name)
        pair.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        pair.private_key_pem.write_to_path(tmp_path / f"{name}.key")

    async def play_it() -> None:
        tls = server_tls(cert=tmp_path / "device.pem", key=tmp_path / "device.key", ca=tmp_path / "ca.pem")
        async with TwinServer(mini, transport="tls", tls=tls) as server:
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await _read_byte(server, context)
            context.load_cert_chain(tmp_path / "gateway.pem", tmp_path / "gateway.key")
            master = AsyncModbusTlsClient(
                server.host, port=server.port, sslctx=context, timeout=10, retries=0, reconnect_delay=0
            )
            assert await master.connect()
            assert (await master.read_holding_registers(100, count=1, device_id=UNIT)).registers == [500]
            master.close()

    asyncio.run(asyncio.wait_for(play_it(), 60))


async def _read_byte(server: TwinServer, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection(*server.address, ssl=context)
    try:
        writer.write(request(1))
        if not await asyncio.wait_for(reader.read(1), 20):
            raise ConnectionResetError
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("options", [{"transport": "tls"}, {"profile": None}])
def test_what_cannot_be_served_is_told(mini: Profile, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"goes with|give a profile"):
        TwinServer(**({"profile": mini} | options))


def test_devices_of_one_plant_move_together(make_profile: MakeProfile) -> None:
    profile = make_profile(connection={"unit": UNIT})

    async def play_it() -> None:
        plant = Plant()
        server = TwinServer(devices={n: TwinDevice(profile, plant, unit=n) for n in (1, 2)})
        server.clock.advance(10)
        assert plant.time == pytest.approx(10)
        assert not math.isnan(server.devices[2].value("soc"))

    asyncio.run(play_it())
