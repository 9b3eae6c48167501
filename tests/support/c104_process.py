"""Runs `c104_master.py` and remembers what it says."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("c104_master.py")


class C104Master:
    """One process; lines that tell of an event stay in `events`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(b"{"):  # the library prints notes of its own
                continue
            said = json.loads(line)
            if "event" in said:
                self.events.append(said)
            else:
                self._answers.put_nowait(said)

    async def ask(self, do: str, **more: Any) -> bool:
        """What the library says: True when the station has confirmed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        return bool((await asyncio.wait_for(self._answers.get(), 60))["done"])

    def points(self, ioa: int) -> list[dict[str, Any]]:
        """What it received of a point."""
        return [e for e in self.events if e["event"] == "point" and e["ioa"] == ioa]

    async def until(self, check: Callable[[], object]) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + 60
        while not check():
            if time.monotonic() > deadline:
                raise TimeoutError("it does not come true")
            await asyncio.sleep(0.01)

    async def opened(self) -> None:
        """Wait until data transfer has started."""
        await self.until(lambda: any(e.get("state") == "OPEN" for e in self.events))


@asynccontextmanager
async def c104_master(port: int, points: Mapping[int, tuple[str, str]]) -> AsyncIterator[C104Master]:
    """A master linked to a station; type and command mode (empty: a monitored point) by address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_SCRIPT), str(port), json.dumps(points),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    master = C104Master(process)
    try:
        await master.opened()
        yield master
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await master._reader
