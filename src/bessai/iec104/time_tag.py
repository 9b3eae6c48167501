"""The seven-byte time of IEC 60870-5 (CP56Time2a): years 2000 to 2099, milliseconds.

Times are UTC, as the two ends of a link must agree. The standard leaves the zone to them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntFlag
from functools import lru_cache
from struct import Struct

SIZE = 7
"""Bytes of a time tag."""
FIRST_NS = 946_684_800 * 10**9
"""The first instant that a time tag can tell: 2000-01-01."""
LAST_NS = 4_102_444_800 * 10**9 - 10**6
"""The last one: the last millisecond of 2099."""

_MILLISECOND = 10**6
_MINUTE = 60 * 10**9
_HOUR = 3600 * 10**9
_MINUTES = Struct("<H5B")
_MILLISECONDS = Struct("<H")


class TimeMark(IntFlag):
    """Marks of a time tag."""

    INVALID = 0x80
    """IV: the clock that made it is not to be trusted, or the tag tells no date that exists."""
    SUBSTITUTED = 0x40
    """GEN: put in by a station on the way, not measured at the source."""
    SUMMER = 0x01
    """SU: the tag tells daylight saving time. It is an hour ahead; the decoded instant is already corrected."""


_INVALID, _SUBSTITUTED, _SUMMER = int(TimeMark.INVALID), int(TimeMark.SUBSTITUTED), int(TimeMark.SUMMER)


def encode_time(ns: int | None, marks: int = 0) -> bytes:
    """The tag of an instant in UTC nanoseconds, cut to milliseconds.

    No instant at all, or one that the tag cannot tell, is marked invalid.
    """
    if ns is None:
        return bytes((0, 0, _INVALID | marks & _SUBSTITUTED, (marks & _SUMMER) << 7, 0, 0, 0))
    if marks & _SUMMER:
        ns += _HOUR
    if not FIRST_NS <= ns < LAST_NS + _MILLISECOND:
        ns, marks = (FIRST_NS if ns < FIRST_NS else LAST_NS), marks | _INVALID
    minute, rest = divmod(ns, _MINUTE)
    return _MILLISECONDS.pack(rest // _MILLISECOND) + _upper(minute, marks)


@lru_cache(256)
def _upper(minute: int, marks: int) -> bytes:
    """The five bytes that stay the same for a minute."""
    date = datetime.fromtimestamp(minute * 60, UTC)
    return bytes(
        (
            date.minute | marks & (_INVALID | _SUBSTITUTED),
            date.hour | (marks & _SUMMER) << 7,
            date.day | date.isoweekday() << 5,
            date.month,
            date.year - 2000,
        )
    )


def decode_time(data: bytes, start: int = 0) -> tuple[int | None, int]:
    """The instant in UTC nanoseconds, None when there is no such date, and its marks.

    The day of the week is not looked at: many stations send none.
    """
    millisecond, minute, hour, day, month, year = _MINUTES.unpack_from(data, start)
    base, marks = _minute(minute, hour, day, month, year)
    if base is None or millisecond > 59_999:
        return None, marks | _INVALID
    return base + millisecond * _MILLISECOND, marks


@lru_cache(256)
def _minute(minute: int, hour: int, day: int, month: int, year: int) -> tuple[int | None, int]:
    """The instant at which the minute of these five bytes begins, and the marks in them."""
    marks = minute & (_INVALID | _SUBSTITUTED) | hour >> 7
    if year & 0x7F > 99:
        return None, marks
    try:
        date = datetime(
            2000 + (year & 0x7F), month & 0x0F, day & 0x1F, hour & 0x1F, minute & 0x3F, tzinfo=UTC
        )
    except ValueError:
        return None, marks
    return int(date.timestamp()) * 10**9 - _HOUR * (marks & _SUMMER), marks
