"""`README.md` and `README.es.md` say the same: headings, commands, tables, links and code, section by section."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from support.pages import ROOT, blocks, commands, inline, prose, shell_lines

TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md")}


def sections(text: str) -> list[str]:
    """The page cut at its headings, the first part before any heading but the title."""
    lines = prose(text).splitlines()
    marks = [0, *(i for i, line in enumerate(lines) if line.startswith("## ")), len(lines)]
    whole = text.splitlines()
    return ["\n".join(whole[a:b]) for a, b in pairwise(marks)]


PAIRS = list(zip(sections(TEXTS["README.md"]), sections(TEXTS["README.es.md"]), strict=False))


def alike(words: tuple[str, ...]) -> tuple[str, ...]:
    """A command without what is said in a language: texts, names of files, and the language itself."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--lang":
            rest = rest[1:]
        elif word in {"--reason", "--out", "--output"}:
            kept, rest = [*kept, word], rest[1:]
        elif not re.fullmatch(r"[A-ZÓ]+", word):
            kept.append(word)
    return tuple(kept)


def typed(text: str) -> list[tuple[str, ...]]:
    return [
        alike(one.words)
        for block in blocks(text)
        for line, row in shell_lines(block)
        for one in commands(line, row)
    ]


def links(text: str) -> Counter[str]:
    """Where the links lead, whichever language; headings of the page itself by their number."""
    found = re.findall(r"\]\(([^)]+)\)", prose(text))
    return Counter(
        re.sub(r"(\.es|\.en)(?=\.(md|png))", "", link) for link in found if not link.startswith("#")
    )


def tables(text: str) -> list[tuple[int, int]]:
    """Rows and columns of each table."""
    found = re.findall(r"(?:^\|.*\|\n?)+", prose(text), re.MULTILINE)
    return [(len(table.splitlines()), table.splitlines()[0].replace(r"\|", "").count("|")) for table in found]


def first_cells(text: str) -> list[list[str]]:
    """The code of each row's first cell."""
    rows = [line.replace(r"\|", "").split("|") for line in prose(text).splitlines() if line.startswith("|")]
    return [re.findall(r"`([^`]+)`", row[1]) for row in rows]


def words_in_code(text: str) -> set[str]:
    """Commands, variables and names within sentences."""
    return {re.sub(r" --lang es|\.es(?=\.)", "", code) for _, code in inline(text)}


def test_the_headings_are_as_many() -> None:
    levels = [
        [len(mark) for mark in re.findall(r"^(#+) ", prose(text), re.MULTILINE)] for text in TEXTS.values()
    ]
    assert levels[0] == levels[1]
    assert len(PAIRS) > 8


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].partition("\n")[0].strip("# "))
def test_a_section_says_the_same(pair: tuple[str, str]) -> None:
    english, spanish = pair
    assert typed(english) == typed(spanish)
    assert links(english) == links(spanish)
    assert tables(english) == tables(spanish)
    assert first_cells(english) == first_cells(spanish)
    assert words_in_code(english) == words_in_code(spanish)
    bullets = [len(re.findall(r"^- ", prose(text), re.MULTILINE)) for text in pair]
    assert bullets[0] == bullets[1]
    bold = [len(re.findall(r"\*\*.+?\*\*", prose(text), re.DOTALL)) for text in pair]
    assert bold[0] == bold[1]


def test_each_leads_to_the_other() -> None:
    assert "(README.es.md)" in TEXTS["README.md"]
    assert "(README.md)" in TEXTS["README.es.md"]


def test_a_difference_is_seen() -> None:
    text = '[x](docs/a.md) `SITE_ID`\n```sh\nbessai request --power 1 --reason "a b"\n```\n| `a` | b |\n|---|---|\n'
    assert typed(text) == typed(text.replace("a b", "á é"))
    assert typed(text) != typed(text.replace("--power 1", "--power 2"))
    assert links(text) != links(text.replace("docs/a", "docs/b"))
    assert links(text) == links(text.replace("docs/a.md", "docs/a.es.md"))
    assert tables(text) != tables(text.replace("| b |", "|"))
    assert words_in_code(text) != words_in_code(text.replace("SITE_ID", "SITE"))
