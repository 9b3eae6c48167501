"""Small pictures for the documentation: a browser's PNG with a palette of its most used colours. No library needed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}


def small_png(data: bytes, colours: int = 256) -> bytes:
    """The same picture in so many colours; what is rarer gets the nearest of them. Transparency is dropped.

    Raises:
        ValueError: it is no PNG as a browser makes it (8 bits a channel, not interlaced).
    """
    pixels = _pixels(data)
    height, width, _ = pixels.shape
    packed = pixels[..., 0].astype(np.uint32) << 16 | pixels[..., 1].astype(np.uint32) << 8 | pixels[..., 2]
    found, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    # the most used ones; then of others that look alike the most used one, or rare shades of a scale were lost
    alike = found & 0xF0F0F0
    leads = np.lexsort((-counts, alike))
    leads = leads[np.unique(alike[leads], return_index=True)[1]]
    sums = np.bincount(np.searchsorted(alike[leads], alike), counts)
    most = np.argsort(counts)[::-1][: colours // 4]
    order = leads[np.argsort(sums)[::-1]]
    rest = order[~np.isin(order, most)][: colours - len(most)]
    kept = np.sort(np.concatenate([most, rest]))
    shades = np.stack([found >> 16, found >> 8 & 255, found & 255], 1).astype(np.float32)
    chosen = shades[kept]
    nearest = np.argmin((chosen**2).sum(1) - 2 * shades @ chosen.T, 1).astype(np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)  # filter 0 suits palettes
    rows[:, 1:] = nearest[places.reshape(height, width)]
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", chosen.astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _pixels(data: bytes) -> NDArray[np.uint8]:
    if data[:8] != _SIGNATURE:
        raise ValueError("no PNG")
    at, body = 8, []
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", chunk)
            if depth != 8 or colour not in _CHANNELS or interlaced:
                raise ValueError(f"{depth} bits, colour type {colour}, interlaced {interlaced}")
        elif kind == b"IDAT":
            body.append(chunk)
        at += 12 + size
    step = _CHANNELS[colour]
    rows = np.frombuffer(zlib.decompress(b"".join(body)), np.uint8).reshape(height, 1 + width * step)
    shown = np.zeros((height, width, step), np.uint8)
    above = np.zeros((width, step), np.uint8)
    for y, row in enumerate(rows):
        above = shown[y] = _unfiltered(int(row[0]), row[1:].reshape(width, step), above)
    return shown[..., :3]


def _unfiltered(kind: int, row: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One line of a PNG; each kind says what was subtracted from it."""
    if kind == 0:
        return row
    if kind == 1:
        return np.cumsum(row, 0, dtype=np.uint8)
    if kind == 2:
        return row + above
    line: list[list[int]] = []
    left = corner = [0] * row.shape[1]
    for given, over in zip(row.tolist(), above.tolist(), strict=True):
        if kind == 3:
            left = [(g + (a + b) // 2) & 255 for g, a, b in zip(given, left, over, strict=True)]
        else:
            left = [(g + _paeth(a, b, c)) & 255 for g, a, b, c in zip(given, left, over, corner, strict=True)]
        corner = over
        line.append(left)
    return np.array(line, np.uint8)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))
