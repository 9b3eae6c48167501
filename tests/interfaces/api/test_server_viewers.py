"""Those who look: many at once, one that stops reading, and what they see of a real control plane."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bessai.core.socket_file import socket_path
from bessai.interfaces.api.live import VIEWERS
from bessai.interfaces.api.processes import rss
from support.gateway import GatewayProcess
from support.page_process import PageProcess, page_process
from support.page_server import PASSWORD, descriptors, page_server, parsed, posted, raw, until
from support.processes import free_port
from support.twin_process import TwinProcess

COMERS = int(os.environ.get("COMERS", "10000"))
"""Who come and go in the long run."""


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


async def _tokens(port: int, word: str, count: int) -> list[str]:
    """Set the page up, and make tokens."""
    said = await raw(port, posted("/api/v1/setup", {"token": word, "user": "ana", "password": PASSWORD}))
    head = parsed(said)
    cookie = said.decode().partition("et-cookie: ")[2].partition(";")[0]
    found = []
    for n in range(count):
        body = {"name": f"t{n}", "role": "viewer", "scopes": ["read"], "days": 1}
        headers = {"Cookie": cookie, "X-CSRF-Token": head.json()["csrf"]}
        found.append(parsed(await raw(port, posted("/api/v1/tokens", body, **headers))).json()["secret"])
    return found


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_who_come_and_go_leave_nothing_behind(plant: Plant, tmp_path: Path) -> None:
    """From twenty addresses, as one alone may not ask so often."""

    async def come(port: int, number: int, tokens: list[str]) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=1 << 20, local_addr=(f"127.0.1.{number % 20 + 1}", 0)
        )
        token = tokens[number % len(tokens)]
        head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        await _until(reader, "cycle")
        writer.transport.abort() if number % 2 else writer.close()

    async def rounds(page: PageProcess, port: int, tokens: list[str], count: int) -> tuple[float, int]:
        for first in range(0, count, 20):
            await asyncio.gather(*(come(port, first + n, tokens) for n in range(20)))
        await until(lambda: descriptors(page.process.pid) <= fewest[0])
        return rss(page.process.pid) or 0.0, descriptors(page.process.pid)

    fewest = [0]

    async def run(page: PageProcess, port: int) -> None:
        tokens = await _tokens(port, page.until(r"setup\?token=(\S+)")[1], 20)
        await asyncio.sleep(20)  # the connections of the setting up have ended
        fewest[0] = descriptors(page.process.pid)
        early, _ = await rounds(page, port, tokens, COMERS // 10)
        late, held = await rounds(page, port, tokens, COMERS * 9 // 10)
        print(f"a tenth: {early / 1e6:.1f} MB; all {COMERS}: {late / 1e6:.1f} MB, {held} descriptors")
        assert held <= fewest[0]
        assert late - early < 3e6

    data = tmp_path / "data"
    data.mkdir()
    port = free_port()
    with page_process(data, plant.socket, port) as page:
        asyncio.run(run(page, port))
