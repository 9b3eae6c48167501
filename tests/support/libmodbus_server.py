"""A Modbus TCP server on libmodbus, as a process of its own: code that is neither ours nor pymodbus.

`python libmodbus_server.py` prints its port, then serves 40,000 holding registers whose value is their address,
until its standard input closes. Exit code 77: libmodbus is not installed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys
import threading

REGISTERS = 40_000


class Mapping(ctypes.Structure):
    _fields_ = (
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def main() -> int:
    name = ctypes.util.find_library("modbus")
    if name is None:
        print("libmodbus is not installed", file=sys.stderr)
        return 77
    lib = ctypes.CDLL(name)
    lib.modbus_new_tcp.restype = ctypes.c_void_p
    lib.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = ctypes.c_void_p(lib.modbus_new_tcp(b"127.0.0.1", port))
    mapping = lib.modbus_mapping_new(0, 0, REGISTERS, 0)
    for i in range(REGISTERS):
        mapping.contents.tab_registers[i] = i
    listening = ctypes.c_int(lib.modbus_tcp_listen(context, 4))
    if listening.value < 0:
        print("cannot listen", file=sys.stderr)
        return 1
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    print(port, flush=True)
    query = (ctypes.c_uint8 * 260)()
    while True:
        lib.modbus_tcp_accept(context, ctypes.byref(listening))
        while (size := lib.modbus_receive(context, query)) >= 0:
            if size > 0:
                lib.modbus_reply(context, query, size, mapping)
        lib.modbus_close(context)


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
