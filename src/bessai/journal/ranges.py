"""Ranges of sequences."""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]
"""First and last sequence."""


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers as few ranges, ascending."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def clipped(ranges: list[Range], low: int, high: int) -> list[Range]:
    """What of merged ranges lies between `low` and `high`."""
    return [(max(a, low), min(b, high)) for a, b in ranges if a <= high and b >= low]


def holes(ranges: list[Range], low: int, high: int) -> list[Range]:
    """What merged ranges lack between `low` and `high`."""
    found: list[Range] = []
    for a, b in clipped(ranges, low, high):
        if a > low:
            found.append((low, a - 1))
        low = b + 1
    if low <= high:
        found.append((low, high))
    return found
