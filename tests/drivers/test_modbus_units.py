"""Several units behind one connection: patience, pauses and turns."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bessai.drivers.modbus import Manners, ModbusClient, NoReply, Urgency, read, write
from bessai.drivers.modbus.units import Unit
from bessai.model import Endpoint
from support.modbus_device import ScriptedDevice, frame


def _unit(**manners: float) -> Unit:
    return Unit(1, Manners(**manners), one_at_a_time=False)  # type: ignore[arg-type]


def _steady(unit: Unit, latency: float, begin: float, seconds: float) -> None:
    """One reply a second, as the client tells of them."""
    for i in range(int(seconds)):
        if latency > unit.worst or begin + i > unit.ages_at:
            unit.heard(latency, begin + i)


def test_patience_is_the_longest_until_the_unit_is_known() -> None:
    unit = _unit(timeout=3.0)
    assert unit.patience == 3.0
    unit.silent(7.0, 3.0, 10.0)
    assert unit.patience == 3.0
    unit.heard(0.02, 20.0)
    assert unit.patience == 0.5  # never below timeout_min


def test_patience_grows_at_once_and_shrinks_over_minutes() -> None:
    unit = _unit(timeout=3.0, timeout_min=0.1)
    _steady(unit, 0.05, 0.0, 60)
    assert unit.patience == pytest.approx(0.2)
    unit.heard(0.5, 60.0)
    assert unit.patience == pytest.approx(2.0)
    _steady(unit, 0.05, 61.0, 300)
    assert 0.9 < unit.patience < 1.1  # half of it after five minutes
    _steady(unit, 0.05, 361.0, 3000)
    assert unit.patience == pytest.approx(0.2, rel=0.05)


def test_a_device_that_stalls_every_few_minutes_is_given_up_at_most_once() -> None:
    unit = _unit(timeout=3.0)
    given_up = 0
    now = 0.0
    for _ in range(20):
        _steady(unit, 0.05, now, 480)
        now += 480
        if unit.patience < 2.9:
            given_up += 1
            unit.silent(now, unit.patience, now)
            while unit.patience < 2.9:  # the same request again
                given_up += 1
                unit.silent(now, unit.patience, now)
        unit.heard(2.9, now)
    assert given_up <= 3  # 0.5, 1 and 2 s, while the first stall teaches


def test_a_time_out_doubles_patience_up_to_the_longest() -> None:
    unit = _unit(timeout=3.0, timeout_min=0.5)
    unit.heard(0.01, 0.0)
    found = []
    for i in range(3):
        unit.silent(float(i), unit.patience, float(i))
        found.append(unit.patience)
    assert found == pytest.approx([1.0, 2.0, 3.0])


def test_a_late_reply_teaches_how_slow_the_unit_can_be() -> None:
    unit = _unit(timeout=3.0)
    unit.heard(0.05, 0.0)
    unit.late(9.0)  # somebody else's
    assert unit.patience == 0.5
    unit.silent(10.0, 0.5, 10.5)
    unit.not_before = 13.0
    unit.late(12.9)
    assert unit.worst == pytest.approx(2.9)
    assert unit.patience == 3.0
    assert unit.not_before == 0.0
    _steady(unit, 0.05, 12.9, 590)
    assert unit.patience >= 2.9  # ten minutes later the same stall would be borne


def test_manners_of_its_own_bound_what_was_learned() -> None:
    unit = _unit(timeout=3.0, timeout_min=0.5)
    unit.heard(0.01, 0.0)
    unit.adopt(Manners(timeout=8.0, timeout_min=1.5, outstanding=4, pause=0.2), one_at_a_time=True)
    assert (unit.patience, unit.window, unit.pause) == (1.5, 1, 0.2)
    assert _unit(timeout=0.2, timeout_min=0.5).patience == 0.2
    quick = _unit(timeout=0.2, timeout_min=0.5)
    quick.heard(0.01, 0.0)
    assert quick.patience == 0.2


def _with_device(scene: Callable[[ScriptedDevice, ModbusClient], Awaitable[None]], **manners: Any) -> None:
    async def body() -> None:
        async with ScriptedDevice({i: i for i in range(100)}) as device:
            client = ModbusClient(Endpoint(host="127.0.0.1", port=device.port), manners=Manners(**manners))
            await client.connect()
            await scene(device, client)
            client.close()

    asyncio.run(body())


def test_each_unit_has_its_own_patience() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        silent: set[int] = set()

        async def answer(transaction: int, unit: int, pdu: bytes) -> bytes | None:
            return None if unit in silent else frame(transaction, unit, device.answer(pdu))

        device.hook = answer
        client.register(2, Manners(timeout=2.0, timeout_min=0.05))
        assert client.latency(2) is None
        assert (client.patience(1), client.patience(2)) == (30.0, 2.0)
        assert await client.transact(2, [read("holding", 1, 1)]) == [b"\0\1"]
        assert client.patience(2) < 2.0
        assert client.patience(1) == 30.0
        latency = client.latency(2)
        assert latency is not None
        assert 0 < latency < 0.5
        silent.add(2)
        before = client.patience(2)
        (reply,) = await client.transact(2, [read("holding", 1, 1)])
        assert isinstance(reply, NoReply)
        assert str(reply) == f"no reply within {before:.3g} s"
        assert client.patience(2) == pytest.approx(min(2 * before, 2.0))
        assert await client.transact(1, [read("holding", 3, 1)]) == [b"\0\3"]
        assert client.stats.timeouts == 1

    _with_device(scene, timeout=30.0)


def test_units_take_turns_and_writes_go_first() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        order: list[tuple[int, int]] = []

        async def note(transaction: int, unit: int, pdu: bytes) -> bytes:
            order.append((unit, pdu[0]))
            return frame(transaction, unit, device.answer(pdu))

        device.hook = note
        many, few = [read("holding", i, 1) for i in range(6)], [read("holding", 1, 1)] * 2
        await asyncio.gather(
            client.transact(1, many),
            client.transact(2, few),
            client.transact(3, few),
            client.transact(2, [write("holding", 1, b"\0\1")], Urgency.WRITE),
            client.transact(4, few, Urgency.SLOW),
        )
        assert order[0] == (1, 3)  # went out at once
        assert order[1] == (2, 6)
        assert [unit for unit, _ in order[2:]] == [1, 2, 3, 1, 2, 3, 1, 1, 1, 4, 4]

    _with_device(scene)


def test_a_fast_class_without_a_gap_lets_the_slow_one_have_its_turn() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        ended = False

        async def fast() -> None:
            while not ended:  # two readers, so that one always waits
                await client.transact(1, [read("holding", 1, 1)], Urgency.FAST)

        readers = [asyncio.create_task(fast()) for _ in range(2)]
        await asyncio.sleep(0)
        before = len(device.requests)
        await client.transact(1, [read("holding", i, 1) for i in range(3)], Urgency.SLOW)
        assert len(device.requests) - before <= 3 * 18
        ended = True
        await asyncio.gather(*readers)

    _with_device(scene)


def test_a_units_own_pause_holds_up_nobody_else() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        asked: list[tuple[int, float]] = []

        async def note(transaction: int, unit: int, pdu: bytes) -> bytes:
            asked.append((unit, asyncio.get_running_loop().time()))
            return frame(transaction, unit, device.answer(pdu))

        device.hook = note
        client.register(1, Manners(pause=0.1))
        requests = [read("holding", 1, 1)] * 3
        await asyncio.gather(client.transact(1, requests), client.transact(2, requests))
        assert [unit for unit, _ in asked] == [1, 2, 2, 2, 1, 1]
        first, second, third = (time for unit, time in asked if unit == 1)
        assert second - first >= 0.095
        assert third - second >= 0.095

    _with_device(scene)


def test_a_window_of_one_unit_leaves_the_others_alone() -> None:
    """Only a unit that may be asked several things at once is; requests to others wait for an empty line."""

    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        held: list[tuple[int, int, bytes]] = []
        most = {1: 0, 2: 0}

        async def hold(transaction: int, unit: int, pdu: bytes) -> bytes | None:
            held.append((transaction, unit, pdu))
            most[unit] = max(most[unit], len(held))
            if unit == 2 and len(held) < 3:
                return None
            answers = [frame(t, u, device.answer(p)) for t, u, p in held]
            held.clear()
            return b"".join(answers)

        device.hook = hold
        client.register(2, Manners(outstanding=3))
        requests = [read("holding", i, 1) for i in range(3)]
        expected = [struct.pack(">H", i) for i in range(3)]
        assert await client.transact(2, requests) == expected
        assert await client.transact(1, requests) == expected
        assert most == {1: 1, 2: 3}

    _with_device(scene)


def test_a_cancelled_batch_is_not_sent_and_harms_nobody() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        first = asyncio.create_task(client.transact(1, [read("holding", 1, 1)]))
        cancelled = asyncio.create_task(client.transact(1, [write("holding", 1, b"\0\1")], Urgency.SLOW))
        last = asyncio.create_task(client.transact(1, [read("holding", 2, 1)], Urgency.SLOW))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await first == [b"\0\1"]
        assert await last == [b"\0\2"]
        assert [pdu[0] for pdu in device.requests] == [3, 3]

    _with_device(scene)


def test_the_counters_tell_bytes() -> None:
    async def scene(device: ScriptedDevice, client: ModbusClient) -> None:
        await client.transact(1, [read("holding", 1, 2)])
        assert (client.stats.bytes_out, client.stats.bytes_in) == (12, 13)

    _with_device(scene)


def test_a_dead_unit_gets_little_time_and_now_and_then_all_of_it() -> None:
    unit = _unit(timeout=3.0, timeout_min=0.1)
    _steady(unit, 0.05, 0.0, 60)
    granted = []
    for i in range(20):
        unit.silent(60.0 + 10 * i, unit.patience, 60.0 + 10 * i)
        granted.append(unit.patience)
    assert granted[2] == pytest.approx(1.6)  # doubled at each of the first silences
    later = granted[4:]
    assert sum(abs(patience - 0.2) < 1e-6 for patience in later) > len(later) / 2
    assert max(later) == 3.0  # a unit that has become slow is still found
    unit.heard(0.05, 300.0)
    assert unit.silences == 0
