"""What the operator's link costs: 10,000 points, 1,000 events a second, two masters.

    python -m benchmarks.gridcode --only link

A feed as the control plane gives it (cycles of 100 ms, all points once a second), the station in a process of its own,
and two masters that acknowledge as the standard says. CPU is that of the station's process, user and system, as a share
of one core. Latency is from the time in the event, which is that of the cycle, to its arrival at a master: feed,
station, socket. Beside it, in turn in the same run: c104, which is lib60870 with Python in front, behind the same feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, median
from benchmarks.scada_processes import Parameters
from bessai.iec104 import LinkSettings, Received, TypeId, decode
from bessai.iec104.client import Client
from bessai.iec104.connection import Connection
from bessai.iec104.link_events import LinkEvent

SIDES = ("ours", "c104")
_TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(role: str, told: Parameters) -> Iterator[tuple[int, dict[str, Any]]]:
    """A process that is ready: its id, and what it said."""
    arguments = [sys.executable, "-m", "benchmarks.scada_processes", role, json.dumps(asdict(told))]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said: dict[str, Any] = {}
            while not said:  # a library may print notes of its own
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{role} does not start")
                said = json.loads(line) if line.startswith(b"{") else {}
            yield process.pid, said
        finally:
            process.kill()


def cpu(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Recorder:
    """A master that notes when each ASDU came."""

    def __init__(self) -> None:
        self.came: list[tuple[int, bytes]] = []
        self.connection = Connection(LinkSettings(), self._on_event, controlling=True)

    def _on_event(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            self.came.append((time.time_ns(), event.asdu))

    def delays(self, since: int, until: int) -> list[float]:
        """Milliseconds of each event with a time in between."""
        found = []
        for at, data in self.came:
            if data[0] == TypeId.M_ME_TF_1:
                times = [item.time for item in decode(data).objects if item.time is not None]
                found += [(at - told) / 1e6 for told in times if since <= told < until]
        return found


async def round_of(pid: int, port: int, seconds: float) -> dict[str, float]:
    """One station with two masters, after each has interrogated it."""
    loop = asyncio.get_running_loop()
    found = {}
    async with await Client.connect("127.0.0.1", port) as client:
        await client.start()
        begin = time.monotonic()
        answers = await client.interrogate()
        found["interrogation, ms"] = (time.monotonic() - begin) * 1e3
        found["objects of the interrogation"] = float(sum(len(asdu.objects) for asdu in answers))
    masters = [Recorder(), Recorder()]
    for n, master in enumerate(masters):
        await loop.create_connection(
            lambda master=master: master.connection,  # type: ignore[misc]
            "127.0.0.1", port, local_addr=(f"127.0.0.{2 + n}", 0),
        )  # fmt: skip
        master.connection.start()
    await asyncio.sleep(2.0)  # what had waited for them has come
    used, begin, since = cpu(pid), time.monotonic(), time.time_ns()
    await asyncio.sleep(seconds)
    used, took, until = cpu(pid) - used, time.monotonic() - begin, time.time_ns()
    await asyncio.sleep(1.0)
    for master in masters:
        master.connection.close()
    delays = [master.delays(since, until) for master in masters]
    found["CPU, % of a core"] = 100 * used / took
    found["events a second and master"] = sum(map(len, delays)) / len(delays) / took
    both = np.array([delay for one in delays for delay in one])
    found["event to wire p50, ms"] = float(np.percentile(both, 50))
    found["event to wire p99, ms"] = float(np.percentile(both, 99))
    return found


def measure(*, quick: bool) -> dict[str, dict[str, float | None]]:
    """Each number of each side, medians of the rounds; None where a side is not installed."""
    rounds, seconds = (1, 3.0) if quick else (3, 15.0)
    told = Parameters(socket="", points=10_000, events=1_000, period=0.1)
    found: dict[str, dict[str, list[float]]] = {side: {} for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as name, contextlib.suppress(RuntimeError):
                here = replace(told, socket=f"{name}/gateway.sock", port=free_port())
                with running("feed", here), running(side, here) as (pid, said):
                    time.sleep(2.0)  # the first values are there
                    for what, value in asyncio.run(round_of(pid, said["port"], seconds)).items():
                        found[side].setdefault(what, []).append(value)
    return {side: {what: median(values) for what, values in rows.items()} for side, rows in found.items()}


NOTES = (
    "aims: at most 30 % of a core with two masters; event to wire p99 at most 100 ms",
    "c104 sends on a tick of its own, at best every 50 ms, and drops what exceeds its queue in an interrogation",
)


def rows_of(found: Mapping[str, Mapping[str, float | None]]) -> list[Row]:
    """A table of what was measured: ours, the peer's, and the ratio."""
    rows: list[Row] = []
    for what, value in found["ours"].items():
        peer = found["c104"].get(what)
        rows += [(f"{what}: ours", value, ""), (f"{what}: c104", peer, "")]
        if peer and value and "objects" not in what:
            rows.append((f"{what}: ours / c104", round(value / peer, 3), "times"))
    return rows
