"""The alarm list: what stands, what waits to be acknowledged, what is shelved, and what people do about it."""

from __future__ import annotations

from typing import Any

from bessai.core.alarm_entry import AlarmEntry, AlarmState, state_of
from bessai.core.alarm_memory import AlarmMark, AlarmMemory
from bessai.model import Event, Severity

SHELVE_MAX = 12 * 3600.0
"""Longest shelving in seconds. Judgement: nobody inherits it from the shift before the last."""
SETTLE = 20.0
"""Seconds after a restart in which no end is announced: slow values are still coming. Judgement, like the guard's."""

_TEXT = 128
_ALARM = int(Severity.ALARM)


class AlarmList:
    """Keeps the alarms, and takes what people do about them. Each of their actions is an event to record.

    Only a warning can be shelved: an alarm stops the plant or says that it cannot be controlled.
    """

    def __init__(self) -> None:
        self.memory = AlarmMemory()

    @property
    def memory(self) -> AlarmMemory:
        """Everything that the book remembers."""
        return self._memory

    @memory.setter
    def memory(self, memory: AlarmMemory) -> None:
        self._memory = memory
        self._index: dict[tuple[str, str | None], AlarmMark]
        self._index = {(mark.code, mark.point): mark for mark in memory.marks}
        self._alarming = self._any_alarm()

    def resume(self, now: float, wall_ns: int) -> None:
        """Take up a memory of an earlier run, whose monotonic times mean nothing here.

        What stood then is held until its values had time to come, so that neither it nor its acknowledgement begins
        anew. Shelving goes on for what is left of it by the clock of the wall, and never longer than `SHELVE_MAX`.
        """
        memory = self._memory
        memory.settled = now + SETTLE
        for mark in memory.marks:
            mark.present, mark.changed, mark.begins = False, now, []
            mark.lower = None if mark.lower is None else now
            if mark.shelved_until is not None:
                left = (mark.shelved_until_wall_ns - wall_ns) / 1e9
                mark.shelved_until = now + min(max(left, 0.0), SHELVE_MAX)

    @property
    def entries(self) -> list[AlarmEntry]:
        """The alarm list: what stands, what waits to be acknowledged, and last what is shelved."""
        marks = self._memory.marks
        entries = [AlarmEntry.of(mark) for mark in marks if state_of(mark) is not AlarmState.NORMAL]
        return sorted(entries, key=lambda entry: entry.rank)

    def as_plain(self) -> list[dict[str, Any]]:
        """The alarm list for JSON."""
        return [entry.as_plain() for entry in self.entries]

    def acknowledge(
        self, code: str, point: str | None = None, *, user: str, reason: str, now: float, wall_ns: int
    ) -> Event:
        """Note that a person knows of an alarm. `point` may be left out where the code stands at one point only.

        Raises:
            ValueError: no such alarm, acknowledged already, or no user or reason.
        """
        user, reason = _text("user", user), _text("reason", reason)
        mark = self._find(code, point)
        if mark.acknowledged:
            raise ValueError(f"{name_of(mark)} was acknowledged already, by {mark.acknowledged_by}")
        if state_of(mark) is AlarmState.SHELVED and not mark.announced:
            raise ValueError(f"{name_of(mark)} is over and shelved: there is nothing to acknowledge")
        mark.acknowledged, mark.owed = True, False
        mark.acknowledged_by, mark.acknowledged_why, mark.acknowledged_wall_ns = user, reason, wall_ns
        self._changed()
        return about("alarm_acknowledged", mark, f"acknowledged by {user}: {reason}", wall_ns, user=user)

    def shelve(
        self,
        code: str,
        point: str | None = None,
        *,
        user: str,
        reason: str,
        seconds: float,
        now: float,
        wall_ns: int,
    ) -> Event:
        """Put a warning at the end of the list for a time, at most `SHELVE_MAX` seconds.

        Raises:
            ValueError: no such warning, an alarm, a time out of range, or no user or reason.
        """
        user, reason = _text("user", user), _text("reason", reason)
        if not 0 < seconds <= SHELVE_MAX:
            raise ValueError(f"for={seconds:g}: shelve for more than 0 and at most {SHELVE_MAX:g} s (12 h)")
        mark = self._find(code, point)
        if mark.owed or (mark.announced and mark.peak >= _ALARM):
            raise ValueError(
                f"{name_of(mark)} is an alarm, and only a warning can be shelved: acknowledge it, remove its cause"
            )
        mark.shelved_until, mark.shelved_until_wall_ns = now + seconds, wall_ns + round(seconds * 1e9)
        mark.shelved_by, mark.shelved_why = user, reason
        self._changed()
        return about(
            "alarm_shelved", mark, f"shelved for {seconds:g} s by {user}: {reason}", wall_ns, user=user
        )

    def unshelve(
        self, code: str, point: str | None = None, *, user: str, reason: str, now: float, wall_ns: int
    ) -> Event:
        """Bring a shelved warning back before its time.

        Raises:
            ValueError: no such alarm, one that is not shelved, or no user or reason.
        """
        user, reason = _text("user", user), _text("reason", reason)
        mark = self._find(code, point)
        if mark.shelved_until is None:
            raise ValueError(f"{name_of(mark)} is not shelved")
        unshelve(mark)
        self._changed()
        return about("alarm_unshelved", mark, f"taken back by {user}: {reason}", wall_ns, user=user)

    def _find(self, code: str, point: str | None) -> AlarmMark:
        listed = [mark for mark in self._memory.marks if state_of(mark) is not AlarmState.NORMAL]
        ours = [mark for mark in listed if mark.code == code]
        if not ours:
            codes = ", ".join(sorted({mark.code for mark in listed})) or "nothing"
            raise ValueError(f"code={code}: not in the alarm list, which has {codes}")
        exact = [mark for mark in ours if mark.point == point]
        if exact:
            return exact[0]
        points = ", ".join(sorted(str(mark.point or "(none)") for mark in ours))
        if point is not None:
            raise ValueError(f"point={point}: {code} is in the alarm list with {points}")
        if len(ours) > 1:
            raise ValueError(f"{code} is in the alarm list more than once: give the point, one of {points}")
        return ours[0]

    def _any_alarm(self) -> bool:
        return any(mark.announced and mark.peak >= _ALARM for mark in self._memory.marks)

    def _changed(self) -> None:
        self._memory.revision += 1
        self._alarming = self._any_alarm()


def about(
    code: str,
    mark: AlarmMark,
    what: str,
    wall_ns: int,
    *,
    user: str | None = None,
    severity: Severity = Severity.INFO,
    active: bool = True,
) -> Event:
    """An event of its own about an alarm."""
    return Event(
        code=code,
        severity=severity,
        message=f"{name_of(mark)}: {what}",
        wall_ns=wall_ns,
        active=active,
        point=mark.point,
        about=mark.code,
        user=user,
    )


def unshelve(mark: AlarmMark) -> None:
    """Back in its place, and to be looked at anew."""
    mark.shelved_until, mark.acknowledged = None, False


def name_of(mark: AlarmMark) -> str:
    """The alarm in words."""
    return mark.code if mark.point is None else f"{mark.code} of {mark.point}"


def _text(name: str, value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise ValueError(f"{name} is empty: say who does it and why, both are recorded")
    if len(text) > _TEXT or not text.isprintable():
        raise ValueError(f"{name}: give one line of at most {_TEXT} characters")
    return text
