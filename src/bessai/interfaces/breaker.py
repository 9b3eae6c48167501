"""When to try again: pauses that grow, and a circuit breaker that probes a broken service with little."""

from __future__ import annotations

from typing import Final, Literal

from bessai.interfaces.sink import Backoff

BreakerState = Literal["closed", "open", "half_open"]

FAILURES_TO_OPEN: Final = 5
"""Failures in a row that open the breaker."""


class Breaker:
    """Closed: everything is sent. Open: nothing is. Half open: one small batch is, and decides.

    The pause between two attempts doubles with every failure, jittered, up to `passing` seconds for a trouble
    that ends by itself and up to `refused` seconds for one that somebody has to mend.
    """

    def __init__(self, *, first: float, passing: float, refused: float) -> None:
        self.state: BreakerState = "closed"
        self._failures = 0
        self._passing = Backoff(first, passing)
        self._refused = Backoff(first, refused)

    @property
    def probing(self) -> bool:
        """True when the next batch should be small, because the last ones all failed."""
        return self.state != "closed"

    def failed(self, *, passing: bool) -> float:
        """Note a failure. Returns the seconds to wait before the next attempt."""
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            self.state = "open"
        return (self._passing if passing else self._refused).next()

    def attempt(self) -> None:
        """Note that the next attempt begins."""
        if self.state == "open":
            self.state = "half_open"

    def succeeded(self) -> None:
        """Note a success."""
        self.state = "closed"
        self._failures = 0
        self._passing.reset()
        self._refused.reset()
