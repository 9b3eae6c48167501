"""The words of the checks, in English and Spanish. The texts are data, in `texts.json` beside this file.

    {"disk_space": {"title": {…}, "texts": {"ok": {"found": {"en": …, "es": …}}, "short": {"found": …, "mend": …}}}}

A check that broke, hung or found nothing to say uses the texts of `any`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bessai.doctor.result import Finding
from bessai.model.sentences import translated

LANGUAGES: Final = ("en", "es")
_FILE = Path(__file__).with_name("texts.json")


@functools.cache
def texts() -> Mapping[str, Any]:
    """Everything, as it stands in the file."""
    return MappingProxyType(json.loads(_FILE.read_text(encoding="utf-8")))


def title(name: str, language: str = "en") -> str:
    """Of a check."""
    return str(texts()["checks"][name]["title"][language])


def heading(name: str, language: str = "en") -> str:
    """Of a group or a verdict."""
    return str(texts()["titles"][name][language])


def found(check: str, finding: Finding, language: str = "en") -> str:
    """What was found, with its numbers."""
    return str(_entry(check, finding.text)["found"][language]).format_map(_facts(finding, language))


def mend(check: str, finding: Finding, language: str = "en") -> str | None:
    """What to do about it; None where nothing needs to be done."""
    words = _entry(check, finding.text).get("mend")
    return None if words is None else str(words[language]).format_map(_facts(finding, language))


def _facts(finding: Finding, language: str) -> dict[str, Any]:
    """The numbers and names of a finding, and what the gateway itself says of it (`why`, `problem`)."""
    facts = dict(finding.facts)
    return dict(translated(facts)) if language == "es" else facts


def _entry(check: str, text: str) -> Mapping[str, Any]:
    own = texts()["checks"][check]["texts"]
    return own[text] if text in own else texts()["any"][text]  # type: ignore[no-any-return]
