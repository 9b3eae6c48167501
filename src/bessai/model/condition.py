"""A condition: something that is true of the plant in this cycle, and that a person may have to know."""

from __future__ import annotations

from dataclasses import dataclass

from bessai.model.event import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is true of the plant in this cycle."""

    code: str
    """A stable snake_case identifier; the alarm catalogue explains it."""
    severity: Severity
    message: str
    point: str | None = None
    value: float | None = None
