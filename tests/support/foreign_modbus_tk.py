"""`python -m support.foreign_modbus_tk`: the conformance map on modbus_tk; prints its port.

A process of its own, because that library is LGPL and single-threaded.
"""

from __future__ import annotations

import importlib
import socket
import sys
from typing import Any

from support.foreign_map import SPANS, coil, discrete, holding, inputs


def main() -> None:
    defines: Any = importlib.import_module("modbus_tk.defines")
    tcp: Any = importlib.import_module("modbus_tk.modbus_tcp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = tcp.TcpServer(port=port, address="127.0.0.1")
    slave = server.add_slave(1)
    tables = (
        (defines.COILS, coil),
        (defines.DISCRETE_INPUTS, discrete),
        (defines.HOLDING_REGISTERS, holding),
        (defines.ANALOG_INPUTS, inputs),
    )
    for kind, value in tables:
        for span in SPANS:
            name = f"{kind} {span.start}"
            slave.add_block(name, kind, span.start, len(span))
            slave.set_values(name, span.start, [value(a) for a in span])
    server.start()
    while server._sock is None:  # listens in a thread
        pass
    print(port, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
