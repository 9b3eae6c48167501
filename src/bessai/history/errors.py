"""What can go wrong with the history."""

from __future__ import annotations


class HistoryError(Exception):
    """The history cannot be used, or cannot answer. The message says what to do."""


class DamagedChunkError(ValueError):
    """One stored piece is not what was written. It is counted and left out."""
