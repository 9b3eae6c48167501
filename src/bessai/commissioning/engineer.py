"""The person at the plant."""

from __future__ import annotations

from typing import Protocol

from bessai.commissioning.samples import Sample


class Engineer(Protocol):
    """Answers questions and is told what happens."""

    name: str

    def agree(self, question: str) -> bool | None:
        """Yes, no, or None when nobody is there to answer."""

    def tell(self, phase: str, sample: Sample) -> None:
        """What is going on, at every sample."""


class Unattended:
    """Nobody is there: every answer is missing, and the report says so."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def agree(self, question: str) -> bool | None:
        """None."""

    def tell(self, phase: str, sample: Sample) -> None:
        """Nobody listens."""
