"""Damaged replies through the whole client: each request ends, with data of its size or a Modbus error."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pytest

from bessai.drivers.modbus import (
    Manners,
    ModbusClient,
    ModbusError,
    Request,
    identification,
    mask_write,
    mbap,
    read,
    read_write,
    rtu,
    write,
)
from bessai.model import Endpoint
from support.memory_transport import in_memory
from support.virtual_time import VirtualLoop

Transport = Literal["tcp", "rtu+tcp"]

UNIT = 7
TIMEOUT = 0.5
GROWTH = 5e6
"""Bytes by which the process may grow at most."""


def some_request(rng: random.Random) -> Request:
    kind = rng.randrange(9)
    address, count = rng.randrange(65000), rng.choice([1, 2, 10, 125])
    words = rng.randbytes(2 * min(count, 120))
    if kind < 4:
        table = ("holding", "input", "coil", "discrete")[kind]
        return read(table, address, count)
    if kind == 4:
        return write("holding", address, words)
    if kind == 5:
        return write("coil", address, bytes(byte & 1 for byte in words))
    if kind == 6:
        return mask_write(address, 0xFF00, 0x1234)
    if kind == 7:
        return read_write(address, count, address, words)
    return identification()


def fitting_reply(request: Request, rng: random.Random) -> bytes:
    if request.pdu[0] == 43:
        name = rng.randbytes(rng.randrange(40))
        return request.reply_head + bytes((0x81, 0, 0, 1, 0, len(name))) + name
    if request.reads:
        return request.reply_head + rng.randbytes(request.reply_length - len(request.reply_head))
    return request.reply_head


class Liar:
    """Answers every request, and then damages the answer."""

    def __init__(self, transport: Transport, seed: int) -> None:
        self.rng = random.Random(seed)
        self.serial = transport != "tcp"
        self.honest = False
        self.told = 0
        self._late = b""
        self.expected: list[bytes] = []
        """PDUs of the honest replies, in order."""
        self.requests: dict[bytes, Request] = {}
        """Requests by PDU."""

    def frame(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        return rtu.frame(unit, pdu) if self.serial else mbap.frame(transaction, unit, pdu)

    def __call__(self, sent: bytes) -> Iterable[bytes]:
        while sent:
            if self.serial:
                transaction, unit, pdu, sent = 0, sent[0], sent[1:-2], b""
            else:
                transaction, _, length, unit = struct.unpack(">HHHB", sent[:7])
                pdu, sent = sent[7 : 6 + length], sent[6 + length :]
            reply = fitting_reply(self.requests[pdu], self.rng)
            if self.honest:
                self.expected.append(reply)
                yield self.frame(transaction, unit, reply)
                continue
            self.told += 1
            yield from self.lie(transaction, unit, pdu, reply)

    def lie(self, transaction: int, unit: int, pdu: bytes, reply: bytes) -> Iterable[bytes]:
        rng, whole = self.rng, self.frame(transaction, unit, reply)
        kind = rng.randrange(14)
        data = bytearray(whole)
        if kind == 0:  # bits flip
            for _ in range(rng.choice([1, 1, 2, 8])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == 1:  # cut short
            del data[rng.randrange(len(data)) :]
        elif kind == 2:  # bytes are lost
            start = rng.randrange(len(data))
            del data[start : start + rng.randint(1, 4)]
        elif kind == 3:  # noise between the bytes
            start = rng.randrange(len(data))
            data[start:start] = rng.randbytes(rng.randint(1, 20))
        elif kind == 4:  # noise alone
            data = bytearray(rng.randbytes(rng.randrange(300)))
        elif kind == 5:  # a reply of the wrong length, well framed
            data = bytearray(self.frame(transaction, unit, reply[: rng.randrange(1, len(reply) + 1)]))
        elif kind == 6:  # an exception, also of codes that nobody defined
            data = bytearray(self.frame(transaction, unit, bytes((pdu[0] | 0x80, rng.randrange(256)))))
        elif kind == 7:  # another transaction, another unit
            data = bytearray(self.frame(transaction ^ rng.choice([0, 1]), unit ^ rng.choice([0, 1]), reply))
        elif kind == 8:  # another function
            data = bytearray(self.frame(transaction, unit, bytes((rng.randrange(256),)) + reply[1:]))
        elif kind == 9:  # twice
            data *= 2
        elif kind == 10:  # an echo before it
            data = bytearray(self.frame(transaction, unit, pdu)) + data
        elif kind == 11:  # late: silence now, and the reply in front of the next one
            self._late, data = bytes(data), bytearray()
        elif kind == 12:  # what was late
            data = bytearray(self._late) + data
        else:  # a header that lies about its length
            place = 2 if self.serial else 4
            data[place : place + 2] = rng.randbytes(2)
        stop = rng.random() < 0.3
        while data:
            size = rng.randint(1, len(data)) if stop else len(data)
            yield bytes(data[:size])
            del data[:size]


async def fuzz(transport: Transport, frames: int, liar: Liar) -> ModbusClient:
    rng = liar.rng
    endpoint = Endpoint(transport=transport, host="memory")
    client = ModbusClient(endpoint, manners=Manners(timeout=TIMEOUT, timeout_min=TIMEOUT / 2, outstanding=4))
    loop = asyncio.get_running_loop()
    resident = 0
    while liar.told < frames:
        if not client.connected:
            await client.connect()
        requests = [some_request(rng) for _ in range(8)]
        liar.requests = {request.pdu: request for request in requests}
        start = loop.time()
        replies = await client.transact(UNIT, requests)
        # a window of four, each a time-out at most, and the rest that a silent unit on a line takes
        assert loop.time() - start <= 8 * (2 * TIMEOUT + 0.5)
        assert len(replies) == len(requests)
        for request, reply in zip(requests, replies, strict=True):
            assert isinstance(reply, bytes | ModbusError)
            if isinstance(reply, bytes) and request.measure is None:
                assert len(reply) == (request.reply_length - 2 if request.reads else 0)
        if not resident and liar.told > frames / 4:
            resident = memory()
    assert memory() - resident < GROWTH
    liar.honest = True
    if liar.serial and client.connected:
        await asyncio.sleep(1)  # a line comes to rest by itself
    else:
        await client.connect()
    requests = [some_request(rng) for _ in range(50)]
    liar.requests |= {request.pdu: request for request in requests}
    for request in requests:  # and now everything works
        liar.expected.clear()
        (reply,) = await client.transact(UNIT, [request])
        assert reply == (liar.expected[0][2:] if request.reads else b"")
    return client


def memory() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def run(transport: Transport, frames: int, seed: int) -> None:
    liar = Liar(transport, seed)
    with in_memory(liar), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        client = runner.run(fuzz(transport, frames, liar))
    stats = client.stats
    assert liar.told >= frames
    # every kind of trouble was met
    assert (
        min(stats.exceptions, stats.timeouts, stats.strays, stats.replies, stats.bad_replies) > frames / 200
    )
    assert (stats.crc_errors if liar.serial else stats.disconnects) > frames / 200


@pytest.mark.parametrize(("transport", "frames"), [("tcp", 85_000), ("rtu+tcp", 20_000)])
def test_damaged_replies(transport: Transport, frames: int) -> None:
    run(transport, frames, 1)


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["tcp", "rtu+tcp"])
def test_very_many_damaged_replies(transport: Transport) -> None:
    run(transport, 1_000_000, random.SystemRandom().randrange(2**32))
