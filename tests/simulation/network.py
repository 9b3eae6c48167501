"""Sockets in memory between one gateway and one device, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from bessai.twin.sim_loop import SimLoop


class Server(Protocol):
    """The device's end."""

    def answer(self, data: bytes, now: float) -> tuple[bytes, float]:
        """The frames that go back for the frames that came, and the seconds until they are sent; b"": silence."""
        ...


@dataclass(slots=True, kw_only=True)
class WireFaults:
    """What goes wrong between the two ends now. Shares are 0 … 1 of the replies."""

    refuse: bool = False
    """New connections are refused."""
    unreachable: bool = False
    """New connections are never answered, and on old ones nothing passes."""
    silent: bool = False
    """Requests arrive, replies do not."""
    deaf: float = 0.0
    """Share of the requests that are lost."""
    delay: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest seconds on top of each reply."""
    reset: float = 0.0
    """Share at which the connection is reset instead."""
    truncated: float = 0.0
    """Share of which the second half is lost."""
    garbage: float = 0.0
    """Share that is replaced by random bytes."""
    flipped: float = 0.0
    """Share in whose header one bit is wrong."""
    duplicate: float = 0.0
    """Share that comes twice."""
    pieces: float = 0.0
    """Share that comes byte by byte in several turns."""


class SimTransport(asyncio.Transport):
    """The gateway's end of one connection."""

    def __init__(self, network: Network, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.network = network
        self.protocol = protocol
        self.open = True
        self._last = 0.0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; what comes back arrives later."""
        if self.open:
            self.network.carry(self, bytes(data))

    def is_closing(self) -> bool:
        """True once it is closed."""
        return not self.open

    def close(self) -> None:
        """End it."""
        self.abort()

    def abort(self) -> None:
        """End it; what is under way is lost."""
        self.open = False
        self.network.forget(self)

    def deliver(self, data: bytes, told: Callable[[], None] | None) -> None:
        """Bytes from the device arrive."""
        if self.open:
            if told is not None:
                told()
            self.protocol.data_received(data)

    def break_off(self, error: Exception | None) -> None:
        """The other end is gone."""
        if self.open:
            self.open = False
            self.network.forget(self)
            self.protocol.connection_lost(error)


class Network:
    """One cable.

    Args:
        loop: time.
        server: the device.
        rng: chance of the faults, used only while one is on.
        latency: seconds of each reply while nothing is wrong.
    """

    def __init__(self, loop: SimLoop, server: Server, rng: Random, latency: float = 0.01) -> None:
        self.faults = WireFaults()
        self.disturbed = False
        """True while any of the faults is on."""
        self.latency = latency
        self.transport: SimTransport | None = None
        """The present connection: the device serves one at a time."""
        self.delivered: Callable[[bytes, float], None] | None = None
        """Told of each reply that arrives undamaged, in the moment in which it does."""
        self.ended: Callable[[], None] | None = None
        """Told of each end of a connection."""
        self._loop = loop
        self._server = server
        self._rng = rng

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> asyncio.Transport:
        """Open a connection; the one before ends."""
        await asyncio.sleep(self.latency)
        if self.faults.refuse:
            raise ConnectionRefusedError(111, "Connection refused")
        if self.faults.unreachable:
            await asyncio.sleep(3600)
        self.cut(None)
        protocol = factory()
        self.transport = SimTransport(self, protocol)
        protocol.connection_made(self.transport)
        return self.transport

    def cut(self, error: Exception | None) -> None:
        """End the present connection from the device's side."""
        if self.transport is not None:
            self.transport.break_off(error)

    def forget(self, transport: SimTransport) -> None:
        """A connection is over."""
        if self.transport is transport:
            self.transport = None
        if self.ended is not None:
            self.ended()

    def carry(self, transport: SimTransport, data: bytes) -> None:
        """Take bytes to the device, and its answer back."""
        faults, loop = self.faults, self._loop
        if faults.unreachable or (faults.deaf and self._rng.random() < faults.deaf):
            return
        reply, wait = self._server.answer(data, loop.now)
        if not reply or faults.silent:
            return
        when = loop.now + self.latency + wait
        clean, twice = True, False
        if self.disturbed:
            rng = self._rng
            if faults.delay[1]:
                when += rng.uniform(*faults.delay)
            if faults.reset and rng.random() < faults.reset:
                loop.call_at(when, transport.break_off, ConnectionResetError(104, "Connection reset by peer"))
                return
            if faults.truncated and rng.random() < faults.truncated:
                reply, clean = reply[: len(reply) // 2], False
            if faults.garbage and rng.random() < faults.garbage:
                reply, clean = rng.randbytes(rng.randint(1, 40)), False
            if faults.flipped and rng.random() < faults.flipped:
                bit = rng.randrange(8 * min(8, len(reply)))
                reply = bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(reply))
                clean = False
            twice = bool(faults.duplicate) and rng.random() < faults.duplicate
            if faults.pieces and rng.random() < faults.pieces:
                when = max(when, transport._last)
                for i in range(len(reply) - 1):
                    loop.call_at(when, transport.deliver, reply[i : i + 1], None)
                reply, whole = reply[-1:], reply
                self._send(transport, reply, whole if clean else None, when)
                return
        when = max(when, transport._last)  # a stream keeps its order
        self._send(transport, reply, reply if clean else None, when)
        if twice:
            self._send(transport, reply, None, when)

    def _send(self, transport: SimTransport, data: bytes, whole: bytes | None, when: float) -> None:
        transport._last = when
        told = self.delivered
        if told is None or whole is None:
            self._loop.call_at(when, transport.deliver, data, None)
        else:
            self._loop.call_at(when, transport.deliver, data, _Told(told, whole, self._loop))


class _Told:
    __slots__ = ("data", "loop", "told")

    def __init__(self, told: Callable[[bytes, float], None], data: bytes, loop: SimLoop) -> None:
        self.told, self.data, self.loop = told, data, loop

    def __call__(self) -> None:
        self.told(self.data, self.loop.now)
