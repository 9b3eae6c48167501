"""Times as people write them, and the hours that daylight saving takes away or gives twice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LATIN = re.compile(r"^(\d{1,2})-(\d{1,2})-(\d{4})([ T]+\d{1,2}:\d{2}(?::\d{2})?)$")
_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2}))?$")
_IN_ZONE = re.compile(r"^(.*?)\[([^\]]+)\]$")


def zone_named(name: str) -> ZoneInfo:
    """The time zone of a name such as `America/Santiago`.

    Raises:
        ValueError: there is none, with what to do about it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        ZoneInfo("Europe/London")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "this machine has no time zone database; install the package tzdata of the operating system"
        ) from None
    raise ValueError("no such time zone; give a name of the IANA database, for example America/Santiago")


def instant(local: datetime, zone: ZoneInfo) -> float:
    """Seconds since 1970 at which the clocks of a zone first show a local time, or jump over it."""
    here = local.replace(tzinfo=zone, fold=0)
    if _exists(here):
        return here.timestamp()
    # The offset before the jump carries the time beyond it by as much as it lies inside the gap.
    low, high = here.timestamp() - 86_400.0, here.timestamp()
    before = here.utcoffset()
    while high - low > 1.0:  # daylight saving changes at whole seconds
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def parse_time(text: str, zone: ZoneInfo | None) -> float:
    """Seconds since 1970 of ISO 8601, with an offset, with a `[zone]`, or local to `zone`.

    Also `DD-MM-YYYY HH:MM`, as spreadsheets write it in Chile.

    Raises:
        ValueError: with the mend.
    """
    text = text.strip()
    if match := _IN_ZONE.match(text):
        text, zone = match[1].strip(), zone_named(match[2])
        moment = _iso(text)
        if moment.tzinfo is not None and moment.utcoffset() != moment.astimezone(zone).utcoffset():
            raise ValueError(f"{zone.key} has another offset at that time; give one of the two")
    else:
        moment = _iso(text)
    if moment.tzinfo is not None:
        return moment.timestamp()
    if zone is None:
        raise ValueError(
            "which time zone? Add an offset (2026-01-31T18:00-03:00), or say it once for the file: "
            'a first line "# timezone: America/Santiago" in CSV, "timezone" in JSON'
        )
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if not _exists(first):
        raise ValueError(
            f"this time does not exist: clocks in {zone.key} go forward then; give a time with an offset, "
            f"for example {_with_offset(first.timestamp(), zone)}"
        )
    if first.utcoffset() != second.utcoffset():
        raise ValueError(
            f"this time comes twice: clocks in {zone.key} go back then; give the offset: "
            f"{_with_offset(first.timestamp(), zone)} or {_with_offset(second.timestamp(), zone)}"
        )
    return first.timestamp()


def parse_clock(text: str) -> int:
    """Seconds since midnight of `HH:MM` or `HH:MM:SS`, up to 24:00.

    Raises:
        ValueError: with the mend.
    """
    match = _CLOCK.match(text.strip())
    if match:
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        total = hours * 3600 + minutes * 60 + seconds
        if minutes < 60 and seconds < 60 and total <= 86_400:
            return total
    raise ValueError("give a time of the day from 00:00 to 24:00, for example 18:30")


def shown(moment: float, zone: ZoneInfo | None) -> str:
    """An instant for people, in a zone with its offset, or in UTC."""
    return datetime.fromtimestamp(moment, zone or UTC).strftime("%a %Y-%m-%d %H:%M:%S %z")


def utc(moment: float) -> str:
    """An instant in UTC, ISO 8601 to the second (rounded down)."""
    return datetime.fromtimestamp(moment // 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso(text: str) -> datetime:
    if match := _LATIN.match(text):
        text = f"{match[3]}-{match[2]:0>2}-{match[1]:0>2}{match[4].replace(' ', 'T')}"
        text = re.sub(r"T+(\d):", r"T0\1:", text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (":" not in text and "T" not in text):
        raise ValueError(
            "is no time; write 2026-01-31T18:00, or 31-01-2026 18:00"
            + ("; a date with / can be read in two ways" if "/" in text else "")
        )
    return moment


def _exists(moment: datetime) -> bool:
    back = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return back.replace(tzinfo=None) == moment.replace(tzinfo=None)


def _with_offset(moment: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment, zone).isoformat(timespec="minutes")


def length(seconds: float) -> str:
    """A length of time for people: `2 h 30 min`."""
    hours, rest = divmod(timedelta(seconds=seconds), timedelta(hours=1))
    minutes, seconds = divmod(rest.total_seconds(), 60)
    parts = [
        f"{hours} h" if hours else "",
        f"{minutes:g} min" if minutes else "",
        f"{seconds:g} s" if seconds else "",
    ]
    return " ".join(part for part in parts if part) or "0 s"
