"""The frame of Modbus RTU, without I/O: CRC, requests, and the reply in a noisy stream.

A serial frame has neither a length nor a transaction: only the request in flight tells what its reply looks like.
The reader therefore looks for exactly that reply at every place of the stream; a candidate counts only with a
good CRC, so garbage before, between and behind replies costs nothing but itself.
"""

from __future__ import annotations

import functools
import struct

from bessai.drivers.modbus.pdu import MAX_PDU, Request

MAX_FRAME = MAX_PDU + 3
_KEEP = 2 * MAX_FRAME
"""Bytes that can still be part of a frame; older ones are dropped."""

QUIET = 0.05
"""Seconds a line without transactions must be quiet after a time-out, before anyone is spoken to."""

GRACE = 0.25
"""Seconds beyond its longest time-out in which a unit's late reply is still reckoned with."""

_TURNAROUND = 16
"""Bytes of noise that may come before an echo, while the line is turned around."""

_WRITES = frozenset({5, 6, 15, 16})
_COUNTED = frozenset({1, 2, 3, 4, 12, 17, 20, 21, 23})


@functools.cache
def _table() -> tuple[int, ...]:
    """Two bytes at a time: the CRC of each 16 bit state (polynomial 0xA001, reflected)."""
    single = []
    for byte in range(256):
        state = byte
        for _ in range(8):
            state = state >> 1 ^ (0xA001 if state & 1 else 0)
        single.append(state)
    half = [single[state & 0xFF] ^ state >> 8 for state in range(65536)]
    return tuple(single[state & 0xFF] ^ state >> 8 for state in half)


def crc(data: bytes) -> int:
    """CRC-16 of Modbus. Over a whole frame, its own CRC included, it is 0."""
    table = _table()
    state = 0xFFFF
    pairs = len(data) // 2
    for word in struct.unpack_from(f"<{pairs}H", data):
        state = table[state ^ word]
    if len(data) % 2:
        state ^= data[-1]
        for _ in range(8):
            state = state >> 1 ^ (0xA001 if state & 1 else 0)
    return state


def frame(unit: int, pdu: bytes) -> bytes:
    """One frame, ready to send."""
    body = bytes((unit,)) + pdu
    return body + crc(body).to_bytes(2, "little")


class RtuReader:
    """Finds the reply to the request in flight, and what belongs to nobody.

    `crc_errors` counts what looked like the reply but was damaged; `echoes` is True once the line was seen to
    give our own frames back, as many RS485 adapters do, False once it was seen not to, and None before. Reads teach
    it; until one was answered, the echo of a write whose reply is its copy (5, 6, 22) is taken for that reply.
    """

    __slots__ = (
        "_buffer",
        "_counted",
        "_echoed",
        "_first",
        "_frame",
        "_key",
        "_request",
        "_unit",
        "crc_errors",
        "echoes",
    )

    def __init__(self) -> None:
        self.crc_errors = 0
        self.echoes: bool | None = None
        self._buffer = b""
        self._counted = 0
        self._echoed = False
        self._first = b""
        self._frame = b""
        self._key = 0
        self._unit = 0
        self._request: Request | None = None

    @property
    def pending(self) -> int:
        """Bytes kept, of which nothing is known yet."""
        return len(self._buffer)

    def expect(self, key: int, unit: int, request: Request, sent: bytes) -> None:
        """`sent` goes out now; its reply will be reported under `key`. What came before is drained."""
        self._key, self._unit, self._request, self._frame = key, unit, request, sent
        self._buffer = self._first = b""
        self._echoed = False
        self._counted = 0

    def forget(self) -> None:
        """Nobody waits any more: whatever comes is a stray."""
        self._request = None
        self._buffer = b""
        self._counted = 0

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Frames (key, unit, PDU) that `data` finishes; key 0 is a stray: late, or another unit's."""
        if self._request is not None and not self._echoed:
            data = self._look_for_echo(data)
        buffer = self._buffer + data if self._buffer else data
        found: list[tuple[int, int, bytes]] = []
        place = 0
        first_open = -1  # where the oldest bytes are that may yet become a frame
        own_open = False
        while 0 <= place <= len(buffer) - 2:
            size = self._candidate(buffer, place)
            if size < 0 or place + size > len(buffer):
                first_open = place if first_open < 0 else first_open
                own_open = own_open or self._plausible(buffer, place)
            elif size and not crc(buffer[place : place + size]):
                found.append(self._take(buffer, place, size))
                buffer = buffer[place + size :]
                place, first_open, own_open, self._counted = 0, -1, False, 0
                continue
            elif size > 5 and place >= self._counted and self._damaged(buffer, place, size):
                self.crc_errors += 1
                self._counted = place + 1
            # inside what looks like the reply, bytes by chance look like strays; only the reply itself may be there
            place = self._find_own(buffer, place + 1) if own_open else place + 1
        if first_open < 0:
            first_open = min(place, len(buffer))
        first_open = max(first_open, len(buffer) - _KEEP)
        self._counted = max(0, self._counted - first_open)
        self._buffer = buffer[first_open:]
        return found

    def _take(self, buffer: bytes, place: int, size: int) -> tuple[int, int, bytes]:
        """A frame with a good CRC: the reply, or a stray."""
        unit, pdu = buffer[place], buffer[place + 1 : place + size - 2]
        request = self._request
        if request is None:
            if buffer.startswith(self._frame, place) and size == len(self._frame):
                self.echoes = True  # the first copy was taken for the reply
        elif unit == self._unit and pdu[0] & 0x7F == request.pdu[0]:
            if request.pdu != request.reply_head:
                self.echoes = self._echoed
            self._request = None
            return self._key, unit, pdu
        return 0, unit, pdu

    def _candidate(self, buffer: bytes, place: int) -> int:
        """Bytes of the frame that may begin at `place`: 0 none can, −1 more bytes are needed to tell."""
        code = buffer[place + 1]
        request = self._request
        if request is not None and buffer[place] == self._unit and code == request.pdu[0]:
            if request.measure is not None:
                head = buffer[place + 1 : place + 1 + len(request.reply_head)]
                if not request.reply_head.startswith(head):
                    return 0
                size = request.measure(buffer[place + 1 : place + 1 + MAX_PDU])
                return size + 3 if size > 0 else -1 if size == 0 else 0
            if request.reads and code in _COUNTED:
                if len(buffer) < place + 3:
                    return -1
                return 5 + buffer[place + 2] if buffer[place + 2] <= MAX_PDU - 2 else 0
            return request.reply_length + 3
        if code & 0x80:
            return 5
        if code in _WRITES:
            return 8
        if code == 22:
            return 10
        if code in _COUNTED:
            if len(buffer) < place + 3:
                return -1
            return 5 + buffer[place + 2] if buffer[place + 2] <= MAX_PDU - 2 else 0
        return 0

    def _plausible(self, buffer: bytes, place: int) -> bool:
        """What begins here may be the reply, as far as there are bytes to tell."""
        request = self._request
        if request is None or buffer[place] != self._unit:
            return False
        head = buffer[place + 1 : place + 1 + len(request.reply_head)]
        return request.reply_head.startswith(head) or head[0] == request.pdu[0] | 0x80

    def _damaged(self, buffer: bytes, place: int, size: int) -> bool:
        """What is here is the reply but for its CRC, and no echo."""
        return self._plausible(buffer, place) and not self._frame.startswith(buffer[place : place + size - 2])

    def _find_own(self, buffer: bytes, place: int) -> int:
        """The next place where a reply of the awaited unit and function may begin; −1 when there is none."""
        if self._request is None:
            return -1
        code = self._request.pdu[0]
        places = [buffer.find(bytes((self._unit, c)), place) for c in (code, code | 0x80)]
        return min((p for p in places if p >= 0), default=-1)

    def _look_for_echo(self, data: bytes) -> bytes:
        """What of `data` may hold the reply.

        A reply that looks just like its request counts only behind the echo, on a line that echoes.
        """
        request = self._request
        hidden = self.echoes and request is not None and request.pdu == request.reply_head
        known = len(self._first)
        if not hidden and known >= len(self._frame) + _TURNAROUND:
            return data
        first = self._first = (self._first + data)[-_KEEP:]
        place = first.find(self._frame)
        if place >= 0:
            self._echoed = True
            return first[place + len(self._frame) :] if hidden else data
        if not hidden:
            return data
        refused = first.find(bytes((self._unit, self._frame[1] | 0x80)))
        if refused >= 0 and len(first) >= refused + 5 and crc(first[refused : refused + 5]) == 0:
            self._echoed = True  # a refusal is one, even when noise has eaten the echo
            return first[refused:]
        return b""
