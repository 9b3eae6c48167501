"""The page on security says what the code does: its numbers, its commands, its links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from bessai.cli.app import make_app
from bessai.core.settings import Settings
from bessai.interfaces.api.audit import FILE_BYTES, FILES
from bessai.interfaces.api.identity import ABSOLUTE, IDLE, lockout, passwords, sessions, setup
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.routes import stream
from bessai.interfaces.api.routes.session import _Budget

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "security.md").read_text(encoding="utf-8")
PLAIN = " ".join(PAGE.split())
ORDINAL = {5: "fifth", 20: "twentieth"}


@pytest.mark.parametrize(
    "words",
    [
        f"At least {passwords.MINIMUM} characters, at most {passwords.MAXIMUM}",
        f"fewer than {passwords._DISTINCT} different characters",
        f"The {ORDINAL[lockout.FREE['user']]} wrong password for a name",
        f"the {ORDINAL[lockout.FREE['address']]} from an address",
        f"for {lockout.FIRST // 1000} s, and each further one for twice as long, up to {lockout.LONGEST // 60_000} min",
        f"ends after {IDLE[Role.VIEWER] // 60_000} min without use",
        f"after {ABSOLUTE // 3600_000} h in any case",
        f"At most {sessions.MOST} for each user",
        f"within {setup.LASTS // 3600_000} h. From afar",
        f"looked at every {stream._CHECKED:g} s",
        f"about {FILE_BYTES * FILES >> 20} MB",
        f"of failed sign-ins {_Budget()._most} an hour",
    ],
)
def test_its_numbers_are_those_of_the_code(words: str) -> None:
    assert words in PLAIN


def test_every_role_stands_in_the_table_in_its_order() -> None:
    rows = re.findall(r"^\| (\w+) \|", PAGE.partition("## The first user")[0], re.MULTILINE)
    assert rows[1:] == [role.label for role in Role]
    assert len(set(IDLE.values())) == 1  # the page says one time for all


@pytest.mark.parametrize("name", ["security.md", "api.md", "install-systemd.md", "control.md"])
def test_the_commands_that_it_names_are_there(name: str) -> None:
    root = typer.main.get_command(make_app())
    found = re.findall(r"(?<!-u )\bbessai ([a-z]+)(?: ([a-z-]+))?", (DOCS / name).read_text(encoding="utf-8"))
    assert found
    for first, second in found:
        group = root.commands.get(first)  # type: ignore[attr-defined]
        assert group is not None, f"bessai {first}"
        if second and hasattr(group, "commands"):
            assert second in group.commands, f"bessai {first} {second}"


@pytest.mark.parametrize("name", ["security.md", "api.md", "install-systemd.md"])
def test_the_settings_that_it_names_are_there(name: str) -> None:
    for setting in re.findall(r"`(HTTP_\w+)", (DOCS / name).read_text(encoding="utf-8")):
        assert setting.lower() in Settings.model_fields, setting


def test_links_lead_somewhere() -> None:
    for link, place in re.findall(r"\]\((?!http)([^)#]+)(?:#([\w-]+))?\)", PAGE):
        assert (DOCS / link).exists(), link
        heads = re.findall(r"^#+ (.*)$", (DOCS / link).read_text(encoding="utf-8"), re.MULTILINE)
        assert not place or place in {head.lower().replace(" ", "-") for head in heads}, f"{link}#{place}"
