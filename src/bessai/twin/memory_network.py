"""A network in memory: every device of a simulated plant at its own host and port, on simulated time.

    network = MemoryNetwork(loop, {("10.0.0.1", 502): {1: pcs}, ("10.0.0.2", 502): {1: meter}})
    loop.connect = network.connect

Frames of Modbus TCP go in and out as bytes, so the gateway's own client talks to the registers of the twin. The plant
is moved on to the present before each answer.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping

from bessai.twin.clock import TwinClock
from bessai.twin.device import TwinDevice
from bessai.twin.image import Exc, RefusedError
from bessai.twin.sim_loop import SimLoop

_HEADER = struct.Struct(">HHHB")
_TABLES = {3: "holding", 4: "input"}
LATENCY = 0.004
"""Seconds from a request to its answer, unless told otherwise: a device on a plant's own network."""


class MemoryTransport(asyncio.Transport):
    """The gateway's end of one connection."""

    def __init__(self, serve: Callable[[bytes], bytes], loop: SimLoop, latency: float) -> None:
        super().__init__()
        self._serve, self._loop, self._latency = serve, loop, latency
        self._protocol: asyncio.Protocol | None = None

    def begin(self, protocol: asyncio.Protocol) -> None:
        """The connection stands."""
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; it takes half of the latency there, and the answer the other half back."""
        if self._protocol is not None:
            self._loop.call_later(self._latency / 2, self._arrive, bytes(data))

    def is_closing(self) -> bool:
        """True once it is closed."""
        return self._protocol is None

    def close(self) -> None:
        """End it; answers under way are lost."""
        self._protocol = None

    def abort(self) -> None:
        """End it; answers under way are lost."""
        self._protocol = None

    def _arrive(self, data: bytes) -> None:
        if reply := self._serve(data):  # a device obeys what is under way when the connection ends
            self._loop.call_later(self._latency / 2, self._deliver, reply)

    def _deliver(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)


class MemoryNetwork:
    """Devices by host, port and unit id.

    Args:
        loop: time.
        devices: who answers where.
        latency: seconds from each request to its answer.
    """

    def __init__(
        self,
        loop: SimLoop,
        devices: Mapping[tuple[str, int], Mapping[int, TwinDevice]],
        latency: float = LATENCY,
    ) -> None:
        self.wrote: Callable[[TwinDevice, float], None] | None = None
        """Told of each write that a device took, with the time."""
        self._loop = loop
        self._latency = latency
        self._places = {
            place: {own: device for device in units.values() for own in device.units}
            for place, units in devices.items()
        }
        self.clock = TwinClock({id(d): d for units in devices.values() for d in units.values()}.values())
        self._moved_at = loop.now

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> asyncio.Transport:
        """Open a connection. Raises ConnectionRefusedError where no device is."""
        await asyncio.sleep(self._latency)
        units = self._places.get((host, port))
        if units is None:
            raise ConnectionRefusedError(111, "Connection refused")
        transport = MemoryTransport(lambda data: self._answer(units, data), self._loop, self._latency)
        transport.begin(factory())
        return transport

    def catch_up(self) -> None:
        """Move the plant on to the present."""
        elapsed, self._moved_at = self._loop.now - self._moved_at, self._loop.now
        if elapsed > 0:
            self.clock.advance(elapsed)

    def _answer(self, units: Mapping[int, TwinDevice], data: bytes) -> bytes:
        self.catch_up()
        out = b""
        while len(data) > _HEADER.size:
            transaction, _, length, unit = _HEADER.unpack_from(data)
            pdu, data = data[7 : 6 + length], data[6 + length :]
            reply = self._reply(units, unit, pdu)
            out += _HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply
        return out

    def _reply(self, units: Mapping[int, TwinDevice], unit: int, pdu: bytes) -> bytes:
        code, device = pdu[0], units.get(unit)
        if device is None:
            return bytes((code | 0x80, Exc.NO_SUCH_UNIT))
        try:
            if code in _TABLES:
                address, count = struct.unpack(">HH", pdu[1:5])
                words = device.read(_TABLES[code], address, count, unit=unit)
                return struct.pack(f">BB{count}H", code, 2 * count, *words)
            if code in {6, 16}:
                written = pdu[3:] if code == 6 else pdu[6:]
                words = list(struct.unpack(f">{len(written) // 2}H", written))
                device.write("holding", pdu[1] << 8 | pdu[2], words, unit=unit)
                if self.wrote is not None:
                    self.wrote(device, self._loop.now)
                return pdu[:5]
        except RefusedError as refusal:
            return bytes((code | 0x80, refusal.code))
        return bytes((code | 0x80, Exc.ILLEGAL_FUNCTION))
