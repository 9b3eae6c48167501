from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.performance import Performance
from bessai.performance.database import NAME, make_room, open_database
from bessai.performance.events import FIELDS
from performance.conftest import SECOND, START_NS, Write, course, fold, near, plant

EVER = (0, 1 << 62)


def seconds(time_ns: int) -> float:
    return (time_ns - START_NS) / SECOND


def sagged(t: np.ndarray, begin: float, end: float, deep: float, usual: float) -> np.ndarray:
    return np.where((t >= begin - 1e-9) & (t < end - 1e-9), deep, usual)


@pytest.fixture
def disturbed(write: Write, tmp_path: Path) -> Performance:
    """Two minutes at 10 Hz: a frequency dip from 30 to 33 s, a sag from 60 to 60.5 s, a swell from 90 to 91 s."""
    t = np.arange(0, 120, 0.1)
    frequency = sagged(t, 30, 33, 49.7, 50.0) - 0.1 * ((t >= 31) & (t < 31.05))
    voltage = sagged(t, 60, 60.5, 340.0, 400.0) + 50 * ((t >= 90 - 1e-9) & (t < 91 - 1e-9))
    write(course(t, frequency=frequency, voltage=voltage, active_power=t, reactive_power=-t))
    return fold(tmp_path, plant(rocof_limit=20))


def test_begin_end_and_extremes(disturbed: Performance) -> None:
    found = [event for _, event in disturbed.events(*EVER)]
    assert [(e.kind, e.direction, e.ending, e.excursions) for e in found] == [
        ("frequency", "under", "returned", 1), ("voltage", "sag", "returned", 1), ("voltage", "swell", "returned", 1)
    ]  # fmt: skip
    dip, sag, swell = found
    assert (seconds(dip.start_ns), dip.duration) == (near(30), near(3))
    assert (dip.minimum, seconds(dip.minimum_ns), dip.maximum) == (
        near(49.6),
        near(31),
        49.7,
    )
    assert (seconds(sag.start_ns), sag.duration, sag.minimum) == (near(60), near(0.5), 85.0)
    assert (seconds(swell.start_ns), swell.duration) == (near(90), near(1))
    assert swell.maximum == near(112.5)
    assert dip.rocof_worst is not None
    assert dip.rocof_worst == near(-0.3 * 1.5 / 0.5, rel=0.3), "a step of 0.3 Hz within the window"


def test_records_before_during_and_after_are_all_there(disturbed: Performance) -> None:
    for identity, event in disturbed.events(*EVER):
        found = disturbed.event(identity)
        assert found is not None
        rows = found[1]
        times = (rows.wall_ns - START_NS) / SECOND
        begin, end = seconds(event.start_ns) - 10, seconds(event.end_ns or 0) + 10
        np.testing.assert_allclose(times, np.arange(round(begin * 10), round(end * 10) + 1) / 10, atol=1e-6)
        np.testing.assert_allclose(rows.values[:, FIELDS.index("active_power")], times, atol=1e-6)
        np.testing.assert_allclose(rows.values[:, FIELDS.index("reactive_power")], -times, atol=1e-6)
        assert event.rows == len(rows)


@pytest.mark.parametrize("every", [1, 7, 300])
def test_it_does_not_matter_where_it_is_stored(write: Write, tmp_path: Path, every: int) -> None:
    """Also not within an event: what is carried is all that is needed."""
    chance = np.random.default_rng(3)
    t = np.cumsum(chance.uniform(0.05, 0.2, 900))
    frequency = 50 + np.cumsum(chance.normal(0, 0.03, 900))
    frequency[400:420] = np.nan
    write(course(t, frequency=frequency, voltage=400 + np.cumsum(chance.normal(0, 4, 900))))
    whole = fold(tmp_path, plant(after=2.0), every=100_000)
    expected = [event.plain() for _, event in whole.events(*EVER)]
    rows = [whole.event(identity) for identity, _ in whole.events(*EVER)]
    assert len(expected) > 4
    for file in tmp_path.glob("performance.db*"):
        file.unlink()
    again = fold(tmp_path, plant(after=2.0), every=every)
    assert [event.plain() for _, event in again.events(*EVER)] == expected
    for before, (identity, _) in zip(rows, again.events(*EVER), strict=True):
        after = again.event(identity)
        assert before is not None
        assert after is not None
        np.testing.assert_array_equal(before[1].wall_ns, after[1].wall_ns)
        np.testing.assert_array_equal(before[1].values, after[1].values)


def test_found_as_the_naive_rule_finds_them(write: Write, tmp_path: Path) -> None:
    """Sample by sample: outside begins, inside by the return band ends, and again outside within `after` goes on."""
    chance = np.random.default_rng(11)
    t = np.arange(0, 600, 0.5)
    frequency = 50 + 0.25 * np.sin(t / 17) + chance.normal(0, 0.02, len(t))
    write(course(t, frequency=frequency))
    settings: dict[str, Any] = {
        "frequency_band": 0.2,
        "frequency_return": 0.02,
        "after": 5.0,
        "rocof_limit": 20,
    }
    found = [event for _, event in fold(tmp_path, plant(**settings)).events(*EVER)]
    expected: list[list[float]] = []
    begin = end = None
    for at, f in zip(t.tolist(), frequency.tolist(), strict=True):
        if begin is None:
            if abs(f - 50) > 0.2:
                begin, end, low, high, times = at, None, f, f, 1
            continue
        if abs(f - 50) > 0.2:
            times += end is not None
            end = None
        elif end is None and abs(f - 50) <= 0.18:
            end = at
        if end is None:
            low, high = min(low, f), max(high, f)
        elif at - end >= 5.0:
            expected.append([begin, end, low, high, times])
            begin = None
    closed = [event for event in found if event.ending == "returned"]
    told = [[seconds(e.start_ns), seconds(e.end_ns or 0), e.minimum, e.maximum, e.excursions] for e in closed]
    assert len(expected) > 3
    np.testing.assert_allclose(told, expected, atol=1e-6)


def test_steep_changes_are_events(write: Write, tmp_path: Path) -> None:
    t = np.arange(0, 40, 0.1)
    frequency = 50 - np.clip(t - 20, 0, 0.15) * 1.0  # 1 Hz/s for 0.15 s: within the frequency band
    write(course(t, frequency=frequency))
    ((_, event),) = fold(tmp_path, plant(rocof_limit=0.2)).events(*EVER)
    assert (event.kind, event.direction) == ("rocof", "falling")
    assert event.rocof_worst == event.minimum < -0.3


def test_with_slow_samples_the_rate_is_not_measurable(write: Write, tmp_path: Path) -> None:
    t = np.arange(0, 60, 1.0)
    write(course(t, frequency=50 + 0.1 * (t % 2)))
    performance = fold(tmp_path, plant(rocof_limit=0.01))
    assert performance.events(*EVER) == []
    assert performance.rocof(*EVER) == {}


def test_a_value_that_is_recorded_twice_was_measured_once(write: Write, tmp_path: Path) -> None:
    """A meter read once a second, recorded ten times: no slope within half a second, and no slope of zero either."""
    t = np.arange(0, 60, 0.1)
    write(course(t, age=t % 1, frequency=50 - 0.001 * np.floor(t + 1e-9)))
    assert fold(tmp_path, plant()).rocof(*EVER) == {}


def test_the_end_is_unknown_when_the_data_end_first(write: Write, tmp_path: Path) -> None:
    t = np.arange(0, 100, 1.0)
    frequency = np.where(t >= 20, 49.5, 50.0)
    frequency[40:] = np.nan
    write(course(t, frequency=frequency))
    ((_, event),) = fold(tmp_path, plant()).events(*EVER)
    assert (event.ending, event.end_ns, event.duration) == ("unknown", None, None)
    assert seconds(event.known_ns) == 39


def test_a_clock_that_is_set_back_ends_what_is_open(write: Write, tmp_path: Path) -> None:
    t = np.concatenate([np.arange(0, 30, 1.0), np.arange(-300, -280, 1.0)])
    write(course(t, frequency=np.where(np.arange(50) >= 20, 49.5, 50.0)))
    found = [event for _, event in fold(tmp_path, plant()).events(*EVER)]
    assert [(seconds(e.start_ns), e.ending) for e in found] == [(-300, None), (20, "clock set back")]
    assert found[1].end_ns is None


def test_of_a_long_event_only_so_many_records_are_kept(write: Write, tmp_path: Path) -> None:
    t = np.arange(0, 400, 1.0)
    write(course(t, frequency=np.where(t >= 20, 49.5 - t / 1e4, 50.0)))
    performance = fold(tmp_path, plant(event_rows=100), every=30)
    ((identity, event),) = performance.events(*EVER)
    found = performance.event(identity)
    assert found is not None
    assert (len(found[1]), event.rows, event.truncated, event.ending) == (100, 100, True, None)
    assert event.minimum == near(49.5 - 0.0399), "the extremes go on"


def test_the_oldest_records_make_room(write: Write, tmp_path: Path) -> None:
    t = np.arange(0, 600, 1.0)
    noise = np.random.default_rng(1).normal(0, 1, len(t))
    write(course(t, frequency=np.where(t % 100 == 50, 49.0, 50.0), active_power=noise))
    performance = fold(tmp_path, plant())
    assert [event.dropped for _, event in performance.events(*EVER)] == [False] * 6
    connection = open_database(tmp_path / NAME, write=True)
    assert connection is not None
    sizes = [size for (size,) in connection.execute("SELECT sum(length(body)) FROM part GROUP BY event")]
    make_room(connection, sum(sizes[2:]))
    connection.close()
    found = performance.events(*EVER)
    assert [event.dropped for _, event in found] == [True] * 2 + [False] * 4
    for identity, event in found:
        told = performance.event(identity)
        assert told is not None
        assert len(told[1]) == (0 if event.dropped else event.rows)
