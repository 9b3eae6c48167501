"""Mutated requests of every kind: each is answered or ignored, nothing is raised, nothing grows."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import pytest
from dnp3.application import (
    build_class_poll,
    build_confirm_request,
    build_delay_measure_request,
    build_direct_operate_request,
    build_enable_unsolicited_request,
    build_integrity_poll,
    build_range_request,
    build_select_request,
)
from dnp3.application.fragment import ObjectBlock
from dnp3.application.qualifiers import ObjectHeader
from dnp3.core.enums import FunctionCode
from dnp3.outstation import PeerId

from bessai.interfaces.dnp3.controls import Controls
from bessai.interfaces.dnp3.events import Events
from bessai.interfaces.dnp3.image import Image
from bessai.interfaces.dnp3.outstation import Application, Dialogue
from bessai.interfaces.dnp3.reading import FRAGMENT, Reader
from bessai.interfaces.scada.station import Station
from bessai.site.scada import CommandPoint, Dnp3, MonitorPoint

KINDS: Final = ("single", "double", "float", "counter")
CAPACITY: Final = 200


def _dialogue(events: Events, executed: list[tuple[str, float]]) -> Dialogue:
    points = [
        MonitorPoint(ioa=i + 1, name=f"p{i}", kind=KINDS[i % 4], index=i // 4 * (1 + i % 2))
        for i in range(40)
    ]
    commands = [
        CommandPoint(ioa=100, target="active_power", kind="float", low=-5, high=5),
        CommandPoint(ioa=101, target="frequency.enabled", kind="single", sbo=False),
    ]
    station = Station(points, 30.0, 0.0)
    settings = Dnp3(masters=("127.0.0.1",), commands=True)
    controls = Controls(commands, lambda point, value: executed.append((point.target, value)), allowed=True)
    application = Application(settings, controls, events, lambda: False)
    reader = Reader(Image(station, commands, events), events, dict)
    return Dialogue(application, reader, events, PeerId(source=1, connection=1))


def _seeds() -> list[bytes]:
    analog = ObjectBlock(
        header=ObjectHeader(41, 3, 0x28), data=b"\x01\x00\x00\x00" + b"\x00\x00\x20\x40" + b"\x00"
    )
    crob = ObjectBlock(
        header=ObjectHeader(12, 1, 0x28), data=b"\x01\x00\x00\x00" + b"\x03\x01" + b"\x64\0\0\0" * 2 + b"\x00"
    )
    return [
        build_integrity_poll(seq=1).to_bytes(),
        build_class_poll(seq=2).to_bytes(),
        build_range_request(FunctionCode.READ, 30, 5, 0, 5, seq=3).to_bytes(),
        build_confirm_request(seq=1).to_bytes(),
        build_delay_measure_request(seq=4).to_bytes(),
        build_enable_unsolicited_request(seq=5).to_bytes(),
        build_select_request((analog,), seq=6).to_bytes(),
        build_direct_operate_request((crob,), seq=7).to_bytes(),
    ]


def _fuzz(rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    events, executed = Events(CAPACITY), list[tuple[str, float]]()
    dialogue, seeds = _dialogue(events, executed), _seeds()

    async def run() -> int:
        answered = 0
        for i in range(rounds):
            events.add(1 + i % 3, "analog", i % 10, float(i), 1, i)
            fragment = bytearray(dice.choice(seeds))
            for _ in range(dice.randint(0, 4)):
                fragment[dice.randrange(len(fragment))] = dice.randrange(256)
            if dice.random() < 0.3:
                fragment = fragment[: dice.randint(0, len(fragment))]
            if dice.random() < 0.2:
                fragment += dice.randbytes(dice.randint(1, 20))
            for answer in await dialogue.answer(bytes(fragment)):
                answered += 1
                assert len(answer) <= FRAGMENT
                assert answer[1] in (0x81, 0x82), "a response"
        return answered

    assert asyncio.run(run()) > rounds // 4
    assert len(events) <= 3 * CAPACITY
    assert executed, "some commands were whole"
    assert all(target == "frequency.enabled" or -5 <= value <= 5 for target, value in executed)


def test_mutated_requests() -> None:
    _fuzz(3_000, seed=1815)


@pytest.mark.soak
def test_many_mutated_requests() -> None:
    for seed in range(5):
        _fuzz(20_000, seed)
