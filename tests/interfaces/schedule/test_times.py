"""Local times against daylight saving: Santiago goes back on the night to 5 April 2026, forward to 6 September."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.interfaces.schedule import Daily, Entry, Part, Schedule, times
from bessai.interfaces.schedule.model import Wish
from bessai.interfaces.schedule.times import instant, length, parse_clock, parse_time, zone_named

SANTIAGO = ZoneInfo("America/Santiago")
EVERY_DAY = frozenset(range(7))


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31T18:00", "2026-01-31T21:00:00Z"),
        ("2026-07-31T18:00", "2026-07-31T22:00:00Z"),
        (" 2026-01-31 18:00:30 ", "2026-01-31T21:00:30Z"),
        ("31-01-2026 18:00", "2026-01-31T21:00:00Z"),
        ("1-2-2026 6:05", "2026-02-01T09:05:00Z"),
        ("2026-01-31T18:00Z", "2026-01-31T18:00:00Z"),
        ("2026-01-31T18:00+02:00", "2026-01-31T16:00:00Z"),
        ("2026-01-31T18:00[Europe/Madrid]", "2026-01-31T17:00:00Z"),
        ("2026-01-31T18:00+01:00[Europe/Madrid]", "2026-01-31T17:00:00Z"),
        # the hour that comes twice, and the one that does not exist, with an offset
        ("2026-04-04T23:30-03:00", "2026-04-05T02:30:00Z"),
        ("2026-04-04T23:30-04:00", "2026-04-05T03:30:00Z"),
        ("2026-04-04T22:59:59", "2026-04-05T01:59:59Z"),
        ("2026-04-05T00:00", "2026-04-05T04:00:00Z"),
        ("2026-09-05T23:59:59", "2026-09-06T03:59:59Z"),
        ("2026-09-06T01:00", "2026-09-06T04:00:00Z"),
    ],
)
def test_times_as_people_write_them(text: str, utc: str) -> None:
    assert iso(parse_time(text, SANTIAGO)) == utc


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("2026-04-04T23:00", "comes twice.*2026-04-04T23:00-03:00 or 2026-04-04T23:00-04:00"),
        ("2026-04-04T23:59:59", "comes twice"),
        ("2026-09-06T00:00", "does not exist.*2026-09-06T01:00-03:00"),
        ("2026-09-06T00:59:59", "does not exist"),
        ("2026-01-31T18:00+05:00[Europe/Madrid]", "Europe/Madrid has another offset"),
        ("2026-01-31T18:00[Europe/Madird]", "no such time zone"),
        ("31/01/2026 18:00", "31-01-2026 18:00; a date with / can be read in two ways"),
        ("2026-01-31", "is no time"),
        ("2026-02-30T18:00", "is no time"),
        ("", "is no time"),
        ("tomorrow", "is no time"),
    ],
)
def test_times_that_cannot_be_meant(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        parse_time(text, SANTIAGO)


def test_a_local_time_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="timezone: America/Santiago"):
        parse_time("2026-01-31T18:00", None)


def test_a_machine_without_time_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError

    monkeypatch.setattr(times, "ZoneInfo", missing)
    with pytest.raises(ValueError, match="install the package tzdata"):
        zone_named("America/Santiago")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-04-04T23:30", "2026-04-05T02:30:00Z"),  # twice: the first
        ("2026-09-06T00:00", "2026-09-06T04:00:00Z"),  # never: when the clocks jump over it
        ("2026-09-06T00:30", "2026-09-06T04:00:00Z"),
        ("2026-09-06T01:00", "2026-09-06T04:00:00Z"),
    ],
)
def test_a_daily_time_on_the_night_of_a_change(local: str, utc: str) -> None:
    assert iso(instant(datetime.fromisoformat(local), SANTIAGO)) == utc


LOCAL = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2030-01-01"))


@given(
    LOCAL,
    LOCAL,
    st.sampled_from(["America/Santiago", "Europe/Madrid", "Australia/Lord_Howe", "UTC"]),
)
def test_what_is_later_on_the_clock_is_never_earlier(one: datetime, other: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    first, second = sorted((one.replace(microsecond=0), other.replace(microsecond=0)))
    assert instant(first, zone) <= instant(second, zone)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00", 0), ("6:30", 23400), ("18:00:05", 64805), ("24:00", 86400)]
)
def test_times_of_the_day(text: str, seconds: int) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["24:01", "12:60", "12", "noon", "-1:00"])
def test_no_times_of_the_day(text: str) -> None:
    with pytest.raises(ValueError, match="18:30"):
        parse_clock(text)


def test_lengths() -> None:
    assert [length(s) for s in (0, 5, 60, 5400, 86_400)] == ["0 s", "5 s", "1 min", "1 h 30 min", "24 h"]


def daily(start: str, end: str, days: frozenset[int] = EVERY_DAY) -> Daily:
    first, last = parse_clock(start), parse_clock(end)
    last += 86_400 if last <= first else 0
    return Daily(start=first, end=last, days=days, wish=Wish(power=1.0), where="daily")


def entry(start: str, end: str, power: float = 2.0) -> Entry:
    return Entry(start=moment(start), end=moment(end), wish=Wish(power=power), where="entry")


def spans(parts: list[Part]) -> list[tuple[str, str]]:
    return [(iso(part.start), iso(part.end)) for part in parts]


@pytest.mark.parametrize(
    ("now", "which", "begins", "ends", "hours"),
    [
        # an evening across the change of April is an hour longer, across that of September an hour shorter
        ("2026-04-04T12:00-03:00", daily("22:00", "02:00"), "2026-04-05T01:00:00Z", "2026-04-05T06:00:00Z", 5),
        ("2026-04-05T12:00-04:00", daily("22:00", "02:00"), "2026-04-06T02:00:00Z", "2026-04-06T06:00:00Z", 4),
        ("2026-09-05T12:00-04:00", daily("22:00", "02:00"), "2026-09-06T02:00:00Z", "2026-09-06T05:00:00Z", 3),
        ("2026-09-06T12:00-03:00", daily("22:00", "02:00"), "2026-09-07T01:00:00Z", "2026-09-07T05:00:00Z", 4),
        # ends in the hour that comes twice: at the first
        ("2026-04-04T12:00-03:00", daily("22:00", "23:30"), "2026-04-05T01:00:00Z", "2026-04-05T02:30:00Z", 1.5),
        # begins in the hour that does not exist: when the clocks jump
        ("2026-09-05T12:00-04:00", daily("00:30", "02:00"), "2026-09-06T04:00:00Z", "2026-09-06T05:00:00Z", 1),
        # lies within the hour that does not exist: not on that day
        ("2026-09-05T12:00-04:00", daily("00:15", "00:45"), "2026-09-07T03:15:00Z", "2026-09-07T03:45:00Z", 0.5),
        # a whole local day
        ("2026-04-04T00:00-03:00", daily("00:00", "24:00"), "2026-04-04T03:00:00Z", "2026-04-05T04:00:00Z", 25),
        ("2026-09-06T01:00-03:00", daily("00:00", "24:00"), "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z", 23),
        # Mondays only
        ("2026-11-24T12:00-03:00", daily("18:00", "22:00", frozenset({0})), "2026-11-30T21:00:00Z",
         "2026-12-01T01:00:00Z", 4),
    ],
)  # fmt: skip
def test_daily_entries(now: str, which: Daily, begins: str, ends: str, hours: float) -> None:
    schedule = Schedule(entries=(), daily=(which,), zone=SANTIAGO)
    (part,) = islice(schedule.parts(moment(now)), 1)
    assert spans([part]) == [(begins, ends)]
    assert part.end - part.start == hours * 3600


def test_an_entry_with_a_date_comes_before_a_daily_one() -> None:
    schedule = Schedule(
        entries=(entry("2026-11-24T19:00-03:00", "2026-11-24T20:00-03:00"),),
        daily=(daily("18:00", "22:00"),),
        zone=SANTIAGO,
    )
    parts = list(islice(schedule.parts(moment("2026-11-24T12:00-03:00")), 3))
    assert [part.entry.wish.power for part in parts] == [1.0, 2.0, 1.0]
    assert spans(parts) == [
        ("2026-11-24T21:00:00Z", "2026-11-24T22:00:00Z"),
        ("2026-11-24T22:00:00Z", "2026-11-24T23:00:00Z"),
        ("2026-11-24T23:00:00Z", "2026-11-25T01:00:00Z"),
    ]


@pytest.mark.parametrize(
    ("now", "power", "boundary"),
    [
        ("2026-01-01T00:00Z", None, "2026-01-01T01:00Z"),
        ("2026-01-01T01:00Z", 5.0, "2026-01-01T02:00Z"),
        ("2026-01-01T01:59:59.999Z", 5.0, "2026-01-01T02:00Z"),
        ("2026-01-01T02:00Z", 6.0, "2026-01-01T03:00Z"),
        ("2026-01-01T03:00Z", None, "2026-01-01T04:00Z"),
        ("2026-01-01T04:30Z", 7.0, "2026-01-01T05:00Z"),
        ("2026-01-01T05:00Z", None, None),
    ],
)
def test_what_is_in_force(now: str, power: float | None, boundary: str | None) -> None:
    schedule = Schedule(
        entries=(
            entry("2026-01-01T01:00Z", "2026-01-01T02:00Z", 5.0),
            entry("2026-01-01T02:00Z", "2026-01-01T03:00Z", 6.0),
            entry("2026-01-01T04:00Z", "2026-01-01T05:00Z", 7.0),
        )
    )
    current = schedule.current(moment(now))
    assert (current and current.wish.power) == power
    assert schedule.boundary(moment(now)) == (None if boundary is None else moment(boundary))
