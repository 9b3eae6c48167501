"""What was heard of one unit since the start: how fast it answers, and what went wrong."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from bessai.drivers.modbus.errors import BadReply, DeviceException, ModbusError, NoReply

RING = 256
"""Replies whose latency is kept; a power of two."""
LAST = RING - 1


class Talk:
    """Counters and the newest latencies of one unit.

    The client writes `latencies[replies & LAST]` and counts `replies` itself: a call for each reply would cost more
    than all that is kept here.
    """

    __slots__ = ("bad_replies", "error", "exceptions", "latencies", "replies", "timeouts")

    def __init__(self) -> None:
        self.latencies = array("d", bytes(8 * RING))
        """Seconds from request to reply, a ring. By `perf_counter`: the loop's clock has steps of 1 ms (uvloop)."""
        self.replies = 0
        self.timeouts = 0
        self.bad_replies = 0
        self.exceptions: dict[int, int] = {}
        """How often by code."""
        self.error: LastError | None = None

    def went_wrong(self, error: ModbusError, now: float) -> None:
        """Count an error that came at `now` (loop time)."""
        if isinstance(error, NoReply):
            self.timeouts += 1
        elif isinstance(error, DeviceException):
            self.exceptions[error.code] = self.exceptions.get(error.code, 0) + 1
        elif isinstance(error, BadReply):
            self.bad_replies += 1
        self.error = LastError(message=str(error), at=now)

    @property
    def newest(self) -> array[float]:
        """The latencies that are kept, in no order."""
        return self.latencies[: min(self.replies, RING)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """The newest error, in words."""

    message: str
    at: float
    """Loop time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds from request to reply; no time-outs are in it."""

    p50: float
    p99: float
    max: float
    count: int
    """Replies that this was measured on."""


def latency_of(talks: Iterable[Talk]) -> Latency | None:
    """Of the newest replies of some units together; None before the first one."""
    found = sorted(took for talk in talks for took in talk.newest)
    if not found:
        return None
    return Latency(p50=_ranked(found, 0.5), p99=_ranked(found, 0.99), max=found[-1], count=len(found))


def _ranked(found: list[float], share: float) -> float:
    """The smallest value that is not exceeded by this share of all."""
    return found[math.ceil(share * len(found)) - 1]
