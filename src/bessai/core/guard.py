"""The SafetyGuard: the only issuer of commands.

Each cycle it checks the evidence, narrows the envelope, resolves the requests inside it and turns the result
into the writes of the profile. Unsafe or unproved means the safe state: zero power, commanded, not hoped for.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessai.core.alarms import Alarms, Condition
from bessai.core.deadman import DeadMan
from bessai.core.envelope import Envelope, EnvelopeCheck
from bessai.core.limits import Limits
from bessai.core.requests import RequestBook
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
from bessai.registry.schema import WriteStep

VALID_CYCLES = 3
"""Complete cycles before power is granted, after a start and after every hold."""

START_GRACE = 10
"""Cycles after the start in which a value that was never read yet is waited for, not alarmed."""

_RETRY_MAX = 10.0
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
        self._grace = START_GRACE
        self._standing: tuple[str, float | None] | None = None
        self._deadline = float("inf")
        self._refusal: _Refusal | None = None

    @property
    def active(self) -> list[Condition]:
        """The conditions that hold now, most severe first."""
        return self._alarms.active

    def take_events(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def decide(self, image: ProcessImage, book: RequestBook) -> Decision:
        """The setpoint of this cycle, and why."""
        envelope = self._check.check(image)
        waiting = self._waits_for_first_values(image, envelope)
        conditions = self._own_conditions(image, envelope)
        conditions += () if waiting else envelope.conditions
        refusal = self._dead_man.refusal if self._control else None
        if refusal is not None:
            conditions.append(
                Condition(
                    code="control_refused", severity=Severity.ALARM, message=f"control refused: {refusal}"
                )
            )
        self._events += self._alarms.update(conditions, image.wall_ns)
        monitor = not self._control or refusal is not None
        self._state = self._next_state(envelope, monitor=monitor, waiting=waiting)
        reasons = tuple(c.message for c in conditions if c.severity >= Severity.WARNING)
        if self._state is GuardState.MONITOR:
            return Decision(state=self._state, setpoint=None, bounds=_ZERO, reasons=reasons)
        granted = self._state in {GuardState.NORMAL, GuardState.DERATED}
        resolution = book.resolve(envelope.bounds if granted else _ZERO, image.monotonic)
        winner = resolution.winner
        limited = list(resolution.limited_by)
        setpoint = round(resolution.power, 3) + 0.0  # no negative zero
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
        if setpoint is None or self._profile.control is None:
            return None
        kind = _kind(setpoint)
        safe_state_due = decision.state is GuardState.HOLD and self._dead_man.due(now)
        if self._standing == (kind, setpoint) and self._dead_man.armed and not safe_state_due:
            return None
        if self._refused(kind, now):
            return None
        # A second look, written differently: whatever went wrong above, no power leaves its bounds.
        low, high = decision.bounds.low, decision.bounds.high
        if kind != "zero" and not (
            decision.state in {GuardState.NORMAL, GuardState.DERATED}
            and self._dead_man.armed
            and low <= setpoint <= high
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
        if not self._dead_man.armed or not self._dead_man.due(now):
            return None
        writes = self._dead_man.feeding()
        return _issue("feed", None, writes, feed=True) if writes else None

    def release(self) -> Command | None:
        """What ends external control at a clean stop; None when the gateway never took it."""
        if self._profile.control is None or self._standing is None:
            return None
        return _issue("stop", None, self._fill(self._profile.control.stop, 0.0))

    def wrote(self, command: Command, outcome: WriteOutcome, now: float) -> None:
        """Learn what became of a command."""
        self._dead_man.wrote(outcome.written, now, verified=outcome.verified)
        refusal = self._refusal
        if not outcome.verified:
            self._standing = None
            times = refusal.times + 1 if refusal is not None and refusal.kind == command.kind else 1
            pause = 0.0 if times == 1 else min(2.0 ** (times - 1), _RETRY_MAX)
            why = outcome.error or "not verified"
            self._refusal = _Refusal(kind=command.kind, why=why, times=times, retry_at=now + pause)
            return
        if refusal is not None and refusal.kind in {command.kind, "feed"}:
            self._refusal = None
        if not command.feed:
            standing = (command.kind, command.setpoint)
            if standing != self._standing and self._profile.control is not None:
                self._deadline = now + self._profile.control.response_time
            self._standing = standing

    def connection_changed(self) -> None:
        """The device may have forgotten what it was told."""
        self._dead_man.disarm()
        self._standing = None
        self._valid = 0
        self._refusal = None

    @property
    def standing(self) -> float | None:
        """The verified setpoint that the device has now, in kW; None when there is none."""
        return self._standing[1] if self._standing else None

    def _refused(self, kind: str, now: float) -> bool:
        """True while a command of this kind waits to be tried again. Another kind does not wait for it."""
        return self._refusal is not None and self._refusal.kind == kind and now < self._refusal.retry_at

    def _waits_for_first_values(self, image: ProcessImage, envelope: Envelope) -> bool:
        """True shortly after the start, while all that is wrong is that values were never read yet."""
        self._grace = 0 if envelope.safe else max(0, self._grace - 1)
        lost = [c for c in envelope.conditions if c.code == "evidence_lost"]
        return (
            self._grace > 0
            and bool(lost)
            and all(
                c.severity < Severity.ALARM
                or (c.point is not None and image.quality_of(c.point) is Quality.MISSING)
                for c in envelope.conditions
            )
        )

    def _next_state(self, envelope: Envelope, *, monitor: bool, waiting: bool) -> GuardState:
        if monitor:
            return GuardState.MONITOR
        self._valid = self._valid + 1 if envelope.safe else 0
        if waiting:
            return GuardState.STARTING
        if not envelope.safe:
            return GuardState.HOLD
        if self._valid < VALID_CYCLES or not self._dead_man.armed:
            return GuardState.HOLD if self._state is GuardState.HOLD else GuardState.STARTING
        return GuardState.DERATED if envelope.bounds != envelope.rated else GuardState.NORMAL

    def _own_conditions(self, image: ProcessImage, envelope: Envelope) -> list[Condition]:
        """What the guard knows of its own commands: refused writes, and power that did not follow."""
        found = []
        if self._refusal is not None:
            found.append(
                Condition(
                    code="write_failed", severity=Severity.ALARM, message=f"write failed: {self._refusal.why}"
                )
            )
        control = self._profile.control
        setpoint = self.standing
        if control is None or setpoint is None or image.monotonic < self._deadline:
            return found
        measured = image.good(control.measured)
        tolerance = control.tolerance * max(-envelope.rated.low, envelope.rated.high)
        if measured is not None and tolerance > 0 and abs(measured - setpoint) > tolerance:
            found.append(
                Condition(
                    code="setpoint_not_followed",
                    severity=Severity.ALARM,
                    message=f"{control.measured} does not follow the setpoint",
                    point=control.measured,
                    value=measured,
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
            writes.append(Write(step.point, value))
        return tuple(writes)
