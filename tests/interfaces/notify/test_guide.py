"""The guide says what the file takes, in both languages, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bessai.interfaces.notify.schema import Daily, Heartbeat, NotifyFile, Quiet, Recipient, Rule, Step
from support.notify_plant import config

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("notifications.md", "notifications.es.md")


@pytest.mark.parametrize("name", PAGES)
def test_the_example_of_the_guide_is_valid(name: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)
    example = re.sub(r"url_file: \S+", "url: json://h.example", example)
    found = config(
        tmp_path, example, NOTIFY_SHIFT_URL="json://h.example", NOTIFY_TURNO_URL="json://h.example"
    )
    assert found.file.rules[0].escalate


@pytest.mark.parametrize("name", PAGES)
def test_the_guide_has_every_field(name: str) -> None:
    named = set(re.findall(r"`([a-z_]+)`", (DOCS / name).read_text()))
    for model in (NotifyFile, Recipient, Quiet, Rule, Step, Daily, Heartbeat):
        assert set(model.model_fields) <= named, model


def test_both_guides_have_the_same_sections_tables_and_commands() -> None:
    shapes = []
    for name in PAGES:
        text = (DOCS / name).read_text()
        shapes.append(
            (text.count("\n## "), text.count("\n|"), text.count("\n- "), re.findall(r"bessai \w+ \w+", text))
        )
    assert shapes[0] == shapes[1]
