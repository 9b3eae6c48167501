"""Another implementation as master: c104, which is lib60870, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from support.c104_process import c104_master
from support.outstation_scene import (
    BREAKER,
    ENERGY,
    POWER,
    SET_AGC,
    SET_MAX,
    SET_MODE,
    SET_POWER,
    SHARE,
    SOC,
    SWITCH,
    VOLTAGE,
    running,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("c104") is None, reason="c104 is not installed: no second implementation"
)
STATES = {
    POWER: ("M_ME_NC_1", ""), SOC: ("M_ME_NC_1", ""), VOLTAGE: ("M_ME_NB_1", ""), SHARE: ("M_ME_NA_1", ""),
    SWITCH: ("M_SP_NA_1", ""), BREAKER: ("M_DP_NA_1", ""), ENERGY: ("M_IT_NA_1", ""),
}  # fmt: skip
EVENTS = {
    POWER: ("M_ME_TF_1", ""), SOC: ("M_ME_TF_1", ""), VOLTAGE: ("M_ME_TE_1", ""), SHARE: ("M_ME_TD_1", ""),
    SWITCH: ("M_SP_TB_1", ""), BREAKER: ("M_DP_TB_1", ""),
    SET_POWER: ("C_SE_NC_1", "SELECT_AND_EXECUTE"), SET_MAX: ("C_SE_TC_1", "DIRECT"),
    SET_MODE: ("C_SE_NB_1", "DIRECT"), SET_AGC: ("C_SC_NA_1", "SELECT_AND_EXECUTE"),
}  # fmt: skip


def play(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene, 170))


def test_it_interrogates_reads_tests_and_tells_the_time(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s, c104_master(s.port, STATES) as master:
            await s.cycle(power=500.0, voltage=-32.0, alarm_bits=8.0)
            assert await master.ask("interrogate")
            await master.until(lambda: all(master.points(ioa) for ioa in STATES if ioa != ENERGY))
            assert await master.ask("counters")
            await master.until(lambda: master.points(ENERGY))
            newest = {ioa: master.points(ioa)[-1] for ioa in STATES}
            assert newest[POWER]["value"] == pytest.approx(0.5)
            assert newest[SOC]["value"] == pytest.approx(50.0)
            assert str(newest[VOLTAGE]["value"]) == "-32"
            assert float(newest[SHARE]["value"]) == pytest.approx(-0.5, abs=1e-4)
            assert newest[SWITCH]["value"] is True
            assert newest[BREAKER]["value"] == "Double.ON"
            assert newest[ENERGY]["value"] == 1234
            assert all("is_good: True" in point["quality"] for point in newest.values())
            assert await master.ask("read", ioa=SOC)
            assert await master.ask("test")
            assert await master.ask("clock")
            sync = s.outstation.status()["clock_sync"]
            assert abs(sync["offset"]) < 30

    play(scene())


def test_it_gets_events_commands_and_what_it_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(tmp_path) as s, c104_master(s.port, EVENTS) as master:
            await master.until(lambda: any(event["event"] == "initialized" for event in master.events))
            at = await s.cycle(power=750.0, breaker=0.0, alarm_bits=8.0)
            await master.until(
                lambda: master.points(POWER) and master.points(BREAKER) and master.points(SWITCH)
            )
            event = master.points(POWER)[-1]
            assert event["value"] == pytest.approx(0.75)
            assert event["cause"] == "SPONTANEOUS"
            assert abs(event["recorded_ms"] - (at // 10**6 - 10)) <= 2
            assert master.points(BREAKER)[-1]["value"] == "Double.OFF"

            assert await master.ask("command", ioa=SET_POWER, value=-1.5)  # selects first
            assert s.feed.sent("request")[-1]["power"] == pytest.approx(-1500.0)
            assert await master.ask("command", ioa=SET_MAX, value=900)  # with time tag
            assert s.feed.sent("request")[-1]["high"] == 900.0
            assert await master.ask("command", ioa=SET_MODE, value=1)
            assert await master.ask("command", ioa=SET_AGC, value=True)
            assert [m["value"] for m in s.feed.sent("grid_command")] == ["voltage", True]
            assert not await master.ask("command", ioa=SET_POWER, value=99.0)  # outside its limits
            s.feed.refusal = "not now"
            assert not await master.ask("command", ioa=SET_MAX, value=5.0)

            await master.ask("disconnect")
            await s.until(lambda: not s.outstation.status()["masters"])
            seen = len(master.points(SOC))
            times = [await s.cycle(soc=float(soc)) for soc in range(20, 40)]
            await master.ask("connect")

            def missed() -> list[dict[str, Any]]:  # what was not acknowledged before comes again, too
                return [event for event in master.points(SOC)[seen:] if 20 <= event["value"] < 40]

            await master.until(lambda: len(missed()) >= len(times))
            assert [event["value"] for event in missed()] == [float(soc) for soc in range(20, 40)]
            for event, then in zip(missed(), times, strict=True):
                assert abs(event["recorded_ms"] - (then // 10**6 - 10)) <= 2

    play(scene())
