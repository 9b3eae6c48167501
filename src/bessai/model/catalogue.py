"""The alarm catalogue: what every code means, what causes it and what to do, in English and in Spanish.

The texts are data, in `catalogue.json` beside this file; `docs/alarms.md` and `docs/alarms.es.md` are made from it.
A condition is true for a time, so it begins and ends; an event happens once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bessai.model.event import Severity

LANGUAGES: Final = ("en", "es")

_FILE = Path(__file__).with_name("catalogue.json")
_MEMBERS = {"severity", "kind", "on", "off", "latches", *LANGUAGES}
_TEXTS = ("meaning", "cause", "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a person should know about a code, in one language."""

    meaning: str
    """What is the case, and what the gateway does about it."""
    cause: str
    """Why it usually happens."""
    action: str
    """What a person should do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """Everything about one code."""

    code: str
    severity: Severity
    """The usual one; the condition itself says its own."""
    condition: bool
    """True when it begins and ends, False when it happens once."""
    on: float
    """Seconds for which it must be true before it is announced. An alarm never waits for it."""
    off: float
    """Seconds for which it must be over before its end is announced. Judgement, like `on`."""
    latches: bool
    """True when it can trip the plant, and the trip then stands until a person resets it."""
    coming: bool
    """True while no part of the gateway says it yet."""
    texts: Mapping[str, Explanation]
    """By language, see `LANGUAGES`."""


def parse_catalogue(document: Mapping[str, Any]) -> dict[str, CatalogueEntry]:
    """The catalogue from its JSON document.

    Raises:
        ValueError: with every problem, one a line: code, field, value, mend.
    """
    problems: list[str] = []
    entries: dict[str, CatalogueEntry] = {}
    for code, item in document.items():
        found = list(_problems(code, item))
        problems += found
        if not found:
            entries[code] = CatalogueEntry(
                code=code,
                severity=Severity[item["severity"].upper()],
                condition=item["kind"] == "condition",
                on=float(item["on"]),
                off=float(item["off"]),
                latches=item["latches"],
                coming=item.get("coming", False),
                texts=MappingProxyType({language: Explanation(**item[language]) for language in LANGUAGES}),
            )
    if problems:
        raise ValueError("\n".join(problems))
    return entries


def _problems(code: str, item: Mapping[str, Any]) -> list[str]:
    where = f"catalogue.json: {code}"
    problems = [f"{where}.{name} is missing" for name in sorted(_MEMBERS - item.keys())]
    problems += [
        f"{where}.{name}: unknown; remove it" for name in sorted(item.keys() - _MEMBERS - {"coming"})
    ]
    if problems:
        return problems
    if str(item["severity"]).upper() not in Severity.__members__:
        problems.append(f"{where}.severity={item['severity']!r}: use info, warning or alarm")
    if item["kind"] not in {"condition", "event"}:
        problems.append(f"{where}.kind={item['kind']!r}: use condition or event")
    for name in ("latches", "coming"):
        if not isinstance(item.get(name, False), bool):
            problems.append(f"{where}.{name}={item[name]!r}: use true or false")
    for name in ("on", "off"):
        value = item[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
            problems.append(f"{where}.{name}={value!r}: give seconds from 0 to 3600")
        elif value and item["kind"] == "event":
            problems.append(f"{where}.{name}={value!r}: an event happens once; use 0")
    for language in LANGUAGES:
        texts = item[language]
        if not isinstance(texts, Mapping) or set(texts) != set(_TEXTS):
            problems.append(f"{where}.{language}: give exactly {', '.join(_TEXTS)}")
        else:
            problems += [
                f"{where}.{language}.{name}={text!r}: give at least one sentence"
                for name, text in texts.items()
                if not isinstance(text, str) or not text.strip().endswith((".", "`."))
            ]
    return problems


@functools.cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """The catalogue that ships, by code. Read once."""
    return MappingProxyType(parse_catalogue(json.loads(_FILE.read_text(encoding="utf-8"))))
