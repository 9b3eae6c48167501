"""The service plane's keeper."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from bessai.core.supervisor import Supervisor

SLEEPER = (sys.executable, "-c", "import sys; sys.stdin.read()")
STUBBORN = (sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)")


async def _running(supervisor: Supervisor, not_pid: int | None = None) -> int:
    for _ in range(200):
        status = supervisor.status()
        if status["running"] and status["pid"] != not_pid:
            return int(status["pid"])
        await asyncio.sleep(0.05)
    raise AssertionError("the child never ran")


def test_a_killed_child_is_started_again() -> None:
    async def run() -> None:
        deaths: list[int] = []
        stop = asyncio.Event()
        supervisor = Supervisor({}, deaths.append, SLEEPER)
        task = asyncio.create_task(supervisor.run(stop))
        first = await _running(supervisor)
        os.kill(first, signal.SIGKILL)
        second = await _running(supervisor, not_pid=first)
        assert second != first
        assert deaths == [-signal.SIGKILL]
        assert supervisor.restarts == 1
        stop.set()
        await task
        assert not supervisor.status()["running"]

    asyncio.run(run())


def test_a_stubborn_child_is_killed() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        supervisor = Supervisor({}, lambda _: None, STUBBORN)
        task = asyncio.create_task(supervisor.run(stop))
        await _running(supervisor)
        await asyncio.sleep(0.3)
        stop.set()
        await task
        assert not supervisor.status()["running"]

    asyncio.run(run())


def test_settings_reach_the_child_and_its_input_closes_with_us() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        check = "import os, sys; sys.exit(7 if os.environ['SITE_ID'] == 'x' else 1)"
        deaths: list[int] = []
        supervisor = Supervisor({"SITE_ID": "x"}, deaths.append, (sys.executable, "-c", check))
        task = asyncio.create_task(supervisor.run(stop))
        for _ in range(200):
            if deaths:
                break
            await asyncio.sleep(0.05)
        stop.set()
        await task
        assert deaths[0] == 7

    asyncio.run(run())


def test_a_child_that_cannot_be_started_is_tried_again() -> None:
    async def run() -> None:
        deaths: list[int] = []
        stop = asyncio.Event()
        supervisor = Supervisor({}, deaths.append, ("/no/such/program",))
        task = asyncio.create_task(supervisor.run(stop))
        for _ in range(200):
            if len(deaths) >= 2:
                break
            await asyncio.sleep(0.05)
        stop.set()
        await task
        assert len(deaths) >= 2

    asyncio.run(run())
