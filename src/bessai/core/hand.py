"""The cycle's hand on one commanded device: reads and writes that never hold the cycle up.

Both run as tasks that the cycle waits for only within its period, and picks up again in the next one. A write that is
still under way is never overtaken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from bessai.core.black_box import RecordedGuard
from bessai.core.guard import SafetyGuard
from bessai.drivers import UniversalDriver
from bessai.drivers.link import NO_ANSWER_YET
from bessai.model import Clock, Command, GuardState, Severity, UnitDecision, WriteOutcome
from bessai.registry.sequences import NotKnownError

log = logging.getLogger("bessai.cycle")

Note = Callable[[str, Severity, str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a device in one cycle."""

    outcome: WriteOutcome | None = None
    verified: bool = False
    """Fresh evidence in, and the device is known to have what was decided."""
    fed: bool = False


class Hand:
    """Reads and writes one device.

    Args:
        name: of the unit; empty for the only device of a site without a site file.
        driver: the device.
        guard: issues the commands.
        clock: deadlines are on its monotonic time.
    """

    def __init__(
        self, name: str, driver: UniversalDriver, guard: SafetyGuard | RecordedGuard, clock: Clock
    ) -> None:
        self.name = name
        self.driver = driver
        self.reading: asyncio.Task[bool] | None = None
        self._guard = guard
        self._clock = clock
        self._writing: asyncio.Task[WriteOutcome] | None = None
        self._command: Command | None = None
        self._connections: tuple[tuple[int, int], bool] = ((0, 0), False)
        self._overtaken = False
        self._since = {"reading": 0.0, "writing": 0.0}
        self._failed = ""

    def read(self) -> asyncio.Task[bool]:
        """The reading under way, begun now if there is none."""
        if self.reading is None:
            self._since["reading"] = self._clock.monotonic()
            self.reading = asyncio.create_task(self.driver.read_fast(), name=f"read fast {self.name}")
        return self.reading

    def take_reading(self) -> bool:
        """True when a complete reading ended since the last call."""
        if self.reading is None or not self.reading.done():
            return False
        reading, self.reading = self.reading, None
        if (error := reading.exception()) is not None:
            self._fails("reading", error)
            return False
        return reading.result()

    def take_failure(self) -> str:
        """The exception in a reading or a writing that ended since the last call, in words; empty for none."""
        failed, self._failed = self._failed, ""
        return failed

    @property
    def stuck(self) -> str:
        """What is under way for longer than the driver's own time limits allow, in words; empty for nothing."""
        now, limit = self._clock.monotonic(), self.driver.patience
        for what, task in (("reading", self.reading), ("writing", self._writing)):
            if task is not None and now - self._since[what] > limit:
                return f"{self._named(what)} is under way for more than {limit:.0f} s"
        return ""

    def connection_changed(self, note: Note) -> bool:
        """Notice a new or lost connection, and tell the guard."""
        driver = self.driver
        before, self._connections = self._connections, (driver.generation, driver.connected)
        if self._connections == before:
            return False
        self._guard.connection_changed(self.name)
        self._overtaken = self._writing is not None
        which = f"{self.name}: " if self.name else ""
        if driver.connected:
            note("device_connected", Severity.INFO, f"{which}connected to the device")
        elif before[1] or not driver.client.connected:
            why = driver.link.problem or driver.problem or "connection lost"
            why = "the connection was lost before any answer" if why == NO_ANSWER_YET else why
            note("device_disconnected", Severity.WARNING, f"{which}{why}")
        return True

    async def act(self, told: UnitDecision, *, fresh: bool, frozen: float, deadline: float) -> Done:
        """Write what was decided, see whether the device has it, and only then feed its dead-man.

        Args:
            told: what was decided for the unit.
            fresh: its evidence was read completely in this cycle.
            frozen: monotonic seconds of the image.
            deadline: monotonic seconds; what is not done then is picked up in the next cycle.
        """
        guard, name, state = self._guard, self.name, told.state
        if self._writing is not None and self._outlived(told, fresh=fresh):
            self._writing.cancel()  # it waits behind a silent device: nobody wants it to arrive later
        outcome = await self._write(lambda: guard.command(name, frozen), deadline)
        in_time = self._clock.monotonic() <= deadline  # after a stall the evidence is older than it looks
        verified = fresh and in_time and self._writing is None and (outcome is None or outcome.verified)
        if state is GuardState.MONITOR:
            return Done(outcome, verified)
        verified = verified and state is not GuardState.HOLD and guard.standing(name)
        if not verified:
            return Done(outcome)
        feed = await self._write(lambda: guard.feed(name, self._clock.monotonic()), deadline)
        verified = self._writing is None and (feed is None or feed.verified)
        return Done(outcome or feed, verified, feed is not None and feed.verified)

    def _outlived(self, told: UnitDecision, *, fresh: bool) -> bool:
        """True for a feed whose cycle is over while no new evidence came, and for more power than is allowed by now."""
        if self._command is None:
            return False
        if self._command.feed:
            return not fresh
        running = self._command.setpoint
        return bool(running) and (told.setpoint == 0.0 or told.bounds.clip(running or 0.0) != running)

    async def release(self, within: float) -> str | None:
        """End external control at a clean stop. Returns what went wrong, in words."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing}, timeout=within / 2)
        try:
            command = self._guard.release(self.name)
        except NotKnownError as error:
            return f"control could not be handed back ({error}): the device falls back by its dead-man"
        if command is None and self._writing is None:
            return "the device was never commanded"
        verified = False
        if command is not None and self.driver.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    verified = (await self.driver.write(command)).verified
        return None if verified else "control could not be handed back: the device falls back by its dead-man"

    async def _write(self, ask: Callable[[], Command | None], deadline: float) -> WriteOutcome | None:
        """Finish the command under way, then run the one that `ask` gives; wait no longer than `deadline`."""
        outcome = await self._finish(deadline)
        if self._writing is None and self.driver.connected and (command := ask()) is not None:
            self._command = command
            self._since["writing"] = self._clock.monotonic()
            self._writing = asyncio.create_task(self.driver.write(command), name=f"write {self.name}")
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
        if writing.cancelled():
            outcome = WriteOutcome(verified=False, written=(), error="overtaken by a safer decision")
        elif (error := writing.exception()) is None:
            outcome = writing.result()
        else:  # nobody knows how far it came
            self._fails("writing", error)
            why = f"{command.kind}: {type(error).__name__}: {error}"
            outcome = WriteOutcome(verified=False, written=(), error=why)
        if self._overtaken:  # it speaks of a connection that is gone
            self._overtaken = False
            outcome = replace(outcome, verified=False, error=outcome.error or "the connection changed")
        self._guard.wrote(self.name, outcome, self._clock.monotonic())
        return outcome

    def _fails(self, what: str, error: BaseException) -> None:
        """Note an exception that a driver promised not to raise."""
        log.error("%s failed", self._named(what), exc_info=error)
        self._failed = f"{self._named(what)} failed: {type(error).__name__}: {error}"

    def _named(self, what: str) -> str:
        return f"{what} {self.name}" if self.name else what
