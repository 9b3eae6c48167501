"""The SafetyGuard: the only issuer of commands.

Each cycle it checks the evidence, narrows the envelope, resolves the requests inside it and turns the result
into the writes of the profile. Unsafe or unproved means the safe state: zero power, commanded, not hoped for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bessai.core.alarms import Alarms, Condition
from bessai.core.deadman import DeadMan
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
from bessai.registry.schema import Point, WriteStep

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

    kind: str
    why: str
    times: int
    retry_at: float


def _kind(setpoint: float) -> str:
    return "zero" if setpoint == 0 else "charge" if setpoint < 0 else "discharge"


class SafetyGuard:
    """Decides, and issues what may be written.

    Args:
        profile: the device.
        limits: the plant's envelope.
        dead_man: the device's dead-man; power is granted only while it is armed.
        control: False to monitor only.
    """

    def __init__(
        self, profile: CompiledProfile, limits: Limits, dead_man: DeadMan, *, control: bool = True
    ) -> None:
        self._profile = profile
        self._dead_man = dead_man
        self._control = control
        self._check = EnvelopeCheck(profile, limits)
        self._alarms = Alarms()
        self._events: list[Event] = []
        self._state = GuardState.STARTING
        self._valid = 0
        self._began: float | None = None
        self._first = 0.0
        self._standing: tuple[str, float | None] | None = None
        self._astray_since: float | None = None
        self._told_again = 0.0
        self._touched = False
        self._known = False
        self._refusal: _Refusal | None = None

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
        envelope = self._check.check(image)
        evidence = self._profile.control.evidence if self._profile.control else ()
        self._known = self._known or any(image.good(name) is not None for name in evidence)
        astray = self._is_astray(image, envelope)
        waiting = self._waits_for_first_values(image, envelope)
        conditions = self._own_conditions(image, astray)
        coming = [c for c in envelope.conditions if self._may_come(c, image)]
        conditions += [] if waiting else [c for c in envelope.conditions if c not in coming]
        refusal = self._dead_man.refusal if self._control else None
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
            self._state = self._next_state(envelope, ready=armed and not coming, astray=astray, fresh=fresh)
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
        return _issue(kind, setpoint, (*self._dead_man.arming(), *self._fill(steps, setpoint)))

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
        self._touched = True  # also when no answer came: the device may have taken it
        refusal = self._refusal
        if not outcome.verified:
            self._standing = None
            times = refusal.times + 1 if refusal is not None and refusal.kind == command.kind else 1
            longest = _RETRY_MAX.get(command.kind, _RETRY_MAX_POWER)
            pause = 0.0 if times == 1 else min(2.0 ** min(times - 1, 8), longest)
            why = outcome.error or "not verified"
            self._refusal = _Refusal(kind=command.kind, why=why, times=times, retry_at=now + pause)
            return
        if refusal is not None and refusal.kind in {command.kind, "feed"}:
            self._refusal = None
        if not command.feed:
            self._standing = (command.kind, command.setpoint)

    def connection_changed(self) -> None:
        """The device may have forgotten what it was told."""
        self._dead_man.disarm()
        self._standing = None
        self._valid = 0
        self._refusal = None
        self._astray_since = None

    @property
    def standing(self) -> float | None:
        """The verified setpoint that the device has now, in kW; None when there is none."""
        return self._standing[1] if self._standing else None

    def _refused(self, kind: str, now: float) -> bool:
        """True while a command of this kind waits to be tried again. Another kind does not wait for it."""
        return self._refusal is not None and self._refusal.kind == kind and now < self._refusal.retry_at

    def _waits_for_first_values(self, image: ProcessImage, envelope: Envelope) -> bool:
        """True shortly after the start, while all that is wrong is that values were never read yet."""
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
                or (c.point is not None and image.quality_of(c.point) is Quality.MISSING)
                for c in envelope.conditions
            )
        )

    def _may_come(self, condition: Condition, image: ProcessImage) -> bool:
        """True for a power limit that is still on its way: slower classes are read after the fast one."""
        if self._state is not GuardState.STARTING or self._began is None:
            return False
        early = image.monotonic - self._began < 2 * START_GRACE
        point = condition.point or ""
        missing = image.quality_of(point) is Quality.MISSING
        return condition.code == "power_limit_unknown" and early and missing and point in image.layout.index

    def _next_state(self, envelope: Envelope, *, ready: bool, astray: float, fresh: bool) -> GuardState:
        control = self._profile.control
        obeys = control is None or astray < 2 * control.response_time
        if not envelope.safe or not obeys:
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

    def _is_astray(self, image: ProcessImage, envelope: Envelope) -> float:
        """Seconds for which the measured power has been away from the standing setpoint."""
        control, standing = self._profile.control, self.standing
        if control is None:
            return 0.0
        measured = image.good(control.measured)
        tolerance = control.tolerance * max(-envelope.rated.low, envelope.rated.high)
        if measured is None or tolerance == 0.0:
            return 0.0 if self._astray_since is None else image.monotonic - self._astray_since
        if standing is None or abs(measured - standing) <= tolerance:
            if standing is not None:
                self._astray_since = None
        elif self._astray_since is None:
            self._astray_since = self._told_again = image.monotonic
        if self._astray_since is None:
            return 0.0
        if image.monotonic - self._told_again >= control.response_time:
            self._told_again = image.monotonic
            self._standing = None  # say it again
        return image.monotonic - self._astray_since

    def _own_conditions(self, image: ProcessImage, astray: float) -> list[Condition]:
        """What the guard knows of its own commands: refused writes, and power that did not follow."""
        found = []
        if self._refusal is not None:
            found.append(
                Condition(
                    code="write_failed", severity=Severity.ALARM, message=f"write failed: {self._refusal.why}"
                )
            )
        control = self._profile.control
        if control is not None and astray >= control.response_time:
            found.append(
                Condition(
                    code="setpoint_not_followed",
                    severity=Severity.ALARM,
                    message=f"{control.measured} does not follow the setpoint",
                    point=control.measured,
                    value=image.good(control.measured),
                )
            )
        return found

    def _fill(self, steps: list[WriteStep], setpoint: float) -> tuple[Write, ...]:
        writes = []
        for step in steps:
            value = step.value
            if value is None:
                value = {
                    "power": setpoint,
                    "magnitude": abs(setpoint),
                    "limit": abs(setpoint),
                    "dead_man_time": self._dead_man.seconds_in(step.point),
                }[step.quantity or "power"]
            if step.quantity in {"power", "magnitude"}:
                value = _towards_zero(self._profile.points[step.point], value)
            writes.append(Write(step.point, value))
        return tuple(writes)


def _towards_zero(point: Point, value: float) -> float:
    """The nearest value that the register can hold and that is no larger."""
    step = abs(point.gain)
    return value if point.type.startswith("f") else math.trunc(round(value / step, 6)) * step
