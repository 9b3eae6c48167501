"""The Modbus TCP client: batches in, replies out, one connection, a window of requests in flight."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from bessai.drivers.modbus.errors import BadReply, ConnectionFailed, ModbusError, NoReply, NotSent
from bessai.drivers.modbus.manners import Manners
from bessai.drivers.modbus.mbap import FrameReader, frame
from bessai.drivers.modbus.pdu import Request
from bessai.model import Endpoint

Reply = bytes | ModbusError


class Urgency(IntEnum):
    """Which batch goes first when several wait."""

    WRITE = 0
    FAST = 1
    SLOW = 2


@dataclass(slots=True)
class ClientStats:
    """What happened on the wire since the start."""

    requests: int = 0
    replies: int = 0
    exceptions: int = 0
    timeouts: int = 0
    strays: int = 0
    """Frames with a transaction or unit that nobody waits for: late or foreign replies."""
    bad_replies: int = 0
    connects: int = 0
    disconnects: int = 0


class _Batch:
    __slots__ = ("future", "missing", "replies", "requests", "sent", "serial", "unit")

    def __init__(self, unit: int, requests: Sequence[Request], serial: bool) -> None:
        self.unit = unit
        self.requests = requests
        self.serial = serial
        self.replies: list[Reply | None] = [None] * len(requests)
        self.missing = len(requests)
        self.sent = 0
        self.future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()


class _Link(asyncio.Protocol):
    """One TCP connection. Its late callbacks cannot touch the connection that followed it."""

    def __init__(self, client: ModbusClient) -> None:
        self.client = client
        self.reader = FrameReader()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.client.link is self:
            self.client.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client.link is self:
            reason = f"connection lost: {exc}" if exc else "the device closed the connection"
            self.client.lost(ConnectionFailed(reason))


class ModbusClient:
    """One connection to one device, or to a gateway with several units.

    `transact` may be called while other batches wait; batches are served by urgency, then in order. A batch
    never fails as a whole: each request has its reply or its error. After a time-out the rest of the batch is
    not sent. A frame that is not Modbus closes the connection, because nothing after it can be trusted.
    """

    def __init__(self, endpoint: Endpoint, *, manners: Manners) -> None:
        timeout, pause, settle, outstanding = (
            manners.timeout,
            manners.pause,
            manners.settle,
            manners.outstanding,
        )
        self.endpoint = endpoint
        self.timeout = timeout
        self.stats = ClientStats()
        self._pause = pause
        self._settle = settle
        self._window = outstanding
        self.link: _Link | None = None
        self._queues: tuple[deque[_Batch], ...] = (deque(), deque(), deque())
        self._in_flight: dict[int, tuple[_Batch, int, float]] = {}
        self._transaction = 0
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pump_timer: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self.link is not None

    def register(self, unit: int, manners: Manners) -> None:
        """Not yet."""

    async def connect(self, *, within: float | None = None) -> None:
        """Open the connection, within `within` seconds (default: the reply time-out).

        Raises:
            ConnectionFailed: names the host, the port and the reason.
        """
        loop = asyncio.get_running_loop()
        host, port = self.endpoint.host, self.endpoint.port
        try:
            async with asyncio.timeout(within or self.timeout):
                _, link = await loop.create_connection(lambda: _Link(self), host, port)
        except TimeoutError:
            raise ConnectionFailed(f"{host} port {port} does not answer (no route or no device)") from None
        except OSError as error:
            known = error.errno is not None and error.errno > 0
            reason = os.strerror(error.errno or 0) if known else error.strerror or str(error)
            raise ConnectionFailed(f"cannot connect to {host} port {port}: {reason}") from None
        self.close("replaced by a new connection")
        if link.transport is None or link.transport.is_closing():
            raise ConnectionFailed(f"{host} port {port} closed the connection at once")
        self.link = link
        self.stats.connects += 1
        self._not_before = loop.time() + self._settle

    def close(self, reason: str = "closed by the gateway") -> None:
        """Close the connection; whatever waits fails with `ConnectionFailed`."""
        self.lost(ConnectionFailed(reason))

    async def transact(
        self, unit: int, requests: Sequence[Request], urgency: Urgency = Urgency.FAST, *, serial: bool = False
    ) -> list[Reply]:
        """Send requests to a unit and wait for all replies.

        Args:
            unit: the unit id.
            requests: at least one.
            urgency: who goes first when several batches wait.
            serial: send each request only after the one before succeeded, and none after a failure.

        Returns:
            For each request its data, or the error that stands for it.
        """
        if self.link is None:
            return [ConnectionFailed("not connected") for _ in requests]
        batch = _Batch(unit, requests, serial)
        self._queues[urgency].append(batch)
        self._pump()
        try:
            return await batch.future
        except asyncio.CancelledError:
            for queue in self._queues:
                if batch in queue:
                    queue.remove(batch)
            raise

    def received(self, data: bytes) -> None:
        """Bytes of the present connection; called by it."""
        if self.link is None:
            return
        try:
            frames = self.link.reader.feed(data)
        except BadReply as error:
            self.stats.bad_replies += 1
            self.lost(error)
            return
        for transaction, unit, pdu in frames:
            waiting = self._in_flight.get(transaction)
            if waiting is None or waiting[0].unit != unit:
                self.stats.strays += 1
                continue
            del self._in_flight[transaction]
            batch, index, _ = waiting
            reply = batch.requests[index].parse(pdu)
            self.stats.replies += 1
            if not isinstance(reply, bytes):
                if isinstance(reply, BadReply):
                    self.stats.bad_replies += 1
                else:
                    self.stats.exceptions += 1
            self._settle_reply(batch, index, reply)
        if frames:
            if self._pause:
                self._not_before = asyncio.get_running_loop().time() + self._pause
            self._pump()

    # inside

    def _settle_reply(self, batch: _Batch, index: int, reply: Reply) -> None:
        batch.replies[index] = reply
        batch.missing -= 1
        if not isinstance(reply, bytes) and (batch.serial or isinstance(reply, NoReply)):
            for rest in range(batch.sent, len(batch.requests)):
                batch.replies[rest] = NotSent("an earlier request of the batch failed")
                batch.missing -= 1
            batch.sent = len(batch.requests)
        if batch.missing == 0 and not batch.future.done():
            batch.future.set_result(cast("list[Reply]", batch.replies))

    def _next_batch(self) -> _Batch | None:
        for queue in self._queues:
            while queue:
                batch = queue[0]
                if batch.sent == len(batch.requests) or batch.future.done():
                    queue.popleft()
                    continue
                return batch
        return None

    def _pump(self) -> None:
        """Send what the window, the pause and the order allow."""
        if self.link is None or self.link.transport is None or self._pump_timer is not None:
            return
        frames = []
        now = 0.0
        while len(self._in_flight) < self._window:
            batch = self._next_batch()
            if batch is None or (batch.serial and self._in_flight):
                break
            if now == 0.0:
                loop = asyncio.get_running_loop()
                now = loop.time()
                if now < self._not_before:
                    self._pump_timer = loop.call_at(self._not_before, self._pump_later)
                    break
            self._transaction = self._transaction % 0xFFFF + 1
            index = batch.sent
            batch.sent += 1
            self._in_flight[self._transaction] = (batch, index, now)
            frames.append(frame(self._transaction, batch.unit, batch.requests[index].pdu))
            if self._pause:
                break
        if frames:
            self.stats.requests += len(frames)
            self.link.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_at(now + self.timeout, self._check_time)

    def _pump_later(self) -> None:
        self._pump_timer = None
        self._pump()

    def _check_time(self) -> None:
        """One timer serves all requests: it looks at the oldest one, and sleeps until the next is due."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._in_flight:
            transaction, (batch, index, sent) = next(iter(self._in_flight.items()))
            if sent + self.timeout > now:
                self._timer = loop.call_at(sent + self.timeout, self._check_time)
                break
            del self._in_flight[transaction]
            self.stats.timeouts += 1
            self._settle_reply(batch, index, NoReply(f"no reply within {self.timeout:g} s"))
        self._pump()

    def lost(self, error: ModbusError) -> None:
        """The present connection is gone; called by it. Whatever waits gets `error`."""
        if self.link is None:
            return
        if self.link.transport is not None:
            self.link.transport.abort()
        self.link = None
        self.stats.disconnects += 1
        for timer in (self._timer, self._pump_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._pump_timer = None
        batches = {id(batch): batch for batch, _, _ in self._in_flight.values()}
        batches |= {id(batch): batch for queue in self._queues for batch in queue}
        self._in_flight.clear()
        for queue in self._queues:
            queue.clear()
        for batch in batches.values():
            if not batch.future.done():
                unsent = NotSent(str(error))
                batch.future.set_result(
                    [
                        reply if reply is not None else error if i < batch.sent else unsent
                        for i, reply in enumerate(batch.replies)
                    ]
                )
