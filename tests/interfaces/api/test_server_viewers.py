"""Those who look: many at once, one that stops reading, and what they see of a real control plane."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bessai.core.local_socket import socket_path
from bessai.interfaces.api.live import VIEWERS
from support.gateway import GatewayProcess
from support.page_server import page_server, until
from support.twin_process import TwinProcess


@dataclass(frozen=True)
class Plant:
    """A gateway with a cycle of 200 ms, whose own page finds its port taken."""

    gateway: GatewayProcess
    port: int

    @property
    def socket(self) -> Path:
        return socket_path(self.gateway.data)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    data = tmp_path_factory.mktemp("viewers") / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken, TwinProcess("huawei_sun2000") as twin:
        port = taken.getsockname()[1]
        settings = {"INVERTER_PORT": str(twin.port), "CYCLE_TIME": "0.2", "HTTP_PORT": str(port)}
        with GatewayProcess(data, **settings) as gateway:
            asyncio.run(gateway.until(lambda s: s["cycle"]["cycles"] > 3 and s["page"]["running"]))
            yield Plant(gateway, port)


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What a stream says, from its head on."""
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    kind, rest = "", b""
    while line := await asyncio.wait_for(reader.readline(), 60):
        if b"\r\n" in line:  # the size of a chunk, or its end: an event never has them
            rest = b""
            continue
        if line.startswith(b"event: "):
            kind = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield kind, json.loads(rest + line[6:])


async def _until(reader: asyncio.StreamReader, wanted: str) -> dict[str, Any]:
    async for kind, data in _events(reader):
        if kind == wanted:
            return data
    raise AssertionError(f"the stream ended without {wanted!r}")


def test_as_many_as_may_look_all_see_the_cycle_and_one_more_is_told_so(plant: Plant, tmp_path: Path) -> None:
    async def run() -> None:
        async with page_server(tmp_path / "data", plant.socket) as page:
            await page.people(tokens=3)
            await until(lambda: page.context.live.connected)
            streams = [await page.watch(token=n // 90) for n in range(VIEWERS)]
            seen = await asyncio.gather(*(_until(reader, "cycle") for reader, _ in streams))
            assert len({data["cycle"] for data in seen}) >= 1
            assert all(data["decision"]["state"] and data["whole"] and data["values"] for data in seen)
            assert page.context.live.viewers == VIEWERS
            more = await page.ask("/api/v1/stream", token=True)
            assert (more.status, more.json()["code"]) == (429, "too_many_viewers")
            assert "retry-after: 10" in more.head
            assert (await page.ask("/api/v1/status", token=True)).status == 200, "others are answered"
            streams[0][1].close()
            await until(lambda: page.context.live.viewers < VIEWERS)
            reader, writer = await page.watch(token=2)
            await _until(reader, "hello")
            for _, other in (*streams[1:], (reader, writer)):
                other.close()
            await until(lambda: page.context.live.viewers == 0)

    asyncio.run(run())


def test_a_viewer_that_stops_reading_loses_cycles_and_is_cut(plant: Plant, tmp_path: Path) -> None:
    async def run() -> None:
        async with page_server(tmp_path / "data", plant.socket, cut=600) as page:
            await page.people()
            live = page.context.live
            await until(lambda: live.connected)
            cycles: list[dict[str, Any]] = []

            async def follow(reader: asyncio.StreamReader) -> None:
                async for kind, data in _events(reader):
                    if kind == "cycle":
                        cycles.append(data)

            well, well_writer = await page.watch()
            following = asyncio.create_task(follow(well))
            slow, slow_writer = await page.watch("?channel=all", receive=2048)
            await until(lambda: live.missed > 5)
            slow_writer.transport.resume_reading()  # type: ignore[attr-defined]
            missed, numbers = 0, [0]
            async for kind, data in _events(slow):  # it looks again
                if kind == "cycle":
                    missed = data["missed"]
                    numbers.append(data["cycle"])
                    if missed:
                        break
            assert missed > 5
            assert numbers == sorted(set(numbers)), "each once, in order"
            slow_writer.close()
            await until(lambda: live.viewers == 1)
            live.cut = 1.0
            _, dead_writer = await page.watch("?channel=all", receive=2048)
            await until(lambda: live.viewers == 2)
            await until(lambda: live.viewers == 1)  # it has not gone: it was cut
            assert not dead_writer.is_closing()
            dead_writer.close()
            seen = len(cycles)
            await until(lambda: len(cycles) > seen + 3)
            assert all(data["missed"] == 0 for data in cycles)
            numbers = [data["cycle"] for data in cycles]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "without a gap"
            text = (await page.ask("/metrics", token=True)).body.decode()
            assert f"bessai_page_missed_total {live.missed}\n" in text
            well_writer.close()
            await following

    asyncio.run(run())


def test_the_control_plane_goes_on_without_its_page(plant: Plant) -> None:
    log = plant.gateway.log.read_text()
    said = [line for line in log.splitlines() if "another program listens" in line]
    assert len(said) == 1, log
    assert f" ERROR   bessai.page HTTP_PORT={plant.port}: another program" in said[0]
    before, status = plant.gateway.status()["cycle"]["cycles"], plant.gateway.status()
    assert status["cycle"]["cycles"] >= before > 0
    assert status["page"]["running"]
    assert status["page"]["restarts"] == 0
