"""Those who look at the page, and those who mean harm, in a process of their own.

    python -m benchmarks.page_loads KIND PORT COUNT [TOKEN ...]

Goes on until its standard input ends; then it prints what came of it as one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import statistics
import sys
from collections import Counter

import uvloop

from bessai.interfaces.api.connections import raise_descriptors

HALF = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"POST /api/v1/requests HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n"
WHOLE = b"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_PAUSE = 0.2
"""Seconds before one that was turned away comes again."""


class Load:
    """One kind."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self.port = port
        self.tokens = tokens
        self.frames: Counter[int] = Counter()
        self.missed: dict[int, int] = {}
        """Cycles that each viewer was told it lost."""
        self.came: Counter[str] = Counter()

    async def viewer(self, number: int) -> None:
        """Look, and count the cycles."""
        token = self.tokens[number % len(self.tokens)]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        with contextlib.closing(writer):
            head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            writer.write(head.encode())
            status = await reader.readline()
            self.came[status[9:12].decode()] += 1
            while data := await reader.read(65536):
                self.frames[number] += data.count(b"event: cycle\n")
                if told := re.findall(rb'"missed":(\d+)}', data):
                    self.missed[number] = int(told[-1])

    async def slow_header(self, _number: int) -> None:
        """A header, a byte a second."""
        await self._drip(HALF + b"X: ")

    async def slow_body(self, _number: int) -> None:
        """A body, a byte a second."""
        await self._drip(BODY)

    async def half_open(self, _number: int) -> None:
        """Half a header, and silence."""
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            self.came["connected"] += 1
            await loop.sock_sendall(sock, HALF)
            await loop.sock_recv(sock, 100)

    async def flood(self, _number: int) -> None:
        """Requests, each as soon as the one before is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.closing(writer):
            while True:
                writer.write(WHOLE)
                head = await reader.readuntil(b"\r\n\r\n")
                self.came[head[9:12].decode()] += 1
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(size)

    async def _drip(self, begin: bytes) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            self.came["connected"] += 1
            await loop.sock_sendall(sock, begin)
            ended = asyncio.ensure_future(loop.sock_recv(sock, 100))
            try:
                while not ended.done():
                    await asyncio.wait({ended}, timeout=1)
                    await loop.sock_sendall(sock, b"x")
            finally:
                ended.cancel()

    async def again(self, kind: str, number: int) -> None:
        """For ever."""
        while True:
            try:
                await getattr(self, kind)(number)
            except (OSError, asyncio.IncompleteReadError):
                self.came["turned away"] += 1
            await asyncio.sleep(_PAUSE)


async def run(kind: str, port: int, count: int, tokens: list[str]) -> dict[str, object]:
    """Load until standard input ends."""
    load = Load(port, tokens)
    tasks = [asyncio.create_task(load.again(kind, n)) for n in range(count)]
    await asyncio.to_thread(os.read, 0, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found: dict[str, object] = {"came": dict(load.came)}
    if kind == "viewer":
        seen = [load.frames[n] for n in range(count)]
        found |= {"frames_least": min(seen), "frames_median": statistics.median(seen)}
        found["frames_missed"] = sum(load.missed.values())
    return found


if __name__ == "__main__":
    raise_descriptors()
    os.nice(10)  # the machine is the server's; strangers would have one of their own
    print(json.dumps(uvloop.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))))
