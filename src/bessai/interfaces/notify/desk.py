"""Decides what is told to whom and when. No I/O, and the time is handed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bessai.interfaces.notify.loading import NotifyConfig
from bessai.interfaces.notify.queue import Line, Queue
from bessai.interfaces.notify.quiet import may_go, quiet_now
from bessai.interfaces.notify.rules import recipients_of, steps_of
from bessai.interfaces.notify.schema import DAYS, Step, clock
from bessai.interfaces.notify.standing import Alarm, Change
from bessai.interfaces.notify.store import State
from bessai.interfaces.notify.words import Message, Place, compose
from bessai.model import Event, Severity

_LOST = 600.0
"""Seconds after which a message under way is taken for lost, which no outcome should need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that is to leave now on a channel."""

    channel: str
    id: str
    """Of the message, for its outcome."""
    message: Message


class Desk:
    """Takes events, gives messages.

    Args:
        config: who hears of what.
        state: what is known from before; it is changed in place.
        place: what messages say of where they come from.
        jitter: between 0.5 and 1, for pauses; a fleet does not come back in step.
        resumed: the state is that of an earlier run: what was under way then has no outcome.
    """

    def __init__(
        self,
        config: NotifyConfig,
        state: State,
        place: Place,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311  no secret
        *,
        resumed: bool = True,
    ) -> None:
        self.config, self.state, self._place, self._jitter = config, state, place, jitter
        self.recovered = 0
        """Messages whose outcome nobody knew when this began."""
        for queue in state.queues.values():
            if resumed and queue.sending is not None:
                queue.take_back(sure=False)
                self.recovered += 1
        self._move_queues()

    def take(self, event: Event, unit: str | None, now: float) -> bool:
        """Note an event. Returns whether anything changed that is worth keeping."""
        change = self.state.standing.take(event, unit)
        if event.code in {"alarm_acknowledged", "alarm_shelved"} and event.about is not None:
            self._silence(event)
        if change is None:
            return event.about is not None or not event.active
        self._tell(change, now)
        return True

    def reconcile(self, listed: Iterable[Mapping[str, Any]], now: float) -> bool:
        """Compare with the gateway's own list. Returns whether anything was different."""
        changes = self.state.standing.reconcile(listed, round(now * 1e9))
        for change in changes:
            self._tell(change, now)
        return bool(changes)

    def tick(self, now: float) -> bool:
        """Take the steps of escalation and send the daily message that are due. Returns whether any was."""
        taken = [self._escalate(alarm, now) for alarm in self.state.standing.open()]
        for queue in self.state.queues.values():
            if queue.sending is not None and not -_LOST <= now - queue.sending.began <= _LOST:
                queue.take_back(sure=False)
                taken.append(True)
        return self._daily(now) or any(taken)

    def due(self, now: float) -> list[Letter]:
        """Every message that is to leave now; each is noted as under way, and must be kept before it leaves."""
        letters = []
        for channel in self.config.channels:
            queue = self.state.queues[channel.name]
            recipient = self.config.file.recipients[channel.recipient]
            lines = self._free(queue, channel.recipient, now)
            if not queue.ready(lines, now, self.config.file.gather_seconds, recipient.at_most):
                continue
            queue.number += 1
            sending = queue.begin(lines, f"{self._place.site}/{channel.name}/{queue.number}", now)
            message = compose(
                sending, self.config.language(channel.recipient), self._place, self.config.zone,
                maintenance=self.state.standing.maintenance, standing=self.state.standing.open(),
            )  # fmt: skip
            letters.append(Letter(channel=channel.name, id=f"{channel.name}#{queue.number}", message=message))
        return letters

    def outcome(self, letter: str, now: float, *, why: str | None, sure: bool = True) -> str:
        """Note what became of a message: `why` it failed, None when it arrived. Not `sure`: it may have arrived.

        Returns the channel.
        """
        channel, _, number = letter.partition("#")
        queue = self.state.queues.get(channel)
        if queue is None or queue.sending is None or number != str(queue.number):
            return channel  # it was given up, or the file has changed meanwhile
        if why is None:
            queue.arrived(now, self._at_most(channel))
        else:
            queue.not_arrived(now, why, sure=sure, jitter=self._jitter())
            for alarm in self.state.standing.alarms.values():
                if alarm.acknowledged and queue.drop(f"{alarm.key}|"):
                    self.state.silenced += 1
        return channel

    def held(self, channel: str, now: float) -> int:
        """How many lines of a channel wait for the end of quiet hours."""
        owner = next((c.recipient for c in self.config.channels if c.name == channel), None)
        if owner is None:
            return 0
        queue = self.state.queues[channel]
        return len(queue.waiting) - len(self._free(queue, owner, now))

    def quiet(self, recipient: str, now: float) -> bool:
        """Whether a recipient has quiet hours."""
        return bool(quiet_now(self.config.file.recipients[recipient].quiet, now, self.config.zone))

    def next_step(self, alarm: Alarm) -> tuple[float, Step] | None:
        """The next step of escalation of an alarm: when in seconds since 1970, and what; None: there is none."""
        found = [
            (_due(alarm, step, alarm.steps.get(key, 0)), step)
            for key, step in steps_of(self.config.file.rules, alarm, self._place.site)
            if _left(step, alarm.steps.get(key, 0))
        ]
        return min(found, key=lambda one: one[0]) if found else None

    def _free(self, queue: Queue, recipient: str, now: float) -> list[Line]:
        """What waits and may go out at this hour, in the order in which it is told."""
        hours = quiet_now(self.config.file.recipients[recipient].quiet, now, self.config.zone)
        lines = [
            line
            for line in queue.waiting.values()
            if not hours or (line.ended_ns is None and line.kind != "daily" and may_go(line.severity, hours))
        ]
        return sorted(lines, key=lambda line: line.rank)

    def _tell(self, change: Change, now: float) -> None:
        alarm = change.alarm
        if change.kind == "ended":
            if alarm.key in self.state.standing.shelved:
                return
            told = [name for name in alarm.told if self._hears_end(name, alarm)]
        else:
            told = recipients_of(self.config.file.rules, alarm, self._place.site)
            alarm.told = list(dict.fromkeys([*alarm.told, *told]))
            self.state.begun += alarm.severity >= Severity.WARNING
        self._put(told, change, now)

    def _hears_end(self, name: str, alarm: Alarm) -> bool:
        recipient = self.config.file.recipients.get(name)
        if recipient is None or recipient.ended == "never":
            return False
        return recipient.ended == "always" or not alarm.acknowledged

    def _put(self, recipients: Iterable[str], change: Change, now: float) -> None:
        for name in recipients:
            for channel in self.config.of(name):
                self.state.queues[channel.name].put(Line.of(change, now))

    def _silence(self, event: Event) -> None:
        """Somebody took note of it: whoever was not told yet need not be."""
        key = "|".join((str(event.about), event.point or "", "", ""))
        for channel in self.config.channels:
            queue = self.state.queues[channel.name]
            always = self.config.file.recipients[channel.recipient].ended == "always"
            if not (always and key in queue.waiting and queue.waiting[key].kind == "ended"):
                self.state.silenced += queue.drop(key)

    def _escalate(self, alarm: Alarm, now: float) -> bool:
        taken = False
        for key, step in steps_of(self.config.file.rules, alarm, self._place.site):
            done = alarm.steps.get(key, 0)
            if not _left(step, done) or now < _due(alarm, step, done):
                continue
            while _left(step, done) and now >= _due(alarm, step, done):
                done += 1  # what was missed while nothing ran is told once
            alarm.steps[key] = done
            alarm.told = list(dict.fromkeys([*alarm.told, *step.tell]))
            self._put(step.tell, Change(kind="reminder", alarm=alarm), now)
            self.state.escalated += 1
            taken = True
        return taken

    def _daily(self, now: float) -> bool:
        daily, state = self.config.file.daily, self.state
        if daily is None:
            return False
        local = datetime.fromtimestamp(now, self.config.zone)
        today, late = local.date().isoformat(), local.time().replace(fold=0) >= clock(daily.at)
        if state.daily is None:  # what was due before this began is not
            state.daily = today if late else "none yet"
            return True
        if not late or state.daily == today:
            return False
        state.daily = today
        if DAYS[local.weekday()] in daily.days:
            for channel in (one for name in daily.tell for one in self.config.of(name)):
                line = Line(
                    kind="daily",
                    severity=int(Severity.INFO),
                    message="",
                    began_ns=round(now * 1e9),
                    count=state.begun,
                    queued=now,
                )
                self.state.queues[channel.name].put(line)
            state.begun = 0
        return True

    def _at_most(self, channel: str) -> int:
        owner = next((c.recipient for c in self.config.channels if c.name == channel), None)
        return self.config.file.recipients[owner].at_most if owner else 1

    def _move_queues(self) -> None:
        """A queue for every channel. What waits for one that the file has no more goes to another of its recipient."""
        names = [channel.name for channel in self.config.channels]
        for name in [name for name in self.state.queues if name not in names]:
            old = self.state.queues.pop(name)
            old.take_back(sure=False)
            owner = name.partition("/")[0]
            heirs = [
                c.name
                for c in self.config.channels
                if c.recipient == owner and c.name not in self.state.queues
            ]
            if heirs:
                self.state.queues[heirs[0]] = old
        for name in names:
            self.state.queues.setdefault(name, Queue())


def _left(step: Step, done: int) -> bool:
    return done <= (step.repeats if step.repeat_minutes is not None else 0)


def _due(alarm: Alarm, step: Step, done: int) -> float:
    """Seconds since 1970 of the next time that a step is taken."""
    since_ns = alarm.began_ns if alarm.anew_ns is None else alarm.anew_ns
    return since_ns / 1e9 + 60.0 * (step.after_minutes + done * (step.repeat_minutes or 0.0))
