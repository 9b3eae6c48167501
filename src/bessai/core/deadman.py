"""The device's own dead-man, as far as the gateway can prove it.

It is armed by a write that was read back, fed only when the guard says that a cycle was complete, and no
longer armed as soon as its time has passed unfed or the connection changes: a device that was away may have
forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bessai.model import ProcessImage, Write
from bessai.registry import CompiledProfile
from bessai.registry.commands import (
    DurationDeadMan,
    HeartbeatDeadMan,
    NoDeadMan,
    RewriteDeadMan,
    TimeoutDeadMan,
)

_SEEN_AFTER = 1.0
"""Seconds after a feed in which the device need not show it yet."""
_IDLE = 2
"""Readings without time left after which the timer is not believed to run."""


@dataclass(slots=True)
class Memory:
    """What is known of the dead-man between cycles."""

    proved: bool = False
    last_fed: float | None = None
    first_fed: float | None = None
    last_written: dict[str, float] = field(default_factory=dict)
    beat: int = 0
    counts: bool = False
    idle: int = 0


class DeadMan:
    """State of one device's dead-man.

    Args:
        profile: the device.
        heartbeat: wanted seconds between feeds; the profile may ask for more.
        cycle: seconds of a cycle; feeds happen at the end of cycles only.
    """

    def __init__(self, profile: CompiledProfile, heartbeat: float, cycle: float = 1.0) -> None:
        self._profile = profile
        self._spec = profile.dead_man
        self._cycle = cycle
        self.memory = Memory()
        interval = getattr(self._spec, "feed_interval", 0.0)
        self.interval = max(heartbeat, interval)
        none = self._spec is None or isinstance(self._spec, NoDeadMan)
        self.time: float = 0.0 if none else getattr(self._spec, "time", 0.0)
        """Seconds of silence until the device falls back."""
        self.remaining: str | None = getattr(self._spec, "remaining", None)
        """The point that shows the seconds left, None where the device shows none."""
        self.refusal = self._refusal()
        """Why this device must not be controlled, or None."""

    def _refusal(self) -> str | None:
        if self._profile.control is None:
            return f"profile {self._profile.id} has no control section"
        if self._spec is None or isinstance(self._spec, NoDeadMan):
            return f"{self._profile.id} has no dead-man: it would keep the last command forever"
        interval = math.ceil(self.interval / self._cycle - 1e-9) * self._cycle
        if interval > self._spec.time / 2:
            return (
                f"a heartbeat every {interval:g} s is too slow for a dead-man of {self._spec.time:g} s; "
                f"set WATCHDOG_TIMEOUT and CYCLE_TIME to {self._spec.time / 2:g} or less"
            )
        return None

    def observe(self, image: ProcessImage) -> None:
        """Compare the timer that the device shows with what it was told; one that stands at 0 is not believed."""
        name, memory = self.remaining, self.memory
        if name is None or memory.last_fed is None or not memory.proved:
            return
        left = image.good(name)
        if left is None:
            return
        since = memory.last_fed if memory.counts else memory.first_fed or memory.last_fed
        if 0 < left <= self.time:
            memory.counts, memory.idle = True, 0
        elif image.times[image.layout.index[name]] - since > _SEEN_AFTER:
            memory.idle += 1

    @property
    def idle(self) -> bool:
        """True when the device shows that its timer does not run although it was just fed."""
        return self.memory.idle >= _IDLE

    @property
    def unseen(self) -> bool:
        """True when it was fed and the device has not shown yet that its timer runs."""
        waits = self.remaining is not None and not self.memory.counts
        return waits and self.memory.proved and not self.idle

    def armed(self, now: float) -> bool:
        """True while the device is known to be counting down: proved, fed within its time, and not seen standing."""
        if not self.memory.proved or self.memory.last_fed is None or self.idle:
            return False
        counts = self.memory.counts or self.remaining is None
        return counts and now - self.memory.last_fed < self.time

    def seconds_in(self, point: str) -> float:
        """The dead-man's time in the unit (s or min) of a point."""
        return self.time / (60.0 if self._profile.points[point].unit == "min" else 1.0)

    def arming(self) -> tuple[Write, ...]:
        """What must be written before (and with) a command to arm it."""
        if isinstance(self._spec, TimeoutDeadMan):
            return (Write(self._spec.point, self.seconds_in(self._spec.point)),)
        if isinstance(self._spec, HeartbeatDeadMan):
            return self._next_beat(self._spec)
        return ()  # a duration is part of each sequence; a re-write arms itself

    def feeding(self) -> tuple[Write, ...]:
        """The writes of one feed; empty when nothing was commanded yet."""
        if isinstance(self._spec, HeartbeatDeadMan):
            return self._next_beat(self._spec)
        if isinstance(self._spec, DurationDeadMan | TimeoutDeadMan | RewriteDeadMan):
            return tuple(
                Write(point, self.memory.last_written[point])
                for point in self._spec.feed
                if point in self.memory.last_written
            )
        return ()

    @property
    def kind(self) -> str:
        """The profile's kind of dead-man; `none` where it has none."""
        return self._spec.kind if self._spec is not None else "none"

    @property
    def fallback(self) -> str:
        """What the device does when it falls back, in the profile's words."""
        return self._spec.fallback if self._spec is not None else ""

    def fed_age(self, now: float) -> float | None:
        """Seconds since it was last fed, None when never."""
        return None if self.memory.last_fed is None else now - self.memory.last_fed

    def due(self, now: float) -> bool:
        """True when the device should be fed now."""
        return self.memory.last_fed is None or now - self.memory.last_fed >= self.interval - 1e-3

    def wrote(self, writes: tuple[Write, ...], now: float, *, verified: bool, feed: bool = False) -> None:
        """Note the acknowledged writes of a command or of a feed; verified ones prove and feed the dead-man."""
        if not feed:
            self.memory.last_written = {}  # a feed repeats the present command, never an earlier one
        self.memory.last_written.update({write.point: write.value for write in writes})
        self.memory.proved = verified
        feeds = getattr(self._spec, "feed", None) or [getattr(self._spec, "point", None)]
        if verified and any(write.point in feeds for write in writes):
            self.memory.last_fed = now
            self.memory.first_fed = self.memory.first_fed or now

    def disarm(self) -> None:
        """The device may have forgotten everything."""
        self.memory.proved = self.memory.counts = False
        self.memory.last_fed = self.memory.first_fed = None
        self.memory.idle = 0

    def _next_beat(self, spec: HeartbeatDeadMan) -> tuple[Write, ...]:
        self.memory.beat = (self.memory.beat + 1) % spec.modulo
        return (Write(spec.point, float(self.memory.beat)),)
