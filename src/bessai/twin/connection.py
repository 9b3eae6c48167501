"""One master's connection to the twin: frames in, answers out, faults between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from bessai.twin.faults import Layers
from bessai.twin.framing import Frame, NoModbusError

if TYPE_CHECKING:
    from bessai.twin.bus import Bus

_STALE = 0.5  # seconds after which half a serial frame is noise


class Wire(Protocol):
    """What a connection writes to."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def close(self) -> None:
        """Send what is left and end."""


class Connection(asyncio.Protocol):
    """One master. Requests are answered one after the other, in their order, but for late ones."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._buffer = b""
        self._requests: asyncio.Queue[Frame] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._connected_at = self._received_at = 0.0
        self._answers: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the master, and drop the others when the device serves only one."""
        bus = self.bus
        bus.notice()
        if bus.faults.refuse or ("connection" in bus.features and bus.dead):
            transport.close()
            return
        if bus.single_connection:
            bus.close_connections()
        self.attach(cast("Wire", transport))
        bus.accepted += 1

    def attach(self, wire: Wire) -> None:
        """Begin to answer."""
        self._wire = wire
        self.bus.connections.add(self)
        self._connected_at = self._loop.time()
        self._worker = self._loop.create_task(self._work(), name="twin connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the master."""
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.bus.connections.discard(self)
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None

    def data_received(self, data: bytes) -> None:
        """Take frames apart, also several at once or in pieces; what is no Modbus TCP ends the connection."""
        if self._wire is None:
            return
        framing, now = self.bus.framing, self._loop.time()
        if framing.kind == "rtu" and now - self._received_at > _STALE:
            self._buffer = b""
        self._received_at = now
        self._buffer += data
        try:
            while self._buffer:
                used, frame = framing.split(self._buffer)
                self._buffer = self._buffer[used:]
                if frame is None:
                    return
                self._requests.put_nowait(frame)
        except NoModbusError:
            self.close()

    async def _work(self) -> None:
        while True:
            frame = await self._requests.get()
            self.bus.requests += 1
            await self._answer(frame)

    async def _answer(self, frame: Frame) -> None:
        bus = self.bus
        bus.notice(frame.unit)
        faults = bus.layers(frame.unit)
        if bus.gone(frame.unit) or faults.any("silent"):
            return
        if self._loop.time() - self._connected_at < bus.settle:
            return
        if faults.any("refuse"):
            if "connection" in bus.features:
                self.close()
            return
        if (seconds := faults.wait()) > 0:
            await asyncio.sleep(seconds)
        if faults.take("garbage"):
            self._write(b"\xde\xad\xbe\xef" * 5)
            return
        payload = await bus.respond(frame, faults)
        if payload is None:
            return
        answer = self._spoilt(self._frame(frame, payload, faults), faults)
        if late := [each.late_by for each in faults.each if each.take("late")]:
            self._loop.call_later(max(late), self._write, answer)
            return
        await self._send(answer, faults)
        self._drop(frame.unit, faults)

    def _frame(self, frame: Frame, payload: bytes, faults: Layers) -> bytes:
        unit, transaction = frame.unit, frame.transaction
        if faults.take("wrong_transaction"):
            transaction = (transaction + 1) & 0xFFFF
        if faults.take("wrong_unit"):
            unit = (unit + 1) & 0xFF
        if faults.take("wrong_function"):
            payload = bytes([payload[0] + 1 & 0xFF]) + payload[1:]
        return self.bus.framing.build(payload, unit, transaction)

    def _spoilt(self, answer: bytes, faults: Layers) -> bytes:
        if self.bus.framing.kind == "rtu" and faults.take("bad_crc"):
            answer = answer[:-1] + bytes([answer[-1] ^ 0xFF])
        if faults.take("truncated"):
            answer = answer[: len(answer) // 2]
        if faults.take("noise"):
            random = self.bus.faults.random
            answer = random.randbytes(random.randint(1, 8)) + answer
        return answer * 2 if faults.take("duplicate") else answer

    async def _send(self, answer: bytes, faults: Layers) -> None:
        slow = next((each.slow for each in faults.each if each.slow is not None), None)
        if slow is None:
            self._write(answer)
            return
        count, seconds = slow
        for start in range(0, len(answer), count):
            if start:
                await asyncio.sleep(seconds)
            self._write(answer[start : start + count])

    def _drop(self, unit: int, faults: Layers) -> None:
        """Close after so many answers: of the bus in all, or of the unit."""
        self._answers[unit] = answers = self._answers.get(unit, 0) + 1
        for each in faults.each:
            count = sum(self._answers.values()) if each is self.bus.faults else answers
            if 0 < each.drop <= count and "connection" in self.bus.features:
                self.close()

    def _write(self, data: bytes) -> None:
        if self._wire is not None:
            self._wire.write(data)
