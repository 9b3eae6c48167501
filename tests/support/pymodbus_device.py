"""A device for pymodbus' servers: every table, and an identity."""

from __future__ import annotations

from typing import Any

from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.simulator import DataType, SimData, SimDevice

IDENTITY = {
    "vendor": "ACME",
    "product": "BX1",
    "revision": "1.2.3",
    "url": "https://example.org",
    "product_name": "Battery " + "x" * 190,  # does not fit into one reply with the others
    "model": "M" * 60,
    "application_name": "yard",
}


def sim_device(unit: int = 1) -> SimDevice:
    """Registers hold ten times their address; coils are off; discrete inputs alternate, beginning with on."""
    registers = [SimData(0, values=[10 * i for i in range(200)], datatype=DataType.REGISTERS)]
    coils = [SimData(0, values=[False] * 64, datatype=DataType.BITS)]
    inputs = [SimData(0, values=[True, False] * 32, datatype=DataType.BITS)]
    return SimDevice(
        unit,
        simdata=(coils, inputs, registers, registers),
    )


def identity() -> Any:
    """`IDENTITY` for a server of pymodbus."""
    build: Any = ModbusDeviceIdentification
    return build(info=dict(enumerate(IDENTITY.values())))


def port_of(server: Any) -> int:
    """The port that a listening server got."""
    return int(server.transport.sockets[0].getsockname()[1])


async def stop(server: Any) -> None:
    """Stop a server of pymodbus."""
    await server.shutdown()
