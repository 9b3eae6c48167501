"""Quiet hours: whether something may go out now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bessai.interfaces.notify.schema import DAYS, Quiet, clock
from bessai.model import Severity


def quiet_now(hours: Iterable[Quiet], now: float, zone: ZoneInfo) -> list[Quiet]:
    """The quiet hours in which a moment lies.

    Args:
        hours: of a recipient.
        now: seconds since 1970.
        zone: of the local times.
    """
    local = datetime.fromtimestamp(now, zone)
    return [one for one in hours if _covers(one, local)]


def may_go(severity: int, hours: Iterable[Quiet]) -> bool:
    """Whether something of a severity breaks all of these quiet hours."""
    return all(one.breaks != "never" and severity >= Severity[one.breaks.upper()] for one in hours)


def _covers(one: Quiet, local: datetime) -> bool:
    # By the wall clock, as people mean it: on the night of a change the hours are one longer or shorter.
    start, end, time = clock(one.start), clock(one.end), local.time().replace(fold=0)
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    if start < end:
        return today in one.days and start <= time < end
    return (today in one.days and time >= start) or (yesterday in one.days and time < end)
