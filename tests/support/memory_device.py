"""Units with holding registers at the end of a `MemoryTransport`."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bessai.drivers.modbus import mbap, rtu

Hook = Callable[[int, bytes], bytes | None]
"""(unit, PDU) -> the PDU to answer with, empty for the registers' own answer, or None for silence."""


class MemoryDevice:
    """Answers as its units hold it; exception 2 for what they do not have.

    Args:
        units: registers of each unit id.
        serial: frames of a serial line.
    """

    def __init__(self, units: Mapping[int, dict[int, int]], *, serial: bool = False) -> None:
        self.units = dict(units)
        self.silent: set[int] = set()
        self.hook: Hook | None = None
        self.asked: Counter[int] = Counter()
        """Requests by unit."""
        self.written: list[tuple[int, int, int]] = []
        """Unit, address and word of every register written."""
        self._serial = serial

    def receive(self, data: bytes) -> Iterable[bytes]:
        """What goes back, a frame a request."""
        while data:
            if self._serial:
                transaction, unit, pdu, data = 0, data[0], data[1:-2], b""
            else:
                transaction, _, length, unit = struct.unpack(">HHHB", data[:7])
                pdu, data = data[7 : 6 + length], data[6 + length :]
            self.asked[unit] += 1
            reply = self.hook(unit, pdu) if self.hook else b""
            if unit in self.silent or unit not in self.units or reply is None:
                continue
            reply = reply or self.answer(unit, pdu)
            yield rtu.frame(unit, reply) if self._serial else mbap.frame(transaction, unit, reply)

    def answer(self, unit: int, pdu: bytes) -> bytes:
        code, address, count = struct.unpack(">BHH", pdu[:5])
        registers = self.units[unit]
        span = range(address, address + (count if code != 6 else 1))
        if any(a not in registers for a in span):
            return bytes((code | 0x80, 2))
        if code == 3:
            return bytes((3, 2 * count)) + struct.pack(f">{count}H", *(registers[a] for a in span))
        words = (count,) if code == 6 else struct.unpack(f">{count}H", pdu[6:])
        registers.update(zip(span, words, strict=True))
        self.written += [(unit, a, word) for a, word in zip(span, words, strict=True)]
        return pdu[:5]
