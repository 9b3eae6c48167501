"""From the operator's command to the register: a real gateway, its station, a simulated device in a process of its own.

    python -m benchmarks.gridcode --only command

The device is the SunSpec converter of the self-test, which asks for no pause between requests. One that does, such as
Kostal's 50 ms, cannot be read and written five times a second: its slower values go stale, and no power is granted.

A set-point is executed (selected before) again and again; the time runs from the moment in which the execute leaves the
master to the moment in which the device has taken the register that holds the power.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bessai.gridcode.bench_plant import pcs_profile
from bessai.iec104 import TypeId
from bessai.iec104.client import Client
from bessai.twin import TwinServer

CYCLE = 0.2
"""Seconds of the gateway's cycle."""
_CARRIES = "m704_w_set"
"""The register that holds the power."""
_PATIENCE = 60.0


async def serve() -> None:
    """The device: prints its port, then a line with the time in ns of every write of registers."""
    async with TwinServer(pcs_profile(), seed=1, dense=True) as twin:
        device = twin.device
        write = device.write

        def noted(table: str, address: int, words: list[int], *, unit: int | None = None) -> None:
            at = time.time_ns()
            write(table, address, words, unit=unit)
            print(json.dumps({"at": at, "address": address, "words": words}), flush=True)

        device.write = noted  # type: ignore[method-assign]
        print(json.dumps({"port": twin.port}), flush=True)
        await asyncio.Event().wait()


def measure(*, quick: bool, free_port: int) -> dict[str, float]:
    """Milliseconds: p50 and p99 of the way, and of the cycle."""
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(
            [sys.executable, "-c", "import asyncio, benchmarks.scada_command as b; asyncio.run(b.serve())"],
            stdout=subprocess.PIPE,
        ) as device,
    ):
        folder = Path(name)
        try:
            assert device.stdout is not None
            port = json.loads(device.stdout.readline())["port"]
            with _gateway(folder, port, free_port) as gateway:
                try:
                    return asyncio.run(_rounds(device, free_port, 20 if quick else 200))
                finally:
                    gateway.terminate()
        finally:
            device.kill()


def _gateway(folder: Path, port: int, scada: int) -> subprocess.Popen[bytes]:
    site = {
        "site": "bench",
        "devices": {
            "pcs": {
                "profile": "sunspec.json",
                "role": "inverter",
                "endpoint": f"127.0.0.1:{port}",
                "control": True,
            }
        },
        "scada": {
            "iec104": {
                "listen": "127.0.0.1",
                "port": scada,
                "masters": ["127.0.0.1"],
                "command": ["127.0.0.1"],
            },
            "points": [{"ioa": 1, "name": "decision.setpoint"}],
            "commands": [{"ioa": 11, "target": "active_power"}],
        },
    }
    (folder / "site.yaml").write_text(json.dumps(site))
    (folder / "sunspec.json").write_text(pcs_profile().model_dump_json(by_alias=True, exclude_defaults=True))
    environment = {
        **os.environ,
        "SITE_ID": "bench", "SITE_FILE": str(folder / "site.yaml"), "DATA_DIR": str(folder / "data"),
        "CYCLE_TIME": str(CYCLE), "OTEL_SDK_DISABLED": "true",
        "HTTP_PORT": "0", "LOG_LEVEL": "ERROR", "CHARGE_POWER_MAX": "10",
        "DISCHARGE_POWER_MAX": "10", "HISTORY_MAX_MB": "0",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "bessai.core"], env=environment)


async def _rounds(device: subprocess.Popen[bytes], port: int, count: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    assert device.stdout is not None
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), device.stdout)
    carries = pcs_profile().points[_CARRIES].address
    chance = Random(1)
    client = await _connected(port)
    async with client:
        await client.start()
        delays = []
        deadline = time.monotonic() + _PATIENCE
        while True:  # the guard grants power after a few valid cycles
            await client.command(TypeId.C_SE_NC_1, 11, 1.0, select=True)
            asdus = await client.interrogate()
            if any(item.value == 1.0 for asdu in asdus for item in asdu.objects if item.address == 1):
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the gateway grants no power")
            await asyncio.sleep(0.5)
        for n in range(count):
            power = 2.0 + (n % 2)
            await asyncio.sleep(0.6 + CYCLE * chance.random())  # anywhere in a cycle
            while True:  # what was written before
                try:
                    await asyncio.wait_for(reader.readline(), 0.02)
                except TimeoutError:
                    break
            await client.select(TypeId.C_SE_NC_1, 11, power)
            sent = time.time_ns()
            await client.command(TypeId.C_SE_NC_1, 11, power)
            told: dict[str, Any] = {}
            while told.get("address") != carries:
                told = json.loads(await asyncio.wait_for(reader.readline(), _PATIENCE))
            delays.append((told["at"] - sent) / 1e6)
    found = np.array(delays)
    return {
        "command to register p50, ms": float(np.percentile(found, 50)),
        "command to register p99, ms": float(np.percentile(found, 99)),
        "cycle, ms": 1000 * CYCLE,
        "commands": float(len(found)),
    }


async def _connected(port: int) -> Client:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return await Client.connect("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
