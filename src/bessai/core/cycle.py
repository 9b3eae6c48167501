"""The control cycle: read, freeze, decide, write, verify, feed, record; every period, whatever happens.

A slow or silent device never delays a tick: reads and writes run as tasks that the cycle waits for only
within its period, and picks up again in the next one. A write that is still under way is never overtaken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from bessai.core.alarms import Alarms
from bessai.core.conditions import Condition
from bessai.core.guard import SafetyGuard
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.drivers.link import NO_ANSWER_YET
from bessai.model import (
    Bounds,
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

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ALARM: logging.ERROR,
}
_WHOLE = 1.0
"""Seconds between records of every column; on a site of many devices those between hold the plant's part only."""
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
    late: deque[float] = field(default_factory=lambda: deque(maxlen=6000))
    """Seconds by which the latest cycles started late."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        late = np.array(self.late or [0.0])
        counted = {name: getattr(self, name) for name in self.__slots__ if name != "late"}
        return counted | {"late_p50": float(np.median(late)), "late_p99": float(np.percentile(late, 99))}


class ControlCycle:
    """Runs a site's cycle.

    Args:
        plant: the devices.
        guard: decides and issues commands.
        book: requests for power.
        recorder: takes each cycle's record.
        clock: monotonic and wall time.
        period: seconds of a cycle.
    """

    def __init__(
        self,
        plant: Plant,
        guard: SafetyGuard,
        book: RequestBook,
        recorder: Recorder,
        clock: Clock,
        period: float = 1.0,
    ) -> None:
        self.stats = CycleStats()
        self.last: CycleRecord | None = None
        self.view: ProcessImage | None = None
        """What control looked at in the last cycle."""
        self._plant = plant
        self._driver = plant.controlled
        self._whole_at = -_WHOLE
        self._looked_at = -_WHOLE
        self._alarms = Alarms()
        self._guard = guard
        self._book = book
        self._recorder = recorder
        self._clock = clock
        self._period = period
        self._reading: asyncio.Task[bool] | None = None
        self._writing: asyncio.Task[WriteOutcome] | None = None
        self._command: Command | None = None
        self._connections: tuple[tuple[int, int], bool] = ((0, 0), False)
        self._overtaken = False
        self._failed = ""
        self._cycle_failed = ""
        self._pending: list[Event] = []

    @property
    def active(self) -> list[Condition]:
        """The conditions that hold now, of the plant's devices and of control, most severe first."""
        return sorted((*self._guard.active, *self._alarms.active), key=lambda c: -c.severity)

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
                message = f"cycle failed: {type(error).__name__}: {error}"
                if message != self._cycle_failed:
                    log.exception("cycle failed")
                    self._recorder.append_event(self._event("cycle_failed", Severity.ALARM, message))
                self._cycle_failed = message
            else:
                self._cycle_failed = ""
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
        complete = await self._read()
        if self._connection_changed():
            complete = False
        image, kept = self._freeze()
        self.view = image
        frozen = image.monotonic
        decision = self._decide(image, fresh=complete)
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
        events = (*self._pending, *self._guard.take_events(), *self._device_events(frozen, image.wall_ns))
        self._pending = []
        for event in events:
            log.log(_LEVELS[event.severity], "%s: %s", event.code, event.message)
        end = self._clock.monotonic()
        record = CycleRecord(
            image=kept,
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
            texts=self._driver.texts if self._driver else {},
        )
        self._recorder.append(record)
        self._count(record)
        return record

    async def release(self, within: float = 0.8) -> str:
        """End external control of the device at a clean stop. Returns in words what came of it."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing}, timeout=within / 2)
        command = self._guard.release()
        if command is None and self._writing is None:
            return "the device was never commanded"
        verified = False
        if command is not None and self._driver is not None and self._driver.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    verified = (await self._driver.write(command)).verified
        if verified:
            return "control handed back to the device"
        return "control could not be handed back: the device falls back by its dead-man"

    async def _read(self) -> bool:
        """Read, or go on reading, for a share of the period. True when a reading was completed meanwhile."""
        complete = self._take_reading()  # one that ended between the ticks
        if self._reading is None:
            self._reading = asyncio.create_task(self._plant.read_controlled(), name="read fast points")
        await asyncio.wait({self._reading}, timeout=_READ_SHARE * self._period)
        return self._take_reading() or complete

    def _take_reading(self) -> bool:
        if self._reading is None or not self._reading.done():
            return False
        reading, self._reading = self._reading, None
        if (error := reading.exception()) is not None:
            log.error("reading failed", exc_info=error)
            return False
        return reading.result()

    def _decide(self, image: ProcessImage, *, fresh: bool) -> Decision:
        """The guard's decision; when it fails, the safe state."""
        try:
            decision = self._guard.decide(image, self._book, fresh=fresh)
        except Exception as error:
            message = f"decision failed: {type(error).__name__}: {error}"
            if message != self._failed:
                log.exception("decision failed")
                self.note(self._event("cycle_failed", Severity.ALARM, message))
            self._failed = message
            return Decision(state=GuardState.HOLD, setpoint=0.0, bounds=Bounds(0.0, 0.0), reasons=(message,))
        self._failed = ""
        return decision

    def _freeze(self) -> tuple[ProcessImage, ProcessImage]:
        """What control looks at, and what is recorded: everything once a second, the plant's part in between."""
        now, images = self._clock.monotonic(), self._plant.images
        if now - self._whole_at < _WHOLE - 0.5 * self._period and not self._plant.site.whole_view:
            return images.quick(self.stats.cycles)
        self._whole_at = now
        whole = images.whole(self.stats.cycles)
        return images.view(whole), whole

    def _device_events(self, now: float, wall_ns: int) -> list[Event]:
        """What began or ended with the devices, looked at once a second."""
        if now - self._looked_at < 1.0 - 0.5 * self._period:
            return []
        self._looked_at = now
        return self._alarms.update(self._plant.conditions(), wall_ns)

    async def _write(self, ask: Callable[[], Command | None], deadline: float) -> WriteOutcome | None:
        """Finish the command under way, then run the one that `ask` gives; wait no longer than `deadline`."""
        outcome = await self._finish(deadline)
        driver = self._driver
        if (
            self._writing is None
            and driver is not None
            and driver.connected
            and (command := ask()) is not None
        ):
            self._command = command
            self._writing = asyncio.create_task(driver.write(command), name="write command")
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
        if (error := writing.exception()) is None:
            outcome = writing.result()
        else:  # nobody knows how far it came
            log.error("writing failed", exc_info=error)
            why = f"{command.kind}: {type(error).__name__}: {error}"
            outcome = WriteOutcome(verified=False, written=(), error=why)
        if self._overtaken:  # it speaks of a connection that is gone
            self._overtaken = False
            outcome = replace(outcome, verified=False, error=outcome.error or "the connection changed")
        self._guard.wrote(command, outcome, self._clock.monotonic())
        return outcome

    def _is_verified(self, complete: bool, decision: Decision, outcome: WriteOutcome | None) -> bool:
        """Fresh evidence in, a decision, and the device is known to have what was decided."""
        if not complete or self._writing is not None or (outcome is not None and not outcome.verified):
            return False
        return decision.state is GuardState.MONITOR or (
            decision.state is not GuardState.HOLD and self._guard.standing == decision.setpoint
        )

    def _connection_changed(self) -> bool:
        """Notice a new or lost connection, and tell the guard."""
        if self._driver is None:
            return False
        before, self._connections = self._connections, (self._driver.generation, self._driver.connected)
        if self._connections == before:
            return False
        self._guard.connection_changed()
        self._overtaken = self._writing is not None
        if self._driver.connected:
            self.note(self._event("device_connected", Severity.INFO, "connected to the device"))
        elif before[1] or not self._driver.client.connected:
            why = self._driver.link.problem or self._driver.problem or "connection lost"
            why = "the connection was lost before any answer" if why == NO_ANSWER_YET else why
            self.note(self._event("device_disconnected", Severity.WARNING, why))
        return True

    def _count(self, record: CycleRecord) -> None:
        self.last = record
        stats = self.stats
        stats.cycles += 1
        stats.verified += record.verified
        stats.fed += record.fed
        stats.late_max = max(stats.late_max, record.timing.late)
        stats.late.append(record.timing.late)
        stats.duration_max = max(stats.duration_max, record.timing.total)

    def _event(self, code: str, severity: Severity, message: str) -> Event:
        return Event(code=code, severity=severity, message=message, wall_ns=self._clock.wall_ns())
