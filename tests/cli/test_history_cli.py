from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import history as history_cli
from bessai.history import HistoryWriter
from bessai.journal import Journal, JournalReader
from bessai.model import Quality
from support.history_oracle import few
from support.records import DEVICE, LAYOUT, make_record

app = typer.Typer()
history_cli.register(app)
RANGE = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:02:00Z")


def run(*arguments: str | Path, data: Path) -> Any:
    return CliRunner().invoke(app, ["history", *map(str, arguments), "--data-dir", str(data)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A hundred records a second apart, `soc` counting up, the tenth without one; sixty are stored."""
    journal = Journal.open(tmp_path, layout=LAYOUT, device=DEVICE)
    for n in range(100):
        quality = np.array([Quality.STALE if n == 9 else Quality.GOOD, 0, 0], np.uint8)
        journal.append(make_record(n, quality=quality))
    assert journal.close(60)
    reader, writer = JournalReader(tmp_path), HistoryWriter(tmp_path)
    writer.fold_blocks(few(reader.blocks(0, 60), 0, 60))
    writer.flush()
    writer.close()
    reader.close()
    return tmp_path


@pytest.mark.parametrize("zone", ["UTC", "America/Santiago", "Pacific/Kiritimati"])
def test_query_for_programs(data: Path, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    result = run(
        "query", "--points", "soc,active_power", "--step", "1m", "--format", "json", *RANGE, data=data
    )
    assert result.exit_code == 0, result.output
    soc, power = json.loads(result.stdout)
    assert (soc["unit"], soc["resolution"], soc["step"], soc["pending"]) == ("%", "1min", 60.0, 0)
    assert soc["time"] == ["2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z"]
    assert (soc["min"], soc["max"], soc["last"]) == ([0, 60], [59, 99], [59, 99])
    assert (soc["count"], soc["good"]) == ([60, 40], [59 / 60, 1])
    assert soc["mean"] == pytest.approx([(sum(range(60)) - 9) / 59, sum(range(60, 100)) / 40])
    assert power["count"] == [60, 40]


def test_query_as_csv(data: Path) -> None:
    result = run("query", "--points", "soc", "--step", "10s", "--format", "csv", *RANGE, data=data)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 12
    assert (rows[0]["point"], rows[0]["unit"], rows[0]["time"]) == ("soc", "%", "2026-01-01T00:00:00.000Z")
    assert (rows[0]["max"], rows[0]["count"], rows[0]["good"]) == ("8.0", "10", "0.9")
    assert (rows[11]["max"], rows[11]["count"], rows[11]["good"]) == ("", "0", ""), "a gap is a gap"


def test_query_for_people(data: Path) -> None:
    result = run("query", "--points", "soc", "--step", "1m", *RANGE, data=data)
    assert result.exit_code == 0, result.output
    assert "soc (%), every 60 s, from 1min" in result.stdout
    assert "98.3%" in result.stdout
    result = run("query", "--points", "soc", "--rows", "200", *RANGE, data=data)
    assert "every record, from raw" in result.stdout


def test_points_and_stats(data: Path) -> None:
    assert run("points", data=data).stdout.split() == ["active_power", "kW", "device_status", "soc", "%"]
    stats = json.loads(run("stats", "--json", data=data).stdout)
    assert (stats["sequence"], stats["points"]) == (60, 3)
    assert "up to record 60 of 100" in " ".join(run("stats", data=data).stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--points", "sock"], "no point 'sock' in the history: did you mean soc"),
        (["--points", "soc", "--from", "now", "--to", "-1h"], "swap them"),
        (["--points", "soc", "--step", "often"], "--step 'often'"),
        (["--points", "soc", "--from", "1990-01-01", "--step", "10s"], "take a step of at least"),
    ],
)
def test_wrong_arguments(data: Path, options: list[str], message: str) -> None:
    result = run("query", *options, data=data)
    assert result.exit_code == 2
    assert message in result.stderr


def test_no_history(tmp_path: Path) -> None:
    result = run("query", "--points", "soc", data=tmp_path)
    assert result.exit_code == 3
    assert "there is no history in" in result.stderr
    assert list(tmp_path.iterdir()) == []
