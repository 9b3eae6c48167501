"""Test signals: a deviation that is added to the measured frequency or voltage for a limited time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HIGHEST = {"frequency": 2.0, "voltage": 10.0}
"""Largest change: Hz, % of nominal voltage."""
LONGEST = 600.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSignal:
    """A deviation on top of what is measured."""

    __test__ = False  # pytest would take it for a test

    quantity: Literal["frequency", "voltage"]
    kind: Literal["step", "ramp"]
    """`step`: all of it at once. `ramp`: grows evenly and is whole at the end."""
    change: float
    """Hz, or % of the nominal voltage."""
    seconds: float
    """How long; the measured value alone counts afterwards."""

    def __post_init__(self) -> None:
        highest = HIGHEST.get(self.quantity)
        if highest is None:
            raise ValueError("quantity must be frequency or voltage")
        if self.kind not in {"step", "ramp"}:
            raise ValueError("kind must be step or ramp")
        if not 0 < abs(self.change) <= highest:
            raise ValueError(
                f"change={self.change:g}: of {self.quantity} it must be within ±{highest:g} and not 0"
            )
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"seconds must be above 0 and at most {LONGEST:g}")

    def at(self, elapsed: float) -> float:
        """The change `elapsed` seconds after the start; 0 when it is over."""
        if not 0 <= elapsed < self.seconds:
            return 0.0
        return self.change if self.kind == "step" else self.change * elapsed / self.seconds
