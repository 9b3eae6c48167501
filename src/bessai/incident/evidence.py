"""What the journal knows of the time around an incident."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bessai.journal import JournalReader
from bessai.model import Event, Severity

MOST_EVENTS = 500
"""Events that a draft lists. Of more, the less severe go first, then the later; the summary counts all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """How often a code was said."""

    code: str
    severity: Severity
    """The worst one."""
    count: int
    """How often it began."""
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The events of a time, and how much of that time the journal holds."""

    first_ns: int
    """UTC nanoseconds, beginning of the time looked at."""
    last_ns: int
    """UTC nanoseconds, its end."""
    events: tuple[Event, ...]
    """In order of the journal, at most `MOST_EVENTS`, see there."""
    omitted: int
    """Events beyond those."""
    alarms: Mapping[str, Alarm]
    """By code, most severe first."""
    acts: tuple[Event, ...]
    """Events that a named person or system caused, the last `MOST_EVENTS`."""
    records: int
    """Records that were read."""
    gaps: tuple[str, ...]
    """Why the journal may not tell everything of that time; empty: nothing is known to be missing."""


def gather(reader: JournalReader, first_ns: int, last_ns: int) -> Evidence:
    """Read the journal between two moments.

    Raises:
        JournalError: it cannot be read.
    """
    kept: tuple[list[tuple[int, Event]], list[tuple[int, Event]]] = ([], [])  # severe, and not
    acts: deque[Event] = deque(maxlen=MOST_EVENTS)
    alarms: dict[str, Alarm] = {}
    records = seen = lost = 0
    before: tuple[int, int] | None = None
    for entry in reader.read_between(first_ns, last_ns):
        records += 1
        if before is not None and before[0] == entry.epoch and entry.sequence > before[1] + 1:
            lost += entry.sequence - before[1] - 1
        before = (entry.epoch, entry.sequence)
        for event in entry.events:
            if event.user:
                acts.append(event)
            if event.active:
                alarms[event.code] = _counted(alarms.get(event.code), event)
            some = kept[event.severity < Severity.WARNING]
            if len(some) < MOST_EVENTS:
                some.append((seen, event))
            seen += 1
    listed = sorted((kept[0] + kept[1])[:MOST_EVENTS], key=lambda item: item[0])
    worst_first = sorted(alarms.values(), key=lambda alarm: (-alarm.severity, alarm.first_ns))
    return Evidence(
        first_ns=first_ns,
        last_ns=last_ns,
        events=tuple(event for _, event in listed),
        omitted=seen - len(listed),
        alarms={alarm.code: alarm for alarm in worst_first},
        acts=tuple(acts),
        records=records,
        gaps=tuple(_gaps(reader, first_ns, records, lost)),
    )


def _counted(alarm: Alarm | None, event: Event) -> Alarm:
    if alarm is None:
        return Alarm(
            code=event.code, severity=event.severity, count=1, first_ns=event.wall_ns, last_ns=event.wall_ns
        )
    return Alarm(
        code=alarm.code,
        severity=max(alarm.severity, event.severity),
        count=alarm.count + 1,
        first_ns=min(alarm.first_ns, event.wall_ns),
        last_ns=max(alarm.last_ns, event.wall_ns),
    )


def _gaps(reader: JournalReader, first_ns: int, records: int, lost: int) -> list[str]:
    """Codes of what may be missing: see `draft.GAPS`."""
    stats = reader.stats()
    gaps = []
    if not records:
        gaps.append("empty")
    elif stats.first_wall_ns > first_ns:
        gaps.append("begins_later")
    if lost:
        gaps.append("not_all_records")
    if stats.damaged:
        gaps.append("damaged")
    if stats.dropped_events:
        gaps.append("dropped")
    return gaps
