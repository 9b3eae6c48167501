"""A Modbus TCP server on libmodbus, as a process of its own: code that is neither ours nor pymodbus.

`python -m support.libmodbus_server` prints its port, then serves the map of `foreign_map`, with its oddities, until
its standard input closes. Exit code 77: libmodbus is not installed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys
import threading
import time
from typing import Any

from support.foreign_map import (
    BUSY_ONCE,
    BYTE_BY_BYTE,
    FAILS,
    HOLE,
    LATE,
    ONE_SHORT,
    SIZE,
    WRONG_TRANSACTION,
    coil,
    discrete,
    holding,
    inputs,
)

_HEADER = 7  # MBAP, before the PDU


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
    mapping = lib.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE)
    for a in range(SIZE):
        mapping.contents.tab_bits[a], mapping.contents.tab_input_bits[a] = coil(a), discrete(a)
        mapping.contents.tab_registers[a], mapping.contents.tab_input_registers[a] = holding(a), inputs(a)
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
                _answer(lib, context, query, size, mapping)
        lib.modbus_close(context)


_busy = True


def _answer(lib: Any, context: ctypes.c_void_p, query: Any, size: int, mapping: Any) -> None:
    """Reply as libmodbus does, but for the hole and the odd addresses."""
    global _busy  # noqa: PLW0603 - one server a process
    code, address, count = query[_HEADER], _word(query, 1), _word(query, 3)
    if code in {5, 6, 22}:
        count = 1
    if code in _ADDRESSED and address < HOLE.stop and address + count > HOLE.start:
        lib.modbus_reply_exception(context, query, 2)
        return
    odd = address if code == 3 else 0
    if odd == BUSY_ONCE:
        _busy = not _busy
        if not _busy:
            lib.modbus_reply_exception(context, query, 6)
            return
    elif odd == FAILS:
        lib.modbus_reply_exception(context, query, 4)
        return
    elif odd == WRONG_TRANSACTION:
        query[1] ^= 0x55
    elif odd == LATE:
        time.sleep(0.5)
    elif odd == ONE_SHORT:
        query[_HEADER + 4] -= 1
    elif odd == BYTE_BY_BYTE:
        words = bytes(byte for a in range(address, address + count) for byte in a.to_bytes(2, "big"))
        pdu = bytes((3, len(words))) + words
        reply = bytes(query[:4]) + (len(pdu) + 1).to_bytes(2, "big") + bytes(query[6:7]) + pdu
        for byte in reply:
            os.write(lib.modbus_get_socket(context), bytes((byte,)))
            time.sleep(0.003)
        return
    lib.modbus_reply(context, query, size, mapping)


_ADDRESSED = frozenset({1, 2, 3, 4, 5, 6, 15, 16, 22, 23})


def _word(query: Any, place: int) -> int:
    return int(query[_HEADER + place] << 8 | query[_HEADER + place + 1])


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
