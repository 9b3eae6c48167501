"""Requests, replies and frames, without I/O."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.drivers.modbus import BadReply, DeviceException, read, write
from bessai.drivers.modbus.mbap import FrameReader, frame


def test_read_request_and_its_only_reply() -> None:
    request = read("holding", 0x1234, 2)
    assert request.pdu == bytes.fromhex("03 1234 0002")
    assert request.parse(bytes.fromhex("03 04 0001 0002")) == bytes.fromhex("0001 0002")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("03 02 0001", BadReply),  # one register where two were asked
        ("03 04 0001 00", BadReply),  # cut short
        ("03 06 0001 0002 0003", BadReply),  # too long
        ("04 04 0001 0002", BadReply),  # another function
        ("83", BadReply),
        ("", BadReply),
        ("83 06", DeviceException),
        ("83 02", DeviceException),
    ],
)
def test_any_other_reply_is_refused(reply: str, kind: type[Exception]) -> None:
    assert isinstance(read("holding", 0, 2).parse(bytes.fromhex(reply)), kind)


def test_exceptions_say_what_may_help() -> None:
    assert DeviceException(6).busy
    assert not DeviceException(2).busy
    assert DeviceException(2).unreadable
    assert "illegal data address" in str(DeviceException(2))


def test_writes_choose_their_function() -> None:
    assert write("holding", 5, b"\x00\x01").pdu == bytes.fromhex("06 0005 0001")
    assert write("holding", 5, b"\x00\x01\x00\x02").pdu == bytes.fromhex("10 0005 0002 04 0001 0002")
    assert write("holding", 5, b"\x00\x01", single=False).pdu == bytes.fromhex("10 0005 0001 02 0001")
    assert write("coil", 5, b"\x01").pdu == bytes.fromhex("05 0005 ff00")
    with pytest.raises(ValueError, match="cannot be written"):
        write("input", 5, b"\x00\x01")


def test_bit_reads_count_bytes() -> None:
    assert read("coil", 0, 9).parse(bytes.fromhex("01 02 ff01")) == bytes.fromhex("ff01")


@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=1, max_size=253)), max_size=6
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_frames_survive_any_cutting(frames: list[tuple[int, int, bytes]], sizes: list[int]) -> None:
    stream = b"".join(frame(*item) for item in frames)
    reader = FrameReader()
    found = []
    i = 0
    while stream:
        size = sizes[i % len(sizes)]
        i += 1
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == frames


@given(st.binary(max_size=400))
def test_garbage_is_frames_or_an_error_and_never_anything_else(data: bytes) -> None:
    reader = FrameReader()
    try:
        frames = reader.feed(data)
    except BadReply:
        return
    for _, unit, pdu in frames:
        assert 0 <= unit <= 255
        assert 1 <= len(pdu) <= 253


@pytest.mark.parametrize("head", [(1, 1, 6, 1), (1, 0, 0, 1), (1, 0, 1, 1), (1, 0, 255, 1)])
def test_impossible_headers_end_the_stream(head: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadReply):
        FrameReader().feed(struct.pack(">HHHB", *head) + b"\x03")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            r"48 54 54 50 .* \(a web server or a proxy answers; is this the Modbus",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n", r"53 53 48 2d .* \(an SSH server answers; is this the Modbus port\?\)"),
        (b"hello, who is there?", "68 65 6c 6c 6f 2c 20 77 68 6f 20 69$"),
    ],
)
def test_a_service_of_another_kind_is_named(said: bytes, words: str) -> None:
    with pytest.raises(BadReply, match=words):
        FrameReader().feed(said)
