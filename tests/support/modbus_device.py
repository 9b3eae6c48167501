"""A scriptable Modbus TCP device for tests: real sockets, any misbehaviour."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

Handler = Callable[[int, int, bytes], Awaitable[bytes | None]]
"""(transaction, unit, pdu) -> the bytes to send, or None for silence."""


class ScriptedDevice:
    """Holding registers in a dict; a hook may answer first, with any bytes."""

    def __init__(self, registers: dict[int, int] | None = None, *, maximum: int = 125) -> None:
        self.registers = registers or {}
        self.maximum = maximum
        self.requests: list[bytes] = []
        self.connections = 0
        self.hook: Handler | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> ScriptedDevice:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()

    def drop(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                pdu = await reader.readexactly(length - 1)
                self.requests.append(pdu)
                reply = await self.hook(transaction, unit, pdu) if self.hook else b""
                if reply is None:
                    continue
                writer.write(reply or frame(transaction, unit, self.answer(pdu)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def answer(self, pdu: bytes) -> bytes:
        if len(pdu) < 5:
            return bytes((pdu[0] | 0x80, 1))
        code, address, count = struct.unpack(">BHH", pdu[:5])
        if code == 3:
            wanted = range(address, address + count)
            if count > self.maximum:
                return bytes((0x83, 3))
            if any(a not in self.registers for a in wanted):
                return bytes((0x83, 2))
            return bytes((3, 2 * count)) + struct.pack(f">{count}H", *(self.registers[a] for a in wanted))
        if code == 6:
            self.registers[address] = count
            return pdu
        if code == 16:
            values = struct.unpack(f">{count}H", pdu[6:])
            self.registers.update(zip(range(address, address + count), values, strict=True))
            return pdu[:5]
        return bytes((code | 0x80, 1))


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
