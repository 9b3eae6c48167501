"""What must survive a restart: kept by a file that the gateway hands in, so that no room below it knows a disk."""

from __future__ import annotations

from typing import Any, Protocol


class StateLost(Exception):  # noqa: N818 - what happened, as the alarm names it
    """A record cannot be read: nobody knows what it said. The text says why."""


class StateFile(Protocol):
    """Keeps one plain state across restarts."""

    @property
    def problem(self) -> str | None:
        """Why the newest state cannot be made durable now, or why a copy could not be read."""
        ...

    def load(self) -> dict[str, Any] | None:
        """The last durable state. None when there never was one.

        Raises:
            StateLost: there was one, and it cannot be read.
        """
        ...

    def save(self, state: dict[str, Any]) -> int:
        """Take a state to be made durable soon; returns its version. Never blocks, never raises for the disk."""
        ...

    def reject(self) -> None:
        """What `load` returned cannot be used: keep it aside when the next state is written."""
        ...

    def is_durable(self, version: int) -> bool:
        """True when that version, or a newer one, survives a power cut."""
        ...

    async def flush(self, within: float | None = None) -> bool:
        """Wait for the newest version, in seconds at most. False when it is not durable then."""
        ...
