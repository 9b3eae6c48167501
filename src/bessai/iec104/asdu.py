"""The application service data unit (ASDU) of IEC 60870-5-101 and -104, as data. `codec` writes and reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessai.iec104.elements import Value
from bessai.iec104.types import TypeId

MAX_SIZE = 249
"""Bytes of the longest ASDU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of the fields that two ends agree on, in bytes; these are those that IEC 60870-5-104 prescribes."""

    cause: int = 2
    """Cause of transmission: 1, or 2 with the originator address."""
    address: int = 2
    """Common address: 1 or 2."""
    object: int = 3
    """Information object address: 1 to 3."""

    def __post_init__(self) -> None:
        for name, size, high in (
            ("cause", self.cause, 2),
            ("address", self.address, 2),
            ("object", self.object, 3),
        ):
            if not 1 <= size <= high:
                raise ValueError(f"The size of `{name}` is {size}, not 1 to {high} bytes.")

    @property
    def header(self) -> int:
        """Bytes before the first object."""
        return 2 + self.cause + self.address


SIZES = Sizes()
"""What IEC 60870-5-104 prescribes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoObject:
    """One information object."""

    address: int = 0
    """Information object address; 0 for the commands to the station itself."""
    value: Value = None
    """Its value: bool (single), int (double, step, scaled, counter, bits; QOI, QCC, QRP, COI, test pattern), float
    (normalized -1 to 1, short float; may be NaN in a received command: look before use)."""
    quality: int = 0
    """Bits of `QualityBit`, for a counter of `CounterBit`."""
    time: int | None = None
    """UTC nanoseconds, of types with time; None when the tag told no date that exists."""
    time_marks: int = 0
    """Bits of `TimeMark`."""
    qualifier: int = 0
    """QU (0..31) or QL (0..127) of a command, sequence number of a counter (0..31), 1 of a step in transit."""
    select: bool = False
    """S/E of a command: select, not execute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before the objects: enough to answer an ASDU that is not understood."""

    type: int
    """Type identification, maybe one that is not supported."""
    count: int
    """Number of objects."""
    sequence: bool
    """SQ: one address, and the others follow it."""
    cause: int
    """Cause of transmission, 0..63."""
    negative: bool
    """P/N."""
    test: bool
    """T."""
    originator: int
    """Originator address, 0 when there is none."""
    address: int
    """Common address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asdu:
    """One application service data unit."""

    type: TypeId
    """Type identification."""
    cause: int
    """Cause of transmission (`Cause`), 0..63."""
    address: int
    """Common address of the station; 0xFFFF (or 0xFF in one byte) is all stations."""
    objects: tuple[InfoObject, ...]
    """At least one; exactly one in a command."""
    negative: bool = False
    """P/N: a negative confirmation."""
    test: bool = False
    """T: a test, not for the process."""
    originator: int = 0
    """Originator address: which master asked, 0 is none."""
    sequence: bool = False
    """SQ: the addresses follow each other and only the first is sent (monitored types without time)."""

    def reply(self, cause: int, *, negative: bool = False) -> Asdu:
        """The same with another cause, as confirmations and terminations are."""
        return replace(self, cause=cause, negative=negative)
