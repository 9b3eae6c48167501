"""What an answer says at the borders of what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bessai.history import History, HistoryError, HistoryWriter, Keep, query
from bessai.history.plan import RAW, buckets, make_plan, nice_step
from bessai.journal import Journal, JournalReader
from bessai.journal.log import MIN_BYTES
from bessai.model import Layout
from history.conftest import Fill, course
from support.history_oracle import SECOND, check
from support.history_oracle import buckets as brute_force
from support.records import DEVICE, START_NS, WIDE, make_event, wait_until, wide_record

Open = Callable[..., HistoryWriter]
DAY = 86400 * SECOND
ALL = [float("-inf")] * 4
NOTHING = float("inf")


@pytest.mark.parametrize("most", [1, 2, 7, 100, 2000])
@pytest.mark.parametrize("seconds", [0.05, 1, 59, 3600, 86400, 30 * 86400, 20 * 365 * 86400])
def test_a_step_keeps_to_the_rows(most: int, seconds: float) -> None:
    end = START_NS + int(seconds * SECOND)
    step = nice_step(START_NS, end, most)
    assert buckets(START_NS, end, step) <= most
    if step > SECOND // 10 and step <= DAY:
        assert buckets(START_NS, end, step // 3) > most, "the next shorter one would not"


def test_edges_come_from_finer_levels() -> None:
    start = START_NS + DAY - 61 * 60 * SECOND - 15 * SECOND - 5
    plan = make_plan(start, START_NS + 3 * DAY + 7, DAY, kept_from=ALL, raw_from=float("-inf"), many=False)
    assert [(piece.level, (piece.end - piece.start) // SECOND) for piece in plan.pieces] == [
        (RAW, 5), (0, 10), (1, 60), (2, 3600), (3, 2 * 86400), (RAW, 0),
    ]  # fmt: skip
    assert (plan.start, plan.end) == (start, START_NS + 3 * DAY + 7)
    assert all(a.end == b.start for a, b in zip(plan.pieces, plan.pieces[1:], strict=False))


def test_where_finer_levels_are_gone_edges_widen() -> None:
    start, end = START_NS + 1000 * SECOND, START_NS + 5 * DAY + 5 * SECOND
    kept_from = [START_NS + DAY, START_NS + 2000.0 * SECOND, -1e30, -1e30]
    plan = make_plan(start, end, 86400 * SECOND, kept_from=kept_from, raw_from=NOTHING, many=False)
    assert (plan.start, plan.end) == (START_NS + 900 * SECOND, START_NS + 5 * DAY + 10 * SECOND)
    inside = make_plan(
        START_NS + 100, START_NS + 200, 60 * SECOND, kept_from=ALL, raw_from=NOTHING, many=False
    )
    assert (inside.start, inside.end) == (START_NS, START_NS + 10 * SECOND)


def test_what_is_not_stored_yet_is_told(
    fill: Fill, reader: JournalReader, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(course(900))
    monkeypatch.setattr("bessai.history.answer.TAIL", 100)
    start = START_NS
    (series,) = query(history, reader, ["soc"], start, start + 1000 * SECOND, step=60)
    assert series.pending > 0
    assert series.pending + series.count.sum() >= 900
    (series,) = query(history, reader, ["soc"], start, start + 1000 * SECOND, step=0)
    assert (series.pending, series.count.sum()) == (0, 900), "the journal's own records are all there"


def test_a_short_range_comes_record_by_record(fill: Fill, reader: JournalReader, history: History) -> None:
    records = course(300)
    fill(records)
    (series,) = query(history, reader, ["soc"], START_NS + 50 * SECOND, START_NS + 150 * SECOND)
    assert (series.resolution, series.step_ns, len(series.times)) == ("raw", 0, 100)
    values = [float(record.image.values[0]) for record in records[50:150]]
    good = series.good == 1
    np.testing.assert_array_equal(series.last[good], np.array(values)[good])
    assert np.isnan(series.last[~good]).all()
    (series,) = query(history, reader, ["soc"], START_NS, START_NS + 300 * SECOND, max_points=40)
    assert series.step_ns == 10 * SECOND
    check(series, brute_force(records, "soc", "%", START_NS, START_NS + 300 * SECOND, 10 * SECOND))
    (series,) = query(history, reader, ["soc"], START_NS, START_NS + DAY, now_ns=START_NS + 60 * SECOND)
    assert (series.end_ns, series.count.sum()) == (START_NS + 60 * SECOND, 60)


def test_what_cannot_be_answered(fill: Fill, reader: JournalReader, history: History) -> None:
    fill(course(20))
    start, end = START_NS, START_NS + 20 * SECOND
    for arguments, message in (
        ({"points": ["sox"]}, "no point 'sox' in the history: did you mean soc"),
        ({"points": ["wholly_different"]}, "it has 3 others"),
        ({"end": start - 1}, "ends before it begins"),
        ({"step": -1.0}, "give a step"),
        ({"max_points": 0}, "at least 1 point"),
        ({"start": 0, "step": 10.0}, "take a step of at least"),
    ):
        asked = {"points": ["soc"], "start": start, "end": end} | arguments
        options = {name: asked[name] for name in ("step", "max_points") if name in asked}
        with pytest.raises(HistoryError, match=message):
            query(history, reader, asked["points"], asked["start"], asked["end"], **options)  # type: ignore[arg-type]
    (series,) = query(history, reader, ["soc"], start, start)
    assert len(series.times) == 0


def test_a_day_is_a_day_of_utc_wherever_one_is(
    fill: Fill, reader: JournalReader, history: History, open_writer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    records = course(200, 1800.0)
    fill(records)
    writer = open_writer()
    writer.fold_blocks(reader.blocks(0, 200))
    writer.flush()
    writer.compact(everything=True)
    (series,) = query(history, reader, ["soc"], START_NS, START_NS + 5 * DAY, step=86400)
    assert [time % DAY for time in series.times.tolist()] == [0] * 5
    check(series, brute_force(records, "soc", "%", START_NS, START_NS + 5 * DAY, DAY))


def test_beyond_the_journal_rollups_still_have_the_extremes(
    tmp_path: Path, reader: JournalReader, history: History, open_writer: Open
) -> None:
    """A spike of one second in two weeks is the maximum of its bucket, at every step."""
    writer = open_writer(Keep(years=(2 / 365.25, 1, 1, 1)))
    layout = Layout(("p",), ("kW",))
    for day in range(14):
        values = np.full((8640, 1), 5.0)
        if day == 3:
            values[4321] = 77.5
        wall = START_NS + day * DAY + np.arange(8640) * 10 * SECOND
        writer.fold(layout, writer.folded + 8640, wall, values, np.zeros(values.shape, np.uint8))
        writer.flush()
        writer.compact()
    for most in (1, 10, 200, 2000, 20_000):
        (series,) = query(history, reader, ["p"], START_NS, START_NS + 14 * DAY, max_points=most)
        assert len(series.times) <= most
        assert np.nanmax(series.maximum) == 77.5
        row = int(np.nanargmax(series.maximum))
        spike = START_NS + 3 * DAY + 43_210 * SECOND
        assert series.times[row] <= spike < series.times[row] + series.step_ns


def test_what_the_journal_has_dropped_is_not_taken_for_a_gap(
    tmp_path: Path, reader: JournalReader, history: History, open_writer: Open
) -> None:
    """Records with events outlive their neighbours in the journal: they must not be taken for all there was."""
    journal = Journal.open(tmp_path, layout=WIDE, device=DEVICE, max_bytes=MIN_BYTES)
    writer, n = open_writer(), 0
    while reader.stats().dropped_space == 0 or n % 500:
        journal.append(wide_record(n, events=(make_event(n),) if n == 3 else ()))
        n += 1
        if n % 500 == 0:
            wait_until(lambda: journal.stats().queued == 0)
            while blocks := reader.blocks(writer.folded, 500):
                writer.fold_blocks(blocks)
            writer.flush()
    assert journal.close(60)
    assert [entry.sequence for entry in reader.read(0, 1)] == [4], "the one with an event is still there"
    start = START_NS + 2 * SECOND
    (series,) = query(history, reader, ["point_0"], start, start + 60 * SECOND, step=1)
    assert (series.resolution, series.step_ns, series.start_ns) == ("10s", 10 * SECOND, START_NS)
    assert series.count.tolist() == [10] * 7
    end = START_NS + n * SECOND
    (series,) = query(history, reader, ["point_0"], end - 30 * SECOND, end, step=1)
    assert (series.resolution, series.count.tolist()) == ("raw", [1] * 30)
