"""A master that does what it likes: raw bytes of the link layer, and no acknowledgement unless it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable

from bessai.iec104 import Asdu, AsduError, decode, encode

STARTDT = bytes.fromhex("680407000000")
STARTDT_CON = bytes.fromhex("68040b000000")
TESTFR = bytes.fromhex("680443000000")
TESTFR_CON = bytes.fromhex("680483000000")


class RawMaster:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sent = 0
        self.received = 0
        """I frames."""

    @classmethod
    async def connect(cls, port: int, source: str = "127.0.0.1", limit: int = 1 << 16) -> RawMaster:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=limit))

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def say(self, asdu: Asdu) -> None:
        """An I frame; acknowledges everything that was received."""
        self.say_bytes(encode(asdu))

    def say_bytes(self, data: bytes) -> None:
        """The same with any bytes as ASDU."""
        control = struct.pack("<HH", self.sent << 1, self.received << 1)
        self.write(bytes((0x68, len(data) + 4)) + control + data)
        self.sent += 1

    def acknowledge(self) -> None:
        self.write(struct.pack("<BBHH", 0x68, 4, 1, self.received << 1))

    async def frame(self) -> bytes:
        """The next frame; its control fields and what follows."""
        head = await self.reader.readexactly(2)
        frame = await self.reader.readexactly(head[1])
        self.received += frame[0] & 1 == 0
        return frame

    async def asdu(self, wanted: Callable[[Asdu], bool] = lambda _: True) -> Asdu:
        """The next ASDU that is wanted; frames without one are passed over."""
        while True:
            frame = await self.frame()
            with contextlib.suppress(AsduError):  # a mirror of what is not understood
                if frame[0] & 1 == 0 and wanted(asdu := decode(frame[4:])):
                    return asdu

    async def closed(self) -> None:
        """Returns when the other side has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            return

    def close(self) -> None:
        self.writer.close()
