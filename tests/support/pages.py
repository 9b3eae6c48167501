"""The pages that people read, and what stands in them: blocks of code, commands, links."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NOT_OURS = {".venv", "node_modules", "build", "dist", "data", ".pytest_cache", "page"}
_FENCE = re.compile(r"^( *)(```+)([\w-]*)[^\n]*\n(.*?)^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "bash", "console")
_ENDS = {";", "|", "||", "&&", "&", ">", ">>", "<", "2>", "2>&1", "(", ")"}


@dataclass(frozen=True)
class Block:
    """A block of code."""

    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Typed:
    """One command as it is typed, without the shell's own words."""

    line: int
    words: tuple[str, ...]


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    found = (path for path in ROOT.rglob("*.md") if not _NOT_OURS & {*path.relative_to(ROOT).parts[:-1]})
    return sorted(found)


def manual() -> list[Path]:
    """The pages with commands for users: the READMEs and `docs/`."""
    return [ROOT / "README.md", ROOT / "README.es.md", *sorted((ROOT / "docs").rglob("*.md"))]


@functools.cache
def blocks(text: str) -> list[Block]:
    """Every block of code, with the line of its first fence."""
    return [Block(text.count("\n", 0, f.start()) + 1, f[3], f[4]) for f in _FENCE.finditer(text)]


@functools.cache
def prose(text: str) -> str:
    """The page with its blocks emptied; lines keep their numbers."""
    return _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)


@functools.cache
def inline(text: str) -> list[tuple[int, str]]:
    """Code within sentences and tables, with its line."""
    found: list[tuple[int, str]] = []
    plain = prose(text)
    line = place = 0
    for code in re.finditer(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", plain, re.DOTALL):
        line, place = line + plain.count("\n", place, code.start()), code.start()
        found.append((line + 1, " ".join(code[2].split()).replace(r"\|", "|")))
    return found


def shell_lines(block: Block) -> Iterator[tuple[int, str]]:
    """What is typed in a block, a line each, with continued lines joined. Of a transcript only what follows `$`."""
    prompted = block.kind == "console" or re.search(r"^\$ ", block.text, re.MULTILINE) is not None
    begun, line = 0, ""
    for number, text in enumerate(block.text.splitlines(), block.line + 1):
        typed = text
        if not line:
            begun = number
            if prompted:
                if not text.startswith("$ "):
                    continue
                typed = text[2:]
        line += typed.removesuffix("\\")
        if not typed.endswith("\\"):
            yield begun, line
            line = ""


def commands(line: int, text: str) -> Iterator[Typed]:
    """The commands of a line, parted where the shell parts them. Raises ValueError when a quote does not end."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    target = False
    for word in lexer:
        if word in _ENDS:
            if words:
                yield Typed(line, tuple(words))
            words, target = [], ">" in word
        elif target:
            target = False  # the file that is written
        else:
            words.append(word)
    if words:
        yield Typed(line, tuple(words))


@functools.cache
def typed(text: str) -> list[Typed]:
    """Every command of a page's blocks."""
    found: list[Typed] = []
    for block in blocks(text):
        if block.kind in SHELL or (
            not block.kind and re.search(r"^(\$ )?(bessai|sudo|make) ", block.text, re.MULTILINE)
        ):
            for line, one in shell_lines(block):
                found += commands(line, one)
    return found


def slug(heading: str) -> str:
    """The anchor that GitHub, and the site, give to a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"[*`]", "", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """All anchors of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)?$", prose(text), re.MULTILINE):
        name = slug(heading)
        known, count = name, 0
        while known in found:
            count += 1
            known = f"{name}-{count}"
        found.add(known)
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
