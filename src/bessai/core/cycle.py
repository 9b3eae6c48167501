"""The control cycle: read, freeze, decide, write, verify, feed, record; every period, whatever happens.

A slow or silent device never delays a tick: its `Hand` waits only within the period, and each device has its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, Protocol

from bessai.core.black_box import BlackBox, RecordedGuard
from bessai.core.cycle_stats import CycleStats
from bessai.core.guard import SafetyGuard
from bessai.core.hand import Done, Hand
from bessai.core.heartbeat import Notifier
from bessai.core.keeping import Keeper
from bessai.core.plant import Plant
from bessai.core.proposing import Asking, Proposer
from bessai.core.pulse import Pulse
from bessai.core.requests import RequestBook
from bessai.core.state_file import MemoryState
from bessai.model import (
    Clock,
    Condition,
    CycleRecord,
    CycleTiming,
    Decision,
    Event,
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


class ControlCycle:
    """Runs a site's cycle.

    Args:
        plant: the devices.
        guard: decides and issues commands.
        book: requests for power.
        recorder: takes each cycle's record.
        clock: monotonic and wall time.
        period: seconds of a cycle.
        keeper: the alarm list, and what survives a restart; None: nothing does.
        box: keeps what was around an event; None: nothing does.
        pulse: the process's heartbeat; None: nobody listens.
        proposer: what answers the grid within the cycle; None: nothing does.
    """

    def __init__(
        self,
        plant: Plant,
        guard: SafetyGuard | RecordedGuard,
        book: RequestBook,
        recorder: Recorder,
        clock: Clock,
        period: float = 1.0,
        keeper: Keeper | None = None,
        box: BlackBox | None = None,
        pulse: Pulse | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        self.stats = CycleStats()
        self.last: CycleRecord | None = None
        self.view: ProcessImage | None = None
        """What people look at first, as of the last whole image."""
        self.whole: ProcessImage | None = None
        """The last whole image."""
        self.watch: Callable[[], Iterable[Condition]] = tuple
        """What else is wrong around the plant, asked once a second."""
        self.heard: Callable[[CycleRecord], None] | None = None
        """Told of each record, after it was handed to the recorder. Must not block; one that fails is told the next."""
        self._asking = Asking(proposer, book, period)
        self._decided: Decision | None = None
        self._plant = plant
        self._whole_at = -_WHOLE
        self._looked_at = -_WHOLE
        self._keeper = keeper or Keeper(guard.latch, MemoryState())
        self._alarms = self._keeper.alarms
        self._box = box
        self._pulse = pulse or Pulse(Notifier({}), period)
        self.guard = guard
        """Every call that changes the guard's memory goes through it."""
        self._guard = guard
        self._book = book
        self._recorder = recorder
        self._clock = clock
        self._period = period
        self._hands = [Hand(name, driver, guard, clock) for name, driver in plant.units.items()]
        self._failed = ""
        self._cycle_failed = ""
        self._unheard = ""
        self._act_failed: dict[str, str] = {}
        self._broken: list[Condition] = []
        self._pending: list[Event] = []
        self._devices: list[Condition] = []

    @property
    def failed(self) -> str:
        """The exception of the last cycle, in words; empty when there was none."""
        return self._cycle_failed or self._failed

    @property
    def active(self) -> list[Condition]:
        """The conditions that hold now, of the plant's devices and of control, most severe first."""
        return self._alarms.active

    def note(self, event: Event) -> None:
        """Put an event of the gateway itself into the next record."""
        self._pending.append(event)

    def last_events(self) -> list[Event]:
        """What happened since the last record, once: what people did just before the end has no cycle any more."""
        events, self._pending = [*self._pending, *self._guard.take_events()], []
        return events + self._asking.last_events()

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
                self._pulse.miss(message)
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
        fresh = await self._read()
        views, kept = self._freeze()
        frozen = kept.monotonic
        self._pending += self._asking.ask(kept, self._decided)
        asked = self._clock.monotonic()
        decision = self._decided = self._decide(views, kept, fresh)
        self.keep()  # a trip is on its way to the disk before anything is written to a device
        decided = self._clock.monotonic()
        done = await self._act(decision, fresh, frozen, start + _WRITE_SHARE * self._period)
        acted = self._clock.monotonic()
        conditions = [*self._guard.conditions, *self._broken, *self._device_conditions(frozen)]
        conditions += self._asking.conditions()
        if (lost := self._keeper.condition) is not None:
            conditions.append(lost)
        if self._box is not None:
            conditions += self._box.conditions()
        events = (
            *self._pending,
            *self._guard.take_events(),
            *self._alarms.update(conditions, frozen, kept.wall_ns),
        )
        self._pending = []
        if self._box is not None:
            self._box.notice(events, frozen)
        self.keep()
        for event in events:
            log.log(_LEVELS[event.severity], "%s: %s", event.code, event.message)
        end = self._clock.monotonic()
        record = CycleRecord(
            image=kept,
            decision=decision,
            outcome=_together(done),
            verified=all(one.verified for one in done.values()),
            fed=any(one.fed for one in done.values()),
            timing=CycleTiming(
                late=start - planned,
                read=frozen - start,
                decide=decided - frozen,
                write=acted - decided,
                total=end - start,
                guard=decided - asked,
                record=end - acted,
            ),
            events=events,
            texts=self._texts(),
        )
        self._recorder.append(record)
        self._tell(record)
        self._count(record)
        self._cycle_failed = ""
        failures = [
            self._failed,
            *(c.message for c in self._broken),
            *(hand.take_failure() for hand in self._hands),
        ]
        self._pulse.beat(
            record,
            self.active,
            failed="; ".join(filter(None, failures)),
            stuck="; ".join(filter(None, (hand.stuck for hand in self._hands))),
        )
        return record

    def keep(self) -> None:
        """Hand over what must survive a restart, where it changed."""
        if (revision := self._keeper.tick()) is not None:
            self._guard.settled(revision)

    async def release(self, within: float = 0.8) -> str:
        """End external control of every device at a clean stop. Returns in words what came of it."""
        problems = await asyncio.gather(*(hand.release(within) for hand in self._hands))
        if not any(problems):
            return "control handed back to the device" if self._hands else "the device was never commanded"
        return "; ".join(
            f"{hand.name}: {problem}" if hand.name else problem
            for hand, problem in zip(self._hands, problems, strict=True)
            if problem
        )

    async def _read(self) -> frozenset[str]:
        """Read, or go on reading, for a share of the period. The units of which a reading was completed meanwhile."""
        complete = {hand.name for hand in self._hands if hand.take_reading()}  # that ended between the ticks
        if self._hands:
            readings = {hand.read() for hand in self._hands}
            await asyncio.wait(readings, timeout=_READ_SHARE * self._period)
        complete |= {hand.name for hand in self._hands if hand.take_reading()}
        for hand in self._hands:
            if hand.connection_changed(self._note):
                complete.discard(hand.name)
        return frozenset(complete)

    async def _act(
        self, decision: Decision, fresh: frozenset[str], frozen: float, deadline: float
    ) -> dict[str, Done]:
        """Let every hand do its part; a slow device costs only its own."""
        told = {unit.unit: unit for unit in decision.units}
        self._broken = []
        acts = [
            self._act_alone(
                hand, hand.act(told[hand.name], fresh=hand.name in fresh, frozen=frozen, deadline=deadline)
            )
            for hand in self._hands
        ]
        done = [await acts[0]] if len(acts) == 1 else await asyncio.gather(*acts)
        return {hand.name: one for hand, one in zip(self._hands, done, strict=True)}

    async def _act_alone(self, hand: Hand, act: Coroutine[Any, Any, Done]) -> Done:
        """An error in one device's part costs the others nothing; it itself is told zero, or falls back."""
        try:
            return await act
        except Exception as error:
            message = f"command failed: {type(error).__name__}: {error}"
            message = f"{hand.name}: {message}" if hand.name else message
            if message != self._act_failed.get(hand.name):
                log.exception("command failed")
            self._act_failed[hand.name] = message
            with contextlib.suppress(Exception):  # nobody knows what the device has: zero, and proved anew
                self._guard.connection_changed(hand.name)
            point = hand.name or None
            self._broken.append(
                Condition(code="cycle_failed", severity=Severity.ALARM, message=message, point=point)
            )
            return Done()

    def _decide(self, views: dict[str, ProcessImage], kept: ProcessImage, fresh: frozenset[str]) -> Decision:
        """The guard's decision; the safe state when it fails, and after a cycle that did not come to its end.

        Such a cycle may have fed the device before it failed, and would do so again, unrecorded and unwatched.
        """
        if self._cycle_failed:
            return self._guard.fall_back(self._cycle_failed)
        try:
            decision = self._guard.decide(views, self._book.live(kept.monotonic), fresh=fresh)
        except Exception as error:
            message = f"decision failed: {type(error).__name__}: {error}"
            if message != self._failed:
                log.exception("decision failed")
            self._failed = message
            return self._guard.fall_back(message)
        self._failed = ""
        return decision

    def _tell(self, record: CycleRecord) -> None:
        if self.heard is not None:
            try:
                self.heard(record)
                self._unheard = ""
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                if message != self._unheard:  # once, not each cycle
                    log.exception("the live feed failed")
                self._unheard = message

    def _freeze(self) -> tuple[dict[str, ProcessImage], ProcessImage]:
        """What control looks at, and what is recorded: everything once a second, the plant's part in between."""
        now, images = self._clock.monotonic(), self._plant.images
        if now - self._whole_at < _WHOLE - 0.5 * self._period and not self._plant.site.whole_view:
            views, part = images.quick(self.stats.cycles)
            self.view = next(iter(views.values())) if len(views) == 1 else self.view
            return views, part
        self._whole_at = now
        whole = self.whole = images.whole(self.stats.cycles)
        self.view = images.view(whole)
        return images.views(whole), whole

    def _device_conditions(self, now: float) -> list[Condition]:
        """What is wrong with the devices, looked at once a second."""
        if now - self._looked_at >= 1.0 - 0.5 * self._period:
            self._looked_at = now
            self._devices = [*self._plant.conditions(), *self.watch()]
        return self._devices

    def _texts(self) -> dict[str, str]:
        if len(self._hands) == 1:
            return dict(self._hands[0].driver.texts)
        return {f"{h.name}.{key}": text for h in self._hands for key, text in h.driver.texts.items()}

    def _count(self, record: CycleRecord) -> None:
        self.last = record
        self.stats.count(record)

    def _note(self, code: str, severity: Severity, message: str) -> None:
        self.note(self._event(code, severity, message))

    def _event(self, code: str, severity: Severity, message: str) -> Event:
        return Event(code=code, severity=severity, message=message, wall_ns=self._clock.wall_ns())


def _together(done: dict[str, Done]) -> WriteOutcome | None:
    """One outcome of all devices; written points carry the device's name."""
    found = [(name, one.outcome) for name, one in done.items() if one.outcome is not None]
    if not found:
        return None
    if len(found) == 1 and not found[0][0]:
        return found[0][1]
    errors = [f"{name}: {outcome.error}" for name, outcome in found if outcome.error]
    return WriteOutcome(
        verified=all(outcome.verified for _, outcome in found),
        written=tuple(
            replace(write, point=f"{name}.{write.point}")
            for name, outcome in found
            for write in outcome.written
        ),
        error="; ".join(errors) or None,
    )
