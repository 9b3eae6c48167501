"""The frame of Modbus TCP, without I/O."""

from __future__ import annotations

import struct

from bessai.drivers.modbus.errors import BadReply

HEADER = struct.Struct(">HHHB")
_MAX_LENGTH = 254  # unit and a PDU of 253 bytes


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """One frame, ready to send."""
    return HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class FrameReader:
    """Cuts a stream of bytes into frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Complete frames (transaction, unit, PDU) that `data` finishes.

        Raises:
            BadReply: the stream is not Modbus TCP; it cannot be resumed, close the connection.
        """
        if self._buffer:
            data = self._buffer + data
        frames = []
        start, size = 0, len(data)
        while size - start > HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(data, start)
            if protocol != 0 or not 2 <= length <= _MAX_LENGTH:
                head = data[start : start + 12]
                raise BadReply(f"not a Modbus TCP frame: {head.hex(' ')}{_what_else(head)}")
            end = start + 6 + length
            if end > size:
                break
            frames.append((transaction, unit, data[start + 7 : end]))
            start = end
        self._buffer = data[start:]
        return frames


def _what_else(head: bytes) -> str:
    """Who else speaks so: an address with the port of another service is a common mistake."""
    if head.startswith(b"HTTP/"):
        return " (a web server or a proxy answers; is this the Modbus port?)"
    if head.startswith(b"SSH-"):
        return " (an SSH server answers; is this the Modbus port?)"
    return ""
