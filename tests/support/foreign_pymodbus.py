"""`python -m support.foreign_pymodbus [rtu]`: the conformance map on pymodbus's own server; prints its port."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from pymodbus.framer import FramerType
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from support.foreign_map import SPANS, coil, discrete, holding, inputs


def _registers(value: Callable[[int], int]) -> list[SimData]:
    return [
        SimData(span.start, values=[value(a) for a in span], datatype=DataType.REGISTERS) for span in SPANS
    ]


def _bits(value: Callable[[int], int]) -> list[SimData]:
    return [
        SimData(span.start, values=[bool(value(a)) for a in span], datatype=DataType.BITS) for span in SPANS
    ]


async def main() -> None:
    identity = ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
        info_name={
            "VendorName": "Independent",
            "ProductCode": "PYM",
            "MajorMinorRevision": "3.16",
            "ModelName": "Peer",
        }
    )
    device = SimDevice(1, (_bits(coil), _bits(discrete), _registers(holding), _registers(inputs)))
    framer = FramerType.RTU if sys.argv[1:] == ["rtu"] else FramerType.SOCKET
    server = ModbusTcpServer(device, framer=framer, identity=identity, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    transport = server.transport
    assert isinstance(transport, asyncio.base_events.Server)
    print(transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the parent closes it
    await server.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    asyncio.run(main())
