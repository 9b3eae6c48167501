"""One commanded device as the guard knows it: what it may do now, what it was told, and what must be written next.

A unit decides nothing about who gets power; it says what is safe, and turns a setpoint into the profile's writes.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from bessai.core.deadman import DeadMan
from bessai.core.effect import Effect, EffectCheck, ReactiveCheck
from bessai.core.envelope import Envelope, EnvelopeCheck
from bessai.core.limits import Limits
from bessai.core.unit_memory import (
    GRANTING,
    SAFE_STATES,
    Issued,
    Memory,
    Refusal,
    disobedience,
    may_come,
    waits_for_first_values,
)
from bessai.core.write_limit import WriteLimit
from bessai.model import Condition, GuardState, ProcessImage, Severity, Trip, Write, WriteOutcome
from bessai.registry import CompiledProfile
from bessai.registry.commands import WriteStep
from bessai.registry.sequences import NotKnownError, fill

VALID_CYCLES = 3
"""Complete cycles before power is granted, after a start and after every hold."""

RISES = 600
"""Rises of the setpoint that a device bears a minute where its profile says nothing: one in each 100 ms cycle."""

_RETRY_MAX = {"zero": 2.0}
_RETRY_MAX_POWER = 10.0


def kind_of(setpoint: float) -> str:
    """The profile's sequence for a setpoint in kW."""
    return "zero" if setpoint == 0 else "charge" if setpoint < 0 else "discharge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one image says of a unit."""

    envelope: Envelope
    effect: Effect
    conditions: tuple[Condition, ...]
    trips: tuple[Trip, ...]
    waiting: bool
    coming: bool
    refusal: str | None


class Unit:
    """One commanded device.

    Args:
        profile: the device.
        limits: its battery's envelope.
        dead_man: its dead-man; power is granted only while it is armed.
        name: of the device; empty for the only one of a site without a site file.
        control: False to monitor only.
        foreign: points of its view that are measured by other devices.
        power_min: smallest power in kW, besides zero, that it can run at.
        capacity: kWh behind it, where the site file tells it.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        limits: Limits,
        dead_man: DeadMan,
        *,
        name: str = "",
        control: bool = True,
        foreign: Container[str] = (),
        power_min: float = 0.0,
        capacity: float | None = None,
    ) -> None:
        self.name = name
        self.profile = profile
        self.limits = limits
        self.dead_man = dead_man
        self.power_min = power_min
        self.curves = [(limit.point, limit.charge.points, limit.discharge.points) for limit in limits.states]
        self.trip_levels = limits.trip_levels
        """With `curves`, what the second look judges a setpoint by."""
        self.capacity = capacity
        self.image: ProcessImage | None = None
        self.check = EnvelopeCheck(profile, limits)
        self._control = control
        evidence = profile.control.evidence if profile.control else ()
        self._foreign = foreign
        self._own_evidence = tuple(name for name in evidence if name not in foreign)
        self._effect = EffectCheck(profile.control)
        self._reactive_effect = ReactiveCheck(profile.control)
        self._rises = WriteLimit(profile.control.write_interval if profile.control else 0.0, RISES)
        self._memory = Memory()
        self.memory = Memory(
            dead_man=dead_man.memory,
            effect=self._effect.memory,
            reactive_effect=self._reactive_effect.memory,
            envelope=self.check.memory,
            rises=self._rises.memory,
        )

    @property
    def memory(self) -> Memory:
        """What is kept between cycles."""
        return self._memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self._memory = memory
        self.dead_man.memory = memory.dead_man
        self._effect.memory = memory.effect
        self._reactive_effect.memory = memory.reactive_effect
        self.check.memory = memory.envelope
        self._rises.memory = memory.rises

    @property
    def standing(self) -> float | None:
        """The verified setpoint that the device has now, in kW; None when there is none."""
        return None if self._memory.kind is None else self._memory.setpoint

    @property
    def controllable(self) -> bool:
        """True when power may be commanded at all: it is wanted, and the device has a dead-man."""
        return self._control and self.dead_man.refusal is None

    @property
    def withheld(self) -> bool:
        """True while a dead-man test keeps the gateway from writing."""
        return self._memory.withheld_until is not None

    def look(self, image: ProcessImage) -> Look:
        """What this image says: what is allowed, what is wrong, what must latch."""
        self.image = image
        memory = self._memory
        self.dead_man.observe(image)
        envelope = self.check.check(image)
        memory.known = memory.known or any(image.good(name) is not None for name in self._own_evidence)
        withheld = self.withheld
        effect = Effect() if withheld else self._effect.check(image, self.standing, envelope.rated)
        kvar = None if withheld or memory.kind is None else memory.reactive
        off = self._reactive_effect.check(image, kvar)
        if effect.repeat:
            memory.kind = None
        control = self.profile.control
        measured = None if control is None else control.measured
        trips = [*envelope.trips, *disobedience(memory, effect, image, measured)]
        waiting = waits_for_first_values(memory, image, envelope, self._foreign)
        coming = [c for c in envelope.conditions if may_come(memory, c, image)]
        conditions = [*effect.conditions, *off, *self._own_conditions()]
        conditions += [] if waiting else [c for c in envelope.conditions if c not in coming]
        refusal = (self.dead_man.refusal or _blind(image)) if self._control else None
        if refusal is not None:
            message = f"control refused: {refusal}"
            conditions.append(Condition(code="control_refused", severity=Severity.ALARM, message=message))
        return Look(
            envelope=envelope,
            effect=effect,
            conditions=tuple(conditions),
            trips=tuple(trips),
            waiting=waiting,
            coming=bool(coming),
            refusal=refusal,
        )

    def judge(self, look: Look, *, fresh: bool, tripped: bool, maintenance: bool) -> GuardState:
        """The unit's state in this cycle."""
        memory = self._memory
        if not self._control or look.refusal is not None:
            memory.state = GuardState.MONITOR
        elif tripped or maintenance:
            memory.state = GuardState.TRIPPED if tripped else GuardState.MAINTENANCE
            memory.valid = 0
        elif look.waiting:
            memory.state = GuardState.STARTING
        else:
            now = look_time(self.image)
            safe = look.envelope.safe and not look.effect.disobeys and not self.dead_man.idle
            ready = (self.dead_man.armed(now) or self.withheld) and not look.coming
            memory.state = self._next_state(look.envelope, safe=safe, ready=ready, fresh=fresh)
        if self.withheld and self._ends_test(look.envelope):
            self.resume()
            memory.state = GuardState.HOLD if memory.state in GRANTING else memory.state  # to be proved anew
        return memory.state

    def may_write(self, now: float) -> bool:
        """True when the device bears another rise of its setpoint now; counts it."""
        return self._rises.allows("power", True, now)

    def withhold(self, until: float) -> None:
        """Write nothing until a monotonic time, or until the unit is no longer safe: a dead-man test."""
        self._memory.withheld_until = until

    def resume(self) -> None:
        """End a dead-man test: the device is told anew."""
        self._memory.withheld_until = None
        self.connection_changed()

    def _ends_test(self, envelope: Envelope) -> bool:
        """Whether a dead-man test is over: late, no longer safe, or at a power that is no longer allowed."""
        has, bounds = self.standing, envelope.bounds
        fits = has is None or bounds.clip(has) == has
        return not fits or self._memory.state not in GRANTING or look_time(self.image) >= self._until

    def stop_test(self) -> None:
        """End a dead-man test for the sake of safety: zero, until the dead-man is proved again."""
        self.resume()
        if self._memory.state in GRANTING:
            self._memory.state = GuardState.HOLD

    def fall_back(self) -> GuardState:
        """The state of a unit in a cycle without a decision."""
        memory = self._memory
        memory.valid = 0
        memory.state = GuardState.MONITOR if self.watched else GuardState.HOLD
        if self.withheld:
            self.resume()
        return memory.state

    @property
    def watched(self) -> bool:
        """True when it is never commanded: by configuration, or because it cannot be controlled safely."""
        blind = self.image is not None and _blind(self.image) is not None
        return not self._control or self.dead_man.refusal is not None or blind

    @property
    def _until(self) -> float:
        until = self._memory.withheld_until
        return 0.0 if until is None else until

    def writes(self, setpoint: float, reactive: float | None) -> tuple[Write, ...]:
        """What tells the device a setpoint (kW) and a reactive power (kvar).

        Raises:
            NotKnownError: a value that the sequence is made of is not known now.
        """
        control = self.profile.control
        if control is None:
            raise NotKnownError(f"{self.profile.id} cannot be commanded")
        steps = {"zero": control.zero, "charge": control.charge, "discharge": control.discharge}
        own = self._fill(steps[kind_of(setpoint)], setpoint, 0.0)
        if control.reactive is not None and reactive is not None:
            kvar = self._fill(control.reactive, setpoint, reactive)
            own = (*own, *kvar) if setpoint == 0 else (*kvar, *own)  # a refused kvar never keeps zero from it
        return (*self.dead_man.arming(), *own)

    def stop_writes(self) -> tuple[Write, ...] | None:
        """What ends external control; None when the gateway never wrote to the device."""
        if self.profile.control is None or not self._memory.touched:
            return None
        return self._fill(self.profile.control.stop, 0.0, 0.0)

    def issued(self, kind: str, setpoint: float | None, reactive: float | None, *, feed: bool) -> None:
        """Note that a command was issued."""
        memory = self._memory
        memory.touched = memory.touched or not feed  # also when no answer will come: the device may take it
        memory.issued = Issued(kind, setpoint, reactive, feed)

    def wrote(self, outcome: WriteOutcome, now: float) -> None:
        """Learn what became of the command under way."""
        memory = self._memory
        issued, memory.issued = memory.issued, None
        if issued is None:
            return
        self.dead_man.wrote(outcome.written, now, verified=outcome.verified, feed=issued.feed)
        if not outcome.verified:
            memory.kind = None
            self.refuse(issued.kind, outcome.error or "not verified", now)
            return
        memory.refusals.pop(issued.kind, None)
        memory.refusals.pop("feed", None)
        if not issued.feed:
            memory.kind, memory.setpoint, memory.reactive = issued.kind, issued.setpoint, issued.reactive

    def refuse(self, kind: str, why: str, now: float) -> None:
        """Note that a command of a kind failed; the next try waits longer each time."""
        refusals = self._memory.refusals
        times = refusals[kind].times + 1 if kind in refusals else 1
        longest = _RETRY_MAX.get(kind, _RETRY_MAX_POWER)
        pause = 0.0 if times == 1 else min(2.0 ** min(times - 1, 8), longest)
        refusals[kind] = Refusal(why, times, now + pause)

    def refused(self, kind: str, now: float) -> bool:
        """True while a command of this kind waits to be tried again. Another kind does not wait for it."""
        refusals = self._memory.refusals
        return kind in refusals and now < refusals[kind].retry_at

    def connection_changed(self) -> None:
        """The device may have forgotten what it was told."""
        self.dead_man.disarm()
        memory = self._memory
        memory.kind = None
        memory.valid = 0
        memory.refusals.clear()

    def _next_state(self, envelope: Envelope, *, safe: bool, ready: bool, fresh: bool) -> GuardState:
        memory = self._memory
        if not safe:
            memory.valid = 0
            return GuardState.HOLD
        memory.valid += fresh
        if memory.valid < VALID_CYCLES or not ready:
            return GuardState.HOLD if memory.state in SAFE_STATES else GuardState.STARTING
        return GuardState.DERATED if envelope.bounds != envelope.rated else GuardState.NORMAL

    def _own_conditions(self) -> list[Condition]:
        conditions = []
        if refusals := self._memory.refusals:
            why = "; ".join(f"{kind} refused: {r.why}" for kind, r in refusals.items())
            conditions.append(Condition(code="write_failed", severity=Severity.ALARM, message=why))
        if self.dead_man.idle:
            message = "the device shows no time left right after it was fed: its dead-man does not run"
            conditions.append(Condition(code="dead_man_idle", severity=Severity.ALARM, message=message))
        elif self.dead_man.unseen:
            message = "the device has not shown yet that its dead-man runs: no power"
            conditions.append(Condition(code="dead_man_unseen", severity=Severity.WARNING, message=message))
        return conditions

    def _fill(self, steps: list[WriteStep], setpoint: float, reactive: float) -> tuple[Write, ...]:
        values = fill(steps, self.profile.points, setpoint, self.dead_man.time, self._good, reactive)
        return tuple(Write(point, value) for point, value in values)

    def _good(self, name: str) -> float | None:
        return None if self.image is None else self.image.good(name)


def look_time(image: ProcessImage | None) -> float:
    """Monotonic seconds of an image."""
    return 0.0 if image is None else image.monotonic


def _blind(image: ProcessImage) -> str | None:
    """Why nobody here knows the battery that would be commanded, or None."""
    if "soc" in image.layout.index:
        return None
    return "no device here tells a state of charge; describe the battery (BMS) as a device of a site file"
