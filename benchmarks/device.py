"""A fast Modbus TCP server in a process of its own, where `server.c` cannot be compiled: register N holds N.

Prints `PORT good` and `ready` as that one does.
"""

from __future__ import annotations

import asyncio
import struct
import sys

import uvloop

_HEAD = struct.Struct(">HHHBBHH")
_IMAGE = struct.pack(">65536H", *range(65536))


class _Device(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        replies = []
        while len(data) >= 12:
            transaction, _, length, unit, code, address, count = _HEAD.unpack_from(data)
            if code == 3:
                body = bytes((unit, 3, 2 * count)) + _IMAGE[2 * address : 2 * (address + count)]
            else:
                body = bytes((unit, code)) + data[8:12]
            replies.append(struct.pack(">HHH", transaction, 0, len(body)) + body)
            data = data[6 + length :]
        self.buffer = data
        self.transport.write(b"".join(replies))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Device, "127.0.0.1", 0)
    print(f"{server.sockets[0].getsockname()[1]} good\nready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
