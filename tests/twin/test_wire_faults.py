"""Each fault as a master's socket sees it."""

from __future__ import annotations

import asyncio
import math

import pytest

from bessai.registry import Profile
from bessai.twin import Plant, TwinDevice, TwinServer
from bessai.twin.fault_table import parse_fault

from .conftest import MakeProfile
from .wire import UNIT, Raw, answer, play, raw, refusal, request, serial, until


def _server(profile: Profile, *faults: str) -> TwinServer:
    server = TwinServer(profile, Plant(seed=5))
    for text in faults:
        parse_fault(text).apply(server.faults)
    return server


def test_silence(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1))
        assert await wire.silent()
        server.faults.clear()
        assert await wire.ask(2) == answer(2, 500)

    play(lambda: _server(mini, "silence"), scene)


def test_a_delay_of_a_range_is_waited_before_each_answer(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        began = asyncio.get_running_loop().time()
        assert await wire.ask(1) == answer(1, 500)
        assert asyncio.get_running_loop().time() - began >= 0.05

    play(lambda: _server(mini, "delay=0.05..0.06"), scene)


def test_slow_bytes_come_one_by_one(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1))
        pieces: list[bytes] = []
        while len(b"".join(pieces)) < 11:
            pieces.append(await wire.reader.read(100))
        assert b"".join(pieces) == answer(1, 500)
        assert len(pieces) > 3

    play(lambda: _server(mini, "slow=2/0.03"), scene)


def test_truncated(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        assert await wire.ask(1, 5) == answer(1, 500)[:5]
        assert await wire.ask(2) == answer(2, 500)

    play(lambda: _server(mini, "truncated=1"), scene)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("wrong_transaction=1", answer(8, 500)),
        ("wrong_unit=1", answer(7, 500, unit=UNIT + 1)),
        ("wrong_function=1", answer(7, 500, function=4)),
        ("duplicate=1", answer(7, 500) * 2),
        ("garbage=1", b"\xde\xad\xbe\xef" * 5),
        ("busy=1", refusal(7, 6)),
        ("failure=1", refusal(7, 4)),
        ("exception=10*1", refusal(7, 10)),
    ],
)
def test_faults_of_one_answer(mini: Profile, fault: str, expected: bytes) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        assert await wire.ask(7, len(expected)) == expected
        assert await wire.ask(9) == answer(9, 500)

    play(lambda: _server(mini, fault), scene)


def test_noise_comes_before_the_answer(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1))
        got = await asyncio.wait_for(wire.reader.readuntil(answer(1, 500)), 20)
        assert 1 <= len(got) - 11 <= 8

    play(lambda: _server(mini, "noise=1"), scene)


def test_a_share_of_requests_is_refused_until_cleared(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        refused = 0
        for i in range(200):
            wire.send(request(i))
            head = await wire.get(9)
            if head[7] & 0x80:
                refused += 1
            else:
                await wire.get(2)
        assert 10 < refused < 90

    play(lambda: _server(mini, "exception=6*20%"), scene)


def test_a_late_answer_comes_after_the_next_one_under_its_own_id(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1))
        assert await wire.ask(2) == answer(2, 500)
        assert await wire.get(11) == answer(1, 500)

    play(lambda: _server(mini, "late=0.3*1"), scene)


def test_a_late_answer_after_the_master_left_is_nobodys(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        wire.send(request(1))
        await until(lambda: server.faults.late == 0)
        server.close_connections()
        assert await wire.ended()
        await asyncio.sleep(0.1)

    play(lambda: _server(mini, "late=0.05*1"), scene)


def test_drop_closes_every_connection_after_n_answers(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        for i in range(3):
            assert await wire.ask(i) == answer(i, 500)
        assert await wire.ended()
        async with raw(server) as again:
            assert await again.ask(9) == answer(9, 500)

    play(lambda: _server(mini, "drop=3"), scene)


def test_refuse_closes_at_once(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        server.faults.refuse = True
        async with raw(server) as second:
            assert await second.ended()
        wire.send(request(1))
        assert await wire.ended()

    play(lambda: _server(mini), scene)


def test_a_reboot_closes_refuses_and_starts_anew(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        server.device.write("holding", 200, [2, 0, 300, 60])
        assert server.device.value("mode") == 2
        server.faults.reboot = 0.3
        wire.send(request(1))
        assert await wire.ended()
        assert server.faults.reboot == 0
        assert server.device.value("mode") == 0
        async with raw(server) as early:
            assert await early.ended()
        while True:
            async with raw(server) as again:
                again.send(request(2, 200, 4))
                try:
                    got = await again.get(17)
                except (asyncio.IncompleteReadError, ConnectionError):
                    await asyncio.sleep(0.05)
                    continue
                assert got == answer(2, 0, 0, 0, 0)
                return

    play(lambda: _server(mini), scene)


def test_a_device_of_several_reboots_in_silence(make_profile: MakeProfile) -> None:
    profile = make_profile(connection={"unit": UNIT})

    def server() -> TwinServer:
        return TwinServer(devices={n: TwinDevice(profile, Plant(), unit=n) for n in (1, 2)})

    async def scene(server: TwinServer, wire: Raw) -> None:
        server.devices[2].faults.reboot = 0.4
        wire.send(request(1, unit=2))
        assert await wire.silent(0.1)
        assert await wire.ask(2, unit=1) == answer(2, 500, unit=1)
        await asyncio.sleep(0.4)
        assert await wire.ask(3, unit=2) == answer(3, 500, unit=2)

    play(server, scene)


def test_freeze_holds_measurements_and_counters_until_cleared(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        device = server.device
        device.write("holding", 200, [2, 0, 900, 60])
        device.advance(30)
        server.faults.freeze = True
        before = await wire.ask(1, 19, count=5)
        device.advance(600)
        assert (await wire.ask(1, 19, count=5)) == before
        device.write("holding", 201, [77])
        assert (await wire.ask(2, address=201)) == answer(2, 77)
        server.faults.clear()
        assert (await wire.ask(1, 19, count=5)) != before

    play(lambda: _server(mini), scene)


def test_spikes_hit_only_the_chosen_points(mini: Profile) -> None:
    async def scene(server: TwinServer, wire: Raw) -> None:
        absurd = 0xFFFE  # the largest u16 that is no sentinel
        seen = []
        for i in range(100):
            got = await wire.ask(i, 19, count=5)
            words = [int.from_bytes(got[at : at + 2], "big") for at in range(9, 19, 2)]
            seen.append(words[0])
            assert words[1:3] == [0, 0]
        assert set(seen) == {500, absurd}
        assert 5 < seen.count(absurd) < 60

    play(lambda: _server(mini, "spike=soc*25%"), scene)


def test_faults_of_one_device_leave_its_neighbours_alone(make_profile: MakeProfile) -> None:
    profile = make_profile(connection={"unit": UNIT})

    def server() -> TwinServer:
        return TwinServer(devices={n: TwinDevice(profile, Plant(), unit=n) for n in (1, 2)})

    async def scene(server: TwinServer, wire: Raw) -> None:
        server.devices[2].faults.busy = math.inf
        assert await wire.ask(1, 9, unit=2) == refusal(1, 6, unit=2)
        assert await wire.ask(2, unit=1) == answer(2, 500, unit=1)
        server.faults.failures = math.inf
        assert await wire.ask(3, 9, unit=1) == refusal(3, 4, unit=1)
        server.faults.clear()
        assert await wire.ask(4, unit=1) == answer(4, 500, unit=1)

    play(server, scene)


def test_a_bad_checksum_on_serial_frames(mini: Profile) -> None:
    good = serial(bytes([UNIT, 3, 2, 500 >> 8, 500 & 0xFF]))

    async def scene(server: TwinServer, wire: Raw) -> None:
        server.faults.bad_crc = 1
        ask = serial(bytes([UNIT, 3, 0, 100, 0, 1]))
        wire.send(ask)
        assert await wire.get(7) == good[:-1] + bytes([good[-1] ^ 0xFF])
        wire.send(ask)
        assert await wire.get(7) == good

    play(lambda: TwinServer(mini, transport="rtu+tcp"), scene)
