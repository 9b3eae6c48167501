"""From events to alarms that stand: what began, worsened and ended, what somebody acknowledged or shelved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bessai.model import Event, Severity
from bessai.model.catalogue import catalogue

Kind = Literal["began", "worse", "back", "ended", "event", "reminder", "daily"]
"""Why something is told. `back`: it was shelved and is not any more. `reminder`: nobody has acknowledged it."""


@dataclass(slots=True, kw_only=True)
class Alarm:
    """An alarm or warning that stands."""

    code: str
    point: str | None
    about: str | None = None
    severity: int
    """The highest so far."""
    message: str
    value: float | None = None
    unit: str | None = None
    began_ns: int
    seen_ns: int
    """UTC nanoseconds of the newest event about it."""
    anew_ns: int | None = None
    """UTC nanoseconds from which escalation counts anew: it got worse than ever, or is not acknowledged or shelved any
    more. None: from its begin."""
    first_out: bool = False
    acknowledged: bool = False
    told: list[str] = field(default_factory=list)
    """Recipients for whom its begin was put on the way."""
    steps: dict[str, int] = field(default_factory=dict)
    """How often each step of escalation was taken, by the step's key."""

    @property
    def key(self) -> str:
        """What tells it from others."""
        return key_of(self.code, self.point, self.about)

    def begin_anew(self, wall_ns: int) -> None:
        """Whoever took note of it before knew less: people have their time again before it is escalated."""
        self.acknowledged, self.anew_ns, self.steps = False, wall_ns, {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that people may have to hear of."""

    kind: Kind
    alarm: Alarm
    ended_ns: int | None = None


def key_of(code: str, point: str | None, about: str | None = None) -> str:
    """A code at a point; of an event about an alarm, the alarm's code too."""
    return "|".join((code, point or "", about or ""))


@dataclass(slots=True)
class Standing:
    """What stands, and what is shelved whether it stands or not. Plain data."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    shelved: list[str] = field(default_factory=list)

    @property
    def maintenance(self) -> Alarm | None:
        """Somebody has the plant in maintenance."""
        return next((alarm for alarm in self.alarms.values() if alarm.code == "maintenance_on"), None)

    def open(self) -> list[Alarm]:
        """What stands and nobody has taken note of, most severe first; without what nobody can acknowledge."""
        found = [
            alarm
            for alarm in self.alarms.values()
            if alarm.about is None and not alarm.acknowledged and alarm.key not in self.shelved
        ]
        return sorted(found, key=lambda alarm: (-alarm.severity, alarm.began_ns))

    def take(self, event: Event, unit: str | None = None) -> Change | None:
        """Note an event; returns what changed for people, None when nothing did."""
        if event.code in _ABOUT and event.about is not None:
            changed = self._touched(event)
            return changed if changed is not None else self._momentary(event, unit)
        key = key_of(event.code, event.point, event.about)
        if not event.active:
            alarm = self.alarms.pop(key, None)
            return None if alarm is None else Change(kind="ended", alarm=alarm, ended_ns=event.wall_ns)
        if not _lasts(event.code):
            return self._momentary(event, unit)
        alarm = self.alarms.get(key)
        if alarm is None:
            alarm = self.alarms[key] = _alarm(event, unit)
            return self._heard("began", alarm)
        if event.wall_ns <= alarm.seen_ns and event.severity <= alarm.severity:
            return None  # known from the gateway's own list, or read once more
        worse = event.severity > alarm.severity
        if worse or alarm.acknowledged:  # not each time: what comes and goes is escalated all the same
            alarm.begin_anew(event.wall_ns)
        alarm.severity = max(alarm.severity, int(event.severity))
        alarm.message, alarm.value, alarm.seen_ns = event.message, event.value, event.wall_ns
        alarm.unit = unit or alarm.unit
        return self._heard("worse" if worse else "began", alarm)

    def reconcile(self, listed: Iterable[Mapping[str, Any]], now_ns: int) -> list[Change]:
        """Compare with the gateway's own list: records may have been dropped, or written before this began.

        Args:
            listed: the answer to `{"op": "alarms"}`.
            now_ns: UTC nanoseconds.
        """
        changes: list[Change] = []
        active = {
            key_of(str(one["code"]), one["point"]): one
            for one in listed
            if one["active"] and _lasts(str(one["code"]))
        }
        self.shelved = [key_of(str(one["code"]), one["point"]) for one in listed if one["state"] == "shelved"]
        for key, alarm in list(self.alarms.items()):
            # what the list does not keep, such as `chattering` about another alarm, ends by its own event alone
            if key not in active and alarm.about is None:
                del self.alarms[key]
                changes.append(Change(kind="ended", alarm=alarm, ended_ns=now_ns))
        for key, one in active.items():
            severity, value = int(Severity[str(one["severity"]).upper()]), one.get("value")
            value = float(value) if isinstance(value, int | float) else None
            kind: Kind | None = None
            known = self.alarms.get(key)
            if known is None:
                kind, known = "began", Alarm(
                    code=str(one["code"]), point=one["point"], message=str(one["message"]), severity=severity,
                    began_ns=int(one["began_wall_ns"]), seen_ns=int(one["began_wall_ns"]),
                    first_out=bool(one.get("first_out")), value=value,
                )  # fmt: skip
                self.alarms[key] = known
            elif severity > known.severity:
                kind = "worse"
                known.severity, known.message, known.value = severity, str(one["message"]), value
                known.begin_anew(now_ns)
            known.acknowledged = one["state"] == "acknowledged"
            change = None if kind is None or known.acknowledged else self._heard(kind, known)
            changes += [change] if change is not None else []
        return changes

    def _heard(self, kind: Kind, alarm: Alarm) -> Change | None:
        return None if alarm.key in self.shelved else Change(kind=kind, alarm=alarm)

    def _momentary(self, event: Event, unit: str | None) -> Change | None:
        return Change(kind="event", alarm=_alarm(event, unit)) if event.active else None

    def _touched(self, event: Event) -> Change | None:
        """Somebody did something to an alarm."""
        key = key_of(str(event.about), event.point)
        alarm = self.alarms.get(key)
        if event.code == "alarm_acknowledged":
            if alarm is not None:
                alarm.acknowledged = True
        elif event.code == "alarm_shelved":
            if key not in self.shelved:
                self.shelved.append(key)
        else:
            self.shelved = [one for one in self.shelved if one != key]
            if alarm is not None:
                alarm.begin_anew(event.wall_ns)
                return Change(kind="back", alarm=alarm)
        return None


_ABOUT = frozenset({"alarm_acknowledged", "alarm_shelved", "alarm_unshelved"})
"""What people do to an alarm."""


def _lasts(code: str) -> bool:
    """It begins and ends; what the catalogue does not know happens once."""
    entry = catalogue().get(code)
    return entry is not None and entry.condition


def _alarm(event: Event, unit: str | None) -> Alarm:
    return Alarm(
        code=event.code, point=event.point, about=event.about, severity=int(event.severity),
        message=event.message, value=None if event.value is None else float(event.value), unit=unit,
        began_ns=event.wall_ns, seen_ns=event.wall_ns, first_out=event.first_out,
    )  # fmt: skip
