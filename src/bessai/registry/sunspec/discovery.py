"""Finding the chain of models, without I/O.

The chain begins with the marker "SunS" at one of three addresses, followed by models, each with its id and its
length, and ends with id 0xFFFF. Ids and lengths are read one register at a time: some devices refuse both at
once.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

BASES = (40000, 0, 50000)
"""Addresses at which the SunSpec specification lets a chain begin; 40000 is by far the most common."""
MARKER = (0x5375, 0x6E53)
END = 0xFFFF
MODELS_MAX = 256
"""Models after which a chain is taken for endless."""

ReadStep = Generator[tuple[int, int], list[int] | None, "Chain | None"]
"""Yields `(address, count)` of holding registers; is sent the words, or None (refused or no answer)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAt:
    """One model of a device."""

    id: int
    address: int
    """Protocol address of the id; the length follows, then `length` registers."""
    length: int

    @property
    def end(self) -> int:
        """Address behind the model."""
        return self.address + 2 + self.length


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """What a device says that it consists of."""

    base: int
    """Address of the marker."""
    models: tuple[ModelAt, ...]
    problem: str | None = None
    """Why the chain ended without its end mark; None when it is whole."""


def discover_chain(bases: tuple[int, ...] = BASES) -> ReadStep:
    """Find the chain. Returns None when no base holds the marker."""
    for base in bases:
        if (yield base, 2) == list(MARKER):
            return (yield from _follow(base))
    return None


def _follow(base: int) -> Generator[tuple[int, int], list[int] | None, Chain]:
    models: list[ModelAt] = []
    address = base + 2
    problem: str | None = None
    while problem is None:
        words = (yield address, 1) if address <= 0xFFFF else None
        if not words:
            problem = f"address {address}, where a model should begin, cannot be read"
        elif words[0] == END:
            break
        elif len(models) == MODELS_MAX:
            problem = f"more than {MODELS_MAX} models"
        else:
            length = (yield address + 1, 1) if address < 0xFFFF else None
            if not length:
                problem = f"the length of model {words[0]} at address {address} cannot be read"
            elif words[0] == 0 or length[0] == 0:
                problem = f"model {words[0]} at address {address} has length {length[0]}"
            elif address + 2 + length[0] > 0x10000:
                problem = f"model {words[0]} at address {address} ends beyond address 65535"
            else:
                models.append(ModelAt(id=words[0], address=address, length=length[0]))
                address = models[-1].end
    return Chain(base=base, models=tuple(models), problem=problem)
