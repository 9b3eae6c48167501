"""Read Device Identification (function 43, MEI type 14): who the device says it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bessai.drivers.modbus.batches import Reply, Urgency
from bessai.drivers.modbus.errors import BadReply, DeviceException, ModbusError
from bessai.drivers.modbus.pdu import MAX_PDU, Request

BASIC, REGULAR, EXTENDED, ONE_OBJECT = 1, 2, 3, 4

OBJECTS = {
    0: "vendor",
    1: "product",
    2: "revision",
    3: "url",
    4: "product_name",
    5: "model",
    6: "application_name",
}
"""Names of the standard objects; others are called by their number, `0x80`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """One reply."""

    conformity: int
    """Highest level the device knows: 1 basic, 2 regular, 3 extended."""
    individual: bool
    """The device also answers for single objects."""
    next_object: int | None
    """Where to ask on when not everything fitted; None when it did."""
    objects: dict[int, bytes]


def identification(level: int = REGULAR, first: int = 0) -> Request:
    """Ask for all objects of a level from number `first` on, or for just that one (`ONE_OBJECT`)."""
    head = bytes((43, 14, level))
    return Request(head + bytes((first,)), head, 0, measure=_measure)


def parse_identification(data: bytes) -> Identification:
    """The objects in the data of a reply, which begins with the level.

    Raises:
        BadReply: the lengths inside do not add up.
    """
    if len(data) < 5 or _measure(b"\x2b\x0e" + data) != len(data) + 2:
        raise BadReply(f"not a device identification: {data[:12].hex(' ')}")
    objects = {}
    place = 5
    for _ in range(data[4]):
        end = place + 2 + data[place + 1]
        objects[data[place]] = data[place + 2 : end]
        place = end
    return Identification(
        conformity=data[1] & 0x7F,
        individual=bool(data[1] & 0x80),
        next_object=data[3] if data[2] == 0xFF else None,
        objects=objects,
    )


class _Client(Protocol):
    async def transact(
        self, unit: int, requests: list[Request], urgency: Urgency = ..., *, serial: bool = ...
    ) -> list[Reply]: ...


async def identify(client: _Client, unit: int, level: int = REGULAR) -> dict[str, str] | ModbusError:
    """Name to text of what the device tells of itself, or the error that ended the asking.

    A device that refuses `level` is asked for the basic one.
    """
    found: dict[int, bytes] = {}
    first = 0
    while True:
        (reply,) = await client.transact(unit, [identification(level, first)], Urgency.SLOW)
        if isinstance(reply, DeviceException) and level > BASIC and reply.unreadable and not found:
            level = BASIC
            continue
        if not isinstance(reply, bytes):
            return reply
        try:
            part = parse_identification(reply)
        except BadReply as error:
            return error
        found |= part.objects
        if part.next_object is None:
            return {OBJECTS.get(n, f"0x{n:02x}"): _text(data) for n, data in sorted(found.items())}
        if part.next_object <= first:
            return BadReply(f"device identification goes round in circles at object {first}")
        first = part.next_object


def _text(data: bytes) -> str:
    return data.rstrip(b"\0 ").decode("utf-8", "replace")


def _measure(reply: bytes) -> int:
    if len(reply) < 7:
        return 0
    end = 7
    for _ in range(reply[6]):
        if end + 2 > MAX_PDU:
            return -1
        if len(reply) < end + 2:
            return 0
        end += 2 + reply[end + 1]
    return end if end <= MAX_PDU else -1
