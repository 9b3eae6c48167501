from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import performance as performance_cli
from bessai.performance import read_plant
from performance.conftest import POC, START_NS, course, fold, near, write_into

app = typer.Typer()
performance_cli.register(app)
HOURS = ("--since", "2026-03-01T00:00:00Z", "--until", "2026-03-01T02:00:00Z")
GRID = """\
plant: {rated_power: 1000, rated_apparent_power: 1100, nominal_voltage: 400}
values: {frequency.enabled: true}
records: {reserve_deviation: 0.2}
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours at 2 s: a dip of 40 s after an hour; the plant gives what it owes, and 36 kW besides."""
    t = np.arange(0, 7200, 2.0)
    dip = (t >= 3600) & (t < 3640)
    answer = np.where(dip, 108.0, 0.0)
    directory = tmp_path_factory.mktemp("recorded")
    write_into(
        directory,
        course(t, frequency=np.where(dip, 49.7, 50.0), active_power=36 + answer, setpoint=36 + answer, offset=answer,
               energy_exported=np.nan)
    )  # fmt: skip
    (directory / "grid.yaml").write_text(GRID)
    fold(directory, read_plant(directory / "grid.yaml", POC.names))
    return directory


@pytest.fixture
def data(recorded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(recorded, tmp_path / "data")


def run(*arguments: str | Path, data: Path) -> Any:
    grid = ("--grid-file", str(data / "grid.yaml"))
    return CliRunner().invoke(app, ["performance", *map(str, arguments), *grid, "--data-dir", str(data)])


def rows(*arguments: str, data: Path) -> list[dict[str, Any]]:
    result = run(*arguments, "--json", data=data)
    assert result.exit_code == 0, result.output
    told: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return told


def test_events_and_their_records(data: Path) -> None:
    (event,) = rows("events", *HOURS, data=data)
    assert (event["kind"], event["what"], event["start"]) == (
        "frequency",
        "under",
        "2026-03-01T01:00:00.000Z",
    )
    assert (event["duration_s"], event["minimum"], event["ending"]) == (40.0, 49.7, "returned")
    assert event["rocof_hz_s"] is None, "samples of two seconds do not measure it"
    records = rows("event", str(event["id"]), data=data)
    assert [records[0]["time"], records[-1]["time"]] == [
        "2026-03-01T00:59:50.000Z",
        "2026-03-01T01:00:50.000Z",
    ]
    assert len(records) == 31
    assert records[10]["active_power"] == 144.0
    assert rows("events", "--kind", "voltage", *HOURS, data=data) == []
    assert run("event", "99", data=data).exit_code == 2


def test_indices(data: Path) -> None:
    first, second = rows("fecf", *HOURS, data=data)
    assert (first["fecf"], first["coverage"]) == (None, 0.9083) or first["fecf"] == 1.0
    deviation = (4 * 36 * 0.3 / 36) / 360
    assert (second["deviation_hz"], second["fecf"]) == near((deviation, 1 - deviation / 0.2), abs=1e-5)
    assert second["enough"] is True
    told = rows("primary", *HOURS, data=data)[1]
    assert (told["ratio"], told["error_kw"], told["bias_kw"], told["outside_s"]) == near(
        (1.0, 0.0, 0.0, 40.0)
    )
    assert (told["law_droop"], told["law_dead_band"]) == (5.0, 30.0)
    assert rows("rocof", *HOURS, data=data) == []


def test_availability_and_energy(data: Path) -> None:
    sources = {
        one["source"]: one for one in rows("availability", "--until", "2026-03-01T02:00:00Z", data=data)
    }
    assert (sources["frequency"]["percent"], sources["frequency"]["reached"]) == (100.0, True)
    result = run("energy", *HOURS, "--csv", data=data)
    quarters = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(quarters) == 8
    assert (quarters[0]["local"], quarters[0]["exported_from"]) == ("2026-02-28T21:00-03:00", "power")
    assert float(quarters[0]["exported_kwh"]) == near(9.0, abs=0.05)
    assert float(quarters[4]["exported_kwh"]) == near(9.0 + 108 * 40 / 3600, abs=0.1)
    assert quarters[0]["imported_from"] == "power"


def test_local_time_over_the_change_of_clocks(tmp_path: Path) -> None:
    """In Chile 2026-04-05T00:00-03:00 became 2026-04-04T23:00-04:00: the hour comes twice, told apart by its offset."""
    change = 1_775_358_000 - START_NS // 10**9
    write_into(tmp_path, course(np.arange(change - 1800, change + 1800, 5.0), active_power=10.0))
    (tmp_path / "grid.yaml").write_text(GRID)
    fold(tmp_path, read_plant(tmp_path / "grid.yaml", POC.names))
    local = [one["local"] for one in rows("energy", "--since", "2026-04-05T02:30Z", "--until", "2026-04-05T03:30Z",
                                          data=tmp_path)]  # fmt: skip
    assert local == [
        "2026-04-04T23:30-03:00", "2026-04-04T23:45-03:00", "2026-04-04T23:00-04:00", "2026-04-04T23:15-04:00"
    ]  # fmt: skip


def test_for_people_and_into_files(data: Path) -> None:
    for command in ("events", "fecf", "primary", "energy"):
        result = run(command, *HOURS, data=data)
        assert result.exit_code == 0, result.output
    assert "provisional" in run("primary", *HOURS, data=data).stdout
    assert "no good data" not in run("availability", data=data).stdout
    result = run("fecf", *HOURS, "--out", data / "fecf.csv", data=data)
    assert result.exit_code == 0
    assert (data / "fecf.csv").read_text().startswith("hour,coverage")
    run("fecf", *HOURS, "--out", data / "fecf.json", data=data)
    assert len(json.loads((data / "fecf.json").read_text())["rows"]) == 2
    assert run("fecf", *HOURS, "--out", data / "fecf.txt", data=data).exit_code == 2
    assert run("fecf", *HOURS, "--out", data / "none" / "fecf.csv", data=data).exit_code == 2
    assert run("fecf", *HOURS, "--json", "--csv", data=data).exit_code == 2


def test_rebuild(data: Path) -> None:
    before = rows("energy", *HOURS, data=data)
    result = run("rebuild", data=data)
    assert result.exit_code == 0, result.output
    assert "3600 records folded again, from the beginning on" in result.stdout
    assert rows("energy", *HOURS, data=data) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("events", "--kind", "flicker"), 2, "frequency, rocof, voltage"),
        (("fecf", "--since", "now", "--until", "-1h"), 2, "swap them"),
        (("energy", "--zone", "Chile/Nowhere"), 2, "no such zone"),
    ],
)
def test_wrong_input(data: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments, data=data)
    assert result.exit_code == code
    assert said in result.stderr


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID)
    result = run("fecf", data=tmp_path)
    assert (result.exit_code, "no journal" in result.stderr) == (3, True)


def test_a_wrong_threshold_is_named(data: Path) -> None:
    (data / "grid.yaml").write_text(
        GRID.replace("reserve_deviation: 0.2", "reserve_deviaton: 0.2, before: -1")
    )
    result = run("fecf", data=data)
    assert result.exit_code == 2
    assert "records.reserve_deviaton" in result.stderr
    assert "did you mean `reserve_deviation`" in result.stderr
    assert "records.before = -1" in result.stderr
