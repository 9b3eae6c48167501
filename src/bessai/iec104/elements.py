"""The information elements: how the value of one object, without its address and time, is written.

Every kind of element is a pair of functions. A measured value never fails for its size: what the type cannot hold
goes out as the nearest value with the overflow mark (OV), and what is not a number as zero with the invalid mark (IV).
A state or a command that does not fit is an error, for nobody may command something else than was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from struct import Struct
from typing import TYPE_CHECKING

from bessai.iec104.errors import AsduError, Reason
from bessai.iec104.types import CounterBit, QualityBit

if TYPE_CHECKING:
    from bessai.iec104.asdu import InfoObject

Value = bool | int | float | None
"""Value of an object: bool (single), int (double, step, scaled, counter, bits, qualifiers), float, or none."""
Decoded = tuple[Value, int, int, bool]
"""Value, quality, qualifier, select."""
Encoder = Callable[["InfoObject"], bytes]
Decoder = Callable[[bytes, int], Decoded]

FLOAT_MAX = (2 - 2**-23) * 2.0**127
"""The greatest short float."""

_INVALID = int(QualityBit.INVALID)
_OVERFLOW = int(QualityBit.OVERFLOW)
_POINT_BITS = 0xF0
_MEASURED_BITS = 0xF1
_COUNTER_BITS = 0xE0
_SELECT = 0x80

_FLOAT = Struct("<fB")
_SHORT = Struct("<hB")
_COUNTER = Struct("<iB")
_BITS = Struct("<I")
_PATTERN = Struct("<H")


def single_point(item: InfoObject) -> bytes:
    """SIQ."""
    return bytes((_whole(item, 0, 1) | item.quality & _POINT_BITS,))


def read_single_point(data: bytes, start: int) -> Decoded:
    """SIQ."""
    byte = data[start]
    return bool(byte & 1), byte & _POINT_BITS, 0, False


def double_point(item: InfoObject) -> bytes:
    """DIQ."""
    return bytes((_whole(item, 0, 3) | item.quality & _POINT_BITS,))


def read_double_point(data: bytes, start: int) -> Decoded:
    """DIQ."""
    byte = data[start]
    return byte & 3, byte & _POINT_BITS, 0, False


def step_position(item: InfoObject) -> bytes:
    """VTI and QDS; qualifier 1 is a step in transit."""
    value, quality = _limited(item, 1.0, -64, 63)
    return bytes((value & 0x7F | (item.qualifier & 1) << 7, quality))


def read_step_position(data: bytes, start: int) -> Decoded:
    """VTI and QDS."""
    byte = data[start]
    return (byte & 0x7F ^ 0x40) - 0x40, data[start + 1] & _MEASURED_BITS, byte >> 7, False


def normalized(item: InfoObject) -> bytes:
    """NVA and QDS; one is sent as the greatest value, 1 - 2**-15."""
    return _SHORT.pack(*_limited(item, 32768.0, -32768, 32767))


def read_normalized(data: bytes, start: int) -> Decoded:
    """NVA and QDS."""
    value, quality = _SHORT.unpack_from(data, start)
    return value / 32768, quality & _MEASURED_BITS, 0, False


def scaled(item: InfoObject) -> bytes:
    """SVA and QDS."""
    return _SHORT.pack(*_limited(item, 1.0, -32768, 32767))


def read_scaled(data: bytes, start: int) -> Decoded:
    """SVA and QDS."""
    value, quality = _SHORT.unpack_from(data, start)
    return value, quality & _MEASURED_BITS, 0, False


def short_float(item: InfoObject) -> bytes:
    """R32 and QDS."""
    value, quality = _number(item), item.quality & _MEASURED_BITS
    if not -FLOAT_MAX <= value <= FLOAT_MAX:
        if not isfinite(value):
            return _FLOAT.pack(0.0, quality | _INVALID)
        value, quality = (FLOAT_MAX if value > 0 else -FLOAT_MAX), quality | _OVERFLOW
    return _FLOAT.pack(value, quality)


def read_short_float(data: bytes, start: int) -> Decoded:
    """R32 and QDS; what is not a finite number is invalid."""
    value, quality = _FLOAT.unpack_from(data, start)
    return value, quality & _MEASURED_BITS | (0 if isfinite(value) else _INVALID), 0, False


def counter(item: InfoObject) -> bytes:
    """BCR: 32 bits with sign, sequence number and marks; what it cannot hold is invalid."""
    value, marks = _number(item), item.quality & _COUNTER_BITS
    if not isfinite(value):
        value, marks = 0, marks | CounterBit.INVALID
    elif not -(2**31) <= value < 2**31:
        value, marks = (2**31 - 1 if value > 0 else -(2**31)), marks | CounterBit.INVALID
    return _COUNTER.pack(round(value), marks | item.qualifier & 0x1F)


def read_counter(data: bytes, start: int) -> Decoded:
    """BCR."""
    value, marks = _COUNTER.unpack_from(data, start)
    return value, marks & _COUNTER_BITS, marks & 0x1F, False


def single_command(item: InfoObject) -> bytes:
    """SCO."""
    return bytes((_whole(item, 0, 1) | _qualifier(item, 31) << 2 | _SELECT * item.select,))


def read_single_command(data: bytes, start: int) -> Decoded:
    """SCO."""
    byte = data[start]
    return bool(byte & 1), 0, byte >> 2 & 31, byte >= _SELECT


def double_command(item: InfoObject) -> bytes:
    """DCO and RCO; of the values 0 to 3 only 1 and 2 are permitted, but a confirmation repeats what came."""
    return bytes((_whole(item, 0, 3) | _qualifier(item, 31) << 2 | _SELECT * item.select,))


def read_double_command(data: bytes, start: int) -> Decoded:
    """DCO and RCO."""
    byte = data[start]
    return byte & 3, 0, byte >> 2 & 31, byte >= _SELECT


def set_normalized(item: InfoObject) -> bytes:
    """NVA and QOS."""
    value = _number(item)
    if not -1 <= value <= 1:
        raise _misfit(item, "a number from -1 to 1")
    return _SHORT.pack(min(round(value * 32768), 32767), _qos(item))


def read_set_normalized(data: bytes, start: int) -> Decoded:
    """NVA and QOS."""
    value, qos = _SHORT.unpack_from(data, start)
    return value / 32768, 0, qos & 0x7F, qos >= _SELECT


def set_scaled(item: InfoObject) -> bytes:
    """SVA and QOS."""
    return _SHORT.pack(_whole(item, -32768, 32767), _qos(item))


def read_set_scaled(data: bytes, start: int) -> Decoded:
    """SVA and QOS."""
    value, qos = _SHORT.unpack_from(data, start)
    return value, 0, qos & 0x7F, qos >= _SELECT


def set_short_float(item: InfoObject) -> bytes:
    """R32 and QOS; a NaN or an infinity goes through, so that a refusal can repeat what came."""
    value = _number(item)
    if not -FLOAT_MAX <= value <= FLOAT_MAX and isfinite(value):
        raise _misfit(item, "a number that a short float can hold")
    return _FLOAT.pack(value, _qos(item))


def read_set_short_float(data: bytes, start: int) -> Decoded:
    """R32 and QOS; the value may be NaN or infinite."""
    value, qos = _FLOAT.unpack_from(data, start)
    return value, 0, qos & 0x7F, qos >= _SELECT


def bit_string(item: InfoObject) -> bytes:
    """BSI."""
    return _BITS.pack(_whole(item, 0, 2**32 - 1))


def read_bit_string(data: bytes, start: int) -> Decoded:
    """BSI."""
    return _BITS.unpack_from(data, start)[0], 0, 0, False


def one_byte(item: InfoObject) -> bytes:
    """COI, QOI, QCC and QRP."""
    return bytes((_whole(item, 0, 255),))


def read_one_byte(data: bytes, start: int) -> Decoded:
    """COI, QOI, QCC and QRP."""
    return data[start], 0, 0, False


def test_pattern(item: InfoObject) -> bytes:
    """TSC."""
    return _PATTERN.pack(_whole(item, 0, 65535))


def read_test_pattern(data: bytes, start: int) -> Decoded:
    """TSC."""
    return _PATTERN.unpack_from(data, start)[0], 0, 0, False


def nothing(item: InfoObject) -> bytes:
    """No element: the address, or the time, says it all."""
    if item.value is not None:
        raise _misfit(item, "no value at all")
    return b""


def read_nothing(_data: bytes, _start: int) -> Decoded:
    """No element."""
    return None, 0, 0, False


def _number(item: InfoObject) -> float:
    value = item.value
    if not isinstance(value, (int, float)):
        raise _misfit(item, "a number")
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return inf if value > 0 else -inf


def _whole(item: InfoObject, low: int, high: int) -> int:
    value = item.value
    if isinstance(value, (int, float)) and low <= value <= high and value == int(value):
        return int(value)
    raise _misfit(item, f"a whole number from {low} to {high}")


def _limited(item: InfoObject, factor: float, low: int, high: int) -> tuple[int, int]:
    """The whole number to send and its quality, overflow or invalid when it does not fit."""
    value, quality = _number(item) * factor, item.quality & _MEASURED_BITS
    if not isfinite(value):
        return 0, quality | _INVALID
    if low <= value <= high:
        return round(value), quality
    if factor > 1 and value == -low:
        return high, quality
    return (high if value > 0 else low), quality | _OVERFLOW


def _qualifier(item: InfoObject, high: int) -> int:
    if not 0 <= item.qualifier <= high:
        raise AsduError(
            Reason.VALUE, f"Object {item.address}: the qualifier is {item.qualifier}, not 0 to {high}."
        )
    return item.qualifier


def _qos(item: InfoObject) -> int:
    return _qualifier(item, 127) | _SELECT * item.select


def _misfit(item: InfoObject, expected: str) -> AsduError:
    return AsduError(Reason.VALUE, f"Object {item.address}: the value is {item.value!r}, not {expected}.")
