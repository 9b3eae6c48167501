"""Operations: what a person does to the gateway itself, as opposed to a request for power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bessai.model.control import Role

ALL = "all"
"""The code that selects every trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One act of a named person. It is recorded with who did it, in which role, and why."""

    kind: str
    """`reset`, `maintenance_on`, `maintenance_off`, `deadman_test` or `deadman_test_end`."""
    user: str
    """Who acts."""
    role: Role
    """The role in which they act; what it takes depends on the operation."""
    reason: str
    """Why, in their own words."""
    code: str = ""
    """For a reset: the code of the trips, or `all`."""
    unit: str = ""
    """The commanded device that it is about; empty: the only one, or for a reset any of them."""
    passed: bool | None = None
    """For the end of a dead-man test: did the device fall back by itself?"""
    seconds: float | None = None
    """For a dead-man test, how long it may take at most; for its end, how long the device took."""
    evidence: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    """For the end of a dead-man test: what was measured, by name."""
