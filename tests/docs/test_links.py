"""Every link of every page leads somewhere: to a file that is there, and to a heading that it has."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from support.pages import ROOT, anchors, pages, prose, slug

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


@functools.cache
def anchors_of(page: Path) -> set[str]:
    return anchors(page.read_text(encoding="utf-8"))


def wrong_links(page: Path, text: str) -> list[str]:
    """What leads nowhere."""
    wrong = []
    without_code = re.sub(r"(`+)(?!`).+?\1", "", prose(text))
    for link in LINK.findall(without_code):
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT):
            wrong.append(f"{link}: there is no such file")
        elif anchor and target.suffix == ".md":
            known = anchors(text) if target == page else anchors_of(target)
            if anchor not in known:
                wrong.append(f"{link}: {target.name} has no such heading")
    return wrong


def test_links_lead_somewhere() -> None:
    problems = []
    for page in pages():
        wrong = wrong_links(page, page.read_text(encoding="utf-8"))
        problems += [f"{page.relative_to(ROOT)}: {problem}" for problem in wrong]
    assert not problems, "\n".join(problems)


def test_wrong_links_are_seen() -> None:
    text = "# A `b` c\n[x](#a-b-c) [y](#a) [z](nothing.md) [w](CHANGELOG.md#no) `[v](nowhere)` [u](https://x.y)\n"
    assert [line.partition(":")[0] for line in wrong_links(ROOT / "README.md", text)] == [
        "#a",
        "nothing.md",
        "CHANGELOG.md#no",
    ]


def test_headings_get_the_anchors_of_the_site() -> None:
    slugs = pytest.importorskip("pymdownx.slugs", reason="mkdocs-material is not installed")
    of_the_site = slugs.slugify(case="lower")
    for page in pages():
        for heading in re.findall(r"^#{2,6} +(.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE):
            text = re.sub(r"[*`]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading))
            assert of_the_site(text, "-") == slug(heading), f"{page}: {heading}"
