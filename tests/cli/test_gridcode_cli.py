"""`bessai gridcode` as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bessai.gridcode.matrix import matrix
from support.gateway import typed

QUICK = ("--only", "frequency_droop.range", "--only", "change_control", "--only", "phase_jump")


def test_the_rows_are_printed_as_json_and_nothing_else() -> None:
    done = typed("gridcode", "test", "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == ["rows"]
    names = [row["name"] for row in document["rows"]]
    assert len(names) == 7
    assert "frequency_droop.range" in names
    verdicts = {row["name"]: row["verdict"] for row in document["rows"]}
    assert verdicts["phase_jump"] == "not tested"
    assert set(verdicts.values()) == {"pass", "not tested"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_noise() -> None:
    only = ("--only", "voltage_*.setpoint_*")
    first, second, other = (
        typed("gridcode", "test", "--json", *only, "--seed", seed).stdout for seed in ("4", "4", "5")
    )
    assert first == second
    assert first != other


def test_a_failing_row_is_exit_code_1() -> None:
    done = typed(
        "gridcode",
        "test",
        "--only",
        "voltage_overshoot.setpoint_up",
        "--sabotage",
        "overshoot=1",
        "--lang",
        "es",
    )
    assert done.returncode == 1
    assert "no cumple" in done.stdout
    assert "1 no cumple" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "frequency_reacton"), "there is no such row"),
        (("--sabotage", "droop"), "give a number"),
        (("--sabotage", "mood=3"), "use one of droop"),
        (("--lang", "fr"), "use en or es"),
        (("--cycle", "0.01"), "0.1"),
        (("--out", "/proc/nothing", "--only", "phase_jump"), "could not be written"),
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    done = typed("gridcode", "test", *arguments)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_slow_cycle_fails_the_rows_that_it_is_too_slow_for() -> None:
    done = typed("gridcode", "test", "--json", "--cycle", "1", "--only", "voltage_*.grid_*")
    verdicts = {row["name"]: row["verdict"] for row in json.loads(done.stdout)["rows"]}
    assert done.returncode == 1
    assert verdicts["voltage_reaction.grid_down"] == "fail"
    assert verdicts["voltage_settling.grid_down"] == "pass"


def test_the_reports_files(tmp_path: Path) -> None:
    done = typed("gridcode", "test", "--out", str(tmp_path / "new" / "folder"), *QUICK)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "new" / "folder"
    names = {path.name for path in folder.iterdir()}
    assert {"report.json", "report.en.html", "report.es.html"} <= names
    if "no PDF" not in done.stderr:
        assert {"report.en.pdf", "report.es.pdf"} <= names
    document = json.loads((folder / "report.json").read_text())
    assert document["where"] == "twin"
    assert len(document["rows"]) == 7
    assert "change_control.recorded" in (folder / "report.es.html").read_text()


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_matrix_is_printed(language: str) -> None:
    done = typed("gridcode", "matrix", "--lang", language)
    assert done.returncode == 0
    assert done.stdout == matrix(language)  # type: ignore[arg-type]
