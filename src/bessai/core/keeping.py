"""The latch and its record on disk: read at the start, written at every change, a reset only when it is durable.

latch = recovered(state, clock.wall_ns())       # tripped when the record is lost
keeper = Keeper(latch, state)
...
if (revision := keeper.tick()) is not None:     # at the end of every cycle
    latch.settled(revision)                     # resets up to here are on disk
"""

from __future__ import annotations

from collections import deque

from bessai.core.latch import Latch, from_state, to_state
from bessai.core.state_file import StateFile, StateLost
from bessai.model import Role, Trip

RECORD_LOST = "trip_record_lost"
"""Code of the trip that stands when nobody knows which trips stood."""


def recovered(state: StateFile, wall_ns: int) -> Latch:
    """The latch as it was recorded last; with a trip of the whole plant when that record is lost."""
    try:
        known = state.load()
        return Latch() if known is None else Latch(from_state(known))
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
        return latch


class Keeper:
    """Hands every change of a latch to its state file.

    Args:
        latch: what is kept.
        state: where; loaded already.
    """

    def __init__(self, latch: Latch, state: StateFile) -> None:
        self._latch = latch
        self._state = state
        self._kept = -1
        self._waiting: deque[tuple[int, int]] = deque()

    def tick(self) -> int | None:
        """Save when something changed (the first call always saves). Never blocks.

        Returns:
            The latest revision of the latch that became durable since the last call, or None.
        """
        revision = self._latch.memory.revision
        if revision != self._kept:
            self._waiting.append((self._state.save(to_state(self._latch.memory)), revision))
            self._kept = revision
        durable: int | None = None
        while self._waiting and self._state.is_durable(self._waiting[0][0]):
            durable = self._waiting.popleft()[1]
        return durable
