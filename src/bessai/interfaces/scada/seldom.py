"""Keeps a master that repeats a mistake from filling the log."""

from __future__ import annotations

import logging
import time

MOST = 30
"""Lines of one kind in a minute."""
_WINDOW = 60.0


class Seldom:
    """Warnings of one kind; what exceeds `MOST` in a minute is counted and told once the minute is over."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._began = 0.0
        self._lines = 0

    def warning(self, text: str, *arguments: object) -> None:
        """Log a warning, or count it."""
        now = time.monotonic()
        if now - self._began >= _WINDOW:
            if self._lines > MOST:
                self._log.warning("%d more lines like this one were left out", self._lines - MOST)
            self._began, self._lines = now, 0
        self._lines += 1
        if self._lines <= MOST:
            self._log.warning(text, *arguments)
