"""What a PromQL expression names: metrics and labels. Not a parser; `promtool` is one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHERS = re.compile(r"([A-Za-z_:][\w:]*)?\s*\{([^{}]*)\}")
_MATCHER = re.compile(r"([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*(\d+)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_NAME = re.compile(r"(?<![\w:.$])[A-Za-z_:][\w:]*(?![\w:])(\s*\()?")
_WORDS = {
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
}


@dataclass(frozen=True)
class Named:
    """Of one expression."""

    metrics: set[str]
    matched: set[tuple[str, str, str]]
    """Metric, label, and what it is compared with."""
    grouped: set[str]
    """Labels by which is grouped or joined."""


def named(expression: str) -> Named:
    """Every metric and label that an expression names."""
    texts = [text[1:-1] for text in _STRINGS.findall(expression)]
    numbers = iter(range(len(texts)))
    bare = _STRINGS.sub(lambda _: str(next(numbers)), expression)
    matched = {
        (metric, label, texts[int(number)])
        for metric, inside in _MATCHERS.findall(bare)
        for label, number in _MATCHER.findall(inside)
    }
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r"\{[^{}]*\}", "", bare))
    grouped = {
        label.strip() for inside in _GROUPING.findall(bare) for label in inside.split(",") if label.strip()
    }
    bare = _GROUPING.sub("", bare)
    found = {match[0] for match in _NAME.finditer(bare) if match[1] is None}
    return Named({name for name in found if name not in _WORDS}, matched, grouped)
