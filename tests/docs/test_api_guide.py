"""The guide of the API does what it says: its examples run in order against a real gateway on a simulated plant."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import bessai
from bessai.cli.app import make_app
from bessai.core.socket_file import socket_path
from bessai.interfaces.api import acting, connections, idempotency, limits, live
from bessai.interfaces.api.connection import Patience
from bessai.interfaces.api.document import all_routes, routes_markdown, with_routes
from bessai.interfaces.api.identity import Hasher, Identity, lockout, tokens, users
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.routes import history
from support.api_scene import scene
from support.page import House
from support.processes import free_port

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "api.md"
PAGE = FILE.read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXACT = {"type", "title", "code", "field", "status", "source", "priority", "kind", "name", "reason"}
"""Strings and numbers that an answer must have as the guide shows them; of others only the kind counts."""


@dataclass(frozen=True)
class Example:
    """Commands, and what the guide shows of what they print."""

    line: int
    commands: str
    kind: str
    shown: str


def fenced() -> list[tuple[int, str, str]]:
    return [(PAGE.count("\n", 0, f.start()) + 1, f[1], f[2]) for f in FENCED.finditer(PAGE)]


def examples() -> list[Example]:
    found = []
    blocks = fenced()
    for (line, kind, text), after in zip(blocks, [*blocks[1:], (0, "", "")], strict=True):
        if kind == "sh":
            shown = after if after[1] in {"json", "text"} else (0, "", "")
            found.append(Example(line, text, shown[1], shown[2]))
    return found


EXAMPLES = examples()


class Shell:
    """One shell for the whole guide, so that its variables stay."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._errors = (folder / "stderr").open("w+")
        self._shell = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=folder,
            env=environment,
        )  # fmt: skip

    def run(self, text: str) -> str:
        """What it prints."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{\n{text}\n}} </dev/null\nprintf '\\036%s\\n' $?\n")
        self._shell.stdin.flush()
        printed = ""
        while "\036" not in printed:
            line = self._shell.stdout.readline()
            assert line, "the shell has ended"
            printed += line
        return printed.partition("\036")[0]

    @property
    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def close(self) -> None:
        self._shell.kill()
        self._shell.communicate()
        self._errors.close()


@contextmanager
def encrypted(data: Path, port: int) -> Iterator[None]:
    """The page's process once more, on the same data, as HTTP_TLS=on has it."""
    told = {"SITE_ID": "plant-7", "DATA_DIR": str(data), "BESSAI_SOCKET": str(socket_path(data)),
            "HTTP_PORT": str(port), "HTTP_TLS": "on"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "bessai.interfaces.api"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, **told},
    )  # fmt: skip
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def programs(folder: Path) -> dict[str, str]:
    """An environment in which `bessai` is this one, and `python3` has the standard library alone."""
    source = Path(bessai.__file__).parents[1]
    for name, line in {
        "bessai": f'PYTHONPATH="{source}" exec "{sys.executable}" -m bessai.cli "$@"',
        "python3": f'exec "{sys.executable}" -I -S "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}


def _lost(alarm: dict[str, Any]) -> bool:
    return (alarm["code"], alarm["point"], alarm["state"]) == ("evidence_lost", "soc", "unacknowledged")


def until(check: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, str]]:
    """What each example prints, by its line."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("guide")
    work, bin_ = folder / "work", folder / "bin"
    work.mkdir()
    bin_.mkdir()
    for _, kind, text in fenced():
        if kind == "python":
            (work / "live.py").write_text(text)
    port = free_port()
    with House(folder, SITE_ID="plant-7", OTEL_SDK_DISABLED="true") as house:
        data = house.gateway.data
        identity = Identity(data / "identity.db", Hasher((1, 8)))
        asyncio.run(identity.add_user("ana", Role.ADMINISTRATOR, "una frase larga y buena"))
        identity.close()
        until(lambda: house.status.get("control", {}).get("state") == "normal")
        until(lambda: house.status["journal"]["committed"] > 4)

        def unplugged() -> None:
            house.stop_plant()
            until(lambda: any(_lost(one) for one in house.ask(op="alarms")["alarms"]))

        def decided() -> None:
            """What the last example changed has been decided, and is in the journal."""
            until(lambda: not house.status["control"].get("requests"))
            committed = house.status["journal"]["committed"]
            until(lambda: house.status["journal"]["committed"] > committed + 1)

        before: dict[str, Callable[[], object]] = {
            '-H "$AUTH" "$BESSAI/api/v1/requests"\n': lambda: until(
                lambda: house.status["control"].get("requests")
            ),
            '"$BESSAI/api/v1/decisions/latest"\n': decided,
            '"$BESSAI/api/v1/alarms"\n': unplugged,
        }
        places = {
            "http://127.0.0.1:8080": house.url, "https://localhost:8443": f"https://localhost:{port}",
            "/var/lib/bessai": str(data),
        }  # fmt: skip
        shell = Shell(work, programs(bin_) | {"DATA_DIR": str(data)})
        with encrypted(data, port):
            found = {}
            try:
                for example in EXAMPLES:
                    text = example.commands
                    for part, prepare in before.items():
                        if text.endswith(part):
                            prepare()
                    for written, here in places.items():
                        text = text.replace(written, here)
                    if "https://" in text:
                        until((data / "tls" / "page.pem").exists)
                        text = text.replace(
                            "curl -s", "curl -s --retry 20 --retry-connrefused --retry-delay 1"
                        )
                    found[example.line] = shell.run(text)
                yield found | {0: shell.errors}
            finally:
                shell.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line-{example.line}")
def test_an_example_prints_what_the_guide_shows(printed: dict[int, str], example: Example) -> None:
    said = printed[example.line]
    if example.kind == "json":
        alike(json.loads(example.shown), json.loads(said), "")
    elif example.kind == "text":
        for line in example.shown.splitlines():
            assert re.search(pattern(line), said, re.MULTILINE), f"{line!r} is not in:\n{said}"
    else:
        assert said == ""


def alike(shown: Any, said: Any, where: str) -> None:
    """Every field that the guide shows is there, and of its kind."""
    if isinstance(shown, dict):
        assert isinstance(said, dict), where
        for name, value in shown.items():
            assert name in said, f"{where}.{name} is missing in {said}"
            if name in EXACT and isinstance(value, str | int) and value != "…":
                assert said[name] == value, f"{where}.{name}"
            alike(value, said[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(said, list), where
        assert not shown or said, f"{where} is empty"
        for value in shown if said else ():
            some(value, said, f"{where}[]")
    elif shown is not None and said is not None:
        number = isinstance(shown, int | float) and not isinstance(shown, bool)
        assert isinstance(said, int | float if number else type(shown)), f"{where}: {said!r}"


def some(shown: Any, said: list[Any], where: str) -> None:
    """One of several is alike."""
    for place, value in enumerate(said):
        try:
            alike(shown, value, where)
        except AssertionError:
            if place == len(said) - 1:
                raise
        else:
            return


def pattern(line: str) -> str:
    """A line of the guide with any number in place of its numbers, and anything for `…`."""
    whole = re.escape(line).replace("…", ".*").replace(r"\-", "-")
    whole = re.sub(
        r"-?\d+(?:\\\.\d+)?", lambda _: r"(?:-?\\d+(?:\\.\\d+)?(?:e-?\\d+)?|None)".replace(r"\\", "\\"), whole
    )
    return f"^{whole}" + ("$" if "…" not in line else "")


def test_a_line_of_another_shape_is_seen() -> None:
    assert re.search(pattern("soc,%,50.0,10"), "soc,%,49.1,9")
    assert not re.search(pattern("soc,%,50.0,10"), "soc,%,,9")
    assert not re.search(pattern("204"), "not_204")
    with pytest.raises(AssertionError, match="is missing"):
        alike({"a": [{"b": 1}]}, {"a": [{}]}, "")
    with pytest.raises(AssertionError, match="is empty"):
        alike({"a": [1]}, {"a": []}, "")


def test_the_examples_are_there() -> None:
    assert len(EXAMPLES) >= 20
    assert sum(bool(example.shown) for example in EXAMPLES) >= 18


def test_the_table_of_routes_is_the_generated_one() -> None:
    assert with_routes(PAGE) == PAGE, "run `bessai api document docs/api.md`"
    result = CliRunner().invoke(make_app("api"), ["api", "document"])
    assert (result.exit_code, result.output) == (0, routes_markdown())


def test_a_page_without_a_place_for_the_table_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    result = CliRunner().invoke(make_app("api"), ["api", "document", str(page)])
    assert (result.exit_code, "there is no part between" in result.output) == (2, True)
    assert page.read_text() == "# Nothing\n"


def test_every_route_of_openapi_stands_in_the_table(tmp_path: Path) -> None:
    with scene(tmp_path) as made:
        paths = made.app.openapi()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    told = {(one.method, one.path) for one in all_routes()}
    assert len(described) > 40
    assert described | {("GET", "/api/v1/openapi.json")} == told
    for method, path in told:
        assert re.search(rf"^\| {method} \| `{re.escape(path)}` \|", PAGE, re.MULTILINE), path
    assert all(one.text and (one.role is None) == (one.scope is None) for one in all_routes())


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_code_of_an_error_is_in_the_guide() -> None:
    told = set(re.findall(r"`([a-z_]+)`", section("Errors")))
    missing = codes() - told
    assert not missing
    rows = re.findall(r"^\| [45].*?\|(.*?)\|", section("Errors"), re.MULTILINE)
    invented = set(re.findall(r"`([a-z_]+)`", " ".join(rows))) - codes() - {"method_not_allowed"}
    assert not invented


def codes() -> set[str]:
    """Every code that the source gives to a problem."""
    found = set()
    for file in Path(acting.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = {"Problem": 1, "__init__": 1, "field_problem": 3}.get(name)
                if place is not None and place < len(node.args):
                    given = node.args[place]
                    if isinstance(given, ast.Constant) and isinstance(given.value, str):
                        found.add(given.value)
    assert {"locked_out", "audit_unavailable", "password_common", "gateway_silent", "csrf"} <= found
    return found


PATIENCE = Patience()


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("body of a call", (limits.BODY >> 10,)),
        ("header of a call", (connections.HEADER_BYTES >> 10, PATIENCE.header, PATIENCE.body)),
        ("an answer begins, and goes on, within", (limits.ANSWER,)),
        ("connection that does not read its answer", (PATIENCE.reading,)),
        ("connection that asks nothing", (PATIENCE.idle,)),
        ("connections", (connections.MOST, connections.MOST_OF_ONE)),
        ("live streams", (live.VIEWERS, live.CUT)),
        ("points of a stream", (live.MOST_POINTS,)),
        ("points of `/history`", (history.MOST_POINTS, 20_000)),
        ("lease of a request", (acting.LONGEST_LEASE,)),
        ("tokens, users", (tokens.MOST, users.MOST)),
        ("calls of one session or token", limits.CALLER),
        ("calls of one address", limits.ADDRESS),
        ("signing in, of one address", (1, 1 / limits.SIGN_INS[0], limits.SIGN_INS[1])),
    ],
)
def test_the_limits_are_those_of_the_code(what: str, numbers: tuple[float, ...]) -> None:
    (row,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", section("Limits"), re.MULTILINE)
    assert [float(number) for number in re.findall(r"\d+", row)] == [float(number) for number in numbers]


def test_the_other_numbers_are_those_of_the_code() -> None:
    assert f"for {idempotency.KEEP / 60:g} minutes" in PAGE
    assert f"at most {acting.LONGEST_SHELF / 3600:g} h; warnings only" in PAGE
    assert f"(1 to {tokens.DAYS} days)" in PAGE
    assert f"({lockout.FREE['address']} wrong passwords lock the address" in PAGE


def test_the_configuration_for_prometheus_is_one() -> None:
    (text,) = (text for _, kind, text in fenced() if kind == "yaml")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job.keys() == {"job_name", "scheme", "authorization", "tls_config", "static_configs"}
    assert "/metrics" in {one.path for one in all_routes()}  # where Prometheus looks by itself


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (FILE.parent / link).exists(), link
