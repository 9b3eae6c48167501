"""The control cycle: read, freeze, decide, write, verify, feed, record; every period, whatever happens.

A slow or silent device never delays a tick: reads and writes run as tasks that the cycle waits for only
within its period, and picks up again in the next one. A write that is still under way is never overtaken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bessai.core.guard import SafetyGuard
from bessai.core.requests import RequestBook
from bessai.drivers import UniversalDriver
from bessai.model import (
    Clock,
    Command,
    CycleRecord,
    CycleTiming,
    Decision,
    Event,
    GuardState,
    ProcessImage,
    Severity,
    WriteOutcome,
)

log = logging.getLogger("bessai.cycle")

_READ_SHARE = 0.5
_WRITE_SHARE = 0.95


class Recorder(Protocol):
    """Where the cycle leaves its record. Must neither block nor raise."""

    def append(self, record: CycleRecord) -> None:
        """Take one record."""
        ...

    def append_event(self, event: Event) -> None:
        """Take an event that belongs to no record."""
        ...


@dataclass(slots=True)
class CycleStats:
    """Counters since the start."""

    cycles: int = 0
    missed: int = 0
    """Ticks at which no cycle began, because the one before had not ended."""
    verified: int = 0
    fed: int = 0
    late_max: float = 0.0
    """Seconds of the latest start."""
    duration_max: float = 0.0


class ControlCycle:
    """Runs one device's cycle.

    Args:
        driver: the device.
        guard: decides and issues commands.
        book: requests for power.
        recorder: takes each cycle's record.
        clock: monotonic and wall time.
        period: seconds of a cycle.
    """

    def __init__(
        self,
        driver: UniversalDriver,
        guard: SafetyGuard,
        book: RequestBook,
        recorder: Recorder,
        clock: Clock,
        period: float = 1.0,
    ) -> None:
        self.stats = CycleStats()
        self.last: CycleRecord | None = None
        self._driver = driver
        self._guard = guard
        self._book = book
        self._recorder = recorder
        self._clock = clock
        self._period = period
        self._reading: asyncio.Task[bool] | None = None
        self._writing: asyncio.Task[WriteOutcome] | None = None
        self._command: Command | None = None
        self._connects = 0
        self._pending: list[Event] = []

    def note(self, event: Event) -> None:
        """Put an event of the gateway itself into the next record."""
        self._pending.append(event)

    async def run(self, stop: asyncio.Event) -> None:
        """Cycle until `stop` is set. An error inside a cycle is an alarm, not the end."""
        planned = self._clock.monotonic()
        while not stop.is_set():
            try:
                await self.step(planned)
            except Exception as error:
                log.exception("cycle failed")
                message = f"cycle failed: {type(error).__name__}: {error}"
                self._recorder.append_event(self._event("cycle_failed", Severity.ALARM, message))
            planned += self._period
            behind = self._clock.monotonic() - planned
            if behind >= self._period:
                skipped = int(behind / self._period)
                self.stats.missed += skipped
                planned += skipped * self._period
            try:
                async with asyncio.timeout(max(0.0, planned - self._clock.monotonic())):
                    await stop.wait()
            except TimeoutError:
                continue

    async def step(self, planned: float | None = None) -> CycleRecord:
        """One cycle, planned for a monotonic time (default: now)."""
        start = self._clock.monotonic()
        planned = start if planned is None else planned
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._driver.read_fast(), name="read fast points")
        await asyncio.wait({self._reading}, timeout=_READ_SHARE * self._period)
        complete = self._read_complete(self._reading)
        self._watch_connection()
        image = self._freeze()
        frozen = image.monotonic
        decision = self._guard.decide(image, self._book)
        decided = self._clock.monotonic()
        deadline = start + _WRITE_SHARE * self._period
        outcome = await self._write(lambda: self._guard.command(decision, frozen), deadline)
        verified = self._is_verified(complete, decision, outcome)
        fed = False
        if verified and decision.state is not GuardState.MONITOR:
            feed = await self._write(lambda: self._guard.feed(self._clock.monotonic()), deadline)
            fed = feed is not None and feed.verified
            outcome = outcome or feed
            verified = self._writing is None and (feed is None or feed.verified)
        events = (*self._pending, *self._guard.take_events())
        self._pending = []
        end = self._clock.monotonic()
        record = CycleRecord(
            image=image,
            decision=decision,
            outcome=outcome,
            verified=verified,
            fed=fed,
            timing=CycleTiming(
                late=start - planned,
                read=frozen - start,
                decide=decided - frozen,
                write=end - decided,
                total=end - start,
            ),
            events=events,
            texts=self._driver.texts,
        )
        self._recorder.append(record)
        self._count(record)
        return record

    async def release(self, within: float = 0.8) -> bool:
        """End external control of the device at a clean stop. True when that was verified."""
        command = self._guard.release()
        if command is None or not self._driver.connected:
            return False
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=within / 2)
        try:
            async with asyncio.timeout(within):
                outcome = await self._driver.write(command)
        except TimeoutError:
            return False
        return outcome.verified

    @staticmethod
    def _read_complete(reading: asyncio.Task[bool]) -> bool:
        if not reading.done():
            return False
        if (error := reading.exception()) is not None:
            log.error("reading failed", exc_info=error)
            return False
        return reading.result()

    def _freeze(self) -> ProcessImage:
        now = self._clock.monotonic()
        values, quality, times = self._driver.columns(now)
        return ProcessImage(
            layout=self._driver.profile.layout,
            cycle=self.stats.cycles,
            monotonic=now,
            wall_ns=self._clock.wall_ns(),
            values=values,
            quality=quality,
            times=times,
        )

    async def _write(self, ask: Callable[[], Command | None], deadline: float) -> WriteOutcome | None:
        """Finish the command under way, then run the one that `ask` gives; wait no longer than `deadline`."""
        outcome = await self._finish(deadline)
        if self._writing is None and self._driver.connected and (command := ask()) is not None:
            self._command = command
            self._writing = asyncio.create_task(self._driver.write(command), name="write command")
            outcome = await self._finish(deadline)
        return outcome

    async def _finish(self, deadline: float) -> WriteOutcome | None:
        if self._writing is None or self._command is None:
            return None
        await asyncio.wait({self._writing}, timeout=max(0.0, deadline - self._clock.monotonic()))
        if not self._writing.done():
            return None
        writing, command = self._writing, self._command
        self._writing = self._command = None
        outcome = writing.result()
        self._guard.wrote(command, outcome, self._clock.monotonic())
        return outcome

    def _is_verified(self, complete: bool, decision: Decision, outcome: WriteOutcome | None) -> bool:
        """Fresh evidence in, a decision, and the device is known to have what was decided."""
        if not complete or self._writing is not None or (outcome is not None and not outcome.verified):
            return False
        return decision.state is GuardState.MONITOR or (
            decision.state is not GuardState.HOLD and self._guard.standing == decision.setpoint
        )

    def _watch_connection(self) -> None:
        connects = self._driver.client.stats.connects
        lost = self._driver.client.stats.disconnects
        if connects + lost == self._connects:
            return
        self._connects = connects + lost
        self._guard.connection_changed()
        if self._driver.connected:
            self.note(self._event("device_connected", Severity.INFO, "connected to the device"))
        else:
            why = self._driver.problem or "connection lost"
            self.note(self._event("device_disconnected", Severity.WARNING, why))

    def _count(self, record: CycleRecord) -> None:
        self.last = record
        stats = self.stats
        stats.cycles += 1
        stats.verified += record.verified
        stats.fed += record.fed
        stats.late_max = max(stats.late_max, record.timing.late)
        stats.duration_max = max(stats.duration_max, record.timing.total)

    def _event(self, code: str, severity: Severity, message: str) -> Event:
        return Event(code=code, severity=severity, message=message, wall_ns=self._clock.wall_ns())
