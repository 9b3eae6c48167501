"""`bessai user` and `bessai audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app

PASSWORD = "correct battery staple\n"


def run(data: Path, *arguments: str, typed: str | None = None) -> Any:
    return CliRunner().invoke(make_app(), [*arguments, "--data-dir", str(data)], input=typed)


def add(data: Path, name: str, role: str) -> Any:
    return run(data, "user", "add", name, "--role", role, "--password-stdin", typed=PASSWORD)


def test_users_from_the_machine(tmp_path: Path) -> None:
    link = run(tmp_path, "user", "setup-link", "--url", "https://plant:8443")
    assert link.output.startswith("https://plant:8443/#/setup?token=")
    assert "must be an administrator" in add(tmp_path, "olga", "operator").output
    assert add(tmp_path, "ana", "administrator").exit_code == 0
    assert "is set up" in run(tmp_path, "user", "setup-link").output
    assert add(tmp_path, "olga", "operator").exit_code == 0
    assert run(tmp_path, "user", "role", "olga", "engineer").exit_code == 0
    assert run(tmp_path, "user", "disable", "olga").exit_code == 0
    assert run(tmp_path, "user", "unlock", "olga").exit_code == 0
    assert run(tmp_path, "user", "password", "olga", "--password-stdin", typed=PASSWORD).exit_code == 0
    rows = json.loads(run(tmp_path, "user", "list", "--json").output)["rows"]
    assert [(row["name"], row["role"], row["disabled"]) for row in rows] == [
        ("ana", "administrator", False),
        ("olga", "engineer", True),
    ]
    last = run(tmp_path, "user", "remove", "ana")
    assert (last.exit_code, "last administrator" in last.output) == (2, True)
    assert run(tmp_path, "user", "remove", "olga").exit_code == 0
    shown = run(tmp_path, "audit", "show", "-n", "100")
    assert shown.exit_code == 0
    assert "user_removed ana  refused" in shown.output
    assert "staple" not in shown.output


def test_a_log_that_was_tampered_with(tmp_path: Path) -> None:
    add(tmp_path, "ana", "administrator")
    good = run(tmp_path, "audit", "verify")
    assert (good.exit_code, good.output) == (0, "good: 2 entries\n")
    file = next((tmp_path / "audit").glob("*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"done"', b'"deny"'))
    broken = run(tmp_path, "audit", "verify")
    assert (broken.exit_code, broken.output.startswith("BROKEN at entry 2: ")) == (1, True)
    assert json.loads(run(tmp_path, "audit", "verify", "--json").output)["first_bad"] == 2
    assert run(tmp_path, "audit", "show").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("user", "role", "nobody", "viewer"), "there is no user nobody"),
        (("user", "role", "nobody", "king"), "king"),
        (("user", "add", "Ana María", "--role", "administrator", "--password-stdin"), "use 1 to 32"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    result = run(tmp_path, *arguments, typed=PASSWORD)
    assert (result.exit_code, problem in result.output) == (2, True), result.output


def test_without_a_directory(tmp_path: Path) -> None:
    for arguments in (("user", "list"), ("audit", "verify")):
        assert run(tmp_path / "nowhere", *arguments).exit_code == 2
    assert not (tmp_path / "nowhere").exists()
