"""The journal's health, as its writer and as its readers see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStats:
    """The writer's view. Cheap: nothing is counted for it."""

    committed: int
    """Sequence of the last durable record."""
    queued: int
    """Records in memory that are not durable yet."""
    records: int
    """Records held."""
    dropped_queue: int
    """Records that never reached the disk: the queue was full, or they could not be encoded."""
    dropped_space: int
    """Records deleted to keep the size bound."""
    dropped_events: int
    """Events lost with either."""
    errors: int
    """Failed attempts since the start."""
    last_error: str | None
    """What fails now; None when the last attempt succeeded."""
    last_commit_age: float | None
    """Seconds since the last commit, None before the first."""
    size_bytes: int
    """All files on the disk."""
    lost: int = 0
    """Records that were durable and are damaged or missing."""
    epoch: int = 0
    """Which life of the journal it is: a new one begins when a backup is restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStats:
    """A reader's view, as of the last commit. All zero while there is no journal."""

    first_sequence: int = 0
    last_sequence: int = 0
    records: int = 0
    """Records held."""
    dropped_queue: int = 0
    """Records that never reached the disk."""
    dropped_space: int = 0
    """Records deleted to keep the size bound."""
    dropped_events: int = 0
    """Events lost with either."""
    first_wall_ns: int = 0
    """UTC nanoseconds of the first record."""
    last_wall_ns: int = 0
    """UTC nanoseconds of the last record."""
    size_bytes: int = 0
    """All files on the disk."""
    lost: int = 0
    """Records that were durable and are damaged or missing."""
    epoch: int = 0
    """Which life of the journal it is: a new one begins when a backup is restored."""
    damaged: int = 0
    """Records that this reader has skipped because their bytes are not what was written."""
