"""The disk that survives the gateway."""

from __future__ import annotations

import json
from typing import Any

from bessai.core.state_file import MemoryState

Cause = tuple[str, str, str | None]
"""Of a trip: code, unit and point."""


class SimState(MemoryState):
    """The disk, which may also be looked at from outside."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: str | None = None
        self._causes: frozenset[Cause] = frozenset()
        self._kept: dict[str, Any] = {}

    @property
    def kept(self) -> dict[str, Any]:
        """What a crash now would leave."""
        self._look()
        return self._kept

    @property
    def causes(self) -> frozenset[Cause]:
        """The trips in it."""
        self._look()
        return self._causes

    def forget(self) -> None:
        """A new disk."""
        self.__init__()  # type: ignore[misc]

    def _look(self) -> None:
        if self._text is not self._seen:
            self._seen = self._text
            self._kept = json.loads(self._text) if self._text else {}
            trips = self._kept.get("trips", ())
            self._causes = frozenset((trip["code"], trip["unit"], trip["point"]) for trip in trips)
