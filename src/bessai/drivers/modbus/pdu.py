"""Requests, each with the exact shape of the only reply that fits it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from bessai.drivers.modbus.errors import BadReply, DeviceException, ModbusError

READ_CODES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Function code that reads each table."""
MAX_PDU = 253


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without unit and frame."""

    pdu: bytes
    reply_head: bytes
    """What the reply must begin with."""
    reply_length: int
    """Bytes of the whole reply; 0 when only the reply itself can tell, by `measure`."""
    reads: bool = True
    """The reply carries data behind its first two bytes; false: it only confirms."""
    measure: Callable[[bytes], int] | None = None
    """Length of a reply by its first bytes: 0 while they are too few to tell, −1 when it cannot be one."""

    def parse(self, reply: bytes) -> bytes | ModbusError:
        """The data of a reply (empty for a write), or why the reply is none."""
        if len(reply) == self.reply_length and reply.startswith(self.reply_head):
            return reply[2:] if self.reads else b""
        if self.measure is not None and reply.startswith(self.reply_head):
            if self.measure(reply) == len(reply):
                return reply[2:]
            return BadReply(f"function {self.pdu[0]} was answered by a reply whose parts do not add up")
        if len(reply) == 2 and reply[0] == self.pdu[0] | 0x80:
            return DeviceException(reply[1])
        return BadReply(
            f"function {self.pdu[0]} was answered by {len(reply)} bytes {reply[:5].hex(' ')}…, "
            f"expected {self.reply_length or 'some'} bytes {self.reply_head.hex(' ')}…"
        )


def read(table: str, address: int, count: int) -> Request:
    """Read `count` registers or bits. Tables: `holding`, `input`, `coil`, `discrete`."""
    code = READ_CODES[table]
    size = (count + 7) // 8 if code <= 2 else 2 * count
    return Request(struct.pack(">BHH", code, address, count), bytes((code, size)), 2 + size)


def write(table: str, address: int, data: bytes, *, single: bool = True) -> Request:
    """Write registers (`holding`, two bytes each) or bits (`coil`, one byte 0 or 1 each).

    One register uses function 6 and one coil function 5 when `single`; several, or one without `single`, use
    functions 16 and 15.
    """
    if table == "coil":
        return _write_coils(address, data, single=single)
    if table != "holding":
        raise ValueError(f"table {table!r} cannot be written")
    if len(data) == 2 and single:
        pdu = struct.pack(">BH", 6, address) + data
        return Request(pdu, pdu, 5, reads=False)
    if not data or len(data) % 2 or len(data) > 246:
        raise ValueError(f"{len(data)} bytes are not 1 to 123 registers")
    pdu = struct.pack(">BHHB", 16, address, len(data) // 2, len(data)) + data
    return Request(pdu, pdu[:5], 5, reads=False)


def _write_coils(address: int, data: bytes, *, single: bool) -> Request:
    if not 1 <= len(data) <= 1968:
        raise ValueError(f"{len(data)} coils: one request writes 1 to 1968")
    if len(data) == 1 and single:
        pdu = struct.pack(">BHH", 5, address, 0xFF00 if data[0] else 0)
        return Request(pdu, pdu, 5, reads=False)
    bits = sum(1 << i for i, bit in enumerate(data) if bit).to_bytes((len(data) + 7) // 8, "little")
    pdu = struct.pack(">BHHB", 15, address, len(data), len(bits)) + bits
    return Request(pdu, pdu[:5], 5, reads=False)


def mask_write(address: int, and_mask: int, or_mask: int) -> Request:
    """Change bits of one holding register in the device: (old & and_mask) | (or_mask & ~and_mask)."""
    pdu = struct.pack(">BHHH", 22, address, and_mask, or_mask)
    return Request(pdu, pdu, 7, reads=False)


def read_write(read_address: int, count: int, write_address: int, data: bytes) -> Request:
    """Write holding registers (`data`, two bytes each), then read `count` others, in one request."""
    if not data or len(data) % 2 or len(data) > 242 or not 1 <= count <= 125:
        raise ValueError(
            f"function 23 reads 1 to 125 registers and writes 1 to 121, not {count}, {len(data) / 2:g}"
        )
    size = len(data)
    pdu = struct.pack(">BHHHHB", 23, read_address, count, write_address, size // 2, size) + data
    return Request(pdu, bytes((23, 2 * count)), 2 + 2 * count)
