"""Answers to READ without a network: what is in them, and that nothing is lost between fragments."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("dnp3", reason="dnp3py is not installed")

from dnp3.application import ObjectBlock, ObjectHeader, parse_response
from dnp3.core.flags import IIN
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.interfaces.dnp3.events import Events
from bessai.interfaces.dnp3.image import COMM_LOST, ONLINE, OVER_RANGE, RESTART, Image
from bessai.interfaces.dnp3.reading import FRAGMENT, Fragment, Reader
from bessai.interfaces.scada.station import INVALID, NOT_TOPICAL, OVERFLOW, Station
from bessai.site.scada import MonitorPoint

ALL = 0x06


def _station(kind: str = "float", count: int = 3) -> Station:
    points = [MonitorPoint(ioa=i + 1, name=f"p{i}", kind=kind, index=i) for i in range(count)]  # type: ignore[arg-type]
    station = Station(points, 30.0, 0.0)
    station.flags[:] = 0
    station.times[:] = 1
    return station


def _reader(station: Station, events: Events | None = None) -> Reader:
    events = events or Events(100_000)
    return Reader(Image(station, (), events), events, dict)


def _ask(
    reader: Reader, group: int, variation: int, qualifier: int = ALL, data: bytes = b""
) -> list[Fragment]:
    block = ObjectBlock(header=ObjectHeader(group, variation, qualifier), data=data)
    return reader.answer([block], lambda told: IIN(0), 0)


def _values(fragments: Sequence[Fragment], form: str) -> list[tuple[int, tuple[float, ...]]]:
    found: list[tuple[int, tuple[float, ...]]] = []
    for fragment in fragments:
        for block in parse_response(fragment.data).objects:
            start, stop = struct.unpack_from("<HH", block.data)
            size = struct.calcsize(form)
            assert len(block.data) == 4 + size * (stop - start + 1)
            found += [
                (start + i, struct.unpack_from(form, block.data, 4 + i * size))
                for i in range(stop - start + 1)
            ]
    return found


@pytest.mark.parametrize(
    ("flags", "times", "told"),
    [
        (0, 1, ONLINE),
        (OVERFLOW, 1, ONLINE | OVER_RANGE),
        (NOT_TOPICAL, 1, COMM_LOST),
        (INVALID, 1, 0),
        (INVALID | NOT_TOPICAL, 1, 0),
        (INVALID, 0, RESTART),
    ],
)
def test_quality_as_flags(flags: int, times: int, told: int) -> None:
    station = _station()
    station.flags[:], station.times[:] = flags, times
    assert [fields[0] for _, fields in _values(_ask(_reader(station), 30, 0), "<Bf")] == [told] * 3


@pytest.mark.parametrize(
    ("variation", "form", "told"),
    [
        (0, "<Bf", [1.5, float(np.float32(3e9)), -float(np.finfo(np.float32).max)]),
        (5, "<Bf", [1.5, float(np.float32(3e9)), -float(np.finfo(np.float32).max)]),
        (6, "<Bd", [1.5, 3e9, -1e300]),
        (1, "<Bi", [2, 2**31 - 1, -(2**31 - 1)]),
    ],
)
def test_variations_of_analog_inputs(variation: int, form: str, told: list[float]) -> None:
    station = _station()
    station.values[:] = [1.5, 3e9, -1e300]
    values = _values(_ask(_reader(station), 30, variation), form)
    assert [fields[1] for _, fields in values] == told
    over = [bool(int(fields[0]) & OVER_RANGE) for _, fields in values]
    assert over == [False, variation == 1, variation != 6]


def test_what_is_not_served_is_said() -> None:
    reader = _reader(_station())
    for group, variation in ((1, 1), (30, 2), (12, 1), (110, 0), (60, 5), (32, 1)):
        (fragment,) = _ask(reader, group, variation)
        assert parse_response(fragment.data).header.iin & IIN.OBJECT_UNKNOWN, (group, variation)
    for data in (b"\x02\x03", b"\x02\x01", b"\x05"):
        (fragment,) = _ask(reader, 30, 0, 0x00, data)
        assert parse_response(fragment.data).header.iin & IIN.PARAMETER_ERROR, data
    assert [i for i, _ in _values(_ask(reader, 30, 0, 0x01, b"\x01\x00\x02\x00"), "<Bf")] == [1, 2]


def test_counters_run_over() -> None:
    station = _station("counter")
    station.values[:] = [5.0, 2.0**32 + 7, 2.0**31]
    assert [fields[1] for _, fields in _values(_ask(_reader(station), 20, 0), "<BI")] == [5, 7, 2**31]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["binary", "analog", "counter"]), st.integers(0, 3)), max_size=600),
    st.integers(0, 700),
)
def test_every_event_is_told_once_and_forgotten_when_confirmed(
    made: list[tuple[str, int]], count: int
) -> None:
    events = Events(10_000)
    for i, (kind, number) in enumerate(made):
        events.add(number, kind, i, float(i), ONLINE, i * 1_000_000)  # type: ignore[arg-type]
    reader = _reader(_station(count=count), events)
    blocks = [ObjectBlock(header=ObjectHeader(60, variation, ALL)) for variation in (2, 3, 4, 1)]
    fragments = reader.answer(blocks, lambda told: IIN(0), 12)
    assert all(len(fragment.data) <= FRAGMENT for fragment in fragments)
    parsed = [parse_response(fragment.data) for fragment in fragments]
    assert [answer.header.control.seq for answer in parsed] == [(12 + i) % 16 for i in range(len(parsed))]
    assert [answer.header.control.fir for answer in parsed] == [i == 0 for i in range(len(parsed))]
    assert [answer.header.control.fin for answer in parsed] == [
        i == len(parsed) - 1 for i in range(len(parsed))
    ]
    assert all(answer.header.control.con for answer in parsed[:-1])
    told = [
        struct.unpack_from("<H", block.data, 2 + i * size)[0]
        for answer in parsed
        for block in answer.objects
        if (size := {2: 9, 32: 13, 22: 13}.get(block.header.group, 0))
        for i in range(struct.unpack_from("<H", block.data)[0])
    ]
    wanted = [i for i, (_, number) in enumerate(made) if number]
    assert sorted(told) == wanted
    assert len(events) == len(wanted)
    for fragment in fragments:
        events.confirm(fragment.serials)
    assert len(events) == 0


def test_the_library_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from bessai.interfaces.build import build_sinks
    from bessai.interfaces.settings import ServiceSettings
    from support.scada_site import write_site

    site = write_site(tmp_path, "dnp3: {masters: [10.0.0.1]}\npoints: [{ioa: 1, name: soc}]")
    environment = {
        "SITE_ID": "atacama-1", "DATA_DIR": str(tmp_path), "SITE_FILE": str(site),
        "BESSAI_SOCKET": str(tmp_path / "socket"), "OTEL_EXPORTER_OTLP_ENDPOINT": "", "HISTORY_MAX_MB": "0",
    }  # fmt: skip
    settings_ = ServiceSettings.from_environment(environment)
    assert "dnp3" in [sink.name for sink in build_sinks(settings_) if sink.state != "off"]
    monkeypatch.delitem(sys.modules, "bessai.interfaces.dnp3.sink")
    monkeypatch.setitem(sys.modules, "bessai.interfaces.dnp3.server", None)
    (off,) = (sink for sink in build_sinks(settings_) if sink.name == "dnp3")
    assert (off.state, off.last_error is not None and "open-bess-edge[scada]" in off.last_error) == (
        "off",
        True,
    )
