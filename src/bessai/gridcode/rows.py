"""What a test found: a row with its limit, what was measured, a verdict, and the samples behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bessai.gridcode.clauses import Clause, Language, clauses

Text = Mapping[Language, str]
"""One sentence in each language."""
Plain = float | int | str | bool | None


class Verdict(Enum):
    """The result of a row."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOT_TESTED = "not tested"
    """Nothing is claimed; the row says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One line of a plot."""

    label: Text
    unit: str
    times: Sequence[float]
    """Seconds since the step."""
    values: Sequence[float]
    stepped: bool = False
    """True for a value that stands until the next one, as a set-point does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The samples behind a row: lines over one another, the last one is the input."""

    title: Text
    traces: Sequence[Trace]
    band: tuple[float, float] | None = None
    """Lowest and highest value of the settling band of the first trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the report."""

    name: str
    """`test` or `test.case`; what `--only` takes."""
    clause: Clause
    limit: Mapping[str, Plain]
    """By meaning, with `unit`: `below`, `at_most`, `within`, `low` and `high`, or `must` for a behaviour."""
    measured: Mapping[str, Plain]
    """`value` with `unit` for a number, `found` for a behaviour; what else was seen beside it."""
    verdict: Verdict
    note: Text = field(default_factory=dict)
    """What has to be known beside it; why, when it was not tested."""
    evidence: Evidence | None = None
    ours: bool = False
    """True when the number that judges is ours: the clause asks for it and gives none."""

    @property
    def confidence(self) -> str:
        """Of the limit: the clause's, and C where the number is ours."""
        return "C" if self.ours else self.clause.confidence

    @property
    def provisional(self) -> bool:
        """True when it must not be called compliance."""
        return self.confidence != "A"

    def plain(self, language: Language = "en") -> dict[str, Any]:
        """As `--json` prints it."""
        measured: dict[str, Any] = dict(self.measured)
        if self.note:
            measured["note"] = self.note[language]
        return {
            "name": self.name,
            "clause": self.clause.article,
            "limit": dict(self.limit),
            "measured": measured,
            "verdict": self.verdict.value,
            "confidence": self.confidence,
        }


def not_tested(name: str, clause: Clause, why: Text) -> Row:
    """A row that claims nothing."""
    return Row(
        name=name, clause=clause, limit=_limit_of(clause), measured={}, verdict=Verdict.NOT_TESTED, note=why
    )


def untested_rows() -> list[Row]:
    """A row for each clause that this test cannot judge."""
    return [not_tested(c.test, c, c.not_tested) for c in clauses().values() if c.not_tested]


def judged(ok: bool) -> Verdict:
    """Pass or fail."""
    return Verdict.PASS if ok else Verdict.FAIL


def number(value: float | None, digits: int = 4) -> float | None:
    """Rounded, so that a figure does not pretend to more than it is; None stays unknown."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits) + 0.0


def _limit_of(clause: Clause) -> dict[str, Plain]:
    plain = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in clause.limit.items()
    }
    return {**plain, "unit": clause.unit} if plain and clause.unit else plain
