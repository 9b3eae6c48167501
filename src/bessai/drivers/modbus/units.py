"""What the client knows of each unit behind a connection: manners, latency, and what waits for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bessai.drivers.modbus.manners import Manners
from bessai.drivers.modbus.talk import Talk

if TYPE_CHECKING:
    from bessai.drivers.modbus.batches import Batch

_MARGIN = 4.0
"""Patience is this many times the worst recent latency."""
_HALF_LIFE = 300.0
"""Seconds in which the memory of a slow reply halves: a device that stalls every few minutes stays known."""
_DEAD = 3
"""Silences in a row after which a unit is taken for dead."""
_AGE_EVERY = 5.0


class Unit:
    """One unit. Patience follows the worst recent latency: at once upwards, over minutes downwards."""

    __slots__ = (
        "_aged_at",
        "_given_up",
        "_needed",
        "ages_at",
        "manners",
        "not_before",
        "number",
        "patience",
        "pause",
        "queues",
        "silences",
        "talk",
        "window",
        "worst",
    )

    def __init__(self, number: int, manners: Manners, *, one_at_a_time: bool) -> None:
        self.number = number
        self.talk = Talk()
        self.manners = manners
        self.window = 1 if one_at_a_time else manners.outstanding
        """Requests in flight on the connection while one to this unit may join them."""
        self.pause = 0.0
        """Seconds between a reply of this unit and its next request, beside the connection's own pause."""
        self.not_before = 0.0
        """Nothing is sent to this unit earlier; loop time."""
        self.patience = manners.timeout
        """Seconds to wait for a reply; `timeout` until the first one came."""
        self.worst = 0.0
        """Seconds of the worst recent latency, or what stands for it after a time-out; 0 before the first reply."""
        self.ages_at = 0.0
        """When `worst` may fade a little again; loop time."""
        self._aged_at = 0.0
        self._given_up = 0.0
        self._needed = manners.timeout
        self.silences = 0
        """Requests in a row that were not answered in time."""
        self.queues: tuple[deque[Batch], deque[Batch], deque[Batch]] = (deque(), deque(), deque())

    def adopt(self, manners: Manners, *, one_at_a_time: bool) -> None:
        """Take manners of its own; what was learned of the latency stays."""
        self.manners = manners
        self.window = 1 if one_at_a_time else manners.outstanding
        self.pause = manners.pause
        self._measure(self._aged_at)

    def heard(self, latency: float, now: float) -> None:
        """A reply came after `latency` seconds. Needed only beyond `worst` or after `ages_at`."""
        self.silences = 0
        faded = self.worst * 2.0 ** ((self._aged_at - now) / _HALF_LIFE)
        self.worst = max(latency, faded)
        self._measure(now)

    def silent(self, sent: float, waited: float, now: float) -> None:
        """No reply came in `waited` seconds: wait twice as long, up to `timeout`, and forget that slowly.

        A unit that stays silent is probably dead, and must not hold its bus up again and again: then it gets as long
        as it needed while it was well, and only now and then all of `timeout`, in case it has become slow.
        """
        if not self.silences:
            self._needed = self.patience
        self.silences += 1
        if not self._given_up or sent - self._given_up > self.manners.timeout:
            self._given_up = sent
        if self.worst:
            self.worst = max(self.worst, min(2 * waited, self.manners.timeout) / _MARGIN)
            self._measure(now)
        if self.silences > _DEAD and self.silences % _DEAD:
            self.patience = self._needed

    def late(self, now: float) -> None:
        """A reply came that nobody waits for any more: it tells how slow the unit can be, and that it is done."""
        if self._given_up:
            self.heard(max(self.worst, min(now - self._given_up, self.manners.timeout)), now)
            self._given_up = self.not_before = 0.0

    def _measure(self, now: float) -> None:
        self._aged_at = now
        self.ages_at = now + _AGE_EVERY
        longest = self.manners.timeout
        shortest = min(self.manners.timeout_min, longest)
        self.patience = min(max(_MARGIN * self.worst, shortest), longest) if self.worst else longest
