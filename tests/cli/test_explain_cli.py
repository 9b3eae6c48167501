"""`bessai explain`: a cycle's record in words, today's and that of an older version."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import explain as explain_cli
from bessai.cli.explaining import explained, in_words
from bessai.journal import Entry, Journal, JournalReader
from bessai.model import (
    Bounds,
    Considered,
    CycleRecord,
    Layout,
    Priority,
    Quality,
    Write,
    WriteOutcome,
)
from support.records import DEVICE, LAYOUT, START_NS, make_event, make_record

app = typer.Typer()
explain_cli.register(app)

POWER = Layout(("battery_power", "soc", "pcs.active_power"), ("kW", "%", "kW"))

RICH: dict[str, Any] = {
    "state": "tripped",
    "setpoint": 1.5,
    "bounds": {"low": None, "high": 8.0},
    "asked": 5.0,
    "target": 4.0,
    "source": "operator",
    "reason": "peak",
    "reactive": 0.5,
    "reactive_asked": 2.0,
    "limited_by": ["ramp_up", "request:grid", "cell_voltage_max"],
    "reasons": ["cell_voltage_max is beyond its limit"],
    "considered": [
        {
            "source": "grid", "priority": "grid_operator", "power": None, "bounds": {"low": -2.0, "high": 4.0},
            "seconds_left": 41.6, "role": "narrowed", "reason": "", "id": "", "reactive": None, "soc_target": None,
        },
        {
            "source": "operator", "priority": "operator", "power": 5.0, "bounds": {"low": None, "high": None},
            "seconds_left": None, "role": "won", "reason": "peak", "id": "42", "reactive": 2.0, "soc_target": 80.0,
        },
    ],
    "trips": [
        {
            "code": "cell_voltage_high", "unit": "pcs_1", "plant_wide": False, "point": "cell_voltage_max",
            "value": 3.7, "message": "too high", "wall_ns": START_NS, "reset": 20,
        },
        {
            "code": "fire", "unit": "", "plant_wide": True, "point": None,
            "value": None, "message": "", "wall_ns": 0, "reset": 20,
        },
    ],
    "units": [
        {
            "unit": "pcs_1", "state": "tripped", "setpoint": 0.0, "bounds": {"low": 0.0, "high": 0.0},
            "reactive": None, "limited_by": [],
        },
        {
            "unit": "pcs_2", "state": "normal", "setpoint": 1.5, "bounds": {"low": -5.0, "high": 5.0},
            "reactive": 0.5, "limited_by": ["soc_high"],
        },
    ],
}  # fmt: skip


def run(*arguments: str | Path, data: Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments), "--data-dir", str(data)])


def written(record: CycleRecord, **decision: Any) -> CycleRecord:
    return replace(record, decision=replace(record.decision, **decision))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten cycles a second apart: power is asked from number 4 on; number 6 lacks evidence."""
    journal = Journal.open(tmp_path / "data", layout=LAYOUT, device=DEVICE)
    for n in range(1, 11):
        record = make_record(n)
        if n >= 4:
            record = written(
                record, asked=5.0, source="operator", limited_by=("soc_high",), considered=(ASKED,)
            )
            record = replace(
                record,
                outcome=WriteOutcome(verified=n != 5, written=(Write("setpoint", 2.5),), error="no echo"),
            )
        if n == 6:
            record = written(record, setpoint=0.0)
        journal.append(record)
    journal.append_event(make_event(0, wall_ns=START_NS + 11 * 10**9))
    assert journal.close(30)
    return tmp_path / "data"


ASKED = Considered(
    source="operator",
    priority=Priority.OPERATOR,
    power=5.0,
    bounds=Bounds(),
    seconds_left=30.0,
    role="won",
)


def entry_with(decision: dict[str, Any], data: Path, **changes: Any) -> Entry:
    reader = JournalReader(data)
    entry = reader.read(0, 1)[0]
    reader.close()
    return replace(entry, decision=decision, **changes)


def test_the_latest_cycle_by_default(data: Path) -> None:
    result = run(data=data)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "2026-01-01T00:00:10.000Z  cycle 10  normal"
    assert "  operator (operator): 5 kW; won; 30 s left" in lines
    assert "  soc_high: the battery is full: no charge, or less of it" in lines
    assert "  asked 5 kW → setpoint 2.5 kW" in lines
    assert "  setpoint=2.5 (read back as written)" in lines
    assert (
        "timing, ms: late 0.0, read 100.0, decide 200.0, write 300.0, total 600.0, guard 0.0, record 0.0"
        in lines
    )


@pytest.mark.parametrize(
    ("moment", "cycle"),
    [
        ("2026-01-01T00:00:05Z", 5),
        ("2026-01-01T00:00:05.999Z", 5),
        ("2026-01-01T02:00:07+02:00", 7),
        ("2026-01-01T00:00:59Z", 10),
    ],
)
def test_a_time_finds_its_cycle(data: Path, moment: str, cycle: int) -> None:
    result = run(moment, data=data)

    assert result.exit_code == 0, result.output
    assert f"cycle {cycle} " in result.stdout
    assert ("49 s earlier" in result.stdout) is (moment == "2026-01-01T00:00:59Z")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_time_without_zone_is_local(data: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        local = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(START_NS // 10**9 + 5))
        assert "cycle 5 " in run(local, data=data).stdout
        clock = explain_cli._moment("TIME", "9:05", START_NS)
        assert time.strftime("%H:%M:%S", time.localtime(clock // 10**9)) == "09:05:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_before_now(data: Path) -> None:
    ago = int(time.time() - START_NS / 1e9 - 5)

    assert "cycle 5 " in run(f"-{ago}s", data=data).stdout


def test_a_time_as_it_was_told_finds_the_same_cycle(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, layout=LAYOUT, device=DEVICE)
    for n in (1, 2):
        record = make_record(n)
        wall_ns = record.image.wall_ns + 170_400_000
        journal.append(replace(record, image=replace(record.image, wall_ns=wall_ns)))
    assert journal.close(30)

    assert "cycle 2 " in run("2026-01-01T00:00:02.170Z", data=tmp_path).stdout


def test_a_write_that_was_not_verified_says_why(data: Path) -> None:
    assert "(NOT verified: no echo)" in run("2026-01-01T00:00:05Z", data=data).stdout


def test_only_changes_of_a_range(data: Path) -> None:
    result = run("2026-01-01T00:00:30Z", "--since", "2026-01-01T00:00:00Z", "--changes", data=data)

    assert result.exit_code == 0, result.output
    assert [line.split("Z")[0][-6:] for line in result.stdout.splitlines()] == [
        "01.000",
        "04.000",
        "06.000",
        "07.000",
    ]
    assert "normal      2.5 kW  operator asked 5 kW  limited by soc_high" in result.stdout.splitlines()[1]


def test_a_range_without_changes_has_every_cycle(data: Path) -> None:
    result = run("--since", "2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "--json", data=data)

    assert [json.loads(line)["cycle"] for line in result.stdout.splitlines()] == [1, 2, 3, 4, 5]


def test_for_programs(data: Path) -> None:
    told = json.loads(run("--json", data=data).stdout)

    assert told["decision"]["setpoint"] == 2.5
    assert told["limited_by_in_words"] == {"soc_high": in_words("soc_high")}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["yesterday"], 2, "TIME 'yesterday' is no time"),
        (["25:00"], 2, "is no time"),
        (["--changes"], 2, "add --since 10m"),
        (["2026-01-01T00:00:00Z", "--since", "2026-01-02T00:00:00Z"], 2, "swap them"),
        (
            ["2025-01-01T00:00:00Z"],
            3,
            "the journal holds 2026-01-01T00:00:01.000Z to 2026-01-01T00:00:11.000Z",
        ),
        (["--since", "1s"], 3, "no cycle is recorded in this range"),
    ],
)
def test_what_cannot_be_told_says_why(data: Path, arguments: list[str], code: int, message: str) -> None:
    result = run(*arguments, data=data)

    assert result.exit_code == code
    assert message in result.stderr


def test_no_journal(tmp_path: Path) -> None:
    result = run(data=tmp_path)

    assert result.exit_code == 3
    assert "there is no journal" in result.stderr


def test_the_whole_decision_in_words(data: Path) -> None:
    lines = list(explained(entry_with(RICH, data, verified=False)))

    for expected in (
        "  grid (grid operator): within -2 … 4 kW; narrowed the winner; 42 s left",
        "  operator (operator): 5 kW, 2 kvar, to 80 % SOC; won; no end “peak” [id 42]",
        "  to -∞ … 8 kW",
        "  ramp_up: on its way: the setpoint may not rise faster",
        "  request:grid: grid asked for narrower bounds and outranks the winner",
        "  cell_voltage_max: cell voltage max is near or beyond its limit",
        "  guard: cell_voltage_max is beyond its limit",
        "  trip cell_voltage_high of pcs_1, since 2026-01-01T00:00:00.000Z: too high (cell_voltage_max 3.7)",
        "  trip fire of the whole plant: stands",
        "  asked 5 kW → target 4 kW → setpoint 1.5 kW; reactive asked 2 kvar → 0.5 kvar (on its way)",
        "  pcs_1: tripped, 0 kW, may 0 … 0 kW",
        "  pcs_2: normal, 1.5 kW, 0.5 kvar, may -5 … 5 kW, soc_high: the battery is full: no charge, or less of it",
        "  nothing new",
    ):
        assert expected in lines
    assert lines[0].endswith("tripped  (not a complete, verified cycle)")


@pytest.mark.parametrize(
    ("decision", "lines"),
    [
        ({}, ["  nobody: zero is commanded", "  no setpoint: the gateway does not control", "  nothing"]),
        ({"considered": []}, ["  nobody: zero is commanded"]),
        ({"considered": [{"source": "a"}]}, ["  a (?): nothing; ?; no end"]),
        (
            {"setpoint": 0.0, "bounds": {"low": None, "high": None}},
            ["  by nothing: no bounds", "  setpoint 0 kW"],
        ),
        ({"units": [{}]}, ["  device: None, no power"]),
    ],
)
def test_records_that_lack_fields_are_told_as_far_as_they_go(
    data: Path, decision: dict[str, Any], lines: list[str]
) -> None:
    told = list(explained(entry_with(decision, data)))

    assert [line for line in lines if line not in told] == []


def test_what_came_back(data: Path) -> None:
    import numpy as np

    entry = entry_with(
        {}, data, layout=POWER, values=np.array([1.25, np.nan, 9.0]),
        quality=np.array([Quality.GOOD, Quality.STALE, Quality.GOOD], np.uint8),
        ages=np.array([2.5, 9.0, 0.1], np.float32),
        outcome={"a": {"verified": True, "written": [{"point": "p", "value": None}], "error": None}}, fed=True,
    )  # fmt: skip
    told = list(explained(entry))

    assert "  battery_power 1.25 kW (2.5 s old), soc stale (9.0 s old)" in told
    assert "  a: p=? (read back as written)" in told
    assert "  the dead-man was fed" in told
