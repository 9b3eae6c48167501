"""Masters that are away, broken or ill-willed must not hurt, mislead or lock out the others; over real sockets."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from bessai.iec104 import Asdu, InfoObject, TypeId
from bessai.iec104.client import Client, Refused
from bessai.interfaces.scada.commands import Commander
from bessai.model import SystemClock
from bessai.site.scada import LinkLoss, Tls
from support.certificates import make_certificates
from support.outstation_scene import LOST, SET_MAX, SET_POWER, SOC, objects, running, spontaneous
from support.raw_master import STARTDT, RawMaster

STOPDT = bytes.fromhex("680413000000")
INTERROGATION = Asdu(type=TypeId.C_IC_NA_1, cause=6, address=1, objects=(InfoObject(value=20),))


def play(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene, 120))


def test_an_absent_master_is_no_loss_to_those_who_have_everything(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, buffer=20) as s:
            absent = await s.master("127.0.0.2")
            await s.until(lambda: s.outstation.buffer.known)
            await absent.close()
            await s.until(lambda: not s.outstation.status()["masters"])
            master = await s.master("127.0.0.1")  # acknowledges every eighth report
            for n in range(60):
                await s.cycle(soc=float(n))
            told: list[InfoObject] = []
            while not told or told[-1].value != 59.0:
                told += await master.collect(1, spontaneous)
            assert not [item for item in told if item.address == LOST and item.value]
            assert s.outstation.buffer.lost > 0
            back = await s.master("127.0.0.2")  # to this one it is news that events are missing
            lost = await back.collect(1, lambda a: spontaneous(a) and a.objects[0].address == LOST)
            assert lost[0].value is True

    play(scene())


def test_a_storm_of_starts_and_stops_is_looked_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            looks = 0
            tick = s.outstation.station.tick

            def counted(now: float, wall_ns: int) -> Any:
                nonlocal looks
                looks += 1
                return tick(now, wall_ns)

            s.outstation.station.tick = counted  # type: ignore[method-assign]
            raw = await RawMaster.connect(s.port)
            raw.write((STARTDT + STOPDT) * 5000 + STARTDT)
            confirmed = 0
            while confirmed < 10_001:
                confirmed += (await raw.frame())[0] & 3 == 3
            assert looks < 1000

    play(scene())


def test_an_interrogation_after_a_stop_is_a_new_one(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, k=1, w=1) as s:
            raw = await RawMaster.connect(s.port)
            raw.write(STARTDT)
            await raw.asdu(lambda a: a.type == TypeId.M_EI_NA_1)
            raw.say(INTERROGATION)
            await raw.asdu(lambda a: a.type == TypeId.C_IC_NA_1)  # the window is full: the rest waits
            raw.write(STOPDT)
            raw.acknowledge()
            while await raw.frame() != bytes.fromhex("23000000"):
                pass
            raw.write(STARTDT)
            raw.say(INTERROGATION)
            while True:
                asdu = await raw.asdu()
                raw.acknowledge()
                if asdu.type == TypeId.C_IC_NA_1:
                    assert (asdu.cause, asdu.negative) == (7, False)
                    return

    play(scene())


def test_a_master_that_leaves_before_the_answer_leaves_no_set_point(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            asked = asyncio.Event()
            raw = await RawMaster.connect(s.port)
            raw.write(STARTDT)
            await raw.frame()
            commander = s.outstation.commander
            original, gone = commander._ask, asyncio.Event()

            async def hanging(message: dict[str, Any]) -> dict[str, Any]:
                answer = await original(message)
                if message["op"] == "request":
                    asked.set()
                    await gone.wait()
                return answer

            commander._ask = hanging  # the answer takes long
            order = InfoObject(address=SET_MAX, value=2.0)
            raw.say(Asdu(type=TypeId.C_SE_NC_1, cause=6, address=1, objects=(order,)))
            await asyncio.wait_for(asked.wait(), 20)
            raw.close()
            await s.until(lambda: not s.outstation.status()["masters"])
            gone.set()
            await s.until(lambda: s.feed.sent("cancel"))
            assert commander.standing == {}

    play(scene())


def test_what_was_released_is_no_longer_read_back(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, link_loss=LinkLoss(after=0.2, fallback="release")) as s:
            master = await s.master()
            await master.command(TypeId.C_SE_NC_1, SET_POWER, 2.0, select=True)
            await master.command(TypeId.C_SE_NC_1, SET_MAX, 3000.0)
            assert s.outstation.commander.told.keys() == {"command.active_power", "command.active_power_max"}
            await master.close()
            await s.until(lambda: s.feed.sent("cancel"))
            assert s.outstation.commander.told == {}

    play(scene())


def test_masters_that_only_watch_do_not_lock_the_operator_out(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, max_masters=2) as s:
            idle = [await RawMaster.connect(s.port, f"127.0.0.{n}") for n in (7, 8)]
            await s.until(lambda: len(s.outstation.sessions) == 2)
            operator = await s.master("127.0.0.1")
            assert objects(await operator.interrogate())[SOC].value == 50.0
            await idle[0].closed()  # the oldest of them made room
            second = await s.master("127.0.0.2")
            await second.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)
            third = await RawMaster.connect(s.port, "127.0.0.9")
            await third.closed()
            assert len(s.outstation.sessions) == 2

    play(scene())


@pytest.mark.parametrize("fallback", ["hold", "release", "value"])
def test_the_fallback_holds_after_a_restart_of_the_station(fallback: Any, tmp_path: Path) -> None:
    loss = LinkLoss(after=0.2, fallback=fallback, power=-10.0)
    held: dict[str, Any] = {
        "source": "iec104", "power": 2000.0, "reactive": None, "bounds": [None, 3000.0]
    }  # fmt: skip

    async def scene() -> None:
        async with running(tmp_path, link_loss=loss) as s:
            commander = s.outstation.commander
            assert commander.standing == {}  # another's request is not ours
            again = Commander(commander._ask, "iec104", loss)
            again.resume({"requests": [{**held, "source": "vpp"}, held]})
            assert again.standing == {"power": 2000.0, "high": 3000.0}
            again.resume({"requests": []})  # only the first cycle tells what was before
            await again.look(100.0, linked=True)
            assert s.feed.sent("request")[-1]["high"] == 3000.0
            await again.look(101.0, linked=False)
            await again.look(102.0, linked=False)
            expected = {
                "hold": {"power": 2000.0, "high": 3000.0},
                "release": {},
                "value": {"power": -10.0, "high": 3000.0},
            }
            assert again.standing == expected[fallback]

    play(scene())


class Steered(SystemClock):
    """The host's clock, wrong by so many seconds."""

    wrong = 0.0

    def wall_ns(self) -> int:
        return super().wall_ns() + int(self.wrong * 1e9)


def test_a_clock_that_is_set_back_does_not_shut_commands_out(tmp_path: Path) -> None:
    clock = Steered()

    async def scene() -> None:
        async with running(tmp_path, clock=clock, command_age=10.0) as s:
            master = await s.master()
            clock.wrong = 3600.0
            await master.command(TypeId.C_SE_TC_1, SET_MAX, 1.0, ns=clock.wall_ns())
            clock.wrong, now = 0.0, time.time_ns()
            await master.command(TypeId.C_SE_TC_1, SET_MAX, 2.0, ns=now)
            with pytest.raises(Refused):  # and it is still executed once only
                await master.command(TypeId.C_SE_TC_1, SET_MAX, 2.0, ns=now)

    play(scene())


def test_a_flood_of_nonsense_is_taken_slowly(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            bad = await RawMaster.connect(s.port, "127.0.0.7")
            bad.write(STARTDT)
            for n in range(2000):  # too short for an interrogation
                bad.write(b"\x68\x0d" + struct.pack("<HH", n << 1, 0) + bytes((100, 1, 6, 0, 1, 0, 0, 0, 0)))
            await s.until(lambda: s.outstation.status()["malformed"] >= 20)
            good = await s.master("127.0.0.1")
            for n in range(100):
                await s.cycle(soc=float(n))
            assert objects(await good.interrogate())[SOC].value == 99.0
            assert s.outstation.status()["malformed"] < 1000  # each was a line in the log

    play(scene())


def test_a_master_that_stalls_in_the_handshake_keeps_nobody_else_out(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "pki")
    tls = Tls(port=0, ca=str(files.ca), cert=str(files.server), key=str(files.server_key))
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.client, files.client_key)

    async def scene() -> None:
        async with running(tmp_path, port=None, tls=tls) as s:
            stalled = [await RawMaster.connect(s.port, "127.0.0.9") for _ in range(8)]
            await stalled[-1].closed()  # all have been looked at
            good = await Client.connect("127.0.0.1", s.port, ssl=context)
            await good.start()
            assert objects(await good.interrogate())[SOC].value == 50.0
            await good.close()

    play(scene())
