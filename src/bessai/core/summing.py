"""Bounds of several units together."""

from __future__ import annotations

from collections.abc import Iterable

from bessai.model import Bounds


def total(bounds: Iterable[Bounds]) -> Bounds:
    """What several units may do together."""
    low, high = 0.0, 0.0
    for one in bounds:
        low, high = low + one.low, high + one.high
    return Bounds(low + 0.0, high + 0.0)
