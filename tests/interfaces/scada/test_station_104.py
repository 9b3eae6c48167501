"""What one master is told and answered, over real sockets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.iec104 import Asdu, Cause, InfoObject, QualityBit, Sizes, TypeId
from bessai.iec104.client import Refused
from bessai.model import Quality
from support.outstation_scene import (
    ALARM,
    ALIVE,
    BREAKER,
    ENERGY,
    POINTS,
    POWER,
    SCADA,
    SET_AGC,
    SET_MAX,
    SET_MODE,
    SET_POWER,
    SHARE,
    SOC,
    STATE,
    SWITCH,
    VOLTAGE,
    objects,
    running,
    spontaneous,
)  # fmt: skip


def play(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene, 120))


def test_a_station_interrogation_tells_every_point_as_it_is(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            await s.cycle(power=1500.0, soc=47.5, voltage=401.6, alarm_bits=8.0, breaker=0.0)
            master = await s.master()
            found = objects(await master.interrogate())
            assert set(found) == {point.ioa for point in POINTS if point.kind != "counter"}
            assert found[POWER].value == pytest.approx(1.5)
            assert found[SOC].value == pytest.approx(47.5)
            assert found[VOLTAGE].value == 402
            assert found[SHARE].value == pytest.approx(-1.0, abs=1e-4)
            assert found[SHARE].quality == QualityBit.OVERFLOW  # 1,500 kW of 1,000
            assert found[SWITCH].value is True
            assert found[BREAKER].value == 1
            assert found[STATE].value == 1
            assert found[ALARM].value is False
            assert found[ALIVE].value is True
            assert {item.quality for ioa, item in found.items() if ioa != SHARE} == {0}

    play(scene())


def test_group_and_counter_interrogation_read_and_test(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            assert set(objects(await master.interrogate(21))) == {POWER, VOLTAGE}
            assert set(objects(await master.interrogate(22))) == {SOC}
            assert await master.interrogate(36) == []
            with pytest.raises(Refused):
                await master.interrogate(37)
            assert objects(await master.counters())[ENERGY].value == 1234
            assert await master.counters(2) == []
            assert await master.counters(5 | 64) == []  # freeze
            await s.cycle(energy=1300.0)
            frozen = (await master.counters(1))[0]
            assert frozen.type == TypeId.M_IT_TB_1
            assert frozen.cause == 38
            assert frozen.objects[0].value == 1234
            assert frozen.objects[0].qualifier == 1
            await master.counters(5 | 64)
            assert objects(await master.counters())[ENERGY].value == 1300
            other = await s.master("127.0.0.2")
            assert objects(await other.counters())[ENERGY].value == 1300  # of this master nothing is frozen
            with pytest.raises(Refused):
                await master.counters(5 | 128)  # freeze with reset
            await s.cycle(power=500.0)
            assert (await master.read(SHARE)).objects[0].value == pytest.approx(-0.5, abs=1e-4)
            answer = await master.read(SOC)
            assert (answer.cause, answer.type, answer.objects[0].value) == (5, TypeId.M_ME_NC_1, 50.0)
            with pytest.raises(Refused) as refused:
                await master.read(999)
            assert refused.value.answer.cause == Cause.UNKNOWN_OBJECT
            assert (await master.test(0x1234)).objects[0].value == 0x1234
            with pytest.raises(Refused):
                await master.reset()

    play(scene())


def test_changes_beyond_the_dead_band_are_events_with_the_time_of_the_measurement(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            await s.cycle(power=1540.0)  # 0.04 MW: within the dead band
            s.feed.ages["power"] = 0.75
            at = await s.cycle(power=1600.0)
            event = (await master.collect(1, lambda asdu: asdu.type == TypeId.M_ME_TF_1))[0]
            assert event.address == POWER
            assert event.value == pytest.approx(1.6)
            assert event.time is not None
            assert abs(event.time - (at - 750_000_000)) < 2_000_000
            s.feed.ages["soc"] = 0.9
            await s.cycle(power=1700.0, soc=51.0)
            items = await master.collect(2, lambda asdu: asdu.type == TypeId.M_ME_TF_1)
            assert [item.address for item in items] == [SOC, POWER]  # as they were measured
            s.feed.quality["soc"] = Quality.INVALID
            at = await s.cycle()
            event = (
                await master.collect(1, lambda a: a.type == TypeId.M_ME_TF_1 and a.objects[0].address == SOC)
            )[0]
            assert event.quality == QualityBit.INVALID
            assert event.time is not None
            assert abs(event.time - at) < 2_000_000
            began = {"code": "soc_low", "severity": "warning", "message": "", "point": "soc", "active": True}
            await s.push(events=[began])
            item = (await master.collect(1, lambda a: a.type == TypeId.M_SP_TB_1))[0]
            assert (item.address, item.value) == (ALARM, True)
            await s.push(events=[began | {"active": False}])
            item = (await master.collect(1, lambda a: a.type == TypeId.M_SP_TB_1))[0]
            assert (item.address, item.value) == (ALARM, False)

    play(scene())


def test_what_is_old_or_lost_is_not_topical(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, stale=0.5) as s:
            master = await s.master()
            s.feed.quality["soc"] = Quality.MISSING  # soc no longer comes; the rest stays good
            for _ in range(20):
                await s.cycle()
                await asyncio.sleep(0.05)
            items = await master.collect(2, lambda a: spontaneous(a) and a.objects[0].address == SOC)
            assert [item.quality for item in items] == [
                QualityBit.INVALID, QualityBit.INVALID | QualityBit.NOT_TOPICAL,
            ]  # fmt: skip
            s.feed.close()
            await s.until(lambda: not s.outstation.station.fed)
            alive = await master.collect(1, lambda a: spontaneous(a) and a.objects[0].address == ALIVE)
            assert (alive[0].value, alive[0].quality) == (False, 0)

            old: set[int] = set()
            while old != {point.ioa for point in POINTS if point.kind != "counter"} - {ALIVE}:
                found = objects(await master.interrogate())
                old = {ioa for ioa, item in found.items() if item.quality & QualityBit.NOT_TOPICAL}
                await asyncio.sleep(0.05)

    play(scene())


def test_points_with_a_period_are_reported_without_a_change(tmp_path: Path) -> None:
    points = tuple(
        replace(point, period=1.0) if point.ioa in (SOC, SWITCH, ENERGY) else point for point in SCADA.points
    )

    async def scene() -> None:
        async with running(tmp_path, replace(SCADA, points=points)) as s:
            master = await s.master()
            for _ in range(2):
                for kind, ioa in (
                    (TypeId.M_SP_NA_1, SWITCH),
                    (TypeId.M_ME_NC_1, SOC),
                    (TypeId.M_IT_TB_1, ENERGY),
                ):
                    asdu = await master.take(lambda a, kind=kind: a.type == kind)  # type: ignore[misc]
                    assert [item.address for item in asdu.objects] == [ioa]
                    assert asdu.cause == (Cause.SPONTANEOUS if ioa == ENERGY else Cause.PERIODIC)

    play(scene())


def test_a_set_point_is_selected_executed_and_leased(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            await master.command(TypeId.C_SE_NC_1, SET_POWER, -2.5, select=True)
            assert (await master.take(lambda a: a.cause == Cause.ACTIVATION_TERM)).objects[0].value == -2.5
            request = s.feed.sent("request")[-1]
            assert request["power"] == pytest.approx(-2500.0)
            assert request["priority"] == "grid_operator"
            assert request["source"] == "iec104"
            assert 0 < request["for"] <= 60
            await master.command(TypeId.C_SE_TC_1, SET_MAX, 900.0)
            assert (
                s.feed.sent("request")[-1] | {"power": -2500.0, "high": 900.0} == s.feed.sent("request")[-1]
            )
            await master.command(TypeId.C_SE_NB_1, SET_MODE, 2)
            assert s.feed.sent("grid_command")[-1]["value"] == "voltage_droop"
            await master.command(TypeId.C_SC_NA_1, SET_AGC, True, select=True)
            assert s.feed.sent("grid_command")[-1]["value"] is True
            assert s.feed.sent("grid_command")[-1]["name"] == "active.agc"
            status = s.outstation.status()
            assert status["commands"]["accepted"] == 4
            assert status["in_command"] == "127.0.0.1"

    play(scene())


REFUSED: dict[str, tuple[TypeId, int, Any]] = {
    "without select": (TypeId.C_SE_NC_1, SET_POWER, 1.0),
    "outside the limits": (TypeId.C_SE_NC_1, SET_POWER, 5.1),
    "not a number": (TypeId.C_SE_NC_1, SET_MAX, float("nan")),
    "no such choice": (TypeId.C_SE_NB_1, SET_MODE, 7),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_command_that_is_not_allowed_is_refused_and_asks_for_nothing(why: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            with pytest.raises(Refused) as answer:
                await master.command(*REFUSED[why])
            assert answer.value.answer.cause == Cause.ACTIVATION_CON
            assert s.feed.messages == []

    play(scene())


def test_the_gateways_refusal_is_a_negative_confirmation(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            s.feed.refusal = "the plant is in maintenance"
            with pytest.raises(Refused):
                await master.command(TypeId.C_SE_NC_1, SET_POWER, 1.0, select=True)
            last = s.outstation.status()["commands"]["last"]
            assert last["refused"] == "the plant is in maintenance"
            assert s.outstation.commander.standing == {}
            s.feed.refusal = None
            s.feed.answer = lambda message: {}  # says nothing usable
            with pytest.raises(Refused):
                await master.command(TypeId.C_SE_NC_1, SET_POWER, 1.0, select=True)

    play(scene())


def test_select_is_used_up_expires_can_be_cancelled_and_must_match(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, select_timeout=0.3) as s:
            master = await s.master()

            async def execute(value: float) -> None:
                await master.command(TypeId.C_SE_NC_1, SET_POWER, value)

            await master.select(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            await execute(1.0)
            with pytest.raises(Refused):
                await execute(1.0)  # replayed
            await master.select(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            with pytest.raises(Refused):
                await execute(2.0)  # something else
            await master.select(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            await master.cancel(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            with pytest.raises(Refused):
                await execute(1.0)  # cancelled
            await master.select(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            await asyncio.sleep(0.4)
            with pytest.raises(Refused):
                await execute(1.0)  # late
            other = await s.master("127.0.0.1")
            await master.select(TypeId.C_SE_NC_1, SET_POWER, 1.0)
            with pytest.raises(Refused):
                await other.command(TypeId.C_SE_NC_1, SET_POWER, 1.0)  # selected on another connection
            assert len(s.feed.sent("request")) == 1
            with pytest.raises(Refused):
                await master.cancel(TypeId.C_SE_NC_1, SET_MAX, 1.0)  # nothing to end

    play(scene())


def test_a_command_that_is_marked_as_a_test_commands_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            item = InfoObject(address=SET_MAX, value=1.0)
            master.send(Asdu(type=TypeId.C_SE_NC_1, cause=6, address=1, objects=(item,), test=True))
            answer = await master.take(lambda a: a.type == TypeId.C_SE_NC_1)
            assert (answer.cause, answer.negative, answer.test) == (Cause.ACTIVATION_CON, True, True)
            assert s.feed.messages == []
            assert "test" in s.outstation.status()["commands"]["last"]["refused"]

    play(scene())


def test_a_deactivation_ends_a_standing_set_point(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            await master.command(TypeId.C_SE_NC_1, SET_POWER, 1.0, select=True)
            await master.cancel(TypeId.C_SE_NC_1, SET_POWER, 0.0)
            assert s.feed.sent("cancel")[-1]["source"] == "iec104"
            assert s.outstation.commander.standing == {}

    play(scene())


def test_old_future_and_replayed_time_tags_are_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, command_age=10.0) as s:
            master, now = await s.master(), time.time_ns()
            for ns in (now - 11 * 10**9, now + 60 * 10**9):
                with pytest.raises(Refused):
                    await master.command(TypeId.C_SE_TC_1, SET_MAX, 1.0, ns=ns)
            await master.command(TypeId.C_SE_TC_1, SET_MAX, 1.0, ns=now)
            with pytest.raises(Refused):
                await master.command(TypeId.C_SE_TC_1, SET_MAX, 1.0, ns=now)
            again = await s.master()
            with pytest.raises(Refused):
                await again.command(TypeId.C_SE_TC_1, SET_MAX, 1.0, ns=now - 10**9)
            assert len(s.feed.sent("request")) == 1

    play(scene())


def test_what_is_unknown_is_answered_with_its_cause(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()

            async def answer(**more: Any) -> Asdu:
                kind = Asdu(type=TypeId.C_IC_NA_1, cause=6, address=1, objects=(InfoObject(value=20),))
                master.send(replace(kind, **more))
                return await master.take(lambda a: 44 <= a.cause <= 47)

            assert (await answer(cause=3)).cause == Cause.UNKNOWN_CAUSE
            assert (await answer(address=7)).cause == Cause.UNKNOWN_ADDRESS
            assert (await answer(objects=(InfoObject(address=5, value=20),))).cause == Cause.UNKNOWN_OBJECT
            command: dict[str, Any] = {
                "type": TypeId.C_SE_NC_1,
                "objects": (InfoObject(address=SOC, value=1.0),),
            }
            assert (await answer(**command)).cause == Cause.UNKNOWN_OBJECT
            switch: dict[str, Any] = {
                "type": TypeId.C_SC_NA_1,
                "objects": (InfoObject(address=SET_POWER, value=True),),
            }
            assert (await answer(**switch)).cause == Cause.UNKNOWN_OBJECT  # of another type
            monitored: dict[str, Any] = {
                "type": TypeId.M_SP_NA_1,
                "objects": (InfoObject(address=SOC, value=True),),
            }
            reply = await answer(**monitored)
            assert (reply.cause, reply.negative) == (Cause.UNKNOWN_TYPE, True)
            everybody = Asdu(type=TypeId.C_IC_NA_1, cause=6, address=0xFFFF, objects=(InfoObject(value=20),))
            master.send(everybody)
            confirmed = await master.take(lambda a: a.type == TypeId.C_IC_NA_1)
            assert (confirmed.cause, confirmed.address, confirmed.negative) == (7, 1, False)

    play(scene())


def test_other_sizes_of_fields(tmp_path: Path) -> None:
    async def scene() -> None:
        sizes: dict[str, Any] = {"cause_size": 1, "address_size": 1, "object_size": 2}
        async with running(tmp_path, **sizes, originator=9) as s:
            master = await s.master(sizes=Sizes(cause=1, address=1, object=2))
            assert objects(await master.interrogate())[SOC].value == 50.0
            await s.cycle(soc=7.0)
            assert (await master.collect(1, spontaneous))[0].value == 7.0
            await master.command(TypeId.C_SE_NC_1, SET_POWER, 1.0, select=True)
            assert s.feed.sent("request")[-1]["power"] == 1000.0
            assert master.undecoded == []

    play(scene())


def test_the_originator_address_tells_who_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path, originator=9) as s:
            master = await s.master(originator=3)
            assert {asdu.originator for asdu in await master.interrogate()} == {3}
            await s.cycle(soc=7.0)
            assert (await master.take(spontaneous)).originator == 9
            await master.command(TypeId.C_SE_NC_1, SET_MAX, 1.0)
            assert (await master.take(lambda a: a.cause == Cause.ACTIVATION_TERM)).originator == 3

    play(scene())


def test_the_time_of_a_master_is_reported_and_not_applied(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s:
            master = await s.master()
            answer = await master.synchronize(time.time_ns() + 5 * 10**9)
            assert answer.objects[0].time is not None
            assert abs(answer.objects[0].time - time.time_ns()) < 3 * 10**9  # the station's own time
            sync = s.outstation.status()["clock_sync"]
            assert sync["master"] == "127.0.0.1"
            assert sync["offset"] == pytest.approx(5.0, abs=2.0)

    play(scene())
