"""What the gateway records, kept only as far as an invariant or a statistic needs it."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b

from bessai.model import CycleRecord, Event

_LINE = struct.Struct(">qdd??d")


class SimDisk:
    """A recorder that forgets. `trace` is fed with every cycle."""

    def __init__(self, trace: blake2b) -> None:
        self.trace = trace
        self.cycles = 0
        self.verified = 0
        self.fed = 0
        self.states: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.gaps = 0
        """Records whose number did not follow the one before."""
        self.dishonest = 0
        """Records that say that the dead-man was fed in a cycle that was not complete."""
        self.last: CycleRecord | None = None
        self.recorded: Callable[[CycleRecord], None] | None = None
        """Told of each record."""
        self._number = -1

    def restarted(self) -> None:
        """The gateway's numbers begin anew."""
        self._number = -1

    def append(self, record: CycleRecord) -> None:
        """Take one record."""
        number = record.image.cycle
        self.gaps += number != self._number + 1
        self._number = number
        self.dishonest += record.fed and not record.verified
        self.cycles += 1
        self.verified += record.verified
        self.fed += record.fed
        decision = record.decision
        self.states[decision.state.value] += 1
        for event in record.events:
            self.append_event(event)
        self.last = record
        if self.recorded is not None:
            self.recorded(record)
        setpoint = decision.setpoint
        self.trace.update(
            _LINE.pack(
                number, record.image.monotonic, record.timing.total, record.verified, record.fed,
                -1e9 if setpoint is None else setpoint,
            )
        )  # fmt: skip

    def append_event(self, event: Event) -> None:
        """Take one event."""
        self.events[event.code] += 1
        self.trace.update(f"{event.code} {event.active} {event.wall_ns} {event.message}".encode())
