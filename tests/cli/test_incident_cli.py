"""`bessai incident`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app


def run(data: Path, *arguments: str) -> Any:
    return CliRunner().invoke(make_app(), ["incident", *arguments, "--data-dir", str(data)])


def opened(data: Path, *more: str) -> str:
    result = run(data, "open", "--title", "unknown login", "--user", "ana", "--json", *more)
    assert result.exit_code == 0, result.output
    return str(json.loads(result.output)["id"])


def test_an_incident_from_opening_to_closing(tmp_path: Path) -> None:
    assert run(tmp_path, "list").output == "no incidents\n"
    number = opened(tmp_path, "--known", "-1h")
    result = run(tmp_path, "list")
    assert result.exit_code == 0
    assert "early: 1 h 59 min left  unknown login" in result.output
    shown = run(tmp_path, "show", number).output
    assert "update  due" in shown
    assert "terms are provisional" in shown
    for report in ("early", "update", "final"):
        result = run(tmp_path, "sent", number, report, "--reference", "T-1", "--user", "ana")
        assert result.exit_code == 0, result.output
    assert "every report was sent; close it" in run(tmp_path, "list").output
    assert run(tmp_path, "close", number, "--reason", "over", "--user", "ana").exit_code == 0
    assert f"{number}  closed" in run(tmp_path, "list").output


def test_a_term_that_is_past_is_an_exit_code(tmp_path: Path) -> None:
    number = opened(tmp_path, "--known", "-5h")
    result = run(tmp_path, "list")
    assert (result.exit_code, "early: 2 h 0 min LATE" in result.output) == (1, True), result.output
    told = json.loads(run(tmp_path, "list", "--json").output)
    assert [one["late"] for one in told["incidents"][0]["deadlines"]] == [True, False, False]
    assert told["incidents"][0]["provisional"] is True
    assert run(tmp_path, "sent", number, "early", "--reference", "T-1", "--user", "ana").exit_code == 0
    assert run(tmp_path, "list").exit_code == 0
    assert "LATE" in run(tmp_path, "show", number).output


def test_an_essential_service(tmp_path: Path) -> None:
    number = opened(tmp_path, "--known", "-25h", "--essential")
    told = json.loads(run(tmp_path, "show", number, "--json").output)
    assert [one["late"] for one in told["deadlines"]] == [True, True, False]


def test_an_incident_that_cannot_be_read_is_no_silence(tmp_path: Path) -> None:
    number = opened(tmp_path)
    (tmp_path / "incidents" / f"{number}.json").write_text("{")
    result = run(tmp_path, "list")
    assert (result.exit_code, "cannot be read" in result.output) == (1, True)
    assert run(tmp_path, "show", number).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("open", "--title", "x", "--known", "+1h"), "lies in the future"),
        (("open", "--title", " "), "title is empty"),
        (("open",), "--title"),
        (("show", "2027-001"), "there is no incident '2027-001'; there is none"),
        (("sent", "2027-001", "later", "--reference", "x"), "later"),
        (("close", "2027-001", "--reason", "x"), "there is no incident"),
        (("draft", "2027-001"), "there is no incident"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    result = run(tmp_path, *arguments)
    assert (result.exit_code, problem in result.output) == (2, True), result.output


def test_closing_without_reports_needs_a_word(tmp_path: Path) -> None:
    number = opened(tmp_path)
    result = run(tmp_path, "close", number, "--reason", "no incident", "--user", "ana")
    assert (result.exit_code, "--not-reportable" in result.output) == (2, True)
    assert run(tmp_path, "close", number, "--reason", "x", "--user", "ana", "--not-reportable").exit_code == 0


def test_drafts(tmp_path: Path) -> None:
    number = opened(tmp_path)
    result = run(tmp_path, "draft", number)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("# BORRADOR")
    assert run(tmp_path, "draft", number, "--lang", "en").output.startswith("# DRAFT")
    out = tmp_path / "reports"
    result = run(tmp_path, "draft", number, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [
        f"incident-{number}.{one}.md" for one in ("en", "es")
    ]
    assert result.output.splitlines() == [str(out / f"incident-{number}.{one}.md") for one in ("es", "en")]
    assert run(tmp_path, "draft", number, "--from", "now", "--to", "-1h").exit_code == 2
    assert run(tmp_path, "draft", number, "--out", "/proc/nothing").exit_code == 2
