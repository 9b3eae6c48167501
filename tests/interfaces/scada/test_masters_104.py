"""Several masters at once, good ones and bad ones, over real sockets."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.iec104 import Asdu, Cause, InfoObject, TypeId, encode
from bessai.iec104.client import Client, Refused
from bessai.interfaces.scada.masters import tls_context
from bessai.site.scada import LinkLoss, MonitorPoint, Scada, Tls
from support.certificates import Certificates, make_certificates
from support.outstation_scene import (
    ALIVE,
    LOCAL,
    LOST,
    SET_MAX,
    SET_POWER,
    SOC,
    Scene,
    objects,
    running,
    spontaneous,
)
from support.raw_master import STARTDT, TESTFR, RawMaster


def play(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene, 120))


async def soc_events(master: Client, count: int) -> list[float]:
    items = await master.collect(count, lambda a: spontaneous(a) and a.objects[0].address == SOC)
    return [float(item.value or 0) for item in items]


async def cycles(scene: Scene, values: range | list[int]) -> list[int]:
    """A cycle with each of these states of charge; returns their times."""
    return [await scene.cycle(soc=float(value)) for value in values]


def test_every_master_gets_every_event_and_one_is_in_command(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            first, second = await s.master("127.0.0.1"), await s.master("127.0.0.2")
            await cycles(s, range(20))
            assert await soc_events(first, 20) == await soc_events(second, 20) == list(range(20))
            stranger = await s.master("127.0.0.3")  # may watch, may not command
            with pytest.raises(Refused):
                await stranger.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)
            await second.command(TypeId.C_SE_NC_1, SET_MAX, 2.0)
            await first.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)  # preferred: takes over
            with pytest.raises(Refused):
                await second.command(TypeId.C_SE_NC_1, SET_MAX, 3.0)
            assert [request["high"] for request in s.feed.sent("request")] == [2.0, 1.0]
            await first.close()
            await s.until(lambda: len(s.outstation.status()["masters"]) == 2)
            await second.command(TypeId.C_SE_NC_1, SET_MAX, 4.0)  # the other's link is gone
            assert s.outstation.status()["in_command"] == "127.0.0.2"

    play(scene())


def test_nobody_commands_where_nobody_is_named(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, command=()) as s:
            master = await s.master()
            with pytest.raises(Refused):
                await master.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)
            assert s.feed.messages == []

    play(scene())


def test_strangers_and_too_many_are_turned_away(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, masters=("127.0.0.1", "127.0.0.8/29"), max_masters=3) as s:
            stranger = await RawMaster.connect(s.port, "127.0.0.2")
            await stranger.closed()
            first = await s.master("127.0.0.1")
            await s.master("127.0.0.8")
            await s.master("127.0.0.9")
            too_many = await RawMaster.connect(s.port, "127.0.0.10")
            await too_many.closed()
            assert s.outstation.status()["refused_connections"] == 2
            # a master that comes again has given its old connection up
            again = await s.master("127.0.0.1")
            assert objects(await again.interrogate())[SOC].value == 50.0
            with pytest.raises(ConnectionError):
                await first.until(lambda: False)
            assert len(s.outstation.status()["masters"]) == 3

    play(scene())


def test_events_wait_for_a_master_that_is_away_and_keep_their_times(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            await cycles(s, [1])
            assert await soc_events(master, 1) == [1.0]
            await s.until(lambda: s.outstation.buffer.waiting("127.0.0.1") == 0 or master.connection)
            await master.close()
            await s.until(lambda: not s.outstation.status()["masters"])
            times = await cycles(s, range(2, 60))
            back = await s.master()
            items: list[InfoObject] = []
            while not items or items[-1].value != 59.0:
                items += await back.collect(1, lambda a: spontaneous(a) and a.objects[0].address == SOC)
            # what the master had not acknowledged comes again: at least once, in order, with the time of then
            told = [item for item in items if float(item.value or 0) >= 2.0]
            assert [item.value for item in told] == [float(n) for n in range(2, 60)]
            for item, at in zip(told, times, strict=True):
                assert item.time is not None
                assert abs(item.time - (at - 10_000_000)) < 2_000_000

    play(scene())


def test_an_event_is_kept_until_it_is_acknowledged(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            raw = await RawMaster.connect(s.port)
            raw.write(STARTDT)
            await raw.asdu(lambda a: a.type == TypeId.M_EI_NA_1)
            raw.acknowledge()
            await cycles(s, [1, 2, 3])
            got = [await raw.asdu(spontaneous) for _ in range(3)]
            assert [a.objects[0].value for a in got] == [1.0, 2.0, 3.0]
            raw.received -= 1  # acknowledges the first two
            raw.acknowledge()
            await s.until(lambda: s.outstation.buffer.waiting("127.0.0.1") == 1)
            raw.close()
            back = await s.master()
            assert await soc_events(back, 1) == [3.0]

    play(scene())


def test_an_overflow_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, buffer=20) as s:
            master = await s.master()
            await s.until(lambda: s.outstation.buffer.known)
            await master.close()
            await s.until(lambda: not s.outstation.status()["masters"])
            await cycles(s, range(100))
            status = s.outstation.status()["events"]
            assert status["held"] <= 20
            assert status["lost"] >= 80
            back = await s.master()
            found = await soc_events(back, 1)
            assert found[0] >= 80
            while found[-1] != 99.0:
                found += await soc_events(back, 1)
            assert found == [float(n) for n in range(int(found[0]), 100)]
            told = [await back.collect(1, lambda a: spontaneous(a) and a.objects[0].address == LOST)]
            assert told[0][0].value is True
            # once this master has acknowledged all that is left, the loss is over
            await back.interrogate()
            told = [await back.collect(1, lambda a: spontaneous(a) and a.objects[0].address == LOST)]
            assert told[0][0].value is False

    play(scene())


def test_a_slow_master_holds_nobody_up_and_is_given_up_after_t1(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, t1=1.5, t2=0.5, t3=3.0) as s:
            slow = await RawMaster.connect(s.port, "127.0.0.2")
            slow.write(STARTDT)
            good = await s.master("127.0.0.1", t1=1.5, t2=0.5, t3=3.0)
            await cycles(s, range(100))
            assert await soc_events(good, 100) == [float(n) for n in range(100)]
            await slow.closed()  # never acknowledged anything
            assert s.outstation.station.cycles > 100
            back = await s.master("127.0.0.2")
            assert await soc_events(back, 100) == [float(n) for n in range(100)]

    play(scene())


def test_a_master_that_is_not_heard_of_any_more_is_given_up(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, t1=0.4, t2=0.2, t3=0.3) as s:
            silent = await RawMaster.connect(
                s.port
            )  # half open: nothing comes from it, not even a test's answer
            frame = await silent.frame()
            assert frame == TESTFR[2:]
            await silent.closed()
            await s.until(lambda: not s.outstation.status()["masters"])

    play(scene())


def test_a_master_that_asks_and_does_not_read_is_no_longer_listened_to(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, t3=60.0) as s:
            greedy = socket.create_connection(("127.0.0.1", s.port), source_address=("127.0.0.2", 0))
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.setblocking(False)
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            blocked = 0
            while blocked < 100:  # tests of the link, whose answers are never read
                try:
                    greedy.send(TESTFR * 2000)
                    blocked = 0
                except BlockingIOError:
                    blocked += 1
                await asyncio.sleep(0.002)
            assert s.outstation.sessions[0].unsent < 256 * 1024
            good = await s.master("127.0.0.1")
            assert objects(await good.interrogate())[SOC].value == 50.0
            greedy.close()

    play(scene())


def test_an_interrogation_twice_at_once_and_events_meanwhile(tmp_path: Path) -> None:
    points = [MonitorPoint(ioa=10_000 + n, name=f"p{n}", kind="float") for n in range(3000)]

    async def scene() -> None:
        async with running(tmp_path, Scada(iec104=LOCAL, points=tuple(points))) as s:
            raw = await RawMaster.connect(s.port)
            raw.write(STARTDT)
            await raw.asdu(lambda a: a.type == TypeId.M_EI_NA_1)
            ask = Asdu(type=TypeId.C_IC_NA_1, cause=6, address=1, objects=(InfoObject(value=20),))
            raw.say(ask)
            raw.say(ask)
            await s.cycle(p0=7.0)
            confirmations, found, event_before_end, ended = [], 0, False, False
            while not ended:
                asdu = await raw.asdu()
                raw.acknowledge()
                found += len(asdu.objects) if asdu.cause == 20 else 0
                event_before_end |= spontaneous(asdu)
                if asdu.type == TypeId.C_IC_NA_1 and asdu.cause == 7:
                    confirmations.append(asdu.negative)
                ended = asdu.cause == Cause.ACTIVATION_TERM
            assert sorted(confirmations) == [False, True]
            assert found == 3000
            assert event_before_end

    play(scene())


@pytest.mark.parametrize("fallback", ["hold", "release", "value"])
def test_a_lost_link_brings_the_fallback(fallback: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, link_loss=LinkLoss(after=0.2, fallback=fallback, power=-10.0)) as s:
            master = await s.master()
            await master.command(TypeId.C_SE_NC_1, SET_POWER, 2.0, select=True)
            await master.command(TypeId.C_SE_NC_1, SET_MAX, 3000.0)
            await master.close()
            await s.until(lambda: s.outstation.authority.holder is None)
            standing = s.outstation.commander.standing
            match fallback:
                case "hold":
                    assert standing == {"power": 2000.0, "high": 3000.0}
                    assert s.outstation.commander.fallback
                case "release":
                    await s.until(lambda: s.feed.sent("cancel"))
                    assert standing == {}
                case "value":
                    assert standing == {"power": -10.0, "high": 3000.0}
                    await s.until(lambda: s.feed.sent("request")[-1].get("power") == -10.0)
            back = await s.master()
            await back.command(TypeId.C_SE_NC_1, SET_POWER, 1.0, select=True)
            assert not s.outstation.commander.fallback
            assert s.outstation.commander.standing["power"] == 1000.0

    play(scene())


def test_a_set_point_is_asked_for_again_after_the_control_plane_has_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.interfaces.scada.commands.RENEW", 1e9)  # not because it is due anyway

    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            await master.command(TypeId.C_SE_NC_1, SET_POWER, 2.0, select=True)
            s.feed.hang_up()
            await s.until(lambda: not s.outstation.station.fed)
            await s.until(lambda: len(s.feed.sent("request")) > 1)
            assert s.feed.sent("request")[-1]["power"] == 2000.0
            await s.cycle(soc=12.0)
            items = await master.collect(1, lambda a: spontaneous(a) and a.objects[0].address == ALIVE)
            assert items[0].value is False

    play(scene())


def test_an_answer_that_did_not_come_leaves_no_set_point_that_nobody_knows_of(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()

            def dies(message: dict[str, Any]) -> dict[str, Any] | None:
                if message["op"] == "request":
                    s.feed.hang_up()  # taken, and never answered
                return None

            s.feed.answer = dies
            with pytest.raises(Refused):
                await master.command(TypeId.C_SE_NC_1, SET_MAX, 2.0)
            s.feed.answer = None
            await s.until(lambda: s.feed.sent("cancel"))

    play(scene())


def test_garbage_ends_its_own_connection_only(tmp_path: Path) -> None:
    rng = random.Random(104)

    async def scene() -> None:
        async with running(tmp_path) as s:
            good = await s.master("127.0.0.1")
            for _ in range(60):
                bad = await RawMaster.connect(s.port, "127.0.0.2")
                bad.write(STARTDT)
                await bad.frame()
                for _ in range(rng.randrange(3)):
                    bad.say(Asdu(type=TypeId.C_IC_NA_1, cause=6, address=1, objects=(InfoObject(value=20),)))
                bad.write(rng.randbytes(rng.randrange(1, 60)))
                if rng.random() < 0.5:
                    size = rng.randrange(4, 30)  # a frame that looks like one
                    bad.write(bytes((0x68, size, bad.sent << 1 & 0xFF, 0, 0, 0)) + rng.randbytes(size - 4))
                bad.writer.write_eof()
                await bad.closed()
                bad.close()
            await s.cycle(soc=1.0)
            assert await soc_events(good, 1) == [1.0]
            assert objects(await good.interrogate())[SOC].value == 1.0
            await s.until(lambda: len(s.outstation.status()["masters"]) == 1)

    play(scene())


def test_mutated_asdus_on_a_good_link_are_answered_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessai.interfaces.scada.session._PAUSE", 0.0)  # 3,000 of them would take too long
    rng = random.Random(int(os.environ.get("BESSAI_SEED", "104")))
    wholes = [
        Asdu(type=TypeId.C_IC_NA_1, cause=6, address=1, objects=(InfoObject(value=20),)),
        Asdu(type=TypeId.C_CI_NA_1, cause=6, address=1, objects=(InfoObject(value=5),)),
        Asdu(type=TypeId.C_RD_NA_1, cause=5, address=1, objects=(InfoObject(address=SOC),)),
        Asdu(type=TypeId.C_CS_NA_1, cause=6, address=1, objects=(InfoObject(time=10**18),)),
        Asdu(type=TypeId.C_SE_NC_1, cause=6, address=1, objects=(InfoObject(address=SET_POWER, value=1.0),)),
        Asdu(type=TypeId.C_SE_TC_1, cause=6, address=1, objects=(InfoObject(address=SET_MAX, value=1.0, time=10**18),)),
        Asdu(type=TypeId.M_SP_NA_1, cause=3, address=1, objects=(InfoObject(address=7, value=True),)),
    ]  # fmt: skip
    seeds = [encode(asdu) for asdu in wholes]
    check = Asdu(type=TypeId.C_TS_TA_1, cause=6, address=1, objects=(InfoObject(value=7, time=10**18),))

    def mutated() -> bytes:
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 5, 6, 8, 20, 63, 127, 255, rng.randrange(256)))
        size = rng.choice((len(data), len(data), len(data), rng.randrange(1, len(data) + 1)))
        return bytes(data[:size])

    async def scene() -> None:
        async with running(tmp_path, k=1000) as s:
            raw = await RawMaster.connect(s.port)
            raw.write(STARTDT)
            for _ in range(60):
                for _ in range(50):
                    raw.say_bytes(mutated())
                raw.say(check)  # ends in order, on the same link
                await raw.asdu(
                    lambda a: a.type == TypeId.C_TS_TA_1 and a.cause == 7 and a.objects[0].value == 7
                )
                raw.acknowledge()
            good = await s.master("127.0.0.2")
            assert objects(await good.interrogate())[SOC].value == 50.0

    play(scene())


def test_tls_asks_for_certificates_on_both_sides(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "pki")
    tls = Tls(port=0, ca=str(files.ca), cert=str(files.server), key=str(files.server_key))

    def context(*, client: bool, ca: Path) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(ca))
        if client:
            made.load_cert_chain(files.client, files.client_key)
        return made

    async def anonymous(port: int) -> None:
        client = await Client.connect("127.0.0.1", port, ssl=context(client=False, ca=files.ca))
        await client.start()  # TLS 1.3: the refusal comes after the client is done

    async def scene() -> None:
        async with running(tmp_path, port=None, tls=tls) as s:
            good = await Client.connect("127.0.0.1", s.port, ssl=context(client=True, ca=files.ca))
            await good.start()
            assert objects(await good.interrogate())[SOC].value == 50.0
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await Client.connect("127.0.0.1", s.port, ssl=context(client=True, ca=files.other_ca))
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await anonymous(s.port)
            old = context(client=True, ca=files.ca)
            with pytest.deprecated_call():
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await Client.connect("127.0.0.1", s.port, ssl=old)
            plain = await RawMaster.connect(s.port)
            plain.write(STARTDT)
            await plain.closed()
            await s.cycle(soc=3.0)
            assert await soc_events(good, 1) == [3.0]
            await good.close()

    play(scene())
    assert (
        tls_context(tls).minimum_version == ssl.TLSVersion.TLSv1_2
    )  # the client's library may refuse less anyway


def test_renewed_certificates_count_for_the_next_master(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = make_certificates(tmp_path / "old"), make_certificates(tmp_path / "new")
    tls = Tls(port=0, ca=str(old.ca), cert=str(old.server), key=str(old.server_key))

    async def connect(port: int, files: Certificates) -> Client:
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.client, files.client_key)
        master = await Client.connect("127.0.0.1", port, ssl=context)
        await master.start()
        return master

    async def scene() -> None:
        async with running(tmp_path, port=None, tls=tls) as s:
            first = await connect(s.port, old)
            for name in ("ca", "server", "server_key"):
                getattr(new, name).replace(getattr(old, name))
            shutil.copy(old.ca, new.ca)
            second = await connect(s.port, new)
            assert objects(await first.interrogate())[SOC].value == 50.0, "goes on"
            await second.close()
            old.server.write_text("half a file")
            third = await connect(s.port, new)
            assert objects(await third.interrogate())[SOC].value == 50.0
            for master in (first, third):
                await master.close()

    play(scene())
    assert "what was read before stays in use" in caplog.text
    assert "scada.iec104.tls.cert=" in caplog.text


def test_a_certificate_that_cannot_be_read_names_the_setting(tmp_path: Path) -> None:
    tls = Tls(port=0, ca=str(tmp_path / "no.pem"), cert="x", key="y")

    async def scene() -> None:
        with pytest.raises(OSError, match=r"scada\.iec104\.tls\.ca=.*no\.pem"):
            async with running(tmp_path, Scada(iec104=replace(LOCAL, tls=tls))):
                pass

    play(scene())
