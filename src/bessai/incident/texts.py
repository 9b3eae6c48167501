"""The words of the drafts, in English and in Spanish: data, in `texts.json` beside this file."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("es", "en")

_FILE = Path(__file__).with_name("texts.json")


@dataclass(frozen=True, slots=True)
class Texts:
    """Everything in one language."""

    say: Mapping[str, str]
    """By name."""
    fields: Sequence[str]
    """What a person has to add."""


@functools.cache
def texts(language: str) -> Texts:
    """The words of a language. Read once.

    Raises:
        ValueError: unknown language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: use one of {', '.join(LANGUAGES)}")
    found = json.loads(_FILE.read_text(encoding="utf-8"))[language]
    return Texts(fields=found.pop("fields"), say=found)
