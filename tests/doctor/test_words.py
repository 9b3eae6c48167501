"""Every text of every check is there in both languages, with the same blanks, and every blank has its fact."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

from bessai.doctor import CHECKS, GROUPS, Verdict, words
from bessai.doctor.parts import PARTS

SOURCES = Path(words.__file__).parent / "checks"


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def all_texts() -> list[tuple[str, str, dict[str, Any]]]:
    found = [("any", name, text) for name, text in words.texts()["any"].items()]
    return found + [
        (check, name, text)
        for check, entry in words.texts()["checks"].items()
        for name, text in entry["texts"].items()
    ]


def test_both_languages_say_the_same() -> None:
    for check, name, text in all_texts():
        for part, said in text.items():
            assert set(said) == set(words.LANGUAGES), (check, name, part)
            assert blanks(said["en"]) == blanks(said["es"]), (check, name, part)
            assert all(said.values())


def test_every_check_and_group_has_a_title() -> None:
    assert {check.name for check in CHECKS} == set(words.texts()["checks"])
    assert {*GROUPS, *map(str, Verdict)} == set(words.texts()["titles"])
    for check in CHECKS:
        for language in words.LANGUAGES:
            assert words.title(check.name, language)
            assert words.heading(check.group, language)


def test_every_text_is_said_somewhere_and_none_is_missing() -> None:
    """By name over all checks; that a check's own texts are there, the tests of the checks see."""
    source = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py"))
    written = {name for check, name, _ in all_texts() if check != "any"}
    said = set(re.findall(r"\b(?:ok|skipped|unknown|warn|bad)\)?\(\s*\"(\w+)\"", source))
    assert said <= written
    assert {name for name in written if f'"{name}"' not in source} <= {"ok", "skipped", "unknown"}


def test_the_page_names_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = page.partition("## What is looked at")[2].partition("\n## ")[0]
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert named == [check.name for check in CHECKS]


def test_the_page_names_every_part_of_the_bundle() -> None:
    page = (Path(__file__).parents[2] / "docs" / "support-bundle.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert f"`{part.name}" in page, part.name
