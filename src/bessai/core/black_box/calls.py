"""Calls of the guard as bytes and back, exact.

A payload is the length of a JSON text (4 bytes, little-endian), the text, and the columns of the images in groups
of one unit and one layout. Of each group's columns the first row stands as it is and each other as the exclusive
or with the one before: what did not change is zero, and packs to nothing.

A call in the JSON text is a list: its kind, its arguments, its result. A result that was an exception is
`{"raised": "…"}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessai.core.memory import to_plain
from bessai.model import Command, Layout, ProcessImage

_LENGTH = struct.Struct("<I")
_SCALARS = frozenset({str, float, int, bool, type(None)})
_text = json.JSONEncoder(separators=(",", ":")).encode  # one for all: making it costs as much as a short text

Noted = tuple[Any, ...]
"""A call as it was noted: its kind, its arguments, its result. What it holds is never changed by anybody."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The result of a call that failed."""

    what: str


@dataclass(slots=True)
class _Group:
    unit: str
    layout: int
    images: list[ProcessImage]


def encode(calls: Sequence[Noted], layout_number: Callable[[Layout], int]) -> bytes:
    """The payload of some calls.

    Args:
        calls: in order.
        layout_number: gives the number by which the file knows a layout.
    """
    groups: dict[tuple[str, int], int] = {}
    held: list[_Group] = []
    texts = []
    for kind, *rest in calls:
        if kind == "decide":
            images, requests, fresh, result = rest
            places = []
            for unit, image in images.items():
                key = unit, layout_number(image.layout)
                place = groups.setdefault(key, len(held))
                if place == len(held):
                    held.append(_Group(*key, []))
                held[place].images.append(image)
                places.append(place)
            plain = [places, to_plain(requests), sorted(fresh), plain_result(result)]
        else:
            plain = [plain_result(item) for item in rest]
        texts.append(_text([kind, *plain]))
    described = [[group.unit, group.layout, len(group.images), len(group.images[0].values)] for group in held]
    text = f'{{"groups":{json.dumps(described)},"calls":[{",".join(texts)}]}}'.encode()
    return b"".join(
        (_LENGTH.pack(len(text)), text, *(part for group in held for part in _columns(group.images)))
    )


def plain_result(result: Any) -> Any:
    """What a call was given or gave back, as plain data."""
    if type(result) in _SCALARS:
        return result
    if isinstance(result, Raised):
        return {"raised": result.what}
    if isinstance(result, Command):
        return {
            "kind": result.kind,
            "setpoint": result.setpoint,
            "writes": [[write.point, write.value] for write in result.writes],
            "feed": result.feed,
        }
    return to_plain(result)


def decode(payload: bytes, layouts: Mapping[int, Layout]) -> list[list[Any]]:
    """The calls of a payload; the images of a decision by unit, everything else plain.

    Raises:
        ValueError: the bytes are not what `encode` gave.
    """
    try:
        (length,) = _LENGTH.unpack_from(payload)
        text = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        at = _LENGTH.size + length
        units, rows = [], []
        for unit, layout, count, width in text["groups"]:
            images, at = _images(payload, at, layouts[layout], count, width)
            units.append(unit)
            rows.append(iter(images))
        calls: list[list[Any]] = text["calls"]
        for call in calls:
            if call[0] == "decide":
                call[1] = {units[place]: next(rows[place]) for place in call[1]}
    except (struct.error, LookupError, TypeError, StopIteration) as error:
        raise ValueError(f"calls are damaged: {error}") from error
    return calls


def _columns(images: Sequence[ProcessImage]) -> list[bytes]:
    def stacked(name: str, kind: str, bits: str) -> bytes:
        rows = np.stack([getattr(image, name) for image in images]).astype(kind).view(bits)
        rows[1:] ^= rows[:-1].copy()
        return rows.tobytes()

    return [
        np.array([image.cycle for image in images], "<i8").tobytes(),
        np.array([image.wall_ns for image in images], "<i8").tobytes(),
        np.array([image.monotonic for image in images], "<f8").tobytes(),
        stacked("values", "<f8", "<u8"),
        stacked("times", "<f8", "<u8"),
        stacked("quality", "u1", "u1"),
    ]


def _images(
    payload: bytes, at: int, layout: Layout, count: int, width: int
) -> tuple[list[ProcessImage], int]:
    def column(kind: str) -> NDArray[Any]:
        nonlocal at
        found = np.frombuffer(payload, kind, count, at)
        at += found.nbytes
        return found

    def stacked(bits: str, kind: str, native: type) -> NDArray[Any]:
        nonlocal at
        rows = np.frombuffer(payload, bits, count * width, at).reshape(count, width)
        at += rows.nbytes
        return np.bitwise_xor.accumulate(rows, axis=0).view(kind).astype(native)

    cycles, walls, moments = column("<i8"), column("<i8"), column("<f8")
    values, times = stacked("<u8", "<f8", np.float64), stacked("<u8", "<f8", np.float64)
    quality = stacked("u1", "u1", np.uint8)
    images = [
        ProcessImage(
            layout=layout,
            cycle=int(cycles[i]),
            monotonic=float(moments[i]),
            wall_ns=int(walls[i]),
            values=values[i],
            quality=quality[i],
            times=times[i],
        )
        for i in range(count)
    ]
    return images, at
