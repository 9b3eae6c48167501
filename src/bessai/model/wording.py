"""The words for what a decision says, in English and Spanish: limits, roles of requests, steps to the set-point.

The texts are data, in `wording.json` beside this file. The command line and the API say the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bessai.model.catalogue import LANGUAGES

Words = Mapping[str, str]
"""One text by language."""

_FILE = Path(__file__).with_name("wording.json")


@functools.cache
def _texts() -> Mapping[str, Mapping[str, Words]]:
    parts: dict[str, dict[str, Words]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return MappingProxyType(parts)


def limit_words() -> Mapping[str, Words]:
    """Every limit that has words of its own, by its name in `Decision.limited_by`."""
    return _texts()["limits"]


def in_words(limit: str) -> Words:
    """What one name of `limited_by` means."""
    if (own := limit_words().get(limit)) is not None:
        return own
    kind, _, source = limit.partition(":")
    patterns = _texts()["patterns"]
    if kind in {"request", "impossible"} and source:
        return _filled(patterns[kind], name=source)
    return _filled(patterns["other"], name=limit.replace("_", " "))


def role_words(role: str) -> Words:
    """What became of a request; a role that this version does not know stands for itself."""
    return _texts()["roles"].get(role, dict.fromkeys(LANGUAGES, role))


def step_words(name: str) -> Words:
    """A step on the way to the set-point."""
    return _texts()["steps"][name]


def sentence(name: str, **filled: Any) -> Words:
    """One of the sentences, with its blanks filled: a text, or a text by language."""
    return _filled(_texts()["sentences"][name], **filled)


def _filled(words: Words, **blanks: Any) -> Words:
    def of(value: Any, language: str) -> str:
        return str(value[language] if isinstance(value, Mapping) else value)

    return {
        language: text.format_map({name: of(value, language) for name, value in blanks.items()})
        for language, text in words.items()
    }
