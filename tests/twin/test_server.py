"""The twin over real sockets, asked by pymodbus's own client and by hand-made frames."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException

from bessai.registry import Profile, find_profile, load_profile
from bessai.twin import Faults, Plant, TwinServer

from .conftest import MakeProfile

UNIT = 3


@asynccontextmanager
async def _client(server: TwinServer, patience: float = 5.0) -> AsyncIterator[AsyncModbusTcpClient]:
    host, port = server.address
    client = AsyncModbusTcpClient(host, port=port, timeout=patience, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


def _play(
    profile: Profile,
    scene: Callable[[TwinServer, AsyncModbusTcpClient], Awaitable[None]],
    *,
    patience: float = 5.0,
    **options: Any,
) -> None:
    async def play() -> None:
        async with (
            TwinServer(profile, Plant(seed=5), **options) as server,
            _client(server, patience) as client,
        ):
            await scene(server, client)

    asyncio.run(asyncio.wait_for(play(), 60))


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the twin has no event for every quantity
        await asyncio.sleep(0.02)


async def _ask(client: AsyncModbusTcpClient, address: int, count: int = 1, unit: int = UNIT) -> Any:
    return await client.read_holding_registers(address, count=count, device_id=unit)


async def _tell(client: AsyncModbusTcpClient, address: int, *words: int, unit: int = UNIT) -> Any:
    return await client.write_registers(address, list(words), device_id=unit)


def test_values_sentinels_texts_and_bits(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _ask(client, 100)).registers == [500]
        assert (await _ask(client, 105, 2)).registers == [0x7FFF, 0xFFFF]
        nan = (await _ask(client, 107, 2)).registers
        assert math.isnan(struct.unpack(">f", struct.pack(">HH", *nan))[0])
        assert (await _ask(client, 112, 4)).registers[0] == 0x4D69
        frequency = await client.read_input_registers(10, count=1, device_id=UNIT)
        assert frequency.registers[0] == pytest.approx(50_000, abs=200)
        assert (await client.read_coils(7, count=1, device_id=UNIT)).bits[0] is False
        assert not (await client.write_coil(7, True, device_id=UNIT)).isError()
        assert (await client.read_coils(7, count=1, device_id=UNIT)).bits[0] is True

    _play(mini, scene)


@pytest.mark.parametrize(
    ("address", "count", "code"), [(204, 1, 2), (203, 3, 2), (111, 1, 2), (207, 1, 2), (100, 41, 3)]
)
def test_reads_that_are_refused(mini: Profile, address: int, count: int, code: int) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _ask(client, address, count)).exception_code == code
        assert (await _ask(client, 100)).registers == [500]

    _play(mini, scene)


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [(100, [1], 2), (205, [1], 2), (203, [1441], 3), (200, [9], 3), (201, [1001], 3)],
)
def test_writes_that_are_refused(mini: Profile, address: int, words: list[int], code: int) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _tell(client, address, *words)).exception_code == code
        assert (await client.write_register(address, words[0], device_id=UNIT)).exception_code == code

    _play(mini, scene)


def test_single_writes_echo_also_of_registers_that_cannot_be_read(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        answer = await client.write_register(207, 4711, device_id=UNIT)
        assert (answer.address, answer.registers) == (207, [4711])
        assert server.device.log[-1].value == 4711

    _play(mini, scene)


def test_other_units_and_functions_are_refused(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _ask(client, 100, unit=4)).exception_code == 11
        mask = await client.mask_write_register(address=200, and_mask=0, or_mask=1, device_id=UNIT)
        assert mask.exception_code == 1
        server.faults.refused_functions = {16}
        assert (await _tell(client, 200, 0)).exception_code == 1
        assert not (await client.write_register(200, 0, device_id=UNIT)).isError()

    _play(mini, scene)


def test_unit_can_be_chosen(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _ask(client, 100, unit=9)).registers == [500]

    _play(mini, scene, unit=9)


def test_forced_charge_runs_and_ends_by_itself(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        for address, word in ((201, 500), (203, 2), (200, 1)):
            assert not (await _tell(client, address, word)).isError()
        assert server.device.active
        await _until(lambda: server.device.value("battery_power") < -4.99)
        soc = server.plant.battery.soc
        await _until(lambda: server.device.fallbacks == 1)
        assert server.plant.battery.soc > soc
        await _until(lambda: server.device.value("battery_power") == 0.0)
        assert (await _ask(client, 200)).registers == [0]
        assert server.device.plant.time >= 119.9

    _play(mini, scene, speed=60)


def test_simulated_time_runs_without_requests_and_while_unplugged(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        await _tell(client, 200, 2, 0, 300, 1)
        address = server.address
        await server.unplug()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await _until(lambda: server.device.fallbacks == 1)
        await server.plug_in()
        assert server.address == address
        async with _client(server) as again:
            assert (await _ask(again, 200)).registers == [0]

    _play(mini, scene, speed=60)


def test_second_connection_closes_the_first(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        async with _client(server) as second:
            assert (await _ask(second, 100)).registers == [500]
            await _until(lambda: not client.connected)
            assert len(server.connections) == 1
            assert server.accepted == 2
            assert (await _ask(second, 100)).registers == [500]

    _play(mini, scene)


def test_many_connections_where_the_profile_allows(make_profile: MakeProfile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        async with _client(server) as second:
            assert (await _ask(second, 100)).registers == [500]
            assert (await _ask(client, 100)).registers == [500]

    _play(make_profile(connection={"unit": UNIT}), scene)


def test_early_requests_go_unanswered_when_settling_is_honoured(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.settle = 3600.0
        with pytest.raises(ModbusIOException):
            await _ask(client, 100)
        server.settle = 0.0
        assert (await _ask(client, 100)).registers == [500]

    _play(mini, scene, patience=0.3, honour_settle=True)


def test_settling_comes_from_the_profile(mini: Profile) -> None:
    async def make() -> tuple[float, float]:
        return TwinServer(mini, honour_settle=True).settle, TwinServer(mini).settle

    assert asyncio.run(make()) == (0.2, 0.0)


def test_busy_and_failure_bursts_end_after_their_count(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.faults.busy = 2
        server.faults.failures = 1
        codes = [(await _ask(client, 100)).exception_code for _ in range(4)]
        assert codes == [6, 6, 4, 0]

    _play(mini, scene)


def test_short_replies_lack_one_register(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.faults.short_replies = 1
        assert len((await _ask(client, 100, 3)).registers) == 2
        assert len((await _ask(client, 100, 3)).registers) == 3

    _play(mini, scene)


def test_silence_keeps_the_connection_and_answers_nothing(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.faults.silent = True
        with pytest.raises(ModbusIOException):
            await _ask(client, 100)
        assert len(server.connections) == 1
        server.faults.clear()
        assert server.faults == Faults()
        assert (await _ask(client, 100)).registers == [500]

    _play(mini, scene, patience=0.3)


def test_refusing_closes_old_and_new_connections(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.faults.refuse = True
        with pytest.raises((ModbusIOException, ConnectionException)):
            await _ask(client, 100)
        reader, writer = await asyncio.open_connection(*server.address)
        assert await reader.read() == b""
        writer.close()
        assert not server.connections

    _play(mini, scene)


def test_connections_can_be_closed_once(mini: Profile) -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        server.close_connections()
        await _until(lambda: not client.connected)
        async with _client(server) as again:
            assert (await _ask(again, 100)).registers == [500]

    _play(mini, scene)


def _frame(transaction: int, address: int, count: int = 1, function: int = 3) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, UNIT, function, address, count)


def _raw(
    profile: Profile,
    scene: Callable[[TwinServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async def play() -> None:
        async with TwinServer(profile, Plant(seed=5)) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            try:
                await scene(server, reader, writer)
            finally:
                writer.close()

    asyncio.run(asyncio.wait_for(play(), 60))


def _soc(transaction: int) -> bytes:
    return struct.pack(">HHHBBBH", transaction, 0, 5, UNIT, 3, 2, 500)


def test_requests_sent_together_and_in_pieces_are_answered_in_order(mini: Profile) -> None:
    async def scene(server: TwinServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b"".join(_frame(i, 100) for i in range(40))
        writer.write(data[:7])
        await asyncio.sleep(0.02)
        writer.write(data[7:])
        for i in range(40):
            assert await reader.readexactly(11) == _soc(i)

    _raw(mini, scene)


def test_a_delayed_answer_keeps_its_own_transaction_id(mini: Profile) -> None:
    async def scene(server: TwinServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.faults.delay = 0.1
        writer.write(_frame(7, 100))
        await asyncio.sleep(0.03)
        writer.write(_frame(8, 100))
        assert await reader.readexactly(11) == _soc(7)
        assert await reader.readexactly(11) == _soc(8)

    _raw(mini, scene)


def test_wrong_transaction_ids_and_garbage_on_request(mini: Profile) -> None:
    async def scene(server: TwinServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.faults.wrong_transaction = 1
        writer.write(_frame(0xFFFF, 100))
        assert await reader.readexactly(11) == _soc(0)
        server.faults.garbage = 1
        writer.write(_frame(2, 100))
        assert (await reader.readexactly(20))[2:4] != b"\0\0"
        writer.write(_frame(3, 100))
        assert await reader.readexactly(11) == _soc(3)

    _raw(mini, scene)


def test_frames_that_cannot_be_read_are_refused_and_what_is_no_modbus_is_cut(mini: Profile) -> None:
    async def scene(server: TwinServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_frame(1, 100, 126))
        assert await reader.readexactly(9) == struct.pack(">HHHBBB", 1, 0, 3, UNIT, 0x83, 3)
        writer.write(_frame(2, 100, 1, function=99))
        assert await reader.readexactly(9) == struct.pack(">HHHBBB", 2, 0, 3, UNIT, 0xE3, 1)
        writer.write(_frame(3, 100))
        assert await reader.readexactly(11) == _soc(3)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""

    _raw(mini, scene)


def test_a_port_in_use_is_told(mini: Profile) -> None:
    async def scene() -> None:
        async with TwinServer(mini) as first:
            second = TwinServer(mini, port=first.address[1])
            with pytest.raises(OSError, match="in use"):
                await second.start()
            await second.stop()

    asyncio.run(scene())


def test_stopping_leaves_no_task(mini: Profile) -> None:
    async def scene() -> None:
        async with TwinServer(mini) as server, _client(server) as client:
            await _ask(client, 100)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


@pytest.mark.parametrize("speed", [0.0, -1.0, 1e6, math.nan])
def test_impossible_speeds_are_refused(mini: Profile, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        TwinServer(mini, speed=speed)


def test_huawei_forced_charge_as_its_profile_commands_it() -> None:
    async def scene(server: TwinServer, client: AsyncModbusTcpClient) -> None:
        assert (await _tell(client, 47247, 0, 10_001, unit=1)).exception_code == 3
        assert (await _ask(client, 37760, 65, unit=1)).exception_code == 3
        for address, words in ((47247, (0, 5000)), (47083, (2,)), (47246, (0,)), (47100, (1,))):
            assert not (await _tell(client, address, *words, unit=1)).isError()
        await _until(lambda: server.device.value("battery_power") == -5.0)
        words = (await _ask(client, 37765, 2, unit=1)).registers
        assert struct.unpack(">i", struct.pack(">HH", *words)) == (5000,)  # the device counts charging up
        assert (await _ask(client, 32089, unit=1)).registers == [0x0200]
        assert (await _ask(client, 32016, unit=1)).registers == [0x7FFF]  # no PV on the twin
        await _until(lambda: server.device.fallbacks == 1)
        assert (await _ask(client, 47100, unit=1)).registers == [0]
        await _until(lambda: server.device.value("battery_power") == 0.0)

    _play(load_profile(find_profile("huawei_sun2000")), scene, speed=60)
