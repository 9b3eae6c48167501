"""The pages of `docs/reference` are the ones that the code makes today."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.cli.reference_commands import commands_markdown
from bessai.core.settings import Settings
from bessai.core.settings_docs import settings_markdown
from bessai.model.vocabulary import SHARED_POINTS
from bessai.model.vocabulary_docs import points_markdown
from bessai.registry.schema_docs import allowed, cell, default, profile_markdown

PAGES = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("settings", settings_markdown), ("cli", commands_markdown), ("points", points_markdown),
        ("profile", profile_markdown),
    ],
)  # fmt: skip
def test_a_page_is_the_generated_one(name: str, make: Callable[[], str]) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page == make(), f"run `bessai reference {name} > docs/reference/{name}.md`"
    done = CliRunner().invoke(make_app("reference"), ["reference", name])
    assert (done.exit_code, done.output) == (0, page)


def test_every_setting_has_a_row_with_its_default_and_limits() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", settings_markdown(), re.MULTILINE)
    assert sorted(rows) == sorted(name.upper() for name in Settings.model_fields)
    assert (
        "| `CYCLE_TIME` | number ≥ 0.1, ≤ 60 | `1` | Seconds of one control cycle. |" in settings_markdown()
    )
    assert "| `CONTROL_MODE` | `control`, `monitor` | `control` |" in settings_markdown()


def test_every_command_has_a_section_with_its_options() -> None:
    page = commands_markdown()
    for name in (
        "bessai run",
        "bessai alarms",
        "bessai alarms ack",
        "bessai journal export",
        "bessai reference cli",
    ):
        assert f"\n## {name}\n" in page
    section = page.split("\n## bessai user add\n")[1].split("\n## ")[0]
    assert "bessai user add NAME [OPTIONS]" in section
    assert "| `--role` `viewer`, `operator`, `engineer`, `administrator` (required) |" in section


def test_every_shared_point_has_a_row() -> None:
    for name, point in SHARED_POINTS.items():
        assert f"| `{name}` | {point.unit or ''} | {point.description} |" in points_markdown()


def test_schemas_in_words() -> None:
    assert allowed({"type": "number", "exclusiveMinimum": 0, "maximum": 60}) == "number > 0, ≤ 60"
    assert allowed({"anyOf": [{"type": "string"}, {"type": "null"}]}) == "text"
    assert allowed({"type": "array", "items": {"$ref": "#/$defs/Point"}}) == "list of [Point](#point)"
    assert allowed({"type": "string", "pattern": "^x$"}) == "text like `^x$`"
    assert default({"default": 5.0}) == "`5`"
    assert default({"default": None}) == default({}) == ""
    assert cell("a|b <site> `<c>`") == r"a\|b &lt;site> `<c>`"
