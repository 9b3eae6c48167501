"""What the tests of the twin's wire share: hand-made frames and pymodbus's own client."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.framer.rtu import FramerRTU

from bessai.twin import TwinServer

UNIT = 3
SOC = 100
"""Address of the mini device's state of charge, which is 500 at the start."""


def request(
    transaction: int, address: int = SOC, count: int = 1, *, unit: int = UNIT, function: int = 3
) -> bytes:
    """A Modbus TCP request."""
    return struct.pack(">HHHBBHH", transaction, 0, 6, unit, function, address, count)


def answer(transaction: int, *words: int, unit: int = UNIT, function: int = 3) -> bytes:
    """The Modbus TCP answer with these words."""
    data = struct.pack(f">{len(words)}H", *words)
    return struct.pack(">HHHBBB", transaction, 0, 3 + len(data), unit, function, len(data)) + data


def refusal(transaction: int, code: int, *, unit: int = UNIT, function: int = 3) -> bytes:
    """The Modbus TCP exception."""
    return struct.pack(">HHHBBB", transaction, 0, 3, unit, function | 0x80, code)


def serial(body: bytes) -> bytes:
    """A serial frame."""
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


class Raw:
    """A socket that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def get(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 20)

    async def ask(self, transaction: int, size: int = 11, **where: Any) -> bytes:
        self.send(request(transaction, **where))
        return await self.get(size)

    async def ended(self) -> bool:
        """Whether the other side closed, with nothing more to say."""
        return await asyncio.wait_for(self.reader.read(), 20) == b""

    async def silent(self, seconds: float = 0.15) -> bool:
        """Whether nothing comes."""
        try:
            await asyncio.wait_for(self.reader.readexactly(1), seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def raw(server: TwinServer) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def client(
    server: TwinServer, patience: float = 5.0, framer: FramerType = FramerType.SOCKET
) -> AsyncIterator[AsyncModbusTcpClient]:
    host, port = server.address
    connection = AsyncModbusTcpClient(
        host, port=port, timeout=patience, retries=0, reconnect_delay=0, framer=framer
    )
    assert await connection.connect()
    try:
        yield connection
    finally:
        connection.close()


def play(server: Callable[[], TwinServer], scene: Callable[[TwinServer, Raw], Awaitable[None]]) -> None:
    """Run a scene with a raw socket on a server."""

    async def run() -> None:
        async with server() as running, raw(running) as connection:
            await scene(running, connection)

    asyncio.run(asyncio.wait_for(run(), 60))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the twin has no event for every quantity
            await asyncio.sleep(0.02)
