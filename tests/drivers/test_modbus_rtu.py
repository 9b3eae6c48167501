"""The serial frame and its reader, without I/O."""

from __future__ import annotations

import os
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.drivers.modbus import BadReply, Request, identification, mask_write, read, read_write, write
from bessai.drivers.modbus.mbap import FrameReader
from bessai.drivers.modbus.mbap import frame as tcp_frame
from bessai.drivers.modbus.rtu import MAX_FRAME, RtuReader, crc, frame

UNIT = 17
REQUEST = read("holding", 0x006B, 3)
REPLY = bytes.fromhex("03 06 022b 0000 0064")
IDENTITY = b"\x2b\x0e\x02\x02\x00\x00\x02\x00\x04ACME\x01\x03BX1"

CASES: list[tuple[Request, bytes]] = [
    (REQUEST, REPLY),
    (REQUEST, b"\x83\x02"),
    (read("coil", 0, 9), b"\x01\x02\xff\x01"),
    (read("input", 0, 125), b"\x04\xfa" + bytes(range(250))),
    (write("holding", 1, b"\0\7"), b"\x06\0\1\0\7"),
    (write("holding", 1, b"\0\7\0\x08"), b"\x10\0\1\0\2"),
    (write("coil", 4, b"\1"), b"\x05\0\4\xff\0"),
    (write("coil", 4, b"\1\0\1"), b"\x0f\0\4\0\3"),
    (mask_write(4, 0xF2, 0x25), b"\x16\0\4\0\xf2\0\x25"),
    (read_write(3, 2, 14, b"\0\1"), b"\x17\4\0\1\0\2"),
    (identification(), IDENTITY),
    (identification(), b"\xab\x01"),
]


def reader(request: Request = REQUEST, echoes: bool | None = None) -> RtuReader:
    found = RtuReader()
    found.echoes = echoes
    found.expect(1, UNIT, request, frame(UNIT, request.pdu))
    return found


def feed(found: RtuReader, stream: bytes, sizes: list[int]) -> list[tuple[int, int, bytes]]:
    frames = []
    i = 0
    while stream:
        size = sizes[i % len(sizes)]
        i += 1
        frames += found.feed(stream[:size])
        stream = stream[size:]
    return frames


def test_the_crc_is_that_of_the_specification() -> None:
    assert crc(b"123456789") == 0x4B37  # the check value of CRC-16/MODBUS
    assert frame(2, b"\x07") == bytes.fromhex("02 07 41 12")  # example of the serial line guide, appendix B
    assert crc(frame(UNIT, REPLY)) == 0
    assert crc(frame(UNIT, REPLY + b"\0")) == 0


@pytest.mark.parametrize(("request_", "reply"), CASES)
@pytest.mark.parametrize("size", [1, 2, 7, 300])
@pytest.mark.parametrize("echoes", [None, True, False])
def test_every_function_in_any_pieces(
    request_: Request, reply: bytes, size: int, echoes: bool | None
) -> None:
    stream = frame(UNIT, reply)
    if echoes:
        stream = frame(UNIT, request_.pdu) + stream
    assert feed(reader(request_, echoes), stream, [size]) == [(1, UNIT, reply)]


@given(st.sampled_from(CASES), st.lists(st.integers(1, 40), min_size=1, max_size=9), st.binary(max_size=60))
def test_garbage_before_a_reply_does_not_hide_it(
    case: tuple[Request, bytes], sizes: list[int], garbage: bytes
) -> None:
    request, reply = case
    frames = feed(reader(request), garbage + frame(UNIT, reply) + garbage, sizes)
    assert (1, UNIT, reply) in frames


@pytest.mark.parametrize("head", ["11", "1103", "110306", "11030602", "1103fa", "1183", "0103fa00"])
def test_the_beginning_of_a_reply_that_never_ends_does_not_hide_one(head: str) -> None:
    assert (1, UNIT, REPLY) in reader().feed(bytes.fromhex(head) + frame(UNIT, REPLY))


@given(st.integers(0, 10), st.integers(1, 255))
def test_a_damaged_reply_is_none_and_a_good_one_behind_it_is_found(place: int, flip: int) -> None:
    damaged = bytearray(frame(UNIT, REPLY))
    damaged[place] ^= flip
    found = reader()
    assert (1, UNIT, REPLY) not in found.feed(bytes(damaged))
    assert (1, UNIT, REPLY) in found.feed(frame(UNIT, REPLY))
    assert found.crc_errors == (1 if place > 2 else 0)


def test_another_units_late_reply_is_a_stray() -> None:
    late = b"\x03\x06\xde\xad\xbe\xef\xde\xad"
    assert reader().feed(frame(UNIT + 1, late) + frame(UNIT, REPLY)) == [
        (0, UNIT + 1, late),
        (1, UNIT, REPLY),
    ]


def test_bytes_that_nobody_waits_for_are_drained() -> None:
    found = reader()
    found.forget()
    assert found.feed(frame(UNIT, REPLY)) == [(0, UNIT, REPLY)]
    found.feed(frame(UNIT, REPLY)[:-3])
    found.expect(2, UNIT, REQUEST, frame(UNIT, REQUEST.pdu))
    assert found.feed(frame(UNIT, REPLY)[-3:]) == []
    assert found.feed(frame(UNIT, REPLY)) == [(2, UNIT, REPLY)]


def test_a_short_reply_is_a_bad_one_at_once() -> None:
    (found,) = reader().feed(frame(UNIT, b"\x03\x02\x02\x2b"))
    assert isinstance(REQUEST.parse(found[2]), BadReply)


def test_an_echo_is_passed_over_and_learned() -> None:
    found = reader()
    assert found.feed(frame(UNIT, REQUEST.pdu) + frame(UNIT, REPLY)) == [(1, UNIT, REPLY)]
    assert found.echoes is True
    once = write("holding", 1, b"\0\7")
    sent = frame(UNIT, once.pdu)
    found.expect(2, UNIT, once, sent)
    assert found.feed(sent) == []  # the echo is no proof that the device wrote
    assert found.feed(sent) == [(2, UNIT, once.pdu)]
    found.expect(3, UNIT, once, sent)
    assert found.feed(sent + frame(UNIT, b"\x86\x03")) == [(3, UNIT, b"\x86\x03")]


def test_a_line_that_stops_echoing_is_learned_too() -> None:
    found = reader(echoes=True)
    found.feed(frame(UNIT, REPLY))
    assert found.echoes is False


def test_an_echoed_write_of_several_registers_is_not_its_reply() -> None:
    request = write("holding", 1, bytes(20))
    found = reader(request)
    assert found.feed(frame(UNIT, request.pdu)) == []
    assert found.feed(frame(UNIT, request.pdu[:5])) == [(1, UNIT, request.pdu[:5])]
    assert found.crc_errors == 0
    assert found.echoes is True


def test_a_register_that_looks_like_a_stray_does_not_cost_the_reply() -> None:
    inner = frame(9, b"\x83\x02")  # a whole exception of unit 9, as the value of registers
    reply = b"\x03\x06" + inner + b"\0"
    assert feed(reader(), frame(UNIT, reply), [1]) == [(1, UNIT, reply)]


def _mutated(rng: random.Random) -> tuple[Request, bytes, bytes]:
    """A reply with what real lines and mad devices do to it."""
    request, reply = CASES[rng.randrange(len(CASES))]
    pdu = bytearray(reply)
    for _ in range(rng.choice((0, 0, 1, 3))):
        pdu[rng.randrange(len(pdu))] = rng.randrange(256)
    if rng.random() < 0.2:
        del pdu[rng.randrange(1, len(pdu) + 1) :]
    if rng.random() < 0.1:
        pdu += rng.randbytes(rng.randrange(300))
    noise = rng.randbytes(rng.choice((0, 0, 0, 5, 60)))
    return request, bytes(pdu), noise


def _fuzz(count: int, seed: int) -> int:
    """Frames that came through; whatever is fed, nothing but `BadReply` and no growing buffer."""
    rng = random.Random(seed)
    serial, tcp, through = RtuReader(), FrameReader(), 0
    for i in range(count):
        request, pdu, noise = _mutated(rng)
        unit = rng.choice((UNIT, UNIT, UNIT + 1))
        sent = frame(UNIT, request.pdu)
        serial.expect(i + 1, UNIT, request, sent)
        good = frame(unit, pdu[:250])
        if rng.random() < 0.2:
            good = good[: rng.randrange(len(good))] + rng.randbytes(1) + good[rng.randrange(len(good)) :]
        stream = noise + rng.choice((b"", b"", sent)) + good + noise[:3]
        cut = rng.randrange(len(stream) + 1)
        for piece in (stream[:cut], stream[cut:]):
            for key, _, found in serial.feed(piece):
                assert key in {0, i + 1}
                assert isinstance(request.parse(found), bytes | Exception)
                through += 1
        assert serial.pending <= 2 * MAX_FRAME
        head = struct.pack(">HHHB", i & 0xFFFF, rng.choice((0, 0, 0, 0, 7)), rng.randrange(300), unit)
        stream = rng.choice((tcp_frame(i & 0xFFFF, unit, pdu[:253]), head + pdu, noise))
        try:
            for _, _, found in tcp.feed(stream):
                assert isinstance(request.parse(found), bytes | Exception)
                through += 1
        except BadReply:
            tcp = FrameReader()
        assert len(tcp._buffer) <= 260
    return through


def test_a_hundred_thousand_mutated_frames() -> None:
    assert _fuzz(50_000, seed=1) > 20_000  # each round feeds both readers


@pytest.mark.soak
def test_a_million_mutated_frames() -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    print(f"SEED={seed}")
    assert _fuzz(1_000_000, seed) > 400_000
