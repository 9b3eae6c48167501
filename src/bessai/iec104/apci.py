"""The control fields in front of an ASDU (APCI): numbered frames, acknowledgements and functions."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

START = 0x68
"""First byte of every frame; the second is the length of the rest."""
MIN_LENGTH, MAX_LENGTH = 4, 253
"""Limits of that length: the four control fields alone, and with the longest ASDU."""
MODULUS = 32768
"""Frames are numbered from 0 to one less than this, and from 0 again."""


class Kind(IntEnum):
    """Formats of a frame."""

    INFORMATION = 0
    """I: carries an ASDU, is numbered, and acknowledges."""
    SUPERVISORY = 1
    """S: acknowledges only."""
    UNNUMBERED = 3
    """U: a function, to be done (act) or done (con)."""


class Function(IntEnum):
    """Functions of a U frame; twice the number is the confirmation (con)."""

    STARTDT = 0x04
    STOPDT = 0x10
    TESTFR = 0x40


_NUMBERS = Struct("<HH")
_NUMBERED = Struct("<BBHH")
_FUNCTIONS = {
    **{int(function): (function, False) for function in Function},
    **{2 * function: (function, True) for function in Function},
}


def information(send: int, receive: int, asdu: bytes) -> bytes:
    """An I frame with the numbers N(S) and N(R)."""
    return _NUMBERED.pack(START, len(asdu) + 4, send << 1, receive << 1) + asdu


def supervisory(receive: int) -> bytes:
    """An S frame with the number N(R)."""
    return _NUMBERED.pack(START, 4, 1, receive << 1)


def unnumbered(function: Function, *, confirmation: bool = False) -> bytes:
    """A U frame."""
    return bytes((START, 4, function << confirmation | 3, 0, 0, 0))


def read(control: bytes, size: int) -> tuple[Kind, int, int]:
    """What four control fields, with `size` bytes after them, are.

    Returns:
        I: N(S) and N(R). S: nothing and N(R). U: the bits of the function, see `function_of`.

    Raises:
        ValueError: no frame looks like this.
    """
    first, second = _NUMBERS.unpack(control)
    if not first & 1 and not second & 1 and size:
        return Kind.INFORMATION, first >> 1, second >> 1
    if first == 1 and not second & 1 and not size:
        return Kind.SUPERVISORY, 0, second >> 1
    if first & ~3 in _FUNCTIONS and first & 3 == 3 and not second and not size:
        return Kind.UNNUMBERED, first & ~3, 0
    raise ValueError(f"No frame has the control fields {control.hex(' ')} and {size} bytes after them.")


def function_of(bits: int) -> tuple[Function, bool]:
    """The function of a U frame, and whether it is a confirmation."""
    return _FUNCTIONS[bits]
