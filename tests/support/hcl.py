"""Reads Terraform files as `terraform fmt` leaves them: which block holds which arguments. Values stay text.

Enough to compare names. Terraform itself would need the provider's schema, which only its registry has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r'^\s*(\w+)((?:\s+"[^"]*")*)\s*\{\s*(\})?\s*$')
_ARGUMENT = re.compile(r"^\s*(\w+)\s*=\s*(.*)$")
_HEREDOC = re.compile(r"<<-?(\w+)\s*$")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')


@dataclass
class Block:
    """`kind "label" "label" { … }`."""

    kind: str
    labels: Sequence[str] = ()
    arguments: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def all(self, kind: str, label: str | None = None) -> Iterator[Block]:
        """The blocks directly in this one of a kind, and with a first label."""
        for block in self.blocks:
            if block.kind == kind and (label is None or (block.labels and block.labels[0] == label)):
                yield block


def read_directory(directory: Path) -> Block:
    """All files of a module as one block without a name."""
    root = Block("")
    for path in sorted(directory.glob("*.tf")):
        _read(path, root)
    return root


def _read(path: Path, root: Block) -> None:
    open_blocks = [root]
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text == "}":
            open_blocks.pop()
            assert open_blocks, f"{path}:{number}: a bracket too many"
        elif block := _BLOCK.match(line):
            made = Block(block[1], re.findall(r'"([^"]*)"', block[2]))
            open_blocks[-1].blocks.append(made)
            if not block[3]:
                open_blocks.append(made)
        elif argument := _ARGUMENT.match(line):
            open_blocks[-1].arguments[argument[1]] = _value(argument[2], lines)
        else:
            raise AssertionError(f"{path}:{number}: neither a block nor an argument: {text}")
    assert open_blocks == [root], f"{path}: a block does not end"


def _value(first: str, lines: Iterator[tuple[int, str]]) -> str:
    if mark := _HEREDOC.search(first):
        taken = [first]
        for _, line in lines:
            if line.strip() == mark[1]:
                break
            taken.append(line)
        return "\n".join(taken)
    value, depth = first, _depth(first)
    while depth > 0:
        _, line = next(lines)
        value, depth = f"{value}\n{line}", depth + _depth(line)
    return value


def _depth(line: str) -> int:
    bare = _STRING.sub('""', line).split(" #", 1)[0]
    return sum(bare.count(left) - bare.count(right) for left, right in ("()", "[]", "{}"))
