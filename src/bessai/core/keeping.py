"""What survives a restart, the latch and the alarm list: read at the start, written at every change.

keeper = take_up(state, clock)                  # tripped when the record is lost
...
if (revision := keeper.tick()) is not None:     # at the end of every cycle
    guard.settled(revision)                     # resets up to here are on disk
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from bessai.core.alarm_memory import AlarmMemory
from bessai.core.alarms import AlarmBook
from bessai.core.latch import Latch, from_state, to_state
from bessai.core.state_file import StateFile, StateLost
from bessai.model import Clock, Condition, Role, Severity, Trip

log = logging.getLogger("bessai.state")

RECORD_LOST = "trip_record_lost"
"""Code of the trip that stands when nobody knows which trips stood."""


class Keeper:
    """Hands every change to a state file.

    Args:
        latch: what is kept.
        state: where; loaded already.
        alarms: what else is kept.
    """

    def __init__(self, latch: Latch, state: StateFile, alarms: AlarmBook | None = None) -> None:
        self.latch = latch
        self.alarms = alarms or AlarmBook()
        self._state = state
        self._kept = (-1, -1)
        self._waiting: deque[tuple[int, int]] = deque()

    @property
    def condition(self) -> Condition | None:
        """What is wrong with keeping, None while nothing is."""
        problem = self._state.problem
        if problem is None:
            return None
        message = f"trips and alarms would not survive a power cut: {problem}"
        return Condition(code="state_not_kept", severity=Severity.WARNING, message=message)

    def tick(self) -> int | None:
        """Save when something changed (the first call always saves). Never blocks.

        Returns:
            The latest revision of the latch that became durable since the last call, or None.
        """
        now = (self.latch.memory.revision, self.alarms.memory.revision)
        if now != self._kept:
            kept = {**to_state(self.latch.memory), "alarms": self.alarms.memory.to_plain()}
            self._waiting.append((self._state.save(kept), now[0]))
            self._kept = now
        durable: int | None = None
        while self._waiting and self._state.is_durable(self._waiting[0][0]):
            durable = self._waiting.popleft()[1]
        return durable


def take_up(state: StateFile, clock: Clock) -> Keeper:
    """The keeper of what was recorded last; tripped when that record is lost."""
    latch, known = _read(state, clock.wall_ns())
    alarms = AlarmBook()
    try:
        if "alarms" in known:
            alarms.memory = AlarmMemory.from_plain(known["alarms"])
            alarms.resume(clock.monotonic(), clock.wall_ns())
    except ValueError as error:  # who acknowledged what is no matter of safety
        log.warning("the alarm list begins anew: %s", error)
        alarms = AlarmBook()
    return Keeper(latch, state, alarms)


def recovered(state: StateFile, wall_ns: int) -> Latch:
    """The latch as it was recorded last; with a trip of the whole plant when that record is lost."""
    return _read(state, wall_ns)[0]


def _read(state: StateFile, wall_ns: int) -> tuple[Latch, Mapping[str, Any]]:
    try:
        known = state.load()
        return (Latch(), {}) if known is None else (Latch(from_state(known)), known)
    except (StateLost, ValueError) as error:
        if isinstance(error, ValueError):
            state.reject()
        latch = Latch()
        latch.trip(
            Trip(
                code=RECORD_LOST,
                unit="",
                plant_wide=True,
                message=f"which trips stood is not known: {error}; check the plant, then reset as engineer",
                wall_ns=wall_ns,
                reset=Role.ENGINEER,
            )
        )
        return latch, {}
