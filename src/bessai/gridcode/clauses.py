"""What the grid code asks for, one clause a row: `bessai.grid/clauses.json`.

Only a clause with confidence `A` was read in the official text and may be called compliance. `B` comes from a
secondary source and `C` from neither: both are provisional wherever they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")
Loop = Literal["pcs", "ppc", "gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One requirement."""

    id: str
    article: str
    """Where it stands, as people cite it."""
    en: str
    """What it asks for, in our words."""
    es: str
    limit: Mapping[str, Any]
    """Its numbers by meaning; `unknown` where a number exists that nobody extracted."""
    unit: str
    """Units of the numbers."""
    confidence: Literal["A", "B", "C"]
    """A: read in the official text. B: a secondary source. C: neither."""
    closes_loop: Loop
    """Who does it: the converter, the plant controller (the gateway's functions, where it has that part), or the
    gateway in any plant."""
    function: str | None
    """The gateway's function or parameter that it is about; None: none."""
    test: str
    """Name of its rows of the self-test; rows of several cases are called `test.case`."""
    not_tested: Mapping[Language, str] = field(default_factory=dict)
    """Why the self-test does not test it, by language; empty: it does."""

    @property
    def provisional(self) -> bool:
        """True when it must not be called compliance."""
        return self.confidence != "A"

    def text(self, language: Language) -> str:
        """What it asks for."""
        return self.es if language == "es" else self.en


@cache
def clauses() -> Mapping[str, Clause]:
    """Every clause by its id, in the order of the code."""
    text = files("bessai.grid").joinpath("clauses.json").read_text(encoding="utf-8")
    return {row["id"]: Clause(**row) for row in json.loads(text)}
