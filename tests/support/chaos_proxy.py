"""A TCP proxy in front of a real server that does to the bytes what bad networks do.

with ChaosProxy(server.port) as proxy:
    proxy.host                  # what the client connects to
    proxy.refuse()              # nobody listens, open connections are reset
    proxy.reset()               # open connections are reset once
    proxy.reset_after = 20_000  # a connection is reset when the client has sent so many bytes on it
    proxy.swallow()             # half open: bytes vanish in both directions, nothing is closed
    proxy.swallow_replies()     # what the client sends arrives, what comes back vanishes
    proxy.rate = 8_000          # bytes a second, both directions together
    proxy.heal()                # new connections work; those that lost bytes never do again, as in life
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

Mode = Literal["pass", "refuse", "swallow", "swallow replies"]


class ChaosProxy:
    """Start as a context manager. Its methods may be called from any thread."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.rate: float | None = None
        """Bytes a second; None: as fast as it goes."""
        self.reset_after: int | None = None
        """Bytes from the client after which its connection is reset."""
        self.connections = 0
        """Accepted since the start."""
        self.forwarded = 0
        """Bytes since the start, both directions."""
        self._target_port = target_port
        self._mode: Mode = "pass"
        self._free_at = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Future[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> ChaosProxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def refuse(self) -> None:
        self._mode = "refuse"
        self._do(self._shut())

    def reset(self) -> None:
        self._do(self._reset_all())

    def swallow(self) -> None:
        self._mode = "swallow"

    def swallow_replies(self) -> None:
        self._mode = "swallow replies"

    def heal(self) -> None:
        self.reset_after = self.rate = None
        self._mode = "pass"
        self._do(self._listen())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset_all()

    async def _end(self) -> None:
        await self._shut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    async def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(writer)
            return
        both = {writer, far_writer}
        self._open |= both
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer, from_client=True)),
            asyncio.ensure_future(self._pump(far_reader, writer, from_client=False)),
        ]
        self._pumps.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._pumps.difference_update(pumps)
            self._open -= both
            for end in both:
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        lost = False
        count = 0
        with suppress(OSError):
            while data := await reader.read(512 if self.rate else 65536):
                lost = (
                    lost or self._mode == "swallow" or (self._mode == "swallow replies" and not from_client)
                )
                if lost:
                    continue
                count += len(data)
                if from_client and self.reset_after is not None and count > self.reset_after:
                    _reset(writer)
                    await self._reset_all()
                    return
                await self._wait_for_room(len(data))
                writer.write(data)
                await writer.drain()
                self.forwarded += len(data)
            if lost:
                await asyncio.Future()  # the other end never hears that this one has closed

    async def _wait_for_room(self, count: int) -> None:
        if self.rate:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self.rate
            await asyncio.sleep(self._free_at - now)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end gets a reset, not an orderly end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
