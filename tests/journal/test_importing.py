"""What `export` wrote, `import` brings back: the same lines, or nothing at all and the first wrong line named."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.cli.export import write_jsonl
from bessai.journal import JournalError, JournalReader
from bessai.journal.disk import RealDisk
from bessai.journal.importing import import_jsonl
from bessai.journal.lock import lock_directory
from bessai.journal.log import Log
from bessai.journal.repair import repair
from bessai.journal.row import row_of
from bessai.journal.verify import verify
from bessai.model import CycleTiming, Layout, Quality, WriteOutcome
from support.records import DEVICE, make_event, make_record, wide_record

BOUND = 1 << 24
RICH = Layout(
    ("soc", "active_power", "device_status", "alarm_bits", "spare_bits"),
    ("%", "kW", None, None, None),
    {"device_status": {1: "running", 2: "stopped", 9: "never seen"}},
    {"alarm_bits": {0: "over_voltage", 3: "fan"}, "spare_bits": {}},
)
OTHER = Layout(RICH.names, RICH.units, {"device_status": {1: "on", 4: "waiting"}}, dict(RICH.bits))


def exported(directory: Path) -> list[str]:
    text = io.StringIO()
    reader = JournalReader(directory)
    write_jsonl(reader, None, None, text, lambda done, total: None)
    reader.close()
    return text.getvalue().splitlines(keepends=True)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An export with all that a line can say: layouts that change, gaps, epochs, events, values that are none."""
    directory = tmp_path_factory.mktemp("source")
    log = Log.open(RealDisk(), directory, max_bytes=BOUND)
    draw = np.random.default_rng(5)
    for n in range(1, 200):
        layout = OTHER if 50 <= n < 100 else RICH
        values = np.array([draw.random() * 100, -0.0, n % 6, n % 16, 7.0])
        values[n % 5] = np.nan if n % 7 == 0 else values[n % 5]
        quality = np.array([n % len(Quality), 0, 0, 0, 0], np.uint8)
        times = np.array([99.5, np.nan, 100 - 1e-6 * n, -1e5 * draw.random(), 100.0])
        events = (
            (make_event(n, value=float("nan")), make_event(n, point="soc", value=1.5, user="é"))
            if n % 9 == 0
            else ()
        )
        record = make_record(n, layout=layout, values=values, quality=quality, times=times, events=events)
        record = replace(
            record, timing=CycleTiming(late=float("nan"), read=n / 1e6, decide=0.2, write=0.3, total=1e-6)
        )
        if n % 4 == 0:
            record = replace(
                record, outcome=WriteOutcome(verified=False, written=(), error="no answer"), fed=True
            )
        log.append([row_of(record)], layout, DEVICE if n < 150 else {"profile": "other"})
        if n % 25 == 0:
            log.append([row_of(make_event(n))], RICH, DEVICE)
        if n == 75:
            log.skip(log.last_sequence + 1000)
        if n == 125:
            log.renew(log.epoch + 5)
    log.append([row_of(wide_record(n)) for n in range(20)], wide_record(1).image.layout, DEVICE)
    log.close()
    return exported(directory)


def test_the_same_lines_come_back(lines: list[str], tmp_path: Path) -> None:
    assert len(lines) == 226
    assert len({json.loads(line)["epoch"] for line in lines}) == 2
    file = tmp_path / "out.jsonl"
    file.write_text("".join(lines))
    ticks: list[tuple[int, int]] = []
    done = import_jsonl(file, tmp_path / "b", max_bytes=BOUND, tick=lambda a, b: ticks.append((a, b)))
    assert (done.records, done.skipped, done.dropped) == (len(lines), 1000, 0)
    assert exported(tmp_path / "b") == lines
    assert ticks[-1] == (2 * file.stat().st_size,) * 2
    report = verify(tmp_path / "b")
    assert report.problems == ()
    assert (report.found, report.skipped, report.lost) == (len(lines), 1000, 0)
    newest = max(json.loads(line)["epoch"] for line in lines)
    assert repair(tmp_path / "b").epoch > newest, "what comes next bears no name that the source may give"


def test_the_rest_of_an_export_goes_on_and_an_overlap_does_not(lines: list[str], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("".join(lines[:100]))
    two.write_text("".join(lines[100:]))
    import_jsonl(one, tmp_path / "b", max_bytes=BOUND)
    import_jsonl(two, tmp_path / "b", max_bytes=BOUND)
    assert exported(tmp_path / "b") == lines
    with pytest.raises(JournalError, match=r"ends at sequence 1226, .*one begins at 1: import into an empty"):
        import_jsonl(one, tmp_path / "b", max_bytes=BOUND)
    one.write_text("".join(lines))
    import_jsonl(two, tmp_path / "c", max_bytes=BOUND)
    assert exported(tmp_path / "c") == lines[100:]
    two.write_text("".join(lines[:150]))
    import_jsonl(two, tmp_path / "d", max_bytes=BOUND)
    assert import_jsonl(one, tmp_path / "d", max_bytes=BOUND, resume=True).records == len(lines) - 150
    assert exported(tmp_path / "d") == lines


def test_a_journal_in_use_is_left_alone(lines: list[str], tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("".join(lines))
    lock = lock_directory(tmp_path / "b")
    with pytest.raises(JournalError, match="in use by process"):
        import_jsonl(file, tmp_path / "b", max_bytes=BOUND)
    os.close(lock)
    assert not (tmp_path / "b" / "journal").exists()


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(line: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            line = line[name]
        line[last] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "told"),
    [
        (change("sequence", 3), "sequence is 3, but: it must be above 7"),
        (change("sequence", "8"), "sequence is '8', but: Input should be a valid integer"),
        (change("sequence", 2**63), "sequence is 9223372036854775808"),
        (change("points/soc/quality", "fine"), "points.soc.quality is 'fine', but: Input should be 'good'"),
        (change("points/soc/value", "12"), "points.soc.value is '12'"),
        (
            change("points/alarm_bits/meaning", ["a"] * 9),
            "points.alarm_bits.meaning is .* one name for each bit",
        ),
        (change("points/soc/value", float("nan")), "points.soc.value is nan"),
        (change("decision/extra", float("inf")), "decision is "),
        (change("events", None), "events is None"),
        (change("unheard_of", 1), "unheard_of is 1, but: Extra inputs are not permitted"),
        (change("kind", "cycles"), "kind is 'cycles'"),
        (change("wall_ns", 2**70), "wall_ns is "),
    ],
)
def test_the_first_wrong_line_is_named_and_nothing_is_imported(
    lines: list[str], tmp_path: Path, apply: Callable[[dict[str, Any]], None], told: str
) -> None:
    line = json.loads(lines[7])
    apply(line)
    changed = [*lines[:7], json.dumps(line) + "\n", lines[8]]
    file = tmp_path / "out.jsonl"
    file.write_text("".join(changed))
    with pytest.raises(JournalError, match=rf"(?s)out\.jsonl, line 8: {told}.*Nothing was imported"):
        import_jsonl(file, tmp_path / "b", max_bytes=BOUND)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("end", ['{"sequence": 9', "\n", "[]\n", "\xff\n"])
def test_what_is_no_line(lines: list[str], tmp_path: Path, end: str) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("".join(lines[:3]) + end, encoding="latin-1")
    with pytest.raises(JournalError, match=r"out\.jsonl, line 4: line is"):
        import_jsonl(file, tmp_path / "b", max_bytes=BOUND)
    assert not (tmp_path / "b").exists()


def test_a_bound_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    log = Log.open(RealDisk(), tmp_path / "a", max_bytes=BOUND)
    log.append([row_of(wide_record(n)) for n in range(400)], wide_record(1).image.layout, DEVICE)
    log.close()
    file = tmp_path / "out.jsonl"
    file.write_text("".join(exported(tmp_path / "a")))
    done = import_jsonl(file, tmp_path / "b", max_bytes=150_000)
    assert done.dropped > 0
    report = verify(tmp_path / "b")
    assert report.problems == ()
    assert report.dropped_space == done.dropped
    assert report.found + done.dropped == done.records == 400
