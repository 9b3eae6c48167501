"""What can go wrong with the records of performance."""

from __future__ import annotations


class PerformanceError(Exception):
    """The records cannot be used, or cannot answer. The message says what to do."""


class TakenOverError(PerformanceError):
    """Another process has stored meanwhile, and goes on with the records."""
