"""What a driver tells of its talk with a device, and of registers as they came; made only when somebody asks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from bessai.drivers.modbus import ModbusClient, exception_name, latency_of
from bessai.registry import Block
from bessai.registry.schema import Point

BITS = frozenset({"coil", "discrete"})
"""Tables of bits: one reply byte holds eight of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """A point as it last came from the device."""

    words: tuple[str, ...]
    """Its registers in the order of the wire, such as `0x01F4`; of a bit `0` or `1`."""
    age: float
    """Seconds since the request was sent."""


def talk_status(client: ModbusClient, units: Collection[int], now: float) -> dict[str, Any]:
    """The talk with some units of a connection, as plain data. Ages in seconds, as of `now` (loop time).

    The latency is that of the newest 256 replies of each unit; what timed out is counted, not timed. The last error is
    the newest of these units and of the connection.
    """
    talks = [client.talk(unit) for unit in units]
    latency = latency_of(talks)
    exceptions: dict[int, int] = {}
    for talk in talks:
        for code, count in talk.exceptions.items():
            exceptions[code] = exceptions.get(code, 0) + count
    errors = [error for error in (client.error, *(talk.error for talk in talks)) if error is not None]
    last = max(errors, key=lambda error: error.at, default=None)
    return {
        "replies": sum(talk.replies for talk in talks),
        "timeouts": sum(talk.timeouts for talk in talks),
        "bad_replies": sum(talk.bad_replies for talk in talks),
        "exceptions": [
            {"code": code, "name": exception_name(code), "count": count}
            for code, count in sorted(exceptions.items())
        ],
        "latency": None if latency is None else asdict(latency),
        "last_error": None
        if last is None
        else {"message": last.message, "age": round(max(0.0, now - last.at), 3)},
    }


def talk_figures(client: ModbusClient, units: Collection[int]) -> dict[str, Any]:
    """The same in numbers, for the metrics."""
    talks = [client.talk(unit) for unit in units]
    latency = latency_of(talks)
    return {
        "replies": sum(talk.replies for talk in talks),
        "timeouts": sum(talk.timeouts for talk in talks),
        "bad_replies": sum(talk.bad_replies for talk in talks),
        "exceptions": sum(sum(talk.exceptions.values()) for talk in talks),
        "latency": None if latency is None else {"p50": latency.p50, "p99": latency.p99},
    }


def words_of(point: Point, block: Block, data: bytes) -> tuple[str, ...] | None:
    """A point's registers out of the reply of a block; None when the block does not hold it."""
    offset = point.address - block.address
    if (point.station, point.table) != (block.station, block.table):
        return None
    if not 0 <= offset <= block.count - point.registers:
        return None
    if point.table in BITS:
        return (str(data[offset >> 3] >> (offset & 7) & 1),)
    return tuple(f"0x{data[2 * i]:02X}{data[2 * i + 1]:02X}" for i in range(offset, offset + point.registers))
