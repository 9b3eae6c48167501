"""The frame of Modbus TCP, without I/O."""

from __future__ import annotations

import struct

from bessai.drivers.modbus.errors import BadReply, OtherService

HEADER = struct.Struct(">HHHB")
_MAX_LENGTH = 254  # unit and a PDU of 253 bytes
_OTHERS = {b"HTTP/": "a web server or a proxy", b"SSH-": "an SSH server"}
"""How others than Modbus devices begin, where an address was given with the port of another service."""


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
            OtherService: likewise, and it is known who speaks so.
        """
        if self._buffer:
            data = self._buffer + data
        frames = []
        start, size = 0, len(data)
        while size - start > HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(data, start)
            if protocol != 0 or not 2 <= length <= _MAX_LENGTH:
                head = data[start : start + 12]
                said = f"not a Modbus TCP frame: {head.hex(' ')}"
                for begin, who in _OTHERS.items():
                    if head.startswith(begin):
                        raise OtherService(f"{said} ({who} answers; is this the Modbus port?)")
                raise BadReply(said)
            end = start + 6 + length
            if end > size:
                break
            frames.append((transaction, unit, data[start + 7 : end]))
            start = end
        self._buffer = data[start:]
        return frames
