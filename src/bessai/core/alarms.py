"""The alarm book: conditions become events and entries of the alarm list.

Each cycle tells what is true; the book announces what began, worsened or ended. Delays and counting only concern the
announcement: what a condition does to the plant is none of the book's business and never waits for it. Four rules:

* An alarm is announced in the cycle in which it begins, whatever delay the catalogue has for its code.
* Of alarms that come together, the first carries `first_out`; alarms of the same cycle cannot be told apart, so
  each of them does.
* What begins `CHATTER` times within `STEADY` seconds chatters: announced once more as `chattering`, taken as active and
  only counted, until it stands still for `STEADY` seconds.
* A warning may be shelved. An alarm may not: it stops the plant, and a shelved warning that becomes an alarm is back at
  once. Shelving moves an entry to the end of the list and mutes nothing in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bessai.core.alarm_list import AlarmList, about, unshelve
from bessai.core.alarm_memory import AlarmMark
from bessai.model import Condition, Event, Severity
from bessai.model.catalogue import CatalogueEntry, catalogue

CHATTER = 3
"""Announced begins within `STEADY` seconds that make an alarm chatter. Judgement: two can be chance."""
STEADY = 60.0
"""Seconds without a change after which an alarm no longer chatters, and after which a lower severity counts."""

_ALARM = int(Severity.ALARM)
_AT_ONCE = (0.0, 0.0)


class AlarmBook(AlarmList):
    """Announces conditions, and keeps the alarm list.

    Args:
        rules: announcement delays by code; a code without one has none.
    """

    def __init__(self, rules: Mapping[str, CatalogueEntry] | None = None) -> None:
        super().__init__()
        rules = catalogue() if rules is None else rules
        self._delays = {code: (entry.on, entry.off) for code, entry in rules.items()}
        self._conditions: tuple[Condition, ...] = ()
        self._new_group = False
        self._dirty = False

    @property
    def active(self) -> list[Condition]:
        """What is true now, most severe first: neither delayed nor shelved."""
        found: dict[tuple[str, str | None], Condition] = {}
        for condition in self._conditions:
            known = found.get((condition.code, condition.point))
            if known is None or condition.severity > known.severity:
                found[condition.code, condition.point] = condition
        return sorted(found.values(), key=lambda condition: -condition.severity)

    def update(self, conditions: Iterable[Condition], now: float, wall_ns: int) -> list[Event]:
        """Take this cycle's conditions; returns the events of what began, worsened or ended.

        Args:
            conditions: everything that is true now.
            now: monotonic seconds.
            wall_ns: UTC nanoseconds, for people.
        """
        self._conditions = tuple(conditions)
        memory, index = self._memory, self._index
        memory.tick += 1
        tick = memory.tick
        for condition in self._conditions:
            mark = index.get((condition.code, condition.point))
            if mark is None:
                mark = AlarmMark(code=condition.code, point=condition.point, changed=now)
                index[condition.code, condition.point] = mark
                memory.marks.append(mark)
            elif mark.tick == tick and condition.severity <= mark.severity:
                continue  # told twice in one cycle: the more severe one counts
            mark.tick = tick
            if condition.severity != mark.severity:
                mark.severity = int(condition.severity)
            mark.message = condition.message
            mark.value = condition.value
        self._new_group = self._dirty = False
        events: list[Event] = []
        ends: list[Event] = []
        over: list[AlarmMark] = []
        for mark in memory.marks:
            if mark.shelved_until is not None and now >= mark.shelved_until:
                unshelve(mark)
                events.append(about("alarm_unshelved", mark, "back because its time is over", wall_ns))
            if mark.tick == tick:
                if mark.present and mark.announced and mark.severity == mark.peak and not mark.chattering:
                    mark.lower = None
                    continue
                self._there(mark, now, wall_ns, events)
            elif self._gone(mark, now, wall_ns, ends):
                over.append(mark)
        if over:
            for mark in over:
                del index[mark.code, mark.point]
            memory.marks = list(index.values())
        events += ends
        if events or self._dirty:
            self._changed()
        return events

    def _there(self, mark: AlarmMark, now: float, wall_ns: int, events: list[Event]) -> None:
        """A mark that is true in this cycle, and was not so before, or not with this severity."""
        if not mark.present:
            mark.present, mark.changed = True, now
            mark.count += 1
            mark.edges += mark.chattering
        if not mark.announced:
            delay = 0.0 if mark.severity >= _ALARM else self._delays.get(mark.code, _AT_ONCE)[0]
            if now - mark.changed >= delay:
                self._begin(mark, now, wall_ns, events)
        elif mark.severity > mark.peak:
            self._announce(mark, wall_ns, events)
        elif mark.severity == mark.peak:
            mark.lower = None
        elif mark.lower is None:
            mark.lower = now
        elif now - mark.lower >= STEADY:
            mark.peak, mark.lower, self._dirty = mark.severity, None, True
        if mark.chattering and now - mark.changed >= STEADY:
            _calm(mark, wall_ns, events)

    def _gone(self, mark: AlarmMark, now: float, wall_ns: int, events: list[Event]) -> bool:
        """A mark that is not true in this cycle. Returns True when it can be forgotten."""
        if mark.present:
            mark.present, mark.changed = False, now
            mark.edges += mark.chattering
        still = now - mark.changed
        if not mark.announced:
            return not mark.owed and mark.shelved_until is None and still >= STEADY
        delay = STEADY if mark.chattering else self._delays.get(mark.code, _AT_ONCE)[1]
        if still >= delay and now >= self._memory.settled:
            mark.announced, mark.lower, mark.ended_wall_ns = False, None, wall_ns
            events.append(_event(mark, wall_ns, active=False))
            if mark.chattering:
                _calm(mark, wall_ns, events)
        return False

    def _begin(self, mark: AlarmMark, now: float, wall_ns: int, events: list[Event]) -> None:
        mark.announced, mark.began_wall_ns, mark.peak, mark.first_out = True, wall_ns, -1, False
        self._announce(mark, wall_ns, events)
        mark.begins = [*(begin for begin in mark.begins if now - begin < STEADY), now]
        if len(mark.begins) >= CHATTER:
            mark.chattering, mark.edges, mark.begins = True, 0, []
            what = f"began {CHATTER} times within {STEADY:g} s: changes are counted until it stands still"
            events.append(about("chattering", mark, what, wall_ns, severity=Severity.WARNING))

    def _announce(self, mark: AlarmMark, wall_ns: int, events: list[Event]) -> None:
        """Its begin, or that it got worse: whoever acknowledged it before knew less."""
        became_alarm = mark.peak < _ALARM <= mark.severity
        mark.peak, mark.lower, mark.acknowledged = mark.severity, None, False
        if became_alarm:
            mark.owed = True
            if mark.shelved_until is not None:
                unshelve(mark)
                events.append(about("alarm_unshelved", mark, "back because it became an alarm", wall_ns))
            self._mark_first_out(mark)
        events.append(_event(mark, wall_ns, active=True))

    def _mark_first_out(self, mark: AlarmMark) -> None:
        """First of its group when no alarm was active after the last update."""
        if self._alarming:
            return
        if not self._new_group:
            self._new_group = True
            for other in self._memory.marks:
                other.first_out = False
        mark.first_out = True


def _calm(mark: AlarmMark, wall_ns: int, events: list[Event]) -> None:
    """It stood still for long enough."""
    state = "is there" if mark.present else "is over"
    what = f"stands still and {state}; changed {mark.edges} more times meanwhile"
    events.append(about("chattering", mark, what, wall_ns, active=False))
    mark.chattering, mark.edges, mark.begins = False, 0, []


def _event(mark: AlarmMark, wall_ns: int, *, active: bool) -> Event:
    return Event(
        code=mark.code,
        severity=Severity(mark.severity) if active else Severity.INFO,
        message=mark.message if active else f"ended: {mark.message}",
        wall_ns=wall_ns,
        active=active,
        point=mark.point,
        value=mark.value,
        first_out=active and mark.first_out,
    )
