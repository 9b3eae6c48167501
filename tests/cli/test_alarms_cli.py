"""`bessai alarms`, against a socket that answers as the gateway will, with a real alarm book behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import alarms as alarms_cli
from bessai.core.alarm_messages import handle_alarm
from bessai.core.alarms import AlarmBook
from bessai.core.socket_file import socket_path
from bessai.model import Condition, Severity
from bessai.model.catalogue import catalogue
from support.answering_socket import AnsweringSocket

app = typer.Typer()
alarms_cli.register(app)

WALL = 1_767_225_600 * 10**9  # 2026-01-01


def run(*arguments: str | Path, data: Path | None = None) -> Any:
    options = [] if data is None else ["--data-dir", str(data)]
    return CliRunner().invoke(app, ["alarms", *map(str, arguments), *options], env={"COLUMNS": "200"})


def _answer(book: AlarmBook, message: dict[str, Any]) -> dict[str, Any]:
    if message["op"] == "alarms":
        return {"ok": True, "alarms": book.as_plain()}
    try:
        handle_alarm(book, message, now=1.0, wall_ns=WALL)
    except ValueError as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True}


@pytest.fixture
def book() -> AlarmBook:
    book = AlarmBook()
    conditions = [
        Condition(code="evidence_lost", severity=Severity.ALARM, message="soc is stale", point="soc"),
        Condition(code="soc_high", severity=Severity.WARNING, message="no charge", point="soc", value=96.0),
    ]
    book.update(conditions, 1.0, WALL)
    return book


@pytest.fixture
def gateway(tmp_path: Path, book: AlarmBook) -> Iterator[Path]:
    """A data directory where something answers."""
    with AnsweringSocket(socket_path(tmp_path), lambda message: _answer(book, message)):
        yield tmp_path


def test_listing_for_people(gateway: Path) -> None:
    result = run(data=gateway)
    assert result.exit_code == 0, result.output
    since = "        2026-01-01 00:00:00Z  unacknowledged"
    assert result.stdout.splitlines() == [
        *("ALARM   evidence_lost of soc (first)", since, "        soc is stale"),
        *("WARNING soc_high of soc", since, "        no charge"),
    ]
    assert run("list", data=gateway).stdout == result.stdout


def test_listing_in_spanish(gateway: Path) -> None:
    assert "El estado de carga" in run("list", "--lang", "es", data=gateway).stdout


def test_listing_for_programs(gateway: Path, book: AlarmBook) -> None:
    assert json.loads(run("list", "--json", data=gateway).stdout) == book.as_plain()
    assert json.loads(run("--json", data=gateway).stdout) == book.as_plain()


def test_listing_nothing(gateway: Path, book: AlarmBook) -> None:
    book.memory = AlarmBook().memory
    assert run(data=gateway).stdout == "no alarms\n"


def test_acknowledging(gateway: Path, book: AlarmBook) -> None:
    result = run("ack", "evidence_lost", "--user", "ana", "--reason", "on my way", data=gateway)
    assert (result.exit_code, result.stdout) == (0, "evidence_lost acknowledged\n")
    assert (book.entries[0].acknowledged_by, book.entries[0].acknowledged_why) == ("ana", "on my way")
    assert "acknowledged by ana" in run(data=gateway).stdout


def test_shelving_and_back(gateway: Path, book: AlarmBook) -> None:
    given = ("soc_high", "--point", "soc", "--user", "ana", "--reason", "known")
    result = run("shelve", *given, "--for", "8h", data=gateway)
    assert (result.exit_code, result.stdout) == (0, "soc_high shelved for 8h\n")
    assert "shelved until 2026-01-01 08:00:00Z by ana" in run(data=gateway).stdout
    assert run("unshelve", *given, "--json", data=gateway).exit_code == 0
    assert book.entries[1].shelved_by is None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("ack", "soc_low", "--reason", "x"), "error: code=soc_low: not in the alarm list"),
        (("ack", "soc_high", "--reason", ""), "error: reason='': give a text"),
        (("shelve", "evidence_lost", "--for", "1h", "--reason", "x"), "only a warning can be shelved"),
        (("shelve", "soc_high", "--for", "13h", "--reason", "x"), "error: for=46800: shelve for"),
        (("shelve", "soc_high", "--for", "soon", "--reason", "x"), "error: --for 'soon': give a number"),
        (("unshelve", "soc_high", "--reason", "x"), "error: soc_high of soc is not shelved"),
    ],
)
def test_what_is_refused(gateway: Path, arguments: tuple[str, ...], error: str) -> None:
    result = run(*arguments, data=gateway)
    assert result.exit_code == 2
    assert error in result.stderr


@pytest.mark.parametrize("command", [[], ["list"], ["ack", "soc_high", "--reason", "x"]])
def test_without_a_gateway(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, data=tmp_path)
    assert result.exit_code == 3
    assert f"error: no gateway is running on {tmp_path}" in result.stderr


def test_explaining_needs_no_gateway_and_no_valid_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".env").write_bytes(b"\xff\xfe")
    result = run("explain", "soc_low", "--lang", "es")
    assert result.exit_code == 0, result.output
    texts = catalogue()["soc_low"].texts["es"]
    assert result.stdout.splitlines()[1:] == [
        f"Significado: {texts.meaning}", f"Causa habitual: {texts.cause}", f"Qué hacer: {texts.action}",
    ]  # fmt: skip
    assert "Meaning: " in run("explain", "soc_low").stdout


def test_explaining_for_programs() -> None:
    plain = json.loads(run("explain", "fire_alarm", "--json").stdout)
    assert (plain["code"], plain["severity"], plain["latches"]) == ("fire_alarm", "alarm", True)
    assert plain["texts"]["es"]["action"] == catalogue()["fire_alarm"].texts["es"].action


def test_explaining_what_nobody_says() -> None:
    result = run("explain", "soc_hihg")
    assert result.exit_code == 2
    assert "error: there is no code 'soc_hihg'; perhaps soc_high" in result.stderr
