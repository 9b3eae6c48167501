"""`bessai user` and `bessai audit`."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.identity import Identity

PASSWORD = "correct battery staple\n"


def run(data: Path, *arguments: str, typed: str | None = None) -> Any:
    return CliRunner().invoke(make_app(arguments[0]), [*arguments, "--data-dir", str(data)], input=typed)


def add(data: Path, name: str, role: str) -> Any:
    return run(data, "user", "add", name, "--role", role, "--password-stdin", typed=PASSWORD)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ana, who is an administrator, and Olga, who is an operator."""
    data = tmp_path_factory.mktemp("people")
    add(data, "ana", "administrator")
    add(data, "olga", "operator")
    return data


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


def test_a_log_that_was_written_anew_is_found_by_a_head_that_was_kept_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert (empty := run(data, "audit", "head")).exit_code == 2, empty.output
    add(data, "ana", "administrator")
    head = run(data, "audit", "head").output.strip()
    told = json.loads(run(data, "audit", "head", "--json").output)
    assert head == f"2:{told['hash']}"
    add(data, "olga", "operator")
    for _ in range(2):  # the log goes on, and a head from before still fits
        assert run(data, "audit", "verify", "--head", head).exit_code == 0
    later = run(data, "audit", "head").output.strip()
    assert later.startswith("4:")
    shutil.rmtree(data)  # somebody who has the machine makes another log, which fits in itself
    data.mkdir()
    add(data, "eva", "administrator")
    assert run(data, "audit", "verify").exit_code == 0
    broken = run(data, "audit", "verify", "--head", head)
    assert (broken.exit_code, broken.output.startswith("BROKEN at entry 2: it is another entry")) == (1, True)
    found = json.loads(run(data, "audit", "verify", "--head", later, "--json").output)
    assert (found["ok"], found["first_bad"], found["entries"]) == (False, 3, 0)
    assert run(data, "audit", "verify", "--head", "2").exit_code == 2
    shutil.rmtree(data)
    data.mkdir()
    assert run(data, "audit", "verify", "--head", head).exit_code == 1


def test_a_head_of_an_entry_that_was_given_up_for_space(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit", file_bytes=1, most_files=2)
    for number in range(4):
        asyncio.run(audit.note(user="ana", role="operator", address="x", action=f"action_{number}"))
    audit.close()
    assert run(tmp_path, "audit", "verify").exit_code == 0
    old = run(tmp_path, "audit", "verify", "--head", f"1:{'0' * 64}")
    assert (old.exit_code, "no longer reaches back" in old.output) == (2, True)


def test_a_broken_log_has_no_head(tmp_path: Path) -> None:
    add(tmp_path, "ana", "administrator")
    file = next((tmp_path / "audit").glob("*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"done"', b'"deny"'))
    result = run(tmp_path, "audit", "head")
    assert (result.exit_code, "broken at entry 2" in result.output) == (1, True)


def test_tokens_from_the_machine(people: Path, tmp_path: Path) -> None:
    tmp_path = Path(shutil.copytree(people, tmp_path / "data"))
    result = run(tmp_path, "token", "create", "dispatch", "--user", "olga", "--role", "operator",
                 "--scope", "read", "--scope", "control", "--days", "30")  # fmt: skip
    secret = result.stdout.strip()
    assert (result.exit_code, secret.startswith("bessai_")) == (0, True)
    assert secret not in result.stderr
    identity = Identity(tmp_path / "identity.db")
    caller = asyncio.run(identity.find(token=secret))
    identity.close()
    assert caller is not None
    assert (caller.principal.name, caller.principal.role.label, caller.scopes) == (
        "token:dispatch", "operator", frozenset({"read", "control"}),
    )  # fmt: skip
    reader = json.loads(run(tmp_path, "token", "create", "prometheus", "--user", "ana", "--json").output)
    assert (reader["role"], reader["scopes"]) == ("viewer", "read")
    rows = json.loads(run(tmp_path, "token", "list", "--json").output)["rows"]
    assert [(row["name"], row["user"]) for row in rows] == [("dispatch", "olga"), ("prometheus", "ana")]
    assert run(tmp_path, "token", "revoke", "dispatch").output == "dispatch: revoked\n"
    assert run(tmp_path, "token", "revoke", reader["id"]).output == "prometheus: revoked\n"
    assert json.loads(run(tmp_path, "token", "list", "--json").output)["rows"] == []
    shown = run(tmp_path, "audit", "show", "-n", "100").output
    assert ("token_made dispatch  done" in shown, "token_removed dispatch  done" in shown) == (True, True)
    assert secret not in shown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("create", "x", "--user", "nobody"), "there is no user nobody"),
        (("create", "x", "--user", "olga", "--role", "engineer"), "olga is operator"),
        (("create", "Ana María", "--user", "olga"), "use 1 to 32"),
        (("create", "x", "--user", "olga", "--days", "400"), "--days"),
        (("create", "x", "--user", "olga", "--scope", "all"), "--scope"),
        (("revoke", "x"), "there is no token x"),
    ],
)
def test_tokens_that_are_refused(people: Path, arguments: tuple[str, ...], problem: str) -> None:
    result = run(people, "token", *arguments)
    assert (result.exit_code, problem in result.output) == (2, True), result.output
    assert json.loads(run(people, "token", "list", "--json").output)["rows"] == []


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
