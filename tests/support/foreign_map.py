"""What every independent Modbus server of the conformance tests serves, whatever it is built on.

`SIZE` addresses in each table: a holding register holds its address, an input register 65535 less its address,
a coil is set at multiples of 3, a discrete input at multiples of 5. The addresses of `HOLE` do not exist.
"""

from __future__ import annotations

SIZE = 8192
HOLE = range(6000, 6016)  # bits of pymodbus come and go by sixteen
SPANS = (range(HOLE.start), range(HOLE.stop, SIZE))
"""What exists."""

BUSY_ONCE, FAILS, WRONG_TRANSACTION, LATE, BYTE_BY_BYTE, ONE_SHORT = range(6100, 6106)
"""Holding registers at which the libmodbus server misbehaves: exception 6 at every other read that begins there,
exception 4, the transaction id of another request, half a second late, a pause before every byte, and one register
less than asked for."""


def holding(address: int) -> int:
    return address


def inputs(address: int) -> int:
    return 0xFFFF - address


def coil(address: int) -> int:
    return int(address % 3 == 0)


def discrete(address: int) -> int:
    return int(address % 5 == 0)
