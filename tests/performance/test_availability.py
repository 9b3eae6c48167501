from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from bessai.performance.availability import availability, window
from performance import oracle
from performance.conftest import SECOND, START_NS, Write, course, fold, near, plant


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_minutes_are_those_of_all_samples(write: Write, tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    t = np.arange(125.0, 9000, 4.0)
    voltage = np.where(chance.random(len(t)) < 0.2, np.nan, 400.0)
    frequency = np.where((t > 3000) & (t < 4000), np.nan, 50.0)
    one, other = course(t, voltage=voltage, frequency=frequency), course(np.arange(10_000, 12_000, 4.0))
    write(one, other)
    found = {a.source: a for a in fold(tmp_path, plant(), every=200).availability(START_NS + 14_000 * SECOND)}
    rows = oracle.frame(one, other)
    for role in ("frequency", "voltage", "active_power", "energy_exported"):
        told = found[role]
        assert told.minutes == 14_000 // 60 - 2, "it counts from the minute of the first record"
        good = oracle.good_minutes(rows, role)
        assert told.good == len(good)
        span = pd.date_range("2026-03-01T00:02Z", periods=told.minutes, freq="min")
        bad = [minute for minute in span if minute not in good]
        assert sum(gap.minutes for gap in told.gaps) == len(bad)
        assert told.gaps[0].start_ns == bad[0].value
        assert told.gap_count == len(told.gaps)
    assert (found["frequency"].target, found["frequency"].confidence) == (99.5, "B")
    assert (found["energy_exported"].target, found["energy_exported"].confidence) == (97.0, "A")


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("2026-03-15T10:20:30", "2025-03-15T10:20"),
        ("2028-02-29T00:00", "2027-02-28T00:00"),
        ("2026-01-01T00:00", "2025-01-01T00:00"),
    ],
)
def test_the_window_is_twelve_calendar_months(end: str, start: str) -> None:
    assert window(ns(end)) == (ns(start), ns(end) // (60 * SECOND) * 60 * SECOND)


def test_the_longest_gaps_are_given_first() -> None:
    bits = np.ones(360)
    bits[6:12] = bits[60:90] = bits[300] = 0
    told = availability("x", {10: bits}, 10 * 3600 * SECOND, 11 * 3600 * SECOND, most_gaps=2)
    assert (told.minutes, told.good, told.gap_count) == (60, 53, 3)
    assert [gap.minutes for gap in told.gaps] == [1, 5]
    assert told.percent == near(53 / 60 * 100)


def test_an_hour_that_was_never_recorded_is_not_available() -> None:
    told = availability("x", {10: np.ones(360)}, 10 * 3600 * SECOND, 12 * 3600 * SECOND)
    assert (told.minutes, told.good) == (120, 60)


def test_what_was_recorded_with_a_clock_that_was_not_set_does_not_begin_the_window(
    write: Write, tmp_path: Path
) -> None:
    write(course(np.arange(0, 60, 5.0) - START_NS / SECOND), course(np.arange(0, 3600, 5.0)))
    found = fold(tmp_path, plant()).availability(START_NS + 3600 * SECOND)
    assert {(one.source, one.minutes, one.good) for one in found if one.source == "gateway"} == {
        ("gateway", 60, 60)
    }
    assert found[0].start_ns == START_NS


def test_a_point_that_the_plant_does_not_have_is_not_available(write: Write, tmp_path: Path) -> None:
    write(course(np.arange(0, 3600, 5.0)))
    other = plant()
    other.points["reactive_power"] = "no_such_point"
    found = {one.source: one for one in fold(tmp_path, other).availability(START_NS + 3600 * SECOND)}
    assert found["reactive_power"].good == 0
    assert found["frequency"].good == 60
