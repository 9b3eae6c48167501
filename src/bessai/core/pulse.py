"""The gateway's pulse: each cycle's last act tells the service manager whether the process is alive.

pulse = Pulse(Notifier(), cycle_time)
pulse.beat(record, active, failed="", stuck="")     # a cycle ended
pulse.miss("cycle failed: …")                       # a cycle did not end

There is no timer and no task here: no cycle, no heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessai.core.heartbeat import Notifier, earns_heartbeat
from bessai.model import Condition, CycleRecord, Severity


class Pulse:
    """Decides, for each cycle, whether it earned a heartbeat, and sends what must be sent.

    Args:
        notifier: speaks to the service manager; a silent one where there is none.
        period: seconds of a cycle.
    """

    def __init__(self, notifier: Notifier, period: float = 1.0) -> None:
        self.sent = 0
        """Heartbeats earned since the start."""
        self.withheld = 0
        """Cycles that earned none."""
        self.row = 0
        """Cycles in a row that earned none."""
        self.why = ""
        """Why the last cycle earned none; empty when it did."""
        self._notifier = notifier
        self._period = period
        self._ready = False
        self._told = ""

    @property
    def problem(self) -> str | None:
        """Why the service manager will kill a gateway that works, in words; None when it will not."""
        interval = self._notifier.interval
        if interval is None or self._period <= interval / 2:
            return None
        return (
            f"WatchdogSec={interval:g}: too short for CYCLE_TIME={self._period:g}; "
            f"set it to {3 * self._period:g} s or more"
        )

    def beat(self, record: CycleRecord, active: Sequence[Condition], *, failed: str, stuck: str) -> None:
        """Judge a cycle that came to its end.

        Args:
            record: of the cycle.
            active: the conditions that hold now, most severe first.
            failed: an exception in the cycle's decision, or in a read or a write that ended in it, in words.
            stuck: the read or the write that is under way for longer than its own time limits allow.
        """
        earned = earns_heartbeat(ended=not failed, verified=record.verified, active=active, stuck=bool(stuck))
        self.why = "" if earned else failed or stuck or "not verified, and no alarm says why"
        worst = next((c.code for c in active if c.severity >= Severity.WARNING), "")
        text = record.decision.state.value + (f": {worst}" if worst else "")
        self._send(text if earned else f"{text}; no heartbeat: {self.why}", earned=earned)

    def miss(self, why: str) -> None:
        """A cycle did not come to its end."""
        self.why = why
        self._send(f"no heartbeat: {why}", earned=False)

    def stopping(self) -> None:
        """A clean stop has begun."""
        self._notifier.stopping("hands control back")

    def status(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "manager": self._notifier.active,
            "interval": self._notifier.interval,
            "earned": not self.why and self.sent > 0,
            "why_not": self.why or None,
            "sent": self.sent,
            "withheld": self.withheld,
            "problem": self._notifier.problem or self.problem,
        }

    def _send(self, text: str, *, earned: bool) -> None:
        self.row = 0 if earned else self.row + 1
        news, self._told = "" if text == self._told else text, text
        if not self._ready:  # also after a cycle that earned nothing: the watchdog's time begins with it
            self._ready = True
            self._notifier.ready(text)
            news = ""
        if earned:
            self.sent += 1
            self._notifier.alive(news)
            return
        self.withheld += 1
        if news:
            self._notifier.status(news)
