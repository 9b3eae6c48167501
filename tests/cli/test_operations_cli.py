"""`bessai trips`, `reset` and `maintenance`: what is sent, and what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.core.latch import trip_status
from bessai.core.operations import operation_from
from bessai.core.socket_file import socket_path
from bessai.model import Trip
from support.answering_socket import AnsweringSocket

WHO = ("--user", "ana", "--role", "engineer", "--reason", "cells balanced")


class FakeGateway:
    """Answers every message with `answer`, and remembers the messages."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.heard: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"ok": True}

    def hear(self, message: dict[str, Any]) -> dict[str, Any]:
        self.heard.append(message)
        return self.answer

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(make_app(), [*arguments, "--data-dir", str(self.data)])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[FakeGateway]:
    fake = FakeGateway(tmp_path / "data")
    with AnsweringSocket(socket_path(fake.data), fake.hear):
        yield fake


def sent(op: str, *, role: str = "engineer", **more: Any) -> dict[str, Any]:
    return {"op": op, "user": "ana", "role": role, "reason": "cells balanced", **more}


@pytest.mark.parametrize(
    ("arguments", "message", "said"),
    [
        (("reset", "cell_hot", *WHO), sent("reset", code="cell_hot", unit=""), "reset: cell_hot"),
        (
            ("reset", "cell_hot", "--unit", "rack_1", *WHO),
            sent("reset", code="cell_hot", unit="rack_1"),
            "reset: cell_hot of rack_1",
        ),
        (("reset", "--all", *WHO), sent("reset", code="all", unit=""), "reset: every trip"),
        (
            ("maintenance", "on", "--user", "ana", "--reason", "cells balanced"),
            sent("maintenance", on=True, role="operator"),
            "maintenance on: zero power",
        ),
        (("maintenance", "off", *WHO), sent("maintenance", on=False), "maintenance off"),
    ],
)
def test_the_message_that_is_sent(
    gateway: FakeGateway, arguments: tuple[str, ...], message: dict[str, Any], said: str
) -> None:
    result = gateway.run(*arguments)
    assert result.exit_code == 0, result.output
    assert gateway.heard == [message]
    operation_from(message)  # or it raises
    assert said in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("reset", *WHO), "give the CODE of a trip, or --all"),
        (("reset", "cell_hot", "--all", *WHO), "give the CODE of a trip, or --all"),
        (("reset", "--all", "--user", "ana", "--role", "engineer"), "--reason"),
        (("reset", "--all", "--role", "engineer", "--reason", "x"), "--user"),
        (("reset", "--all", "--user", "ana", "--reason", "x"), "--role"),
        (("reset", "--all", *WHO, "--user", " "), "--user is empty"),
        (("reset", "--all", *WHO, "--reason", ""), "--reason is empty"),
        (("reset", "--all", *WHO, "--role", "admin"), "--role='admin': use one of operator, engineer"),
        (("maintenance", *WHO), "Missing argument"),
        (("maintenance", "maybe", *WHO), "maybe"),
        (("maintenance", "on", "--user", "ana"), "--reason"),
        (("maintenance", "on", *WHO, "--reason", "x" * 200), "200 characters are too many"),
    ],
)
def test_wrong_arguments_send_nothing(gateway: FakeGateway, arguments: tuple[str, ...], problem: str) -> None:
    result = gateway.run(*arguments)
    assert result.exit_code == 2
    assert problem in result.output
    assert gateway.heard == []


def test_a_refusal_is_passed_on(gateway: FakeGateway) -> None:
    gateway.answer = {"ok": False, "error": "cell_hot: its cause is still there"}
    result = gateway.run("reset", "--all", *WHO)
    assert result.exit_code == 1
    assert "error: cell_hot: its cause is still there" in result.output


@pytest.mark.parametrize("arguments", [("trips",), ("reset", "--all", *WHO), ("maintenance", "on", *WHO)])
def test_without_a_gateway(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(make_app(), [*arguments, "--data-dir", str(tmp_path)])
    assert result.exit_code == 3
    assert "no gateway is running" in result.output


HOT = Trip(
    code="cell_hot", unit="rack_1", point="cell_temperature_max", value=61.25, message="above 60 °C",
    wall_ns=1_700_000_000 * 10**9,
)  # fmt: skip
LINES: list[tuple[dict[str, Any], int, str]] = [
    ({"trips": [], "maintenance": None}, 0, "nothing is tripped\n"),
    (
        {"trips": [trip_status(HOT)], "maintenance": None},
        1,
        "2023-11-14T22:13:20Z  cell_hot of rack_1 cell_temperature_max 61.25: above 60 °C (reset: engineer)\n",
    ),
    (
        {"trips": [trip_status(Trip(code="fire", unit="", plant_wide=True))], "maintenance": None},
        1,
        "1970-01-01T00:00:00Z  fire of the whole plant (reset: engineer)\n",
    ),
    (
        {"trips": [], "maintenance": {"user": "ana", "reason": "fuse", "role": 10, "wall_ns": 0}},
        0,
        "nothing is tripped\nin maintenance since 1970-01-01T00:00:00Z: ana, fuse\n",
    ),
]


@pytest.mark.parametrize(("status", "code", "said"), LINES)
def test_trips_lists_what_stands(gateway: FakeGateway, status: dict[str, Any], code: int, said: str) -> None:
    gateway.answer = {"ok": True, "status": status}
    result = gateway.run("trips")
    assert (result.exit_code, result.output) == (code, said)
    assert gateway.heard == [{"op": "status"}]
    result = gateway.run("trips", "--json")
    assert (result.exit_code, json.loads(result.output)) == (code, status)


def test_a_gateway_that_says_nothing_of_trips_is_no_gateway_without_trips(gateway: FakeGateway) -> None:
    gateway.answer = {"ok": True, "status": {}}
    result = gateway.run("trips")
    assert result.exit_code == 1
    assert "says nothing about trips" in result.output
