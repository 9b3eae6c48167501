"""The time tag: every millisecond of a century, and nothing that is no date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.iec104 import TimeMark, decode_time, encode_time
from bessai.iec104.time_tag import FIRST_NS, LAST_NS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ns(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1) * 1000


@given(st.integers(FIRST_NS, LAST_NS + 999_999), st.sampled_from([0, 0x80, 0x40, 0xC0]))
def test_every_instant_comes_back_to_the_millisecond(when: int, marks: int) -> None:
    assert decode_time(encode_time(when, marks)) == (when // 10**6 * 10**6, marks)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 22)))  # noqa: DTZ001
def test_the_fields_are_those_of_the_calendar(naive: datetime) -> None:
    when = naive.replace(tzinfo=UTC)
    data = encode_time(ns(when))
    assert int.from_bytes(data[:2], "little") == when.second * 1000 + when.microsecond // 1000
    assert tuple(data[2:]) == (
        when.minute,
        when.hour,
        when.day | when.isoweekday() << 5,
        when.month,
        when.year - 2000,
    )
    summer = encode_time(ns(when), TimeMark.SUMMER)
    later = when + timedelta(hours=1)
    assert (summer[3], summer[4] & 31) == (later.hour | 0x80, later.day)
    assert decode_time(summer) == (ns(when) // 10**6 * 10**6, TimeMark.SUMMER)


@pytest.mark.parametrize(
    "data",
    [
        "60 ea 04 0c 21 06 1a",  # 60 000 ms
        "00 00 3c 0c 21 06 1a",  # minute 60
        "00 00 04 18 21 06 1a",  # hour 24
        "00 00 04 0c 00 06 1a",  # day 0
        "00 00 04 0c 1f 06 1a",  # 31 June
        "00 00 04 0c 1d 02 1a",  # 29 February 2026
        "00 00 04 0c 01 00 1a",  # month 0
        "00 00 04 0c 01 0d 1a",  # month 13
        "00 00 04 0c 01 01 64",  # year 100
        "00 00 00 00 00 00 00",
        "ff ff ff ff ff ff ff",
    ],
)
def test_what_is_no_date_is_marked_invalid(data: str) -> None:
    when, marks = decode_time(bytes.fromhex(data))
    assert when is None
    assert marks & TimeMark.INVALID
    assert decode_time(encode_time(None, marks)) == (None, marks)


def test_29_february_2028_is_a_date() -> None:
    when, marks = decode_time(bytes.fromhex("00 00 04 0c 1d 02 1c"))
    assert (when, marks) == (ns(datetime(2028, 2, 29, 12, 4, tzinfo=UTC)), 0)


def test_the_day_of_the_week_and_reserved_bits_do_not_matter() -> None:
    assert decode_time(bytes.fromhex("2e 16 04 6c e1 f6 9a")) == decode_time(
        bytes.fromhex("2e 16 04 0c 01 06 1a")
    )


def test_no_instant_and_other_centuries_are_invalid() -> None:
    assert decode_time(encode_time(None)) == (None, TimeMark.INVALID)
    assert decode_time(encode_time(0)) == (FIRST_NS, TimeMark.INVALID)
    assert decode_time(encode_time(FIRST_NS - 1)) == (FIRST_NS, TimeMark.INVALID)
    assert decode_time(encode_time(LAST_NS + 10**6)) == (LAST_NS, TimeMark.INVALID)
    assert decode_time(encode_time(LAST_NS)) == (LAST_NS, 0)


@given(st.binary(min_size=7, max_size=7))
def test_any_seven_bytes_are_a_time_or_none(data: bytes) -> None:
    when, marks = decode_time(data)
    if when is None:
        assert marks & TimeMark.INVALID
    else:
        assert decode_time(encode_time(when, marks)) == (when, marks)
