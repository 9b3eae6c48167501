"""ASDUs to bytes and back.

data = encode(Asdu(type=TypeId.C_IC_NA_1, cause=Cause.ACTIVATION, address=1, objects=(InfoObject(value=STATION),)))
asdu = decode(data)                       # AsduError when it is none; its `header` serves a negative answer
for data, count in pack(TypeId.M_ME_TF_1, Cause.SPONTANEOUS, 1, objects):   # as few ASDUs as fit, in order
    ...
"""

from __future__ import annotations

from collections.abc import Sequence

from bessai.iec104.asdu import MAX_SIZE, SIZES, Asdu, Header, InfoObject, Sizes
from bessai.iec104.errors import AsduError, Reason
from bessai.iec104.layouts import LAYOUTS, Layout
from bessai.iec104.time_tag import SIZE as TIME_SIZE
from bessai.iec104.time_tag import decode_time, encode_time
from bessai.iec104.types import TypeId

_MAX_COUNT = 127
_SEQUENCE = 0x80
_TEST = 0x80
_NEGATIVE = 0x40
_CAUSE = 0x3F


def encode(asdu: Asdu, sizes: Sizes = SIZES) -> bytes:
    """The bytes of an ASDU.

    Raises:
        AsduError: something does not fit its field, or the whole is too long.
    """
    layout, objects = LAYOUTS[asdu.type], asdu.objects
    if not 1 <= len(objects) <= (_MAX_COUNT if layout.many else 1) or (asdu.sequence and not layout.many):
        raise AsduError(
            Reason.FORM, f"Type {asdu.type.name} does not allow {len(objects)} objects like these."
        )
    head = _head(asdu.type, asdu.cause, asdu.address, asdu.originator, asdu.test, asdu.negative, sizes)
    if asdu.sequence:
        first = objects[0].address
        if [item.address for item in objects] != list(range(first, first + len(objects))):
            raise AsduError(Reason.FORM, "The addresses of a sequence must follow each other.")
    parts = [_content(item, layout) for item in objects]
    data = _joined(head, objects, parts, asdu.sequence, sizes)
    if len(data) > MAX_SIZE:
        raise AsduError(Reason.LENGTH, f"The ASDU has {len(data)} bytes, more than {MAX_SIZE}.")
    return data


def read_header(data: bytes, sizes: Sizes = SIZES) -> Header:
    """What stands before the objects.

    Raises:
        AsduError: it is shorter than that.
    """
    if len(data) < sizes.header:
        raise AsduError(Reason.SHORT, f"The ASDU has {len(data)} bytes, less than a header.")
    count, cause = data[1], data[2]
    start = 2 + sizes.cause
    return Header(
        type=data[0],
        count=count & _MAX_COUNT,
        sequence=count >= _SEQUENCE,
        cause=cause & _CAUSE,
        negative=bool(cause & _NEGATIVE),
        test=bool(cause & _TEST),
        originator=data[3] if sizes.cause > 1 else 0,
        address=int.from_bytes(data[start : start + sizes.address], "little"),
    )


def decode(data: bytes, sizes: Sizes = SIZES) -> Asdu:
    """The ASDU of these bytes, all of them.

    Raises:
        AsduError: it is none; with its `header` unless it is shorter than that.
    """
    header = read_header(data, sizes)
    layout = LAYOUTS.get(header.type)
    if layout is None:
        raise AsduError(Reason.TYPE, f"Type {header.type} is not supported.", header)
    if header.count == 0 or (not layout.many and (header.count > 1 or header.sequence)):
        form = "in a sequence" if header.sequence else "one by one"
        message = f"Type {layout.type.name} does not allow {header.count} objects {form}."
        raise AsduError(Reason.FORM, message, header)
    each = layout.size + TIME_SIZE * layout.timed
    if header.sequence:
        size = sizes.header + sizes.object + header.count * each
    else:
        size = sizes.header + header.count * (sizes.object + each)
    if len(data) != size or size > MAX_SIZE:
        message = f"{header.count} objects of type {layout.type.name} in {len(data)} bytes, not {size}."
        raise AsduError(Reason.LENGTH, message, header)
    return Asdu(
        type=layout.type,
        cause=header.cause,
        address=header.address,
        objects=_objects(data, header, layout, sizes),
        negative=header.negative,
        test=header.test,
        originator=header.originator,
        sequence=header.sequence,
    )


def mirrored(data: bytes, cause: int, sizes: Sizes = SIZES, *, negative: bool = True) -> bytes:
    """The same bytes with another cause: the answer to an ASDU that is not understood (causes 44 to 47).

    Raises:
        AsduError: it is shorter than a header.
    """
    read_header(data, sizes)
    return data[:2] + bytes((cause | _NEGATIVE * negative | data[2] & _TEST,)) + data[3:]


def pack(
    type_id: TypeId,
    cause: int,
    address: int,
    objects: Sequence[InfoObject],
    *,
    originator: int = 0,
    test: bool = False,
    sizes: Sizes = SIZES,
) -> list[tuple[bytes, int]]:
    """Many objects in as few ASDUs as fit, in their order: the bytes of each, and how many objects it carries.

    Consecutive addresses are sent as a sequence (SQ = 1) where it reaches further; types with time allow none.

    Raises:
        AsduError: something does not fit its field.
    """
    layout = LAYOUTS[type_id]
    each = layout.size + TIME_SIZE * layout.timed
    space = MAX_SIZE - sizes.header
    most = min(space // (sizes.object + each), _MAX_COUNT) if layout.many else 1
    most_sequence = min((space - sizes.object) // each, _MAX_COUNT) if layout.many and not layout.timed else 0
    runs = _runs(objects) if most_sequence else []
    parts = [_content(item, layout) for item in objects]
    head = _head(type_id, cause, address, originator, test, False, sizes)
    packed = []
    start = 0
    while start < len(objects):
        single = min(most, len(objects) - start)
        run = min(runs[start], most_sequence) if runs else 0
        sequence = run > single or run == single > 1
        count = run if sequence else single
        end = start + count
        packed.append((_joined(head, objects[start:end], parts[start:end], sequence, sizes), count))
        start = end
    return packed


def _runs(objects: Sequence[InfoObject]) -> list[int]:
    """For every object, how many follow each other by address from it on, itself included."""
    runs = [1] * len(objects)
    for index in range(len(objects) - 2, -1, -1):
        if objects[index + 1].address == objects[index].address + 1:
            runs[index] = runs[index + 1] + 1
    return runs


def _content(item: InfoObject, layout: Layout) -> bytes:
    """Element and time of an object."""
    if layout.timed:
        return layout.encode(item) + encode_time(item.time, item.time_marks)
    return layout.encode(item)


def _objects(data: bytes, header: Header, layout: Layout, sizes: Sizes) -> tuple[InfoObject, ...]:
    start, size, read = sizes.header, sizes.object, layout.decode
    address = int.from_bytes(data[start : start + size], "little")
    if header.sequence:
        start += size
        if address + header.count > 1 << 8 * size:
            raise AsduError(
                Reason.FORM, f"A sequence from address {address} leaves the address space.", header
            )
    objects = []
    for _ in range(header.count):
        if not header.sequence:
            address = int.from_bytes(data[start : start + size], "little")
            start += size
        value, quality, qualifier, select = read(data, start)
        start += layout.size
        time, marks = None, 0
        if layout.timed:
            time, marks = decode_time(data, start)
            start += TIME_SIZE
        objects.append(
            InfoObject(
                address=address,
                value=value,
                quality=quality,
                time=time,
                time_marks=marks,
                qualifier=qualifier,
                select=select,
            )
        )
        address += 1
    return tuple(objects)


def _head(
    type_id: int, cause: int, address: int, originator: int, test: bool, negative: bool, sizes: Sizes
) -> bytes:
    """Everything before the objects; the second byte, number and SQ, is still zero."""
    if not 0 <= cause <= _CAUSE:
        raise AsduError(Reason.VALUE, f"The cause of transmission is {cause}, not 0 to {_CAUSE}.")
    head = bytes((type_id, 0, cause | _NEGATIVE * negative | _TEST * test))
    if sizes.cause > 1:
        head += _field(originator, 1, "originator address")
    elif originator:
        raise AsduError(Reason.VALUE, "A cause of transmission of one byte has no originator address.")
    return head + _field(address, sizes.address, "common address")


def _joined(
    head: bytes, objects: Sequence[InfoObject], parts: Sequence[bytes], sequence: bool, sizes: Sizes
) -> bytes:
    count = bytes((len(objects) | _SEQUENCE * sequence,))
    if sequence:
        first = _field(objects[0].address, sizes.object, "object address")
        _field(objects[-1].address, sizes.object, "last object address")
        return head[:1] + count + head[2:] + first + b"".join(parts)
    size = sizes.object
    pieces = [head[:1], count, head[2:]]
    for item, part in zip(objects, parts, strict=True):
        pieces += (_field(item.address, size, "object address"), part)
    return b"".join(pieces)


def _field(value: int, size: int, name: str) -> bytes:
    try:
        return value.to_bytes(size, "little")
    except OverflowError:
        message = f"The {name} is {value}, not 0 to {(1 << 8 * size) - 1}."
        raise AsduError(Reason.VALUE, message) from None
