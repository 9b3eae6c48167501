"""Masters that break off, lie, babble or do not confirm."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from dnp3.application import (
    build_class_poll,
    build_confirm_request,
    build_enable_unsolicited_request,
    build_integrity_poll,
)
from dnp3.core.flags import IIN

from support.dnp3 import BLOCK, Rig, Wire, many_meters, wait


def _objects(answer: object) -> list[tuple[int, int]]:
    return [(block.header.group, block.header.variation) for block in answer.objects]  # type: ignore[attr-defined]


def test_events_are_told_again_until_they_are_confirmed(rig: Rig) -> None:
    with Wire(rig.port) as wire:
        wire.ask(build_integrity_poll(seq=0).to_bytes())
        rig.feed.points["soc"] = 70.0
        rig.seen()
        first = wire.ask(build_class_poll(seq=1).to_bytes())
        assert _objects(first) == [(32, 7)]
        assert first.header.control.con
        again = wire.ask(build_class_poll(seq=2).to_bytes())
        assert again.objects[0].data == first.objects[0].data
        wire.send(build_confirm_request(seq=1).to_bytes())  # of an answer that is no longer awaited
        wire.send(build_confirm_request(seq=9).to_bytes())
        third = wire.ask(build_class_poll(seq=3).to_bytes())
        assert _objects(third) == [(32, 7)]
        wire.send(build_confirm_request(seq=3).to_bytes())
        assert _objects(wire.ask(build_class_poll(seq=4).to_bytes())) == []


def test_a_full_buffer_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    plant, names = many_meters(120)
    text = BLOCK.replace("{port}}}", "{port}, buffer: 100}}")
    with (
        Rig(tmp_path, text=text, plant=plant, points=dict.fromkeys(names, 1.0)) as rig,
        Wire(rig.port) as wire,
    ):
        wire.send(build_integrity_poll(seq=0).to_bytes())
        wire.receive()
        rig.feed.points = {name: float(i) for i, name in enumerate(names, 2)}
        wait(lambda: rig.status["events"] == {"held": 100, "lost": 20, "overflowed": True})
        answer = wire.ask(build_class_poll(seq=1).to_bytes())
        assert answer.header.iin & IIN.EVENT_BUFFER_OVERFLOW
        wire.send(build_confirm_request(seq=1).to_bytes())
        answer = wire.ask(build_class_poll(seq=2).to_bytes())
        assert not answer.header.iin & IIN.EVENT_BUFFER_OVERFLOW, "all that is left was told"


def test_unsolicited_reports_are_refused(rig: Rig) -> None:
    with Wire(rig.port) as wire:
        answer = wire.ask(build_enable_unsolicited_request(seq=3).to_bytes())
        assert answer.header.iin & IIN.NO_FUNC_CODE_SUPPORT
        assert answer.header.control.seq == 3


def test_strangers_are_turned_away(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig, Wire(rig.port) as welcome:
        welcome.send(
            build_integrity_poll().to_bytes(), source=2
        )  # another master's link address: not answered
        assert len(_objects(welcome.ask(build_integrity_poll(seq=5).to_bytes()))) > 3
    text = "dnp3: {{masters: [10.9.9.9], port: {port}{more}}}\npoints: [{{ioa: 1, name: soc}}]"
    (tmp_path / "other").mkdir()
    with Rig(tmp_path / "other", text=text) as rig, Wire(rig.port) as stranger:
        assert stranger.closed()
        wait(lambda: rig.status["refused_connections"] == 1)


def test_the_newest_connection_counts(rig: Rig) -> None:
    with Wire(rig.port) as old:
        old.ask(build_integrity_poll().to_bytes())
        with Wire(rig.port) as new:
            assert new.ask(build_integrity_poll().to_bytes()).objects
            assert old.closed()
            wait(lambda: len(rig.status["masters"]) == 1)


def test_who_only_connects_takes_nothing_over_and_is_no_link(tmp_path: Path) -> None:
    with Rig(tmp_path, "link_loss: {after: 1, fallback: value, power: 25}") as rig:
        with Wire(rig.port) as master:
            assert master.ask(build_integrity_poll().to_bytes()).objects
            with Wire(rig.port) as idle, Wire(rig.port) as babbling:
                babbling.raw(b"GET / HTTP/1.1\r\n\r\n")
                assert idle.closed()  # a newer one that says nothing took its place
                assert master.ask(build_integrity_poll(seq=2).to_bytes()).objects
                for seq, function in ((3, 3), (4, 4)):  # select, operate
                    master.send(
                        bytes((0xC0 | seq, function, 41, 3, 0x28, 1, 0)) + struct.pack("<HfB", 0, 0.5, 0)
                    )
                    master.receive()
        with Wire(rig.port) as babbling:
            babbling.raw(bytes(100))
            wait(lambda: rig.status["commands"]["fallback"])


def test_garbage_ends_nothing(rig: Rig) -> None:
    dice = random.Random(1815)
    polls = [build_integrity_poll(seq=1).to_bytes(), build_class_poll(seq=2).to_bytes()]
    with Wire(rig.port) as wire:
        for _ in range(300):
            fragment = bytearray(dice.choice(polls))
            for _ in range(dice.randint(1, 4)):
                fragment[dice.randrange(len(fragment))] = dice.randrange(256)
            if fragment[1] in (0x03, 0x04, 0x05, 0x06):
                continue  # a command would wait for the gateway
            wire.send(bytes(fragment[: dice.randint(1, len(fragment))]))
            wire.raw(dice.randbytes(dice.randint(0, 30)))
    with Wire(rig.port) as wire:
        assert wire.ask(build_integrity_poll(seq=7).to_bytes()).objects
    assert rig.sink.status().last_error is None


def test_a_flood_of_refused_commands_fills_no_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    pulses = b"".join(struct.pack("<HBBIIB", 0, 3, 1, 100, 100, 0) for _ in range(150))
    with Wire(rig.port) as wire:
        for _ in range(3):
            answer = wire.ask(
                bytes((0xC0, 5, 12, 1, 0x28, 150, 0)) + pulses
            )  # direct, where select is asked for
            assert [block.data[-1] for block in answer.objects] == [2], "no select"
    assert 1 <= sum("must be selected" in record.message for record in caplog.records) < 20


def test_a_silent_master_is_given_up(tmp_path: Path) -> None:
    with Rig(tmp_path, "silence: 1") as rig, Wire(rig.port) as wire:
        wire.ask(build_integrity_poll().to_bytes())
        assert wire.closed()
        wait(lambda: not rig.status["masters"])
