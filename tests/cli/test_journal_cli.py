from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import journal as journal_cli
from bessai.journal import Cursors, Journal, Progress
from bessai.model import Quality
from support.records import DEVICE, LAYOUT, START_NS, make_event, make_record, wide_record

app = typer.Typer()
journal_cli.register(app)


def run(*arguments: str | Path, data: Path | None = None) -> Any:
    options = [] if data is None else ["--data-dir", str(data)]
    return CliRunner().invoke(app, ["journal", *map(str, arguments), *options])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Nine cycles a second apart, number 5 with an alarm and a value that is no number, then an event."""
    journal = Journal.open(tmp_path / "data", layout=LAYOUT, device=DEVICE)
    for n in range(1, 10):
        changes: dict[str, Any] = {}
        if n == 5:
            changes = {
                "values": np.array([np.nan, 1.0, 1.0]),
                "quality": np.array([Quality.MISSING, 0, 0], np.uint8),
            }
        events = (make_event(n, value=float("nan"), message="no [bold]soc"),) if n == 5 else ()
        journal.append(make_record(n, events=events, **changes))
    journal.append_event(make_event(0, wall_ns=START_NS + 10 * 10**9))
    assert journal.close(30)
    return tmp_path / "data"


def test_tail_for_people(data: Path) -> None:
    result = run("tail", "-n", "6", data=data)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["5", "6", "7", "8", "9", "10"]
    assert "2026-01-01T00:00:05.000Z  normal    setpoint 2.5 kW  soc missing  active_power 1 kW" in lines[0]
    assert "alarm evidence_lost: no [bold]soc" in lines[0]
    assert "soc 6 %" in lines[1]
    assert run("tail", "-n", "0", data=data).stdout == ""


def test_tail_for_programs(data: Path) -> None:
    entries = [json.loads(line) for line in run("tail", "-n", "6", "--json", data=data).stdout.splitlines()]
    assert entries[0]["points"]["soc"] == {"value": None, "unit": "%", "quality": "missing", "age": 0.5}
    assert entries[0]["points"]["device_status"]["meaning"] == "running"
    assert entries[0]["events"][0]["severity"] == "alarm"
    assert entries[0]["events"][0]["value"] is None
    assert entries[0]["decision"]["bounds"] == {"low": -5.0, "high": None}
    assert (entries[-1]["kind"], entries[-1]["sequence"], "points" in entries[-1]) == ("event", 10, False)


def test_tail_follows(data: Path) -> None:
    code = (
        # a background job would ignore SIGINT
        "import signal, typer; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from bessai.cli import journal; a = typer.Typer(); journal.register(a); a()"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "journal",
        "tail",
        "-n",
        "1",
        "-f",
        "--json",
        "--data-dir",
        str(data),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sequence"] == 10
        journal = Journal.open(data, layout=LAYOUT, device=DEVICE)
        journal.append_event(make_event())
        assert json.loads(process.stdout.readline())["sequence"] == 11
        assert journal.close(30)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], range(1, 11)),
        (["--from", "2026-01-01T00:00:03"], range(3, 11)),
        (["--from", "2026-01-01T00:00:03Z", "--to", "2026-01-01T01:00:05+01:00"], range(3, 6)),
        (["--to", "2026-01-01"], range(0)),
        (["--from", "-1h"], range(0)),
        (["--from", "-9999d", "--to", "now"], range(1, 11)),
    ],
)
def test_export_jsonl(data: Path, options: list[str], expected: range) -> None:
    assert datetime.now(UTC) > datetime(2026, 1, 1, 2, tzinfo=UTC), "this machine's clock is wrong"
    result = run("export", "--format", "jsonl", *options, data=data)
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == list(expected)


def test_export_jsonl_to_a_file(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    result = run("export", "--format", "jsonl", "--output", target, data=data)
    assert result.exit_code == 0, result.output
    assert len(target.read_text().splitlines()) == 10
    assert result.stdout == ""
    assert "10 entries" in result.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data", "out.jsonl"]


def test_export_parquet(data: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    journal = Journal.open(data, layout=LAYOUT, device=DEVICE)
    journal.append(wide_record(11))
    assert journal.close(30)
    target = tmp_path / "out.parquet"
    result = run("export", "--format", "parquet", "-o", target, data=data)
    assert result.exit_code == 0, result.output
    table = parquet.read_table(target)
    assert table.column_names[:6] == [
        "sequence",
        "time",
        "soc",
        "soc_quality",
        "active_power",
        "active_power_quality",
    ]
    assert table["sequence"].to_pylist() == [*range(1, 10), 11]
    assert table["time"].cast("int64").to_pylist() == [START_NS + n * 10**9 for n in (*range(1, 10), 11)]
    soc = table["soc"].to_pylist()
    assert soc[:4] == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(soc[4])
    assert soc[9] is None
    assert table["soc_quality"].to_pylist() == ["good"] * 4 + ["missing"] + ["good"] * 4 + [None]
    assert table["point_7"].to_pylist()[:9] == [None] * 9
    assert table["point_7"].to_pylist()[9] == wide_record(11).image.values[7]
    assert table.schema.field("active_power").metadata == {b"unit": b"kW"}


def test_export_parquet_without_pyarrow(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = run("export", "--format", "parquet", "-o", tmp_path / "out", data=data)
    assert result.exit_code == 2
    assert "pip install 'open-bess-edge[parquet]'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "csv"], "csv"),
        (["--format", "jsonl", "--from", "yesterday"], "--from 'yesterday' is no time"),
        (["--format", "jsonl", "--from", "now", "--to", "-1h"], "swap them"),
        (["--format", "jsonl", "-o", "/nowhere/out"], "/nowhere/out cannot be written"),
        ([], "--format"),
    ],
)
def test_wrong_arguments(data: Path, options: list[str], message: str) -> None:
    result = run("export", *options, data=data)
    assert result.exit_code == 2
    assert message in result.stderr


def test_parquet_goes_to_a_pipe_but_not_to_a_terminal(data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run("export", "--format", "parquet", data=data)
    assert result.exit_code == 0
    assert parquet.read_table(io.BytesIO(result.stdout_bytes)).num_rows > 0


def test_export_keeps_links_and_writes_to_pipes(data: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert run("export", "--format", "jsonl", "-o", tmp_path / "link", data=data).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text().startswith("{")
    assert run("export", "--format", "jsonl", "-o", "/dev/null", data=data).exit_code == 0
    assert Path("/dev/null").is_char_device()
    result = run("export", "--format", "jsonl", "-o", "-", data=data)
    assert result.stdout.startswith("{")


def test_stats(data: Path) -> None:
    cursors = Cursors(data)
    cursors.set("pubsub", 7)
    cursors.close()
    found = json.loads(run("stats", "--json", data=data).stdout)
    assert (found["first_sequence"], found["last_sequence"], found["records"]) == (1, 10, 10)
    assert (found["dropped_space"], found["cursors"]) == (0, {"pubsub": 7})
    result = run("stats", data=data)
    assert result.exit_code == 0, result.output
    assert "at 7, 3 behind" in result.stdout


@pytest.mark.parametrize(
    "command",
    [["tail"], ["stats"], ["export", "--format", "jsonl"], ["verify"], ["repair"], ["backup", "/nowhere/a"]],
)
def test_no_journal(tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(*command, data=tmp_path)
    assert result.exit_code == 3
    assert f"there is no journal in {tmp_path}" in result.stderr
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "elsewhere"))
    assert "elsewhere" in run(*command).stderr
    (tmp_path / "journal").write_bytes(b"garbage" * 100)
    result = run(*command, data=tmp_path)
    assert result.exit_code == 3
    assert "there is no journal" in result.stderr


def test_verify_and_repair(data: Path) -> None:
    result = run("verify", data=data)
    assert result.exit_code == 0, result.output
    assert "10 given = 10 held + 0 dropped for space + 0 left out + 0 lost" in result.stdout
    assert result.stdout.endswith("sound\n")
    assert "nothing to mend" in run("repair", data=data).stdout
    (log,) = (data / "journal").glob("wal-*.log")
    content = log.read_bytes()
    log.write_bytes(content[:200] + b"\xff" * 8 + content[208:])
    result = run("verify", "--json", data=data)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["sound"], told["found"], told["last_sequence"]) == (False, 10 - told["lost"], 10)
    (problem,) = told["problems"]
    assert (problem["file"], problem["first"], problem["last"]) == (log.name, 1, told["lost"])
    result = run("verify", data=data)
    assert result.exit_code == 1
    assert (
        f"damaged: {log.name}: a damaged part, records 1 to {told['lost']}; 1 to {told['lost']} lost"
        in result.stdout
    )
    assert "run `bessai journal repair`" in result.stdout
    result = run("repair", data=data)
    assert result.exit_code == 0, result.output
    assert f"mended; {told['lost']} records are lost" in result.stdout
    result = run("verify", data=data)
    assert result.exit_code == 0, result.output
    assert f"no record has the numbers 1 to {told['lost']}" in result.stdout


def test_a_new_epoch(data: Path) -> None:
    before = json.loads(run("stats", "--json", data=data).stdout)["epoch"]
    assert "a new epoch begins" in run("repair", "--new-epoch", data=data).stdout
    assert json.loads(run("stats", "--json", data=data).stdout)["epoch"] > before


def test_backup_and_restore(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tar"
    journal = Journal.open(data, layout=LAYOUT, device=DEVICE)
    result = run("backup", target, data=data)
    assert result.exit_code == 0, result.output
    assert f"{target}: 10 records up to sequence 10" in result.stdout
    assert run("verify", target).exit_code == 0
    result = run("restore", "--replace", target, data=data)
    assert result.exit_code == 2
    assert "in use by process" in result.stderr
    assert journal.close(30)
    result = run("restore", target, data=data)
    assert result.exit_code == 2
    assert "restore into an empty data directory, or with --replace" in result.stderr
    result = run("restore", target, "--replace", data=data)
    assert result.exit_code == 0, result.output
    assert "what was there before is now" in result.stdout
    assert run("export", "--format", "jsonl", data=data).stdout.count("\n") == 10
    content = bytearray(target.read_bytes())
    content[content.index(b"BJf1") + 300] ^= 1
    target.write_bytes(content)
    result = run("verify", target)
    assert result.exit_code == 1
    assert "is not what the manifest says" in result.stdout
    assert run("restore", target, "--replace", data=data).exit_code == 2
    assert run("verify", tmp_path / "nothing.tar").exit_code == 3
    assert run("backup", "/nowhere/a.tar", data=data).exit_code == 2


def test_import_brings_back_what_export_wrote(data: Path, tmp_path: Path) -> None:
    lines = run("export", "--format", "jsonl", data=data).stdout
    (tmp_path / "a.jsonl").write_text(lines)
    result = run("import", tmp_path / "a.jsonl", data=tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "10 records, up to sequence 10" in result.stdout
    assert run("export", "--format", "jsonl", data=tmp_path / "b").stdout == lines
    result = run("import", tmp_path / "a.jsonl", data=tmp_path / "b")
    assert result.exit_code == 2
    assert "ends at sequence 10" in result.stderr
    (tmp_path / "a.jsonl").write_text(lines.replace('"good"', '"fine"', 1))
    result = run("import", tmp_path / "a.jsonl", data=tmp_path / "c")
    assert result.exit_code == 2
    assert "a.jsonl, line 1: points.soc.quality is 'fine'" in result.stderr
    assert not (tmp_path / "c").exists()
    assert run("import", tmp_path / "no.jsonl", data=tmp_path / "c").exit_code == 2


def test_a_progress_bar_on_a_terminal_only(data: Path, tmp_path: Path) -> None:
    code = "import typer; from bessai.cli import journal; a = typer.Typer(); journal.register(a); a()"
    for options, shown in ([], True), (["--quiet"], False):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", code, "journal", "verify", "--data-dir", str(data), *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
            os.close(theirs)
            seen = b""
            while chunk := _read_terminal(ours):
                seen += chunk
            assert process.stdout is not None
            assert process.stdout.read().endswith("sound\n")
        os.close(ours)
        assert (b"reading" in seen) is shown


def _read_terminal(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # the other end is closed
        return b""


def test_stats_of_a_consumer_with_gaps(data: Path) -> None:
    cursors = Cursors(data)
    cursors.save("pubsub", Progress(2).done(5, 6).done(9, 9))
    cursors.close()
    found = json.loads(run("stats", "--json", data=data).stdout)
    assert found["gaps"] == {"pubsub": [[3, 4], [7, 8]]}
    assert (found["lost"], found["skipped"], found["bytes_a_record"]) == (0, 0, None)
    shown = " ".join(run("stats", data=data).stdout.split())
    assert "at 2, 8 behind, 3 to 4 still to do, 7 to 8 still to do" in shown


@pytest.mark.parametrize("command", ["verify", "repair", "backup", "restore", "import", "export", "stats"])
def test_help_tells_the_exit_codes(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Exit codes" in " ".join(result.stdout.split())
