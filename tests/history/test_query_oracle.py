"""Every answer equals brute force over the records, whatever was folded, stored, compacted or forgotten by then."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessai.history import History, HistoryWriter, query
from bessai.journal import Journal, JournalReader
from bessai.model import CycleRecord, Layout, Quality
from support.history_oracle import SECOND, buckets, check, few, unit_of
from support.records import DEVICE, LAYOUT, START_NS, make_event, make_record

LAYOUTS = (
    Layout(("soc", "power"), ("%", "kW")),
    Layout(("power", "soc", "temperature"), ("W", "%", "°C")),
    Layout(("temperature", "soc"), ("°C", "%")),
)
STEPS = (0.5, 3, 7, 10, 30, 60, 420, 900, 3600, 86400, 172800, None)
_VALUES = st.one_of(
    st.integers(-5000, 5000).map(lambda n: n * 0.1),
    st.integers(-9, 9).map(float),
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
_PAUSES = st.one_of(
    st.just(1.0), st.floats(0.05, 30.0), st.floats(60.0, 200_000.0), st.floats(-200_000.0, -0.05)
)


@st.composite
def stories(draw: st.DrawFn) -> list[CycleRecord | None]:
    """Records in order of recording; None is an event between them."""
    made: list[CycleRecord | None] = []
    time = START_NS + draw(st.integers(0, 86400 * SECOND))
    for _ in range(draw(st.integers(1, 6))):
        layout = draw(st.sampled_from(LAYOUTS))
        time += int(draw(_PAUSES) * SECOND)
        spacing = draw(st.sampled_from([0.1, 1.0, 5.0, 40.0, 700.0]))
        values = draw(st.lists(_VALUES, min_size=1, max_size=8))
        quality = draw(st.lists(st.sampled_from([0, 0, 0, *map(int, Quality)]), min_size=1, max_size=8))
        for n in range(draw(st.integers(1, 40))):
            columns = range(len(layout))
            record = make_record(
                n, layout=layout,
                values=np.array([values[(n + c) % len(values)] for c in columns]),
                quality=np.array([quality[(n * 3 + c) % len(quality)] for c in columns], np.uint8),
            )  # fmt: skip
            made.append(replace(record, image=replace(record.image, wall_ns=time)))
            time += int(spacing * SECOND)
        if draw(st.booleans()):
            made.append(None)
    return made


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), story=stories())
def test_every_answer_equals_brute_force(data: st.DataObject, story: list[CycleRecord | None]) -> None:
    records = [record for record in story if record is not None]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        journal = Journal.open(directory, layout=LAYOUT, device=DEVICE)
        for record in story:
            if record is None:
                journal.append_event(make_event())
            else:
                journal.append(record)
        assert journal.close(60)
        reader, history, writer = JournalReader(directory), History(directory), HistoryWriter(directory)
        try:
            for _ in range(data.draw(st.integers(0, 6), "rounds")):
                limit = data.draw(st.integers(1, 60), "records")
                writer.fold_blocks(few(reader.blocks(writer.folded, limit), writer.folded, limit))
                match data.draw(st.sampled_from(["flush", "compact", "flush", "restart", "go on"]), "then"):
                    case "flush":
                        writer.flush()
                    case "compact":
                        writer.flush()
                        writer.compact(everything=True)
                    case "restart":
                        writer.close()
                        writer = HistoryWriter(directory)
            for _ in range(4):
                ask(data, records, history, reader)
        finally:
            reader.close()
            history.close()
            writer.close()


def ask(data: st.DataObject, records: list[CycleRecord], history: History, reader: JournalReader) -> None:
    """One question, answered for all points together."""
    times = [record.image.wall_ns for record in records]
    edges = st.one_of(st.sampled_from(times), st.integers(min(times) - 10**11, max(times) + 10**11))
    start, end = sorted(data.draw(st.tuples(edges, edges), "range"))
    step: float | None = data.draw(st.sampled_from(STEPS), "step")
    points = sorted({name for record in records for name in record.image.layout.names})
    options: dict[str, Any] = {"max_points": data.draw(st.integers(1, 300), "rows")} if step is None else {}
    if step is not None and (end - start) / step / SECOND > 50_000:
        step = 3600
    for series in query(history, reader, points, start, end, step=step, **options):
        assert series.unit == unit_of(records, series.point)
        assert series.pending == 0
        assert (series.start_ns, series.end_ns) == (start, end), "nothing was dropped: the range is exact"
        expected = buckets(records, series.point, series.unit, start, end, series.step_ns or 1)
        if series.step_ns:
            check(series, expected)
            if step is not None:
                assert series.step_ns == step * SECOND
            assert np.all(np.diff(series.times) == series.step_ns), "gaps are rows too"
        else:
            assert series.count.sum() == sum(bucket.count for bucket in expected.values())
            good = np.sort([value for bucket in expected.values() for _, value in bucket.good])
            np.testing.assert_array_equal(np.sort(series.last[series.good == 1]), good)
        if step is None:
            assert len(series.times) <= options["max_points"]


if __name__ == "__main__":
    pytest.main([__file__])
