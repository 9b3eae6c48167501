"""What a check says: a verdict, and the facts that its texts are filled with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessai.doctor.look import Look


class Verdict(StrEnum):
    """From good to bad; of several the last one counts."""

    OK = "ok"
    SKIPPED = "skipped"
    """There is nothing to look at, and a word on why."""
    UNKNOWN = "unknown"
    """It could not be found out."""
    WARN = "warn"
    """It works, and will not always."""
    BAD = "bad"
    """It does not work, or loses data."""

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found."""

    verdict: Verdict
    text: str
    """Which of the check's texts in `texts.json`."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What fills the text's blanks: numbers in the unit that the text names, or words of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All that one check found."""

    name: str
    group: str
    findings: tuple[Finding, ...]
    seconds: float
    """That it took."""

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        return worst(finding.verdict for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check: its name in `texts.json`, and the function that looks."""

    name: str
    group: str
    look: Callable[[Look], Iterable[Finding]]
    """Runs in a thread of its own, may raise, and is not waited for longer than `seconds`."""
    seconds: float = 10.0


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """OK of none."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.OK)


def ok(text: str = "ok", /, **facts: Any) -> Finding:
    """It is as it should be."""
    return Finding(verdict=Verdict.OK, text=text, facts=facts)


def skipped(text: str = "skipped", /, **facts: Any) -> Finding:
    """There is nothing to look at."""
    return Finding(verdict=Verdict.SKIPPED, text=text, facts=facts)


def unknown(text: str = "unknown", /, **facts: Any) -> Finding:
    """It cannot be found out."""
    return Finding(verdict=Verdict.UNKNOWN, text=text, facts=facts)


def warn(text: str, /, **facts: Any) -> Finding:
    """It works, and will not always."""
    return Finding(verdict=Verdict.WARN, text=text, facts=facts)


def bad(text: str, /, **facts: Any) -> Finding:
    """It does not work."""
    return Finding(verdict=Verdict.BAD, text=text, facts=facts)
