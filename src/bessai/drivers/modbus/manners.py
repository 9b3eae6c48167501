"""How a device wants to be spoken to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """Manners."""

    timeout: float = 3.0
    timeout_min: float = 0.5
    pause: float = 0.0
    settle: float = 0.0
    outstanding: int = 1
