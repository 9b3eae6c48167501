"""The link: every rule of the protocol alone, and two ends against each other."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from bessai.iec104 import (
    Acknowledged,
    Failed,
    Link,
    LinkError,
    LinkEvent,
    LinkSettings,
    Received,
    Started,
    Stopped,
)

STARTDT_ACT, STARTDT_CON = bytes.fromhex("680407000000"), bytes.fromhex("68040b000000")
STOPDT_ACT, STOPDT_CON = bytes.fromhex("680413000000"), bytes.fromhex("680423000000")
TESTFR_ACT, TESTFR_CON = bytes.fromhex("680443000000"), bytes.fromhex("680483000000")


def i_frame(send: int, receive: int, asdu: bytes = b"x") -> bytes:
    control = (send << 1).to_bytes(2, "little") + (receive << 1).to_bytes(2, "little")
    return bytes((0x68, 4 + len(asdu))) + control + asdu


def s_frame(receive: int) -> bytes:
    return bytes((0x68, 4, 1, 0)) + (receive << 1).to_bytes(2, "little")


def station(settings: LinkSettings | None = None) -> Link:
    """A controlled station whose master has started it."""
    link = Link(settings or LinkSettings(), now=0)
    assert link.receive(STARTDT_ACT, 0) == [Started()]
    assert link.outgoing() == STARTDT_CON
    return link


def master() -> Link:
    """A controlling station that has started its peer."""
    link = Link(LinkSettings(), now=0, controlling=True)
    link.start(0)
    assert link.outgoing() == STARTDT_ACT
    assert link.receive(STARTDT_CON, 0) == [Started()]
    return link


def failure(events: list[LinkEvent]) -> str:
    """The reason of the failure that these events end with."""
    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, Failed) for event in events[:-1])
    return events[-1].reason


def test_data_goes_only_after_the_start() -> None:
    link = Link(LinkSettings(k=2, w=1, queue=3), now=0)
    assert (link.started, link.window, link.room) == (False, 0, 3)
    assert [link.send(b"asdu", n, 0) for n in range(4)] == [True, True, True, False]
    assert (link.outgoing(), link.room) == (b"", 0)
    assert link.receive(STARTDT_ACT, 1) == [Started()]
    assert link.outgoing() == STARTDT_CON + i_frame(0, 0, b"asdu") + i_frame(1, 0, b"asdu")
    assert (link.started, link.window, link.in_flight, link.room) == (True, 0, 2, 2)
    assert link.receive(s_frame(1), 2) == [Acknowledged((0,))]
    assert link.outgoing() == i_frame(2, 0, b"asdu")
    assert link.receive(s_frame(3), 2) == [Acknowledged((1, 2))]
    assert (link.outgoing(), link.window, link.room, link.in_flight) == (b"", 2, 5, 0)


def test_a_second_start_is_confirmed_and_says_nothing_new() -> None:
    link = station()
    assert link.receive(STARTDT_ACT, 0) == []
    assert link.outgoing() == STARTDT_CON


def test_a_received_frame_acknowledges_what_was_sent() -> None:
    link = station()
    for token in "abc":
        link.send(b"x", token, 0)
    link.outgoing()
    assert link.receive(i_frame(0, 2, b"y"), 0) == [Acknowledged(("a", "b")), Received(b"y")]
    assert link.receive(s_frame(2), 0) == []  # again: nothing new
    link.send(b"z", "d", 0)
    assert link.outgoing() == i_frame(3, 1, b"z")  # and the answer acknowledges what came
    assert link.receive(s_frame(4), 0) == [Acknowledged(("c", "d"))]


def test_w_frames_are_acknowledged_at_once() -> None:
    link = station(LinkSettings(w=3))
    link.receive(i_frame(0, 0) + i_frame(1, 0), 0)
    assert link.outgoing() == b""
    link.receive(i_frame(2, 0), 0)
    assert link.outgoing() == s_frame(3)
    link.receive(i_frame(3, 0) + i_frame(4, 0), 0)
    assert link.outgoing() == b""


def test_fewer_are_acknowledged_after_t2() -> None:
    link = station()
    link.receive(i_frame(0, 0), 3)
    link.receive(i_frame(1, 0), 9)
    assert link.next_deadline() == 13
    assert (link.poll(12.9), link.outgoing()) == ([], b"")
    assert (link.poll(13), link.outgoing()) == ([], s_frame(2))
    assert link.next_deadline() == 29  # t3 after the last frame


def test_silence_is_tested_after_t3_and_ends_after_t1() -> None:
    link = Link(LinkSettings(), now=100)  # also before data transfer has started
    assert link.next_deadline() == 120
    assert (link.poll(119.9), link.outgoing()) == ([], b"")
    assert (link.poll(120), link.outgoing()) == ([], TESTFR_ACT)
    assert (link.poll(121), link.outgoing()) == ([], b"")
    assert link.next_deadline() == 135
    assert link.receive(TESTFR_CON, 122) == []
    assert link.next_deadline() == 142
    link.poll(142)
    assert link.next_deadline() == 157
    assert link.poll(156.9) == []
    assert failure(link.poll(157)) == "No TESTFR con in 15 s (t1)."
    assert link.failure == "No TESTFR con in 15 s (t1)."
    assert link.next_deadline() is None


def test_other_frames_do_not_stand_for_the_confirmation_of_a_test() -> None:
    link = station()
    link.poll(20)
    link.outgoing()
    link.receive(i_frame(0, 0), 25)
    assert "TESTFR" in failure(link.poll(35))


def test_a_test_is_confirmed_at_once_and_a_stray_confirmation_does_not_matter() -> None:
    link = Link(LinkSettings(), now=0)
    assert (link.receive(TESTFR_ACT, 5), link.outgoing()) == ([], TESTFR_CON)
    assert (link.receive(TESTFR_CON, 6), link.outgoing()) == ([], b"")
    assert link.next_deadline() == 26


def test_a_frame_that_is_not_acknowledged_in_t1_ends_the_link() -> None:
    link = station()
    link.send(b"x", 1, 2)
    link.send(b"x", 2, 4)
    assert link.next_deadline() == 17
    link.receive(s_frame(1), 16)
    assert link.next_deadline() == 19
    assert failure(link.poll(19)) == "1 I frames were not acknowledged in 15 s (t1)."
    assert (link.started, link.window, link.room, link.send(b"x", 3, 19)) == (False, 0, 0, False)
    assert link.poll(99) == []


def test_a_start_that_is_not_confirmed_ends_the_link() -> None:
    link = Link(LinkSettings(), now=0, controlling=True)
    link.start(1)
    link.start(2)
    assert link.outgoing() == STARTDT_ACT
    assert link.asking
    with pytest.raises(LinkError, match="before STARTDT is confirmed"):
        link.stop(2)
    assert link.next_deadline() == 16
    assert failure(link.poll(16)) == "No STARTDT con in 15 s (t1)."


def test_a_stop_waits_for_what_is_in_flight() -> None:
    link = station()
    link.send(b"x", 1, 0)
    link.receive(i_frame(0, 0), 0)
    link.outgoing()
    assert link.receive(STOPDT_ACT, 1) == [Stopped()]
    assert link.outgoing() == s_frame(1)
    assert link.send(b"y", 2, 1)  # is kept
    assert link.outgoing() == b""
    assert link.receive(s_frame(1), 2) == [Acknowledged((1,))]
    assert link.outgoing() == STOPDT_CON
    assert (link.receive(s_frame(1), 2), link.outgoing()) == ([], b"")  # confirmed once
    assert link.receive(STARTDT_ACT, 3) == [Started()]
    assert link.outgoing() == STARTDT_CON + i_frame(1, 1, b"y")  # the numbers go on


def test_a_start_ends_a_stop_that_still_waits() -> None:
    link = station()
    link.send(b"x", 1, 0)
    link.outgoing()
    assert link.receive(STOPDT_ACT + STARTDT_ACT, 1) == [Stopped(), Started()]
    assert link.outgoing() == STARTDT_CON
    assert link.receive(s_frame(1), 2) == [Acknowledged((1,))]
    assert link.outgoing() == b""


def test_a_stop_with_nothing_in_flight_is_confirmed_at_once() -> None:
    link = station()
    assert link.receive(STOPDT_ACT, 1) == [Stopped()]
    assert link.outgoing() == STOPDT_CON
    assert link.receive(STOPDT_ACT, 1) == []
    assert link.outgoing() == STOPDT_CON
    assert "before data transfer was started" in failure(link.receive(i_frame(0, 0), 2))


def test_a_master_takes_data_until_its_stop_is_confirmed() -> None:
    link = master()
    link.receive(i_frame(0, 0), 0)
    link.stop(1)
    assert link.outgoing() == STOPDT_ACT + s_frame(1)
    assert not link.started
    assert link.receive(i_frame(1, 0, b"late"), 1) == [Received(b"late")]
    assert link.outgoing() == s_frame(2)
    assert link.receive(STOPDT_CON, 2) == [Stopped()]
    assert not link.asking
    assert "before data transfer was started" in failure(link.receive(i_frame(2, 0), 2))


def test_only_a_master_starts_and_stops() -> None:
    link = station()
    for ask in (link.start, link.stop):
        with pytest.raises(LinkError, match="Only the controlling station"):
            ask(0)
    assert link.started


BAD_FRAMES = {
    "start byte": b"\x69\x04\x07\0\0\0",
    "too short": b"\x68\x03\x07\0\0",
    "too long": b"\x68\xfe",
    "number not due": i_frame(1, 0),
    "number come before": i_frame(32767, 0),
    "acknowledges too much": s_frame(4),
    "acknowledges the past": s_frame(32767),
    "acknowledges too much in data": i_frame(0, 4),
    "no ASDU": i_frame(0, 0, b""),
    "odd bit in an I frame": b"\x68\x05\x00\x00\x01\x00x",
    "odd bit in an S frame": b"\x68\x04\x01\x00\x01\x00",
    "second byte of an S frame": b"\x68\x04\x01\x01\x00\x00",
    "other S frame": b"\x68\x04\x05\x00\x00\x00",
    "S frame with data": b"\x68\x05\x01\x00\x00\x00x",
    "U frame with data": b"\x68\x05\x43\x00\x00\x00x",
    "U frame with a number": b"\x68\x04\x43\x00\x02\x00",
    "two functions": b"\x68\x04\x47\x00\x00\x00",
    "no function": b"\x68\x04\x03\x00\x00\x00",
    "start that nobody asked for": STARTDT_CON,
    "stop that nobody asked for": STOPDT_CON,
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
@pytest.mark.parametrize("make", [station, master])
def test_what_is_against_the_protocol_ends_the_link(make: Callable[[], Link], frame: bytes) -> None:
    link = make()
    for token in range(3):
        link.send(b"x", token, 0)
    link.outgoing()
    events = link.receive(frame + TESTFR_ACT, 0)
    assert [type(event) for event in events] == [Failed]
    assert link.failure == failure(events)
    assert link.outgoing() == b""  # nothing after it is answered
    assert link.receive(TESTFR_ACT, 0) == []
    assert link.in_flight == 3


@pytest.mark.parametrize("frame", [STARTDT_ACT, STOPDT_ACT])
def test_a_station_does_not_start_its_master(frame: bytes) -> None:
    assert "The controlled station sent" in failure(master().receive(frame, 0))


def test_data_before_the_start_ends_the_link() -> None:
    link = Link(LinkSettings(), now=0)
    assert "before data transfer was started" in failure(link.receive(i_frame(0, 0), 0))


def test_good_frames_before_a_bad_one_count() -> None:
    link = station()
    events = link.receive(i_frame(0, 0, b"a") + b"\0", 0)
    assert events[0] == Received(b"a")
    assert len(events) == 1  # one byte may still become anything
    assert "no APDU: 00 00" in failure(link.receive(b"\0", 0))


def test_frames_come_in_any_pieces() -> None:
    link = station()
    stream = i_frame(0, 0, b"a") + TESTFR_ACT + i_frame(1, 0, bytes(249)) + s_frame(0)
    events = [event for byte in stream for event in link.receive(bytes((byte,)), 0)]
    assert events == [Received(b"a"), Received(bytes(249))]
    assert link.outgoing() == TESTFR_CON


def test_the_numbers_begin_again_after_32767() -> None:
    one, other = master(), station()
    for number in range(70_000):
        assert one.send(b"x", number, 0)
        data = one.outgoing()
        assert data == i_frame(number % 32768, 0)
        assert other.receive(data, 0) == [Received(b"x")]
        answer = other.outgoing()
        if answer:
            assert answer == s_frame((number + 1) % 32768)
            assert one.receive(answer, 0) == [Acknowledged(tuple(range(number - 7, number + 1)))]


@pytest.mark.parametrize("asdu", [b"", bytes(250)])
def test_what_is_no_asdu_is_not_sent(asdu: bytes) -> None:
    with pytest.raises(LinkError, match="cannot be sent"):
        station().send(asdu, None, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"k": 0}, {"k": 32768}, {"w": 0}, {"t1": 0.0}, {"t1": 256.0}, {"t2": 15.0}, {"t3": 0.0}, {"queue": -1}],
)
def test_settings_have_their_limits(wrong: dict[str, float]) -> None:
    with pytest.raises(LinkError):
        LinkSettings(**wrong)  # type: ignore[arg-type]
    assert LinkSettings(k=32767, w=1, t1=255, t2=254, t3=172_800, queue=0).queue == 0


class End:
    """One end of a simulated connection, and what it saw."""

    def __init__(self, settings: LinkSettings, *, controlling: bool) -> None:
        self.link = Link(settings, now=0, controlling=controlling)
        self.settings = settings
        self.wire = b""
        """What it sent and the other has not got yet."""
        self.sent = 0
        self.received: list[bytes] = []
        self.acknowledged: list[int] = []
        self.owed = 0

    def see(self, events: list[LinkEvent]) -> None:
        for event in events:
            match event:
                case Received(asdu):
                    self.received.append(asdu)
                    self.owed += 1
                case Acknowledged(tokens):
                    self.acknowledged += tokens
                case Failed(reason):
                    raise AssertionError(reason)
                case _:
                    pass
        data = self.link.outgoing()
        if data:
            self.wire += data
            frames = data
            while frames:  # an I or S frame acknowledges all
                if frames[2] & 3 != 3:
                    self.owed = 0
                frames = frames[2 + frames[1] :]
        assert self.link.in_flight <= self.settings.k
        assert self.owed < self.settings.w


def pass_time(ends: tuple[End, End], now: float, step: float) -> float:
    """Time passes when everything has arrived: a network that is faster than every timer."""
    for end in ends:
        end.see([])
    while ends[0].wire or ends[1].wire:
        for end, peer in (ends, ends[::-1]):
            data, peer.wire = peer.wire, b""
            end.see(end.link.receive(data, now))
    for end in ends:
        end.see(end.link.poll(now + step))
    return now + step


@pytest.mark.parametrize("seed", range(60))
def test_two_ends_lose_nothing(seed: int) -> None:
    rng = random.Random(seed)
    k = rng.choice([1, 2, 12])
    settings = LinkSettings(k=k, w=rng.choice([1, max(1, k * 2 // 3)]), queue=rng.choice([0, 3]))
    ends = End(settings, controlling=True), End(settings, controlling=False)
    now = 0.0
    for _ in range(600):
        mine, other = rng.sample(ends, 2)
        match rng.randrange(8):
            case 0 | 1 | 2:
                if mine.link.send(mine.sent.to_bytes(4, "little"), mine.sent, now):
                    mine.sent += 1
            case 3 | 4 | 5:
                size = rng.randint(0, len(other.wire))
                data, other.wire = other.wire[:size], other.wire[size:]
                mine.see(mine.link.receive(data, now))
            case 6:
                if not ends[0].link.asking:
                    (ends[0].link.start if rng.random() < 0.8 else ends[0].link.stop)(now)
            case _:
                now = pass_time(ends, now, rng.choice([0.1, 3]))
        mine.see([])
    now = pass_time(ends, now, 0)
    ends[0].link.start(now)
    for _ in range(100):  # and in the end everything arrives and is acknowledged
        now = pass_time(ends, now, 4)
    for end, peer in (ends, ends[::-1]):
        assert end.sent > 5
        assert peer.received == [n.to_bytes(4, "little") for n in range(end.sent)]
        assert end.acknowledged == list(range(end.sent))
