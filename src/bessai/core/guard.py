"""The SafetyGuard: the only issuer of commands.

Each cycle it checks the evidence, narrows the envelope, resolves the requests inside it and turns the result
into the writes of the profile. Unsafe or unproved means the safe state: zero power, commanded, not hoped for.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass

from bessai.core.alarms import Alarms
from bessai.core.conditions import Condition
from bessai.core.deadman import DeadMan
from bessai.core.effect import EffectCheck
from bessai.core.envelope import Envelope, EnvelopeCheck
from bessai.core.limits import Limits
from bessai.core.requests import RequestBook, Resolution
from bessai.model import (
    Bounds,
    Command,
    Decision,
    Event,
    GuardState,
    ProcessImage,
    Quality,
    Severity,
    Write,
    WriteOutcome,
)
from bessai.model.command import _issue
from bessai.registry import CompiledProfile
from bessai.registry.commands import WriteStep
from bessai.registry.sequences import NotKnownError, fill

VALID_CYCLES = 3
"""Complete cycles before power is granted, after a start and after every hold."""

START_GRACE = 10.0
"""Seconds after the start in which a value that was never read yet is waited for, not alarmed."""

_RETRY_MAX = {"zero": 2.0}
_RETRY_MAX_POWER = 10.0
_DEADBAND = 0.005
"""Share of the rated power by which a clipped setpoint must rise before it is written again."""

_ZERO = Bounds(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Commands of one kind that the device did not take."""

    why: str
    times: int
    retry_at: float


def _blind(image: ProcessImage) -> str | None:
    """Why nobody here knows the battery that would be commanded, or None."""
    if "soc" in image.layout.index:
        return None
    return "no device here tells a state of charge; describe the battery (BMS) as a device of a site file"


def _kind(setpoint: float) -> str:
    return "zero" if setpoint == 0 else "charge" if setpoint < 0 else "discharge"


class SafetyGuard:
    """Decides, and issues what may be written.

    Args:
        profile: the device.
        limits: the plant's envelope.
        dead_man: the device's dead-man; power is granted only while it is armed.
        control: False to monitor only.
        foreign: points that are measured by other devices than the commanded one.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        limits: Limits,
        dead_man: DeadMan,
        *,
        control: bool = True,
        foreign: Container[str] = (),
    ) -> None:
        self._profile = profile
        self._dead_man = dead_man
        self._control = control
        evidence = profile.control.evidence if profile.control else ()
        self._foreign = foreign
        self._own_evidence = tuple(name for name in evidence if name not in foreign)
        self._check = EnvelopeCheck(profile, limits)
        self._effect = EffectCheck(profile.control)
        self._alarms = Alarms()
        self._events: list[Event] = []
        self._state = GuardState.STARTING
        self._valid = 0
        self._began: float | None = None
        self._first = 0.0
        self._standing: tuple[str, float | None] | None = None
        self._touched = False
        self._known = False
        self._image: ProcessImage | None = None
        self._refusals: dict[str, _Refusal] = {}

    @property
    def active(self) -> list[Condition]:
        """The conditions that hold now, most severe first."""
        return self._alarms.active

    def take_events(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def decide(self, image: ProcessImage, book: RequestBook, *, fresh: bool = True) -> Decision:
        """The setpoint of this cycle, and why. `fresh`: the evidence was read since the last cycle."""
        self._image = image
        self._dead_man.observe(image)
        envelope = self._check.check(image)
        self._known = self._known or any(image.good(name) is not None for name in self._own_evidence)
        effect = self._effect.check(image, self.standing, envelope.rated)
        if effect.repeat:
            self._standing = None
        waiting = self._waits_for_first_values(image, envelope)
        conditions = list(effect.conditions)
        if self._refusals:
            why = "; ".join(f"{kind} refused: {r.why}" for kind, r in self._refusals.items())
            conditions.append(Condition(code="write_failed", severity=Severity.ALARM, message=why))
        if self._dead_man.idle:
            message = "the device shows no time left right after it was fed: its dead-man does not run"
            conditions.append(Condition(code="dead_man_idle", severity=Severity.ALARM, message=message))
        elif self._dead_man.unseen:
            message = "the device has not shown yet that its dead-man runs: no power"
            conditions.append(Condition(code="dead_man_unseen", severity=Severity.WARNING, message=message))
        coming = [c for c in envelope.conditions if self._may_come(c, image)]
        conditions += [] if waiting else [c for c in envelope.conditions if c not in coming]
        refusal = (self._dead_man.refusal or _blind(image)) if self._control else None
        if refusal is not None:
            conditions.append(
                Condition(
                    code="control_refused", severity=Severity.ALARM, message=f"control refused: {refusal}"
                )
            )
        self._events += self._alarms.update(conditions, image.wall_ns)
        monitor = not self._control or refusal is not None
        armed = self._dead_man.armed(image.monotonic)
        if monitor:
            self._state = GuardState.MONITOR
        elif waiting:
            self._state = GuardState.STARTING
        else:
            safe = envelope.safe and not effect.disobeys and not self._dead_man.idle
            self._state = self._next_state(envelope, safe=safe, ready=armed and not coming, fresh=fresh)
        reasons = tuple(c.message for c in conditions if c.severity >= Severity.WARNING)
        if self._state is GuardState.MONITOR:
            return Decision(state=self._state, setpoint=None, bounds=_ZERO, reasons=reasons)
        granted = self._state in {GuardState.NORMAL, GuardState.DERATED}
        resolution = book.resolve(envelope.bounds if granted else _ZERO, image.monotonic)
        winner = resolution.winner
        limited = list(resolution.limited_by)
        setpoint = self._settled(resolution, envelope)
        if setpoint and self._refused(_kind(setpoint), image.monotonic):
            setpoint = 0.0
            limited.append("refused")
        if winner is not None and winner.power is not None and resolution.power != winner.power:
            limited += envelope.limited_by
            limited += ["plant"] if granted and envelope.rated.clip(winner.power) != winner.power else []
            limited += [] if granted else [self._state.value]
        return Decision(
            state=self._state,
            setpoint=setpoint,
            bounds=resolution.bounds,
            asked=winner.power if winner else None,
            source=winner.source if winner else None,
            request_id=(winner.id or None) if winner else None,
            limited_by=tuple(dict.fromkeys(limited)),
            reasons=reasons,
        )

    def command(self, decision: Decision, now: float) -> Command | None:
        """What must be written for this decision now; None when the device already has it."""
        setpoint = decision.setpoint
        if setpoint is None or self._profile.control is None or not self._known:
            return None  # no good value ever: this may not be our device at all
        kind = _kind(setpoint)
        safe_state_due = decision.state is GuardState.HOLD and self._dead_man.due(now)
        armed = self._dead_man.armed(now)
        if self._standing == (kind, setpoint) and armed and not safe_state_due:
            return None
        if self._refused(kind, now):
            return None
        # A second look, written differently: whatever went wrong above, no power leaves its bounds.
        low, high = decision.bounds.low, decision.bounds.high
        if kind != "zero" and not (
            decision.state in {GuardState.NORMAL, GuardState.DERATED} and armed and low <= setpoint <= high
        ):
            kind, setpoint = "zero", 0.0
        steps = {
            "zero": self._profile.control.zero,
            "charge": self._profile.control.charge,
            "discharge": self._profile.control.discharge,
        }[kind]
        try:
            writes = (*self._dead_man.arming(), *self._fill(steps, setpoint))
        except NotKnownError as error:
            self._refuse(kind, str(error), now)
            return None
        self._touched = True  # also when no answer will come: the device may take it
        return _issue(kind, setpoint, writes)

    def feed(self, now: float) -> Command | None:
        """What keeps the dead-man alive; to be asked only at the end of a complete, verified cycle."""
        if not self._dead_man.armed(now) or not self._dead_man.due(now):
            return None
        writes = self._dead_man.feeding()
        return _issue("feed", None, writes, feed=True) if writes else None

    def release(self) -> Command | None:
        """What ends external control at a clean stop; None when the gateway never wrote to the device."""
        if self._profile.control is None or not self._touched:
            return None
        return _issue("stop", None, self._fill(self._profile.control.stop, 0.0))

    def wrote(self, command: Command, outcome: WriteOutcome, now: float) -> None:
        """Learn what became of a command."""
        self._dead_man.wrote(outcome.written, now, verified=outcome.verified, feed=command.feed)
        if not outcome.verified:
            self._standing = None
            self._refuse(command.kind, outcome.error or "not verified", now)
            return
        self._refusals.pop(command.kind, None)
        self._refusals.pop("feed", None)
        if not command.feed:
            self._standing = (command.kind, command.setpoint)

    def connection_changed(self) -> None:
        """The device may have forgotten what it was told."""
        self._dead_man.disarm()
        self._standing = None
        self._valid = 0
        self._refusals.clear()

    @property
    def standing(self) -> float | None:
        """The verified setpoint that the device has now, in kW; None when there is none."""
        return self._standing[1] if self._standing else None

    def _refuse(self, kind: str, why: str, now: float) -> None:
        """Note that a command of this kind did not work; the next attempt waits longer each time."""
        times = self._refusals[kind].times + 1 if kind in self._refusals else 1
        longest = _RETRY_MAX.get(kind, _RETRY_MAX_POWER)
        pause = 0.0 if times == 1 else min(2.0 ** min(times - 1, 8), longest)
        self._refusals[kind] = _Refusal(why=why, times=times, retry_at=now + pause)

    def _refused(self, kind: str, now: float) -> bool:
        """True while a command of this kind waits to be tried again. Another kind does not wait for it."""
        return kind in self._refusals and now < self._refusals[kind].retry_at

    def _waits_for_first_values(self, image: ProcessImage, envelope: Envelope) -> bool:
        """True shortly after the start, while all that is wrong is that values were not read yet.

        A plant's first round may take some seconds, in which the first values already age. Until the evidence was
        whole for the first time no power is granted anyway.
        """
        if self._began is None:
            self._began = self._first = image.monotonic
        if envelope.safe:
            self._first = -START_GRACE
        lost = [c for c in envelope.conditions if c.code == "evidence_lost"]
        return (
            image.monotonic - self._first < START_GRACE
            and bool(lost)
            and all(
                c.severity < Severity.ALARM
                or (c.point is not None and self._not_yet(c.point, image.quality_of(c.point)))
                for c in envelope.conditions
            )
        )

    def _not_yet(self, point: str, quality: Quality) -> bool:
        return quality is Quality.MISSING or (quality is Quality.STALE and point in self._foreign)

    def _may_come(self, condition: Condition, image: ProcessImage) -> bool:
        """True for a power limit that is still on its way: slower classes are read after the fast one."""
        if self._state is not GuardState.STARTING or self._began is None:
            return False
        early = image.monotonic - self._began < 2 * START_GRACE
        point = condition.point or ""
        missing = image.quality_of(point) is Quality.MISSING
        return condition.code == "power_limit_unknown" and early and missing and point in image.layout.index

    def _next_state(self, envelope: Envelope, *, safe: bool, ready: bool, fresh: bool) -> GuardState:
        if not safe:
            self._valid = 0
            return GuardState.HOLD
        self._valid += fresh
        if self._valid < VALID_CYCLES or not ready:
            return GuardState.HOLD if self._state is GuardState.HOLD else GuardState.STARTING
        return GuardState.DERATED if envelope.bounds != envelope.rated else GuardState.NORMAL

    def _settled(self, resolution: Resolution, envelope: Envelope) -> float:
        """The setpoint in whole watts, towards zero; a clipped one does not follow every flicker upwards."""
        power = math.trunc(round(resolution.power * 1000, 6)) / 1000
        setpoint = resolution.bounds.clip(power) + 0.0  # no negative zero
        standing = self.standing
        wanted = resolution.winner.power if resolution.winner else None
        if standing and wanted is not None and setpoint != wanted and standing * setpoint > 0:
            rise = abs(setpoint) - abs(standing)
            band = _DEADBAND * max(-envelope.rated.low, envelope.rated.high)
            if 0 < rise < band and resolution.bounds.clip(standing) == standing:
                return standing
        return setpoint

    def _fill(self, steps: list[WriteStep], setpoint: float) -> tuple[Write, ...]:
        values = fill(steps, self._profile.points, setpoint, self._dead_man.time, self._good)
        return tuple(Write(point, value) for point, value in values)

    def _good(self, name: str) -> float | None:
        return None if self._image is None else self._image.good(name)
