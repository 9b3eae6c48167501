"""Batches of requests, and the order in which they are served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import cast

from bessai.drivers.modbus.errors import ModbusError, NoReply, NotSent
from bessai.drivers.modbus.pdu import Request
from bessai.drivers.modbus.units import Unit

Reply = bytes | ModbusError


class Urgency(IntEnum):
    """Which batch goes first when several wait."""

    WRITE = 0
    FAST = 1
    SLOW = 2


class Batch:
    """Requests to one unit that share one future. It is done when each has its reply or its error."""

    __slots__ = ("future", "loop", "missing", "replies", "requests", "sent", "serial", "unit", "until")

    def __init__(
        self, unit: Unit, requests: Sequence[Request], serial: bool, until: float | None = None
    ) -> None:
        self.unit = unit
        self.requests = requests
        self.serial = serial
        self.replies: list[Reply | None] = [None] * len(requests)
        self.missing = len(requests)
        self.sent = 0
        self.until = until
        """Monotonic seconds after which no further request is sent."""
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Reply]] = self.loop.create_future()

    def settle(self, index: int, reply: Reply) -> None:
        """One request has its reply. After silence, a failure in a serial batch, or `until`, the rest is not sent."""
        self.replies[index] = reply
        self.missing -= 1
        late = self.until is not None and self.loop.time() > self.until
        if late or (not isinstance(reply, bytes) and (self.serial or isinstance(reply, NoReply))):
            why = "the time for it is over" if late else "an earlier request of the batch failed"
            for rest in range(self.sent, len(self.requests)):
                self.replies[rest] = NotSent(why)
                self.missing -= 1
            self.sent = len(self.requests)
        if self.missing == 0 and not self.future.done():
            self.future.set_result(cast("list[Reply]", self.replies))

    def fail(self, error: ModbusError) -> None:
        """The connection is gone: what was sent gets `error`, the rest was not sent."""
        if self.future.done():
            return
        unsent = NotSent(str(error))
        self.future.set_result(
            [
                reply if reply is not None else error if i < self.sent else unsent
                for i, reply in enumerate(self.replies)
            ]
        )


_PATIENCE = 16
"""Requests that a slow batch lets pass before one of its own goes first: a fast class may leave no gap at all."""

_ORDER = (Urgency.WRITE, Urgency.FAST, Urgency.SLOW)
_SLOW_ORDER = (Urgency.WRITE, Urgency.SLOW, Urgency.FAST)


class BatchQueue:
    """Waiting batches by urgency; units of the same urgency take turns, request by request."""

    __slots__ = ("_passed", "_ring", "_rings", "held_until")

    def __init__(self) -> None:
        self._rings: tuple[deque[Unit], ...] = (deque(), deque(), deque())
        self._ring = self._rings[0]
        self._passed = 0
        self.held_until: float | None = None
        """When the first unit may be spoken to again that `next` had to pass over; None: there was none."""

    def add(self, batch: Batch, urgency: Urgency) -> None:
        """Put a batch behind those of its unit and urgency."""
        queue = batch.unit.queues[urgency]
        if not queue:
            ring = self._rings[urgency]
            if batch.unit not in ring:
                ring.append(batch.unit)
        queue.append(batch)

    def remove(self, batch: Batch, urgency: Urgency) -> None:
        """Take a batch out, if it is still there."""
        if batch in batch.unit.queues[urgency]:
            batch.unit.queues[urgency].remove(batch)

    def next(self, now: float) -> Batch | None:
        """The batch whose turn it is; call `turn_over` once one of its requests was sent."""
        self.held_until = None
        for urgency in _SLOW_ORDER if self._passed >= _PATIENCE else _ORDER:
            ring = self._rings[urgency]
            turns = len(ring)
            while turns:
                turns -= 1
                unit = ring[0]
                queue = unit.queues[urgency]
                while queue:
                    batch = queue[0]
                    if batch.sent < len(batch.requests) and not batch.future.done():
                        break
                    queue.popleft()
                else:
                    ring.popleft()
                    continue
                if unit.not_before <= now:
                    self._ring = ring
                    return batch
                if self.held_until is None or unit.not_before < self.held_until:
                    self.held_until = unit.not_before
                ring.rotate(-1)
        return None

    def turn_over(self) -> bool:
        """Let the next unit of the same urgency have its turn. False: there is no other."""
        waits = self._ring is not self._rings[Urgency.SLOW] and self._rings[Urgency.SLOW]
        self._passed = self._passed + 1 if waits else 0
        if len(self._ring) < 2:
            return False
        self._ring.rotate(-1)
        return True

    def drain(self) -> Iterator[Batch]:
        """All waiting batches; the queue is empty then."""
        for urgency, ring in enumerate(self._rings):
            for unit in ring:
                yield from unit.queues[urgency]
                unit.queues[urgency].clear()
            ring.clear()
