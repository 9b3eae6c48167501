"""The live feed, over a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bessai.core import live
from bessai.core.live import LiveFeed
from bessai.core.local_socket import LocalSocket
from bessai.core.requests import RequestBook
from bessai.model import (
    Bounds,
    CycleRecord,
    CycleTiming,
    Decision,
    Event,
    GuardState,
    Layout,
    ProcessImage,
    Quality,
    Severity,
)

WHOLE = Layout(("grid_power", "soc", "rack.soc"), ("kW", "%", "%"))
PART = Layout(("grid_power", "soc"), ("kW", "%"))
TIMING = CycleTiming(late=0.0, read=0.0, decide=0.0, write=0.0, total=0.0)


class Clock:
    def monotonic(self) -> float:
        return 100.0

    def wall_ns(self) -> int:
        return 0


def record(cycle: int, layout: Layout, *values: float, events: tuple[Event, ...] = ()) -> CycleRecord:
    quality = np.array([Quality.GOOD if math.isfinite(v) else Quality.MISSING for v in values], np.uint8)
    times = np.array([99.5 if math.isfinite(v) else math.nan for v in values])
    return CycleRecord(
        image=ProcessImage(layout, cycle, 100.0, 10**18, np.array(values), quality, times),
        decision=Decision(state=GuardState.NORMAL, setpoint=1.5, bounds=Bounds()),
        outcome=None,
        verified=True,
        fed=True,
        timing=TIMING,
        events=events,
        texts={},
    )


@asynccontextmanager
async def served(folder: Path, whole: Layout = WHOLE) -> AsyncIterator[tuple[LiveFeed, Path]]:
    feed = LiveFeed(whole, PART, 0.2)
    path = folder / "s"
    server = LocalSocket(path, RequestBook(), dict, Clock(), live=feed)
    await server.start()
    try:
        yield feed, path
    finally:
        await server.stop()


async def watcher(
    path: Path, points: list[str] | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    writer.write(json.dumps({"op": "watch", "points": points}).encode() + b"\n")
    return reader, writer, json.loads(await reader.readline())


def columns(line: dict[str, Any]) -> tuple[list[float], list[int], list[float]]:
    found = [
        np.frombuffer(base64.b64decode(line[name]), kind).tolist()
        for name, kind in (("values", "<f8"), ("quality", "u1"), ("ages", "<f4"))
    ]
    return found[0], found[1], found[2]


def test_a_watcher_sees_every_cycle(tmp_path: Path) -> None:
    asyncio.run(_sees_every_cycle(tmp_path))


async def _sees_every_cycle(folder: Path) -> None:
    async with served(folder) as (feed, path):
        reader, writer, answer = await watcher(path, ["rack.soc", "soc"])
        assert answer == {
            "ok": True, "points": ["rack.soc", "soc"], "units": ["%", "%"], "period": 0.2, "part": [1],
        }  # fmt: skip
        alarm = Event(
            code="soc_low", severity=Severity.ALARM, message="low", wall_ns=5, point="soc", value=9.0
        )
        feed.tell(record(1, WHOLE, 7.0, 50.0, math.nan, events=(alarm,)))
        feed.tell(record(2, PART, 8.0, 51.0))
        whole, part = json.loads(await reader.readline()), json.loads(await reader.readline())
        values, quality, ages = columns(whole)
        assert math.isnan(values[0])
        assert math.isnan(ages[0])
        assert (values[1], ages[1], quality) == (50.0, 0.5, [Quality.MISSING, Quality.GOOD])
        assert (whole["cycle"], whole["whole"], whole["decision"]["setpoint"]) == (1, True, 1.5)
        assert [(e["code"], e["severity"], e["value"]) for e in whole["events"]] == [
            ("soc_low", "alarm", 9.0)
        ]
        assert (part["whole"], columns(part)[0]) == (False, [51.0])
        writer.close()


def test_who_does_not_read_loses_lines_and_no_events(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "_WAITING", 1 << 16)
    asyncio.run(_loses_lines_and_no_events(tmp_path))


async def _loses_lines_and_no_events(folder: Path) -> None:
    async with served(folder) as (feed, path):
        reader, writer, _ = await watcher(path, None)
        for cycle in range(20_000):
            told = Event(code="x", severity=Severity.INFO, message="x", wall_ns=cycle)
            feed.tell(record(cycle, WHOLE, 1.0, 2.0, 3.0, events=(told,) if cycle % 1000 == 999 else ()))
        seen, missed = [], 0
        feed.tell(record(20_000, WHOLE, 1.0, 2.0, 3.0))

        async def read() -> dict[str, Any]:
            return dict(json.loads(await reader.readline()))

        while True:
            try:
                line = await asyncio.wait_for(read(), 0.3)
            except TimeoutError:
                feed.tell(record(20_001, WHOLE, 1.0, 2.0, 3.0))
                line = await read()
            seen += [event["wall_ns"] for event in line["events"]]
            missed = line["missed"]
            if line["cycle"] == 20_001:
                break
        assert missed > 0
        assert seen == list(range(999, 20_000, 1000))
        writer.close()


def test_wrong_points_and_too_many_watchers_are_refused(tmp_path: Path) -> None:
    asyncio.run(_are_refused(tmp_path))


async def _are_refused(folder: Path) -> None:
    async with served(folder) as (feed, path):
        for points, why in ((["nope"], "no point 'nope'"), (["soc", "soc"], "once"), (3, "list of names")):
            _, writer, answer = await watcher(path, points)  # type: ignore[arg-type]
            assert why in answer["error"]
            writer.close()
        held = [await watcher(path, None) for _ in range(live.WATCHERS)]
        _, writer, answer = await watcher(path, None)
        assert "already" in answer["error"]
        held[0][1].close()
        while True:  # a place is free once its connection has ended
            answer = (await watcher(path, ["soc"]))[2]
            if answer["ok"]:
                break
            await asyncio.sleep(0.01)
        feed.tell(record(1, WHOLE, 1.0, 2.0, 3.0))  # those that are gone are no trouble


def test_ten_thousand_points_with_long_names_are_watched(tmp_path: Path) -> None:
    names = [
        f"power_conversion_{n:05d}.string_{n % 40:02d}_temperature_of_the_hottest_cell" for n in range(10_000)
    ]

    async def scene() -> None:
        async with served(tmp_path, Layout(tuple(names), tuple(["°C"] * len(names)))) as (_, path):
            _, writer, answer = await watcher(path, names)
            assert answer["points"] == names
            writer.close()

    asyncio.run(scene())


def test_a_watcher_that_cannot_be_told_is_cut_off_and_the_others_hear_on(tmp_path: Path) -> None:
    asyncio.run(_others_hear_on(tmp_path))


async def _others_hear_on(folder: Path) -> None:
    async with served(folder) as (feed, path):
        broken, broken_writer, _ = await watcher(path, ["soc"])
        well, well_writer, _ = await watcher(path, ["grid_power"])
        feed._watchers[0].columns = np.array([99])  # no such column: telling it raises
        for cycle in (1, 2):
            feed.tell(record(cycle, WHOLE, 7.0, 50.0, math.nan))
            assert json.loads(await well.readline())["cycle"] == cycle
        with suppress(ConnectionResetError):
            assert await broken.read() == b""
        again, again_writer, answer = await watcher(path, ["soc"])
        assert answer["ok"]
        feed.tell(record(3, WHOLE, 7.0, 50.0, math.nan))
        assert columns(json.loads(await again.readline()))[0] == [50.0]
        assert json.loads(await well.readline())["cycle"] == 3
        for writer in (broken_writer, well_writer, again_writer):
            writer.close()
