"""Damaged frames into the link and the decoder: nothing but their own errors comes out, and nothing piles up."""

from __future__ import annotations

import gc
import random
import resource
from math import isfinite
from pathlib import Path

import pytest

from bessai.iec104 import (
    AsduError,
    Cause,
    Failed,
    Link,
    LinkSettings,
    Received,
    decode,
    encode,
    mirrored,
    read_header,
)
from simulation.seeds import base_seed, replay
from support.iec104 import apdu, every_type

STARTDT_ACT = bytes.fromhex("680407000000")
U_FRAMES = [bytes((0x68, 4, code, 0, 0, 0)) for code in (0x07, 0x0B, 0x13, 0x23, 0x43, 0x83)]
GROWTH = 5e6
"""Bytes by which the process may grow at most."""


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some damage."""
    changed = bytearray(data)
    kind = rng.randrange(8)
    if kind == 0:  # bits flip
        for _ in range(rng.choice([1, 1, 2, 8])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:  # cut short
        del changed[rng.randrange(len(changed)) :]
    elif kind == 2:  # bytes are lost
        start = rng.randrange(len(changed))
        del changed[start : start + rng.randint(1, 4)]
    elif kind == 3:  # noise between the bytes
        start = rng.randrange(len(changed))
        changed[start:start] = rng.randbytes(rng.randint(1, 20))
    elif kind == 4:  # noise in place of bytes
        start, size = rng.randrange(len(changed)), rng.randint(1, 8)
        changed[start : start + size] = rng.randbytes(size)
    elif kind == 5:  # noise alone
        changed = bytearray(rng.randbytes(rng.randint(1, 260)))
    elif kind == 6:  # another type, or another number of objects
        changed[rng.randrange(2)] = rng.randrange(256)
    return bytes(changed)  # and sometimes no damage at all


def looked_at(data: bytes) -> str:
    """What the decoder makes of an ASDU: it decodes, and again after it was encoded, or it can be answered."""
    error: AsduError | None = None
    try:
        asdu = decode(data)
    except AsduError as caught:
        error = caught
    if error is None:
        again = decode(encode(asdu))
        # what is no number is sent as zero, or is not equal to itself
        assert again == asdu or not all(isfinite(item.value or 0) for item in asdu.objects)
        return "decoded"
    assert str(error)
    if error.header is None:
        assert len(data) < 6
    else:
        answer = read_header(mirrored(data, Cause.UNKNOWN_TYPE))
        assert (answer.cause, answer.negative, answer.type) == (44, True, error.header.type)
    return error.reason.name


def fuzz(frames: int, seed: int) -> None:
    rng = random.Random(seed)
    corpus = [encode(asdu) for _ in range(8) for asdu in every_type(rng)]
    outcomes = dict.fromkeys(("decoded", "TYPE", "LENGTH", "FORM", "SHORT", "failed", "restarted"), 0)
    resident = 0
    link, number, now = Link(LinkSettings(), now=0), 0, 0.0
    link.receive(STARTDT_ACT, now)
    for count in range(frames):
        data = rng.choice(corpus)
        kind = rng.randrange(10)
        if kind < 6:  # a good frame around a damaged ASDU
            data = damaged(data, rng)[:249]
            frame = apdu(data, number, 0) if data else U_FRAMES[4]
        elif kind < 9:
            frame = damaged(apdu(data, number, 0), rng)
        else:
            frame = rng.choice(U_FRAMES)
        events = link.receive(frame, now)
        for event in events:
            if isinstance(event, Received):
                number = (number + 1) % 32768
                outcomes[looked_at(event.asdu)] += 1
        now += rng.choice([0, 0, 0, 30])
        events += link.poll(now)
        assert len(link.outgoing()) <= len(frame) + 64
        if link.failure is not None:
            assert isinstance(events[-1], Failed)
            assert link.next_deadline() is None
            outcomes["failed"] += 1
        if link.failure is not None or not link.started:
            outcomes["restarted"] += 1
            link, number = Link(LinkSettings(), now=now), 0
            link.receive(STARTDT_ACT, now)
        if count == frames // 4:
            resident = memory()
    assert memory() - resident < GROWTH
    assert min(outcomes.values()) > frames / 500, outcomes  # every kind of trouble was met


def memory() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def run(frames: int) -> None:
    seed = base_seed()
    try:
        fuzz(frames, seed)
    except BaseException as error:
        error.add_note(replay(seed))
        raise


def test_damaged_frames() -> None:
    run(50_000)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_very_many_damaged_frames() -> None:
    run(1_000_000)
