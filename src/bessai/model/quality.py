"""How far a value can be trusted."""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """Quality of one value. Only `GOOD` is evidence; every other member means unknown or unsafe.

    The numbers are part of the journal's format: never reuse one.
    """

    GOOD = 0
    """Read, decoded, plausible and fresh."""
    MISSING = 1
    """Never read, or the last read failed and nothing newer arrived."""
    STALE = 2
    """Read once, now older than its poll class allows."""
    NOT_AVAILABLE = 3
    """The device itself says that it has no value (its sentinel)."""
    INVALID = 4
    """Not a number."""
    OUT_OF_RANGE = 5
    """Outside the range that is physically possible for this point."""
    ABSENT = 6
    """The device refuses the address: this model has no such point."""
    IMPLAUSIBLE = 7
    """Changed faster than is physically possible: a spike."""
    FROZEN = 8
    """The counter that shows that the device's data is alive has stopped."""

    @property
    def label(self) -> str:
        """The name used in messages, for example `out_of_range`."""
        return self.name.lower()
