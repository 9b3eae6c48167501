"""What the notifications say of themselves, for `bessai status`, `/metrics` and `bessai notify show`. No secrets."""

from __future__ import annotations

from typing import Any

from bessai.interfaces.notify.desk import Desk
from bessai.interfaces.notify.heartbeat import Heartbeat


def details(desk: Desk | None, heartbeat: Heartbeat | None, now: float) -> dict[str, Any]:
    """Numbers and states as plain data; empty while there is no usable notification file.

    Args:
        desk: what decides.
        heartbeat: the sign of life, where one is given.
        now: seconds since 1970.
    """
    if desk is None:
        return {}
    channels = [channel_details(desk, name, now) for name in desk.state.queues]
    return {
        "waiting": sum(one["waiting"] for one in channels),
        "held": sum(one["held"] for one in channels),
        "sent": sum(one["sent"] for one in channels),
        "failed": sum(one["failed"] for one in channels),
        "doubtful": sum(one["doubtful"] for one in channels),
        "failing": sum(one["why"] is not None for one in channels),
        "escalated": desk.state.escalated,
        "silenced": desk.state.silenced,
        "unacknowledged": len(desk.state.standing.open()),
        "channels": channels,
        "heartbeat": None
        if heartbeat is None
        else {"answered": heartbeat.answered, "problem": heartbeat.problem},
    }


def channel_details(desk: Desk, name: str, now: float) -> dict[str, Any]:
    """One channel."""
    queue = desk.state.queues[name]
    sending = queue.sending
    return {
        "name": name,
        "waiting": len(queue.waiting) + (len(sending.lines) if sending else 0),
        "held": desk.held(name, now),
        "unlisted": queue.unlisted,
        "sending": sending is not None,
        "sent": queue.sent,
        "sent_at": queue.sent_at,
        "failed": queue.failed,
        "doubtful": queue.doubtful,
        "failing_since": queue.failing_since,
        "next_try": queue.next_try if queue.why is not None else None,
        "why": queue.why,
    }
