"""Requests, each with the exact shape of the only reply that fits it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bessai.drivers.modbus.errors import BadReply, DeviceException, ModbusError

_READ_CODES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without unit and frame."""

    pdu: bytes
    reply_head: bytes
    """What the reply must begin with."""
    reply_length: int
    """Bytes of the whole reply."""

    def parse(self, reply: bytes) -> bytes | ModbusError:
        """The data of a read reply (empty for a write), or why the reply is none."""
        if len(reply) == self.reply_length and reply.startswith(self.reply_head):
            return reply[2:] if self.pdu[0] <= 4 else b""
        if len(reply) == 2 and reply[0] == self.pdu[0] | 0x80:
            return DeviceException(reply[1])
        return BadReply(
            f"function {self.pdu[0]} was answered by {len(reply)} bytes {reply[:5].hex(' ')}…, "
            f"expected {self.reply_length} bytes {self.reply_head.hex(' ')}…"
        )


def read(table: str, address: int, count: int) -> Request:
    """Read `count` registers or bits. Tables: `holding`, `input`, `coil`, `discrete`."""
    code = _READ_CODES[table]
    size = (count + 7) // 8 if code <= 2 else 2 * count
    return Request(struct.pack(">BHH", code, address, count), bytes((code, size)), 2 + size)


def write(table: str, address: int, data: bytes, *, single: bool = True) -> Request:
    """Write registers (`holding`, two bytes each) or one bit (`coil`, one byte 0 or 1).

    A single register uses function 6 (16 unless `single`), several function 16, a coil function 5.
    """
    if table == "coil":
        pdu = struct.pack(">BHH", 5, address, 0xFF00 if data[0] else 0)
        return Request(pdu, pdu, 5)
    if table != "holding":
        raise ValueError(f"table {table!r} cannot be written")
    if len(data) == 2 and single:
        pdu = struct.pack(">BH", 6, address) + data
        return Request(pdu, pdu, 5)
    pdu = struct.pack(">BHHB", 16, address, len(data) // 2, len(data)) + data
    return Request(pdu, pdu[:5], 5)
