"""Modbus frames of both kinds, taken apart and put together by pymodbus's framers and PDUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pymodbus.exceptions import ModbusIOException
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU

from bessai.twin.image import Exc

TABLES = {
    **dict.fromkeys((1, 5, 15), "coil"),
    2: "discrete",
    **dict.fromkeys((3, 6, 16), "holding"),
    4: "input",
}
"""Table of each function that the twin knows."""

_FRAME_MAX = 260  # bytes of the longest Modbus TCP frame
_RTU_MAX = 256  # bytes of the longest serial frame


class NoModbusError(Exception):
    """Bytes after which nothing can be told apart any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One request."""

    unit: int
    transaction: int
    function: int
    request: ModbusPDU | None
    """None: pymodbus cannot read it, and `code` is the answer."""
    code: Exc = Exc.ILLEGAL_FUNCTION


class Framing:
    """One way of framing: `tcp` (MBAP header; also inside TLS) or `rtu` (address and checksum)."""

    def __init__(self, kind: Literal["tcp", "rtu"]) -> None:
        self.kind = kind
        decoder = DecodePDU(True)
        self._framer = FramerSocket(decoder) if kind == "tcp" else FramerRTU(decoder)

    def split(self, data: bytes) -> tuple[int, Frame | None]:
        """The first request in the bytes received, and how many bytes it took; None when it is not whole yet.

        Raises:
            NoModbusError: what came is no Modbus TCP.
        """
        tcp = self.kind == "tcp"
        if len(data) < (8 if tcp else 4):
            return 0, None
        try:
            used, pdu = self._framer.handleFrame(data, 0, 0)
        except ModbusIOException as error:
            # a whole frame that pymodbus cannot read: an unknown function, or a count beyond the standard
            used = int.from_bytes(data[4:6], "big") + 6 if tcp else len(data)
            return used, _unread(error.dev_id, error.transaction_id, data[7 if tcp else 1])
        if pdu is not None:
            return used, Frame(
                unit=pdu.dev_id, transaction=pdu.transaction_id, function=pdu.function_code, request=pdu
            )
        if tcp:
            if data[2:4] != b"\0\0" or len(data) - used > _FRAME_MAX:
                raise NoModbusError
            return used, None
        if not used and FramerRTU.check_CRC(data[:-2], int.from_bytes(data[-2:], "big")):
            return len(data), _unread(data[0], 0, data[1])
        return (len(data) if len(data) > _RTU_MAX else used), None

    def build(self, payload: bytes, unit: int, transaction: int) -> bytes:
        """The frame around a function code and its data."""
        return self._framer.encode(payload, unit, transaction)


def exception(function: int, code: int) -> bytes:
    """Function code and data of an exception."""
    return bytes([function | 0x80, code])


def _unread(unit: int, transaction: int, function: int) -> Frame:
    code = Exc.ILLEGAL_VALUE if function in TABLES else Exc.ILLEGAL_FUNCTION
    return Frame(unit=unit, transaction=transaction, function=function, request=None, code=code)
