"""What points and commands of a list share: addresses that are each given once, and words for what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

Tell = Callable[[str, str], None]
"""Takes a problem: field and mend."""


class Addresses:
    """Information object addresses, each given once."""

    def __init__(self, octets: int, problem: Tell) -> None:
        self._largest = 256**octets - 1
        self._taken: dict[int, str] = {}
        self._tell = problem

    def free(self, field: str, ioa: int, name: str) -> bool:
        """Take an address for a name; false, and told, when it cannot be had."""
        if ioa > self._largest:
            self._tell(
                field, f"address {ioa} is larger than `object_size` allows; the largest is {self._largest}"
            )
            return False
        if ioa in self._taken:
            self._tell(
                field, f"address {ioa} of {name!r} belongs to {self._taken[ioa]!r} already; give another"
            )
            return False
        self._taken[ioa] = name
        return True


def near(name: str | list[str], known: Sequence[str]) -> str:
    """What a misspelt name may have meant, as the end of a message."""
    text = name if isinstance(name, str) else " ".join(name)
    found = difflib.get_close_matches(text, known, 2) if len(known) <= 5000 else []
    return f"; did you mean {' or '.join(repr(item) for item in found)}?" if found else "; see docs/scada.md"
