"""The sentences of the control plane in Spanish. It says them in English, records keep them so, and readers translate.

    in_spanish("ended: soc is stale")   # "terminó: soc no es evidencia (dato añejo)"

The texts are data, in `sentences.json` beside this file. A key of `sentences` is the English sentence with a named
blank for what the code fills in; its value is the Spanish one with the same blanks. The name says what fits a blank,
digits after it tell two of one kind apart:

    {point}    a name without spaces: of a point, a device, a setting. It stays.
    {number}   a number. It gets a decimal comma.
    {said}     any text, translated in its turn: so sentences that hold another one need no entry for every pair
    {text}     any text that stays: a person's words, the operating system's, a file's name
    {meaning}  a few words that stay: what a device calls its state
    {quality}  or another list of `words`: one of them, translated

Several sentences with semicolons between, and a name with a colon before one, are taken apart. What fits no sentence
stays English. `tests/model/test_sentences.py` looks through the source for sentences that have no
entry here. Nothing of the control plane imports this module.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("sentences.json")
BLANK = re.compile(r"\{([a-z]+)(\d*)\}")
"""A blank: what fits it, and its number."""
_KINDS = {
    "point": r"[^\s:;,()]+",
    "number": r"[-+±]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan)",
    "said": r".*?",
    "text": r".*?",
    "meaning": r"[^:;]{1,60}",
}
_ANY = frozenset({"said", "text"})
_LONGEST = 2000
"""Characters of a text that is looked at."""
_DEEPEST = 5
"""Sentences within each other."""
_TOGETHER = 4
"""Parts that one sentence with semicolons of its own may have."""
_MOST = 12
"""Parts that are looked at together."""
SPOKEN = frozenset(
    "message reasons problem problems last_error error refusal why words lost detail".split()  # noqa: SIM905
)
"""Members of an answer that hold sentences of the gateway: a text, a list of texts, or texts by name."""


@functools.cache
def catalogue() -> Mapping[str, str]:
    """All sentences: English to Spanish."""
    found: dict[str, str] = _file()["sentences"]
    return found


@functools.cache
def words() -> Mapping[str, Mapping[str, str]]:
    """What may stand in a blank of a kind, English to Spanish."""
    found: dict[str, dict[str, str]] = _file()["words"]
    return found


@functools.lru_cache(maxsize=4096)
def in_spanish(text: str) -> str:
    """A sentence, or several with semicolons between; as it is where none fits."""
    return _said(text, _DEEPEST) if 0 < len(text) <= _LONGEST else text


def translated(answer: Any) -> Any:
    """A copy of an answer, as JSON has it, with the gateway's sentences in Spanish. People's words stay as they are."""
    if isinstance(answer, Mapping):
        return {
            name: _spoken(part) if name in SPOKEN else translated(part) if _holds(part) else part
            for name, part in answer.items()
        }
    return [translated(part) for part in answer] if isinstance(answer, list) else answer


def _spoken(part: Any) -> Any:
    if isinstance(part, str):
        return in_spanish(part)
    if isinstance(part, Mapping) and all(isinstance(value, str | None) for value in part.values()):
        return {name: value and in_spanish(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_spoken(one) for one in part]
    return translated(part)


def _holds(part: Any) -> bool:
    return isinstance(part, Mapping | list)


def _said(text: str, deep: int) -> str:
    if "; " not in text:
        return _one(text, deep) or _named(text, deep)
    whole = _one(text, deep, holding="; ")
    if whole is not None:
        return whole
    parts = text.split("; ")
    several = _several(parts, deep) or [_one(part, deep) or _named(part, deep) for part in parts]
    return "; ".join(several)


def _named(text: str, deep: int) -> str:
    """What may have the name of a device or a cause before it."""
    name, colon, rest = text.partition(": ")
    if not colon or deep == 0:
        return text
    return f"{_one(name, deep - 1) or name}: {_said(rest, deep - 1)}"


def _several(parts: list[str], deep: int) -> list[str] | None:
    """As many sentences as there are, each with a few semicolons of its own at most; None where one fits none."""
    if len(parts) > _MOST:
        return None
    found: list[list[str] | None] = [None] * len(parts) + [[]]
    """Of what begins at each part."""
    for start in reversed(range(len(parts))):
        for end in range(start + 1, min(start + _TOGETHER, len(parts)) + 1):
            rest = found[end]
            one = None if rest is None else _one("; ".join(parts[start:end]), deep)
            if rest is not None and one is not None:
                found[start] = [one, *rest]
                break
    return found[0]


def _one(text: str, deep: int, holding: str = "") -> str | None:
    """One sentence of the catalogue, that has some text of its own; None where none fits."""
    if (plain := catalogue().get(text)) is not None:
        return plain
    if deep == 0:
        return None
    for english, fixed, spanish in _open():
        if holding in english and all(piece in text for piece in fixed):
            match = _pattern(english).fullmatch(text)
            if match is not None:
                return _with(spanish, match.groupdict(), deep)
    return None


def _with(spanish: str, blanks: Mapping[str, str], deep: int) -> str:
    return BLANK.sub(lambda blank: _filled(blank[1], blanks[blank[1] + blank[2]], deep), spanish)


def _filled(kind: str, value: str, deep: int) -> str:
    if kind == "number":
        return value.replace(".", ",")  # in Chile 1.766 is a thousand and more
    if kind == "said":
        return _said(value, deep - 1)
    return words()[kind][value] if kind in words() else value


@functools.cache
def _open() -> list[tuple[str, list[str], str]]:
    """Sentences with blanks, and the text beside them; what says most, and leaves least open, is tried first."""
    found = [
        (english, BLANK.split(english), spanish)
        for english, spanish in catalogue().items()
        if BLANK.search(english) is not None
    ]
    found.sort(key=lambda one: (-sum(map(len, one[1][::3])), sum(kind in _ANY for kind in one[1][1::3])))
    return [(english, [text for text in pieces[::3] if text], spanish) for english, pieces, spanish in found]


@functools.cache
def _pattern(english: str) -> re.Pattern[str]:
    """Made when it is needed: all at once would hold up whoever asks first."""
    pieces = BLANK.split(english)
    blanks = zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
    parts = [f"(?P<{kind}{number}>{_fits(kind)}){re.escape(text)}" for kind, number, text in blanks]
    return re.compile(re.escape(pieces[0]) + "".join(parts), re.DOTALL)


def _fits(kind: str) -> str:
    own = words().get(kind)
    return _KINDS[kind] if own is None else "|".join(map(re.escape, sorted(own, key=len, reverse=True)))


@functools.cache
def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found
