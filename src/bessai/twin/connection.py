"""One client's connection to the twin: frames in, answers out, faults between.

pymodbus reads and builds the frames. Only its request loop is replaced: the original keeps one request a
connection, and would answer a late one under the transaction id of the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler

from bessai.twin.device import Exc, RefusedError, TwinDevice

if TYPE_CHECKING:
    from bessai.twin.server import TwinServer

_TABLES = {
    1: "coil",
    2: "discrete",
    3: "holding",
    4: "input",
    5: "coil",
    6: "holding",
    15: "coil",
    16: "holding",
}
_FRAME_MAX = 260  # bytes of the longest Modbus TCP frame


class Connection(ServerRequestHandler):
    """One client. Requests are answered one after the other, in their order."""

    def __init__(self, listener: ModbusTcpServer, owner: TwinServer) -> None:
        super().__init__(listener, None, None, None)  # type: ignore[no-untyped-call]
        self.owner = owner
        self._buffer = b""
        self._requests: asyncio.Queue[ModbusPDU] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._connected_at = 0.0

    def callback_connected(self) -> None:
        """Take the client, and drop the others when the device serves only one."""
        super().callback_connected()
        owner = self.owner
        if owner.faults.refuse:
            self.close()
            return
        if owner.profile.connection.single_connection:
            owner.close_connections()
        owner.accepted += 1
        owner.connections.add(self)
        self._connected_at = self.loop.time()
        self._worker = self.loop.create_task(self._work(), name="twin connection")

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Forget the client."""
        super().callback_disconnected(exc)
        self._end()

    def close(self, reconnect: bool = False) -> None:
        """End the connection."""
        super().close(reconnect)
        self._end()

    def data_received(self, data: bytes) -> None:
        """Take frames apart, also several at once or in pieces; what is no Modbus TCP ends the connection."""
        self._buffer += data
        while len(self._buffer) >= 8:
            try:
                used, pdu = self.framer.handleFrame(self._buffer, 0, 0)
            except ModbusIOException as error:
                # a whole frame that pymodbus cannot read: an unknown function, or a count beyond the standard
                function = self._buffer[7]
                self._buffer = self._buffer[int.from_bytes(self._buffer[4:6], "big") + 6 :]
                code = Exc.ILLEGAL_VALUE if function in _TABLES else Exc.ILLEGAL_FUNCTION
                self._send(_exception(function, code), error.transaction_id, error.dev_id)
                continue
            self._buffer = self._buffer[used:]
            if pdu is None:
                if self._buffer[2:4] != b"\0\0" or len(self._buffer) > _FRAME_MAX:
                    self.close()  # no Modbus TCP: nothing that follows can be told apart
                return
            self._requests.put_nowait(pdu)

    def _end(self) -> None:
        self.owner.connections.discard(self)
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None

    async def _work(self) -> None:
        while True:
            request = await self._requests.get()
            self.owner.requests += 1
            await self._answer(request)

    async def _answer(self, request: ModbusPDU) -> None:
        faults = self.owner.faults
        if faults.silent or self.loop.time() - self._connected_at < self.owner.settle:
            return
        if faults.refuse:
            self.close()
            return
        if faults.delay > 0:
            await asyncio.sleep(faults.delay)
        if faults.take("garbage"):
            self._write(b"\xde\xad\xbe\xef" * 5)
            return
        transaction = request.transaction_id
        if faults.take("wrong_transaction"):
            transaction = (transaction + 1) & 0xFFFF
        self._send(await self._respond(request), transaction, request.dev_id)

    async def _respond(self, request: ModbusPDU) -> ModbusPDU:
        owner, faults, function = self.owner, self.owner.faults, request.function_code
        owner.catch_up()
        if request.dev_id != owner.unit:
            return _exception(function, Exc.NO_SUCH_UNIT)
        if faults.take("busy"):
            return _exception(function, Exc.BUSY)
        if faults.take("failures"):
            return _exception(function, Exc.DEVICE_FAILURE)
        if function not in _TABLES or function in faults.refused_functions:
            return _exception(function, Exc.ILLEGAL_FUNCTION)
        response = await request.datastore_update(_store(owner.device), request.dev_id)
        if function in {3, 4} and not response.isError() and faults.take("short_replies"):
            response.registers = response.registers[:-1]
        return response

    def _send(self, response: ModbusPDU, transaction: int, unit: int) -> None:
        response.transaction_id = transaction
        response.dev_id = unit
        self._write(self.framer.buildFrame(response))

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)  # type: ignore[attr-defined]


class _Store:
    """The device as pymodbus's PDUs ask for it."""

    def __init__(self, device: TwinDevice) -> None:
        self._device = device
        self._taken: list[int] | None = None

    async def async_getValues(  # noqa: N802
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        if func_code in {5, 6}:  # the echo of a single write, also of registers that cannot be read
            return self._taken or ExcCodes.DEVICE_FAILURE
        try:
            return self._device.read(_TABLES[func_code], address, count)
        except RefusedError as error:
            return ExcCodes(error.code)

    async def async_setValues(  # noqa: N802
        self, device_id: int, func_code: int, address: int, values: list[int] | list[bool]
    ) -> ExcCodes | None:
        self._taken = [int(value) for value in values]
        try:
            self._device.write(_TABLES[func_code], address, self._taken)
        except RefusedError as error:
            return ExcCodes(error.code)
        return None


def _store(device: TwinDevice) -> Any:
    # a data store by shape: pymodbus's annotation names its own class, its code only calls these two methods
    return _Store(device)


def _exception(function: int, code: Exc) -> ModbusPDU:
    return ExceptionResponse(function & 0x7F, ExcCodes(code))
