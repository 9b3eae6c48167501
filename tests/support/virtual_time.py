"""An event loop whose time passes at once: nothing waits, and what would wait forever fails."""

from __future__ import annotations

import asyncio
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while there is something to do and jumps to the next timer otherwise."""

    _ready: Any
    _scheduled: Any

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready:
            due = min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=None)
            if due is None:
                raise AssertionError("everything waits, and nothing will ever happen: a hang")
            self._now = max(self._now, due)
        super()._run_once()  # type: ignore[misc]
