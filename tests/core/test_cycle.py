"""The cycle against a scripted device on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bessai.core.cycle import ControlCycle
from bessai.core.cycle_stats import CycleStats
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.plant import Plant as RealPlant
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.model import (
    Bounds,
    Condition,
    CycleRecord,
    Decision,
    Endpoint,
    Event,
    GuardState,
    Priority,
    ProcessImage,
    Request,
    Severity,
    SystemClock,
)
from bessai.model.record import LATENESS_EDGES
from bessai.site import single_device_site
from support.modbus_device import ScriptedDevice, frame
from support.profiles import REGISTERS, battery

PERIOD = 0.1


class Records:
    """Keeps what the cycle leaves behind."""

    def __init__(self) -> None:
        self.records: list[CycleRecord] = []
        self.events: list[Event] = []

    def append(self, record: CycleRecord) -> None:
        self.records.append(record)
        self.events += record.events

    def append_event(self, event: Event) -> None:
        self.events.append(event)


class Answers:
    """Asks for what a test says, or fails."""

    handlers: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.offset: float | None = None
        self.maximum: float | None = None
        self.fails = False
        self.events: list[Event] = []
        self.decisions: list[Decision] = []

    def propose(self, image: ProcessImage) -> list[Request]:
        if self.fails:
            raise ZeroDivisionError("by zero")
        asked = []
        if self.offset is not None:
            asked.append(
                Request(
                    source="grid.frequency",
                    priority=Priority.GRID_SUPPORT,
                    power=None,
                    offset=self.offset,
                    expires=image.monotonic + 3,
                )
            )
        if self.maximum is not None:
            asked.append(
                Request(
                    source="grid.active",
                    priority=Priority.GRID_OPERATOR,
                    power=None,
                    bounds=Bounds(high=self.maximum),
                    expires=image.monotonic + 3 * PERIOD,
                )
            )
        return asked

    def told(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def conditions(self) -> list[Condition]:
        return []

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def status(self) -> dict[str, Any]:
        return {}


class Plant:
    """A device whose battery does what the registers say, and a cycle on it."""

    def __init__(
        self,
        device: ScriptedDevice,
        profile: Any,
        heartbeat: float = 0.2,
    ) -> None:
        self.device = device
        self.proposer = Answers()
        self.records = Records()
        self.book = RequestBook()
        site = single_device_site(profile, Endpoint(host="127.0.0.1", port=device.port))
        self.plant = RealPlant(site, SystemClock(), cycle=PERIOD, stale_after=3 * PERIOD)
        self.driver = self.plant.units[""]
        self.guard = SafetyGuard([Unit(profile, Limits(), DeadMan(profile, heartbeat))])
        self.cycle = ControlCycle(
            self.plant, self.guard, self.book, self.records, SystemClock(), PERIOD, proposer=self.proposer
        )

    def ask(self, power: float) -> None:
        now = asyncio.get_running_loop().time()
        self.book.put(Request(source="test", priority=Priority.OPERATOR, power=power, expires=now + 60))

    async def cycles(self, number: int) -> list[CycleRecord]:
        records = []
        for _ in range(number):
            records.append(await self.cycle.step())
            await asyncio.sleep(0)
        return records

    async def until(self, check: Callable[[CycleRecord], bool], limit: int = 100) -> CycleRecord:
        for _ in range(limit):
            record = await self.cycle.step()
            if check(record):
                return record
            await asyncio.sleep(PERIOD / 2)
        raise AssertionError(f"not reached in {limit} cycles; last {self.records.records[-1]}")


def _play(
    tmp_path: Path, body: Callable[[Plant], Awaitable[None]], heartbeat: float = 0.2, **more: Any
) -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            plant = Plant(
                device, battery(tmp_path, connection={"timeout": 0.4, "retries": 0}, **more), heartbeat
            )
            await body(plant)
            await plant.driver.close()

    asyncio.run(run())


def _normal(record: CycleRecord) -> bool:
    return record.decision.state is GuardState.NORMAL and record.verified


def test_from_start_to_power_and_back(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(12.0)
        record = await plant.until(lambda r: r.decision.setpoint == 12.0 and r.verified)
        registers = plant.device.registers
        assert (registers[24], registers[25], registers[20]) == (12_000, 20, 2)
        assert record.timing.total > 0
        assert await plant.cycle.release() == "control handed back to the device"
        assert registers[20] == 0

    _play(tmp_path, body)


def test_the_dead_man_is_fed_after_verified_cycles_only(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        await plant.until(lambda r: r.fed)
        feeds = sum(pdu[:3] == bytes((6, 0, 20)) for pdu in plant.device.requests)
        assert feeds >= 2
        plant.device.registers[0] = 65535  # the device disowns its state of charge
        (record,) = await plant.cycles(1)
        assert record.decision.state is GuardState.HOLD
        for record in await plant.cycles(10):
            assert not record.verified
            assert not record.fed

    _play(tmp_path, body)


def test_a_lost_device_is_unsafe_and_recovers(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(5.0)
        await plant.until(_normal)
        await plant.device.stop()
        record = await plant.until(lambda r: r.decision.state is GuardState.HOLD)
        assert record.decision.setpoint == 0.0
        assert not record.verified
        await plant.device.start()
        await plant.until(lambda r: r.decision.setpoint == 5.0 and r.verified)
        codes = [event.code for event in plant.records.events]
        for code in ("device_connected", "device_disconnected", "evidence_lost"):
            assert code in codes

    _play(tmp_path, body)


def test_a_device_that_hangs_delays_no_cycle(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        await plant.until(_normal)

        async def silent(*_: object) -> None:
            return None

        plant.device.hook = silent
        stop = asyncio.Event()
        running = asyncio.create_task(plant.cycle.run(stop))
        await asyncio.sleep(20 * PERIOD)
        stop.set()
        await running
        assert plant.cycle.stats.missed == 0
        assert plant.records.records[-1].decision.state is GuardState.HOLD

    _play(tmp_path, body)


def test_a_slow_write_is_never_overtaken(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        await plant.until(_normal)
        under_way = 0
        most = 0

        async def slow(transaction: int, unit: int, pdu: bytes) -> bytes:
            nonlocal under_way, most
            if pdu[0] in (6, 16):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.6 * PERIOD)
                under_way -= 1
            return frame(transaction, unit, plant.device.answer(pdu))

        plant.device.hook = slow
        plant.ask(7.0)
        record = await plant.until(lambda r: r.decision.setpoint == 7.0)
        assert not record.verified
        await plant.until(lambda r: r.verified and r.decision.setpoint == 7.0)
        assert most == 1

    _play(tmp_path, body, heartbeat=10)


def test_a_broken_decision_commands_the_safe_state_and_alarms_once(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(5.0)
        await plant.until(lambda r: r.decision.setpoint == 5.0 and r.verified)
        assert plant.device.registers[24] == 5_000

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("bug")

        plant.guard.decide = broken  # type: ignore[method-assign,assignment]
        records = await plant.cycles(5)
        assert {record.decision.state for record in records} == {GuardState.HOLD}
        assert not any(record.fed for record in records)
        assert plant.device.registers[24] == 0
        alarms = [e for e in plant.records.events if e.code == "cycle_failed"]
        assert [alarm.message for alarm in alarms] == ["decision failed: RuntimeError: bug"]

    _play(tmp_path, body)


def test_a_device_that_takes_most_of_a_cycle_to_answer_is_still_fed(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        async def slow(transaction: int, unit: int, pdu: bytes) -> bytes:
            if pdu[:3] == bytes((3, 0, 0)):
                await asyncio.sleep(0.7 * PERIOD)
            return b""

        plant.device.hook = slow
        plant.ask(5.0)
        await plant.until(lambda r: r.decision.setpoint == 5.0 and r.verified)
        assert plant.cycle.stats.fed > 0 or (await plant.until(lambda r: r.fed)).fed

    _play(tmp_path, body)


def test_an_outcome_of_the_last_connection_proves_nothing_on_this_one(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(5.0)
        await plant.until(lambda r: r.decision.setpoint == 5.0 and r.verified)
        for _ in range(5):
            plant.device.registers.update({20: 0, 25: 0})  # it restarts and forgets
            plant.device.drop()
            await asyncio.sleep(0.5 * PERIOD)
            await plant.until(lambda r: r.decision.setpoint == 5.0 and r.verified)
            assert (plant.device.registers[20], plant.device.registers[24]) == (2, 5_000)

    _play(tmp_path, body)


def test_stopping_says_what_became_of_control(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        assert await plant.cycle.release() == "the device was never commanded"
        await plant.until(_normal)

        async def deaf(transaction: int, unit: int, pdu: bytes) -> bytes | None:
            return None if pdu[0] in (6, 16) else b""

        plant.device.hook = deaf
        assert "falls back by its dead-man" in await plant.cycle.release()
        plant.device.hook = None
        assert await plant.cycle.release() == "control handed back to the device"
        assert plant.device.registers[20] == 0

    _play(tmp_path, body)


def test_monitoring_never_writes(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(5.0)
        for record in await plant.cycles(8):
            assert record.decision.setpoint is None
        assert plant.records.records[-1].verified
        assert all(pdu[0] == 3 for pdu in plant.device.requests)

    _play(tmp_path, body, control=None, dead_man=None)


def test_what_answers_the_grid_is_asked_in_the_same_cycle_and_ends_with_it(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(3.0)
        await plant.until(lambda r: r.decision.setpoint == 3.0)
        plant.proposer.offset = 1.5
        plant.proposer.events = [Event(code="x", severity=Severity.INFO, message="x", wall_ns=1)]
        record = await plant.cycle.step()
        assert (record.decision.setpoint, record.decision.offset) == (4.5, 1.5)
        assert "x" in {event.code for event in record.events}
        plant.proposer.offset = None
        record = await plant.cycle.step()
        assert (record.decision.setpoint, record.decision.offset) == (3.0, None)
        assert plant.proposer.decisions[-1].offset == 1.5  # it hears of each before it is asked again

    _play(tmp_path, body)


def test_grid_functions_that_fail_are_an_alarm_and_stop_nothing(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(3.0)
        await plant.until(lambda r: r.decision.setpoint == 3.0)
        plant.proposer.fails = True
        record = await plant.cycle.step()
        assert record.decision.setpoint == 3.0
        assert "grid_functions_failed" in {c.code for c in plant.cycle.active}
        plant.proposer.fails = False
        await plant.until(lambda _: "grid_functions_failed" not in {c.code for c in plant.cycle.active})

    _play(tmp_path, body)


def test_what_happened_after_the_last_cycle_is_told_once(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        await plant.cycle.step()
        changed, noted = (
            Event(code=c, severity=Severity.INFO, message=c, wall_ns=1) for c in ("changed", "noted")
        )
        plant.proposer.events = [changed]
        plant.cycle.note(noted)
        assert {event.code for event in plant.cycle.last_events()} == {"changed", "noted"}
        assert plant.cycle.last_events() == []

    _play(tmp_path, body)


def test_a_maximum_stands_while_the_functions_that_keep_it_fail(tmp_path: Path) -> None:
    async def body(plant: Plant) -> None:
        plant.ask(3.0)
        plant.proposer.maximum, plant.proposer.offset = 2.0, -0.5
        await plant.until(lambda r: r.decision.setpoint == 1.5)
        plant.proposer.fails = True
        records = []
        for _ in range(6):  # longer than the lease
            records.append(await plant.cycle.step())
            await asyncio.sleep(PERIOD)
        assert {(r.decision.setpoint, r.decision.offset) for r in records} == {(2.0, None)}
        plant.proposer.fails, plant.proposer.maximum, plant.proposer.offset = False, None, None
        await plant.until(lambda r: r.decision.setpoint == 3.0)

    _play(tmp_path, body)


def test_a_listener_that_fails_once_is_told_the_next_cycle_again(tmp_path: Path, caplog: Any) -> None:
    async def body(plant: Plant) -> None:
        told: list[int] = []

        def heard(record: CycleRecord) -> None:
            told.append(record.image.cycle)
            if len(told) < 3:
                raise ZeroDivisionError("by zero")

        plant.cycle.heard = heard
        records = await plant.cycles(5)
        assert told == [record.image.cycle for record in records]
        assert len(plant.records.records) == 5
        failures = [line for line in caplog.records if line.getMessage() == "the live feed failed"]
        assert len(failures) == 1  # the same failure is logged once

    _play(tmp_path, body)


def test_recent_cycles_are_counted_by_lateness() -> None:
    stats = CycleStats()
    assert stats.recent(1.0, 600)["late"] is None
    for late, took in [(9.0, 9.0), (0.0001, 0.01), (0.001, 0.02), (0.0011, 0.03), (3.0, 0.04)]:
        stats.late.append(late)
        stats.durations.append(took)
    told = stats.recent(0.5, 2.0)  # four cycles: the first is older
    assert (told["cycles"], told["seconds"]) == (4, 2.0)
    assert told["late"]["max"] == 3.0
    assert told["duration"] == {"p50": 0.025, "p99": pytest.approx(0.04, abs=1e-3), "max": 0.04}
    assert told["edges"] == list(LATENESS_EDGES)
    assert told["counts"] == [1, 1, 1, *[0] * (len(LATENESS_EDGES) - 3), 1]
