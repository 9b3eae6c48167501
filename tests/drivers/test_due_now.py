"""Timers for a time that has come already: uvloop's handle of one does not tell its time."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import uvloop

import bessai
from bessai.drivers.modbus.client import ModbusClient
from bessai.model import Endpoint


def test_a_request_that_is_overdue_twice_is_sent() -> None:
    async def run() -> None:
        client = ModbusClient(Endpoint(host="127.0.0.1", port=9))
        client._loop = loop = asyncio.get_running_loop()
        pumped: list[float] = []

        def pump(now: float = 0.0) -> None:
            pumped.append(now)

        client._pump = pump  # type: ignore[method-assign]
        for late in (0.0, -1.0, 1.0):  # a loop that was held up comes too late again and again
            client._pump_at(loop.time() + late)
        async with asyncio.timeout(60):
            while not pumped:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert client._pump_timer is None

    uvloop.run(run())


def test_nobody_asks_a_handle_for_its_time() -> None:
    source = Path(bessai.__file__).parent
    asking = [path.name for path in source.rglob("*.py") if re.search(r"\.when\(\)", path.read_text())]
    assert not asking
