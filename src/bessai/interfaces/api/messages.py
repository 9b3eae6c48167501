"""What the API says, in the language of who asks. English is what the code says; Spanish stands in `messages.json`.

A key of that file is the English text with `{}` where the code fills something in; its value is the Spanish one with
the same blanks, in the same order, or numbered. So whoever writes a message writes it once, where it is raised, and a
test finds those that have no translation. What the control plane says is looked up in `bessai.model.sentences`, whose
test does the same. A text that is in neither (a path, what the operating system says) stays as it is.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Scope

from bessai.model.sentences import in_spanish

LANGUAGES = ("en", "es")
_FILE = Path(__file__).with_name("messages.json")


def language_of(scope: Scope) -> str:
    """Of a request: what its Accept-Language prefers, else the user's, else English.

    The page tells the language that it shows, which a user may choose for one browser alone.
    """
    caller = scope.get("state", {}).get("caller")
    own = getattr(caller, "language", None)
    return preferred(Headers(scope=scope)) or (own if own in LANGUAGES else "en")


def preferred(headers: Headers) -> str | None:
    """The first of our languages in Accept-Language by its weight; None when there is none."""
    found: list[tuple[float, str]] = []
    for part in headers.get("accept-language", "")[:200].split(","):
        name, _, weight = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight, re.ASCII) if weight else None
        if language in LANGUAGES and (match is not None or not weight):
            found.append((float(match[1]) if match else 1.0, language))
    best = max(found, key=lambda one: one[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else None


def said(text: str, language: str) -> str:
    """A message in a language."""
    if language != "es":
        return text
    plain = catalogue().get(text)
    if plain is not None:
        return plain
    for pattern, spanish in _patterns():
        if (match := pattern.fullmatch(text)) is not None:
            return spanish.format(*match.groups())
    return in_spanish(text)


@functools.cache
def catalogue() -> Mapping[str, str]:
    """All messages: English to Spanish."""
    found: dict[str, str] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with blanks; what says most beside its blanks is tried first."""
    blanks = [(english, spanish) for english, spanish in catalogue().items() if "{}" in english]
    blanks.sort(key=lambda pair: -len(pair[0].replace("{}", "")))
    return [
        (re.compile("(.*)".join(map(re.escape, english.split("{}"))), re.DOTALL), spanish)
        for english, spanish in blanks
    ]
