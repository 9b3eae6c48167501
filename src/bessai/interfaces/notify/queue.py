"""What waits for a channel: one line an alarm, however often it came and went meanwhile; all of it plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from bessai.interfaces.notify.standing import Change, Kind
from bessai.model import Severity

MOST_LINES = 300
"""Lines that wait for a channel; what comes beyond is counted. Judgement: nobody reads a longer message."""
_BURST = 3
"""Messages that go out without a pause before the pace of `at_most` counts. The last of them is kept for alarms."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0
"""Seconds between attempts at a channel that fails: they double from the one to the other."""


@dataclass(slots=True, kw_only=True)
class Line:
    """One thing to tell."""

    kind: Kind
    code: str = ""
    """Of the daily message there is none."""
    point: str | None = None
    about: str | None = None
    severity: int
    message: str
    value: float | None = None
    unit: str | None = None
    began_ns: int
    ended_ns: int | None = None
    count: int = 1
    """How often it came; of the daily message, how many alarms and warnings began since the one before."""
    first_out: bool = False
    queued: float
    """Seconds since 1970 since when it waits."""
    anew_ns: int | None = None
    """Since when nobody has acknowledged it, when that is not its begin."""
    again: bool = False
    """It may have been received before."""

    @classmethod
    def of(cls, change: Change, now: float) -> Line:
        """What is told of a change."""
        alarm = change.alarm
        return cls(
            kind=change.kind, code=alarm.code, point=alarm.point, about=alarm.about, severity=alarm.severity,
            message=alarm.message, value=alarm.value, unit=alarm.unit, began_ns=alarm.began_ns,
            ended_ns=change.ended_ns, first_out=alarm.first_out, queued=now, anew_ns=alarm.anew_ns,
        )  # fmt: skip

    @property
    def key(self) -> str:
        """Lines with the same key become one. Events that are over as they happen differ by what they say."""
        more = self.message if self.kind == "event" else self.kind if self.kind == "daily" else ""
        return "|".join((self.code, self.point or "", self.about or "", more))

    @property
    def rank(self) -> tuple[bool, bool, int, bool, int]:
        """Order in a message: what stands, most severe, probably the cause, oldest."""
        return (
            self.kind == "daily",
            self.ended_ns is not None,
            -self.severity,
            not self.first_out,
            self.began_ns,
        )

    def add(self, newer: Line) -> None:
        """Take up what came while this one waited."""
        if self.kind == "ended" and newer.kind != "ended":  # its begin was told before
            self.began_ns, self.count = newer.began_ns, newer.count
        elif newer.kind in {"began", "event", "back", "daily"}:
            self.count += newer.count
        if newer.kind != "ended":
            self.kind = newer.kind if self.kind == "ended" or newer.kind == "reminder" else self.kind
            self.message, self.value, self.anew_ns = newer.message, newer.value, newer.anew_ns
        self.severity = max(self.severity, newer.severity)
        self.ended_ns = newer.ended_ns
        self.again |= newer.again


@dataclass(slots=True, kw_only=True)
class Sending:
    """A message under way. What it tells is noted before it leaves."""

    ref: str
    lines: list[Line]
    unlisted: int
    began: float


@dataclass(slots=True, kw_only=True)
class Queue:
    """One channel: what waits, what is under way, and how it goes."""

    waiting: dict[str, Line] = field(default_factory=dict)
    unlisted: int = 0
    """Lines for which there was no place."""
    sending: Sending | None = None
    number: int = 0
    """Of the newest message."""
    sent: int = 0
    sent_at: float | None = None
    doubtful: int = 0
    """Messages whose outcome is unknown, which were therefore sent again."""
    failures: int = 0
    """Attempts that failed since the last that did not."""
    failed: int = 0
    """Attempts that failed, ever."""
    failing_since: float | None = None
    why: str | None = None
    """Why the last attempt failed; None while all is well."""
    next_try: float = 0.0
    free_at: float = 0.0
    """When the pace of `at_most` has room for one more message."""

    def put(self, line: Line) -> None:
        """Let a line wait, or a line that waits already say it."""
        known = self.waiting.get(line.key)
        if known is not None:
            known.add(line)
        elif len(self.waiting) < MOST_LINES or self._make_room(line):
            self.waiting[line.key] = line
        else:
            self.unlisted += 1

    def _make_room(self, line: Line) -> bool:
        """The least severe that waits gives way to a more severe one."""
        key, least = min(self.waiting.items(), key=lambda item: item[1].severity)
        if least.severity >= line.severity:
            return False
        del self.waiting[key]
        self.unlisted += 1
        return True

    def drop(self, key: str) -> bool:
        """Somebody knows already. Returns whether a line waited for that."""
        return self.waiting.pop(key, None) is not None

    def ready(self, lines: list[Line], now: float, gather: float, at_most: int) -> bool:
        """Whether a message of these lines may leave now."""
        if not lines or self.sending is not None:
            return False
        # A clock that is set back must not make anything wait for longer than it would have.
        self.next_try = min(self.next_try, now + _LONGEST_PAUSE)
        pause, burst = _pace(at_most)
        self.free_at = min(self.free_at, now + burst * pause)
        oldest = min(min(line.queued, now) for line in lines)
        spare = burst - 1 if most_severe(lines) >= Severity.ALARM else max(0, burst - 2)
        return now >= self.next_try and now - oldest >= gather and now >= self.free_at - spare * pause

    def begin(self, lines: list[Line], ref: str, now: float) -> Sending:
        """Note that a message is under way."""
        for line in lines:
            del self.waiting[line.key]
        self.sending = Sending(ref=ref, lines=lines, unlisted=self.unlisted, began=now)
        self.unlisted = 0
        return self.sending

    def arrived(self, now: float, at_most: int) -> None:
        """The message that was under way was taken by the channel."""
        pause, _ = _pace(at_most)
        self.free_at = max(self.free_at, now) + pause
        self.sending, self.why, self.failing_since = None, None, None
        self.failures, self.next_try = 0, now
        self.sent += 1
        self.sent_at = now

    def not_arrived(self, now: float, why: str, *, sure: bool, jitter: float) -> None:
        """It was not, or nobody knows; what it told waits again."""
        self.failed += 1
        self.failures += 1
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.why = why
        self.next_try = now + jitter * min(
            _LONGEST_PAUSE, _FIRST_PAUSE * math.pow(2.0, min(self.failures - 1, 20))
        )
        self.take_back(sure=sure)

    def take_back(self, *, sure: bool) -> None:
        """Let wait again what was under way; not `sure`: it may have arrived."""
        sending = self.sending
        if sending is None:
            return
        newer, self.waiting, self.sending = self.waiting, {}, None
        self.doubtful += not sure
        self.unlisted += sending.unlisted
        for line in sending.lines:
            line.again |= not sure
            self.put(line)
        for line in newer.values():
            self.put(line)


def _pace(at_most: int) -> tuple[float, int]:
    """Seconds between messages, and how many may go without that pause, so that no hour has more than `at_most`."""
    burst = max(1, min(_BURST, at_most // 2))
    return 3600.0 / max(1, at_most - burst), burst


def most_severe(lines: Iterable[Line]) -> int:
    """The highest severity among lines."""
    return max((line.severity for line in lines), default=0)
