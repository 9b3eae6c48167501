"""Cost of the control plane, beside pymodbus reading the same points one by one.

    python -m benchmarks.cycle [--quick] [--json]

Acquisition: 100 mixed points in 300 registers, window 1, both clients on uvloop in one process, in turn; CPU is
user + system of that process. Cycle: the same points through image, guard and journal. Process: the real
control plane on the simulated Huawei plant: memory, time to first telemetry, time to end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.harness import arguments, device, machine, median, report
from bessai.cli.common import ask_gateway
from bessai.core.cycle import ControlCycle
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.requests import RequestBook
from bessai.drivers import UniversalDriver
from bessai.journal import Journal
from bessai.model import SystemClock
from bessai.registry import CompiledProfile, compile_profile, load_profile

_TYPES = ("u16", "i16", "u32", "i32", "f32")


def plant_profile(directory: Path) -> CompiledProfile:
    """100 points of mixed types, spread evenly over 300 registers."""
    points: dict[str, Any] = {}
    for i in range(100):
        kind = _TYPES[i % len(_TYPES)]
        points[f"p{i:03}"] = {"address": 3 * i, "type": kind, "gain": 0.1, "poll": "fast", "sources": ["b"]}
    path = directory / "bench.json"
    path.write_text(
        json.dumps(
            {
                "schema_version": 1, "id": "bench", "manufacturer": "none", "model": "100 points in 300 registers",
                "kinds": ["battery"], "status": "documented", "points": points,
                "sources": {"b": {"title": "benchmark", "kind": "project", "where": "benchmarks/cycle.py"}},
            }
        )
    )  # fmt: skip
    return compile_profile(load_profile(path))


async def acquisition(profile: CompiledProfile, port: int, *, quick: bool) -> dict[str, float]:
    """CPU per point in µs: our driver, pymodbus point by point, pymodbus by the same blocks."""
    driver = UniversalDriver(profile, "127.0.0.1", port)
    peer = AsyncModbusTcpClient("127.0.0.1", port=port)
    await peer.connect()
    points = [(p.address, p.registers, _pymodbus_type(peer, p.type)) for p in profile.points.values()]

    async def ours(times: int) -> float:
        begin = time.process_time()
        for _ in range(times):
            await driver.read_fast()
            driver.columns(0.0)
        return time.process_time() - begin

    async def one_by_one(times: int) -> float:
        begin = time.process_time()
        for _ in range(times):
            for address, count, kind in points:
                reply = await peer.read_holding_registers(address, count=count, device_id=1)
                value = peer.convert_from_registers(reply.registers, kind)
                assert not isinstance(value, list | str)
                value * 0.1
        return time.process_time() - begin

    async def by_blocks(times: int) -> float:
        blocks = profile.plans["fast"].blocks
        begin = time.process_time()
        for _ in range(times):
            for block in blocks:
                reply = await peer.read_holding_registers(block.address, count=block.count, device_id=1)
                for address, count, kind in points:
                    if block.address <= address < block.address + block.count:
                        start = address - block.address
                        value = peer.convert_from_registers(reply.registers[start : start + count], kind)
                        assert not isinstance(value, list | str)
                        value * 0.1
        return time.process_time() - begin

    await ours(50), await one_by_one(1), await by_blocks(20)
    rounds, found = 3 if quick else 9, {"ours": [], "one_by_one": [], "by_blocks": []}  # type: ignore[var-annotated]
    scale = 1 if quick else 4
    for _ in range(rounds):
        for name, measure, times in (
            ("ours", ours, 300 * scale),
            ("one_by_one", one_by_one, 4 * scale),
            ("by_blocks", by_blocks, 60 * scale),
        ):
            found[name].append(await measure(times) / times / len(points) * 1e6)
    await driver.close()
    peer.close()
    pairs = list(zip(found["ours"], found["one_by_one"], found["by_blocks"], strict=True))
    return {
        **{f"cpu_us_per_point_{name}": median(values) for name, values in found.items()},
        "ratio_one_by_one": median([b / a for a, b, _ in pairs]),
        "ratio_by_blocks": median([c / a for a, _, c in pairs]),
    }


async def whole_cycle(
    profile: CompiledProfile, port: int, directory: Path, *, quick: bool
) -> dict[str, float]:
    """CPU per cycle in µs with image, guard and durable journal, the writer thread included."""
    driver = UniversalDriver(profile, "127.0.0.1", port)
    journal = Journal.open(directory / "journal", layout=profile.layout, device={})
    guard = SafetyGuard(profile, Limits(), DeadMan(profile, 5.0), control=False)
    cycle = ControlCycle(driver, guard, RequestBook(), journal, SystemClock(), period=1.0)
    for _ in range(20):
        await cycle.step()
    values = []
    for _ in range(3 if quick else 9):
        times = 300 if quick else 1000
        begin = time.process_time()
        for _ in range(times):
            await cycle.step()
        values.append((time.process_time() - begin) / times * 1e6)
    await driver.close()
    journal.close(5.0)
    return {
        "cpu_us_per_cycle": median(values),
        "cpu_us_per_point_whole_cycle": median([value / len(profile.layout) for value in values]),
    }


def process(directory: Path, *, quick: bool) -> dict[str, float | None]:
    """The real control plane, with service plane, on the simulated Huawei plant."""
    twin = subprocess.Popen(
        [sys.executable, "-m", "bessai.cli", "simulate", "--profile", "huawei_sun2000", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert twin.stdout is not None
    address = twin.stdout.readline().split()[3]
    data = directory / "data"
    environment = {
        **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "INVERTER_PORT": address.rpartition(":")[2],
        "DATA_DIR": str(data), "LOG_LEVEL": "ERROR", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }  # fmt: skip
    begin = time.monotonic()
    gateway = subprocess.Popen([sys.executable, "-m", "bessai.core"], env=environment)
    first: float | None = None
    try:
        while first is None and time.monotonic() - begin < 30:
            answer = ask_gateway(data, {"op": "status"}, timeout=0.5)
            soc = answer["status"]["points"].get("soc") if answer else None
            if soc and soc["quality"] == "good":
                first = time.monotonic() - begin
            time.sleep(0.02)
        time.sleep(5 if quick else 30)
        lines = Path(f"/proc/{gateway.pid}/status").read_text(encoding="utf-8").splitlines()
        memory = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
        answer = ask_gateway(data, {"op": "status"}) or {}
        cycles = answer["status"]["cycle"]
    finally:
        stopping = time.monotonic()
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(30)
        ended = time.monotonic() - stopping
        twin.terminate()
        twin.wait(10)
    return {
        "control_plane_rss_mb": round(memory, 1),
        "first_telemetry_s": None if first is None else round(first, 2),
        "exit_s": round(ended, 2),
        "missed_cycles": cycles["missed"],
        "start_lateness_max_ms": round(1000 * cycles["late_max"], 2),
    }


def _pymodbus_type(client: AsyncModbusTcpClient, name: str) -> Any:
    kinds = client.DATATYPE
    return {
        "u16": kinds.UINT16,
        "i16": kinds.INT16,
        "u32": kinds.UINT32,
        "i32": kinds.INT32,
        "f32": kinds.FLOAT32,
    }[name]


async def _measure(directory: Path, port: int, *, quick: bool) -> dict[str, float]:
    profile = plant_profile(directory)
    return await acquisition(profile, port, quick=quick) | await whole_cycle(
        profile, port, directory, quick=quick
    )


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as name, device() as port:
        directory = Path(name)
        found: dict[str, Any] = uvloop.run(_measure(directory, port, quick=options.quick))
        found |= process(directory, quick=options.quick)
    result = {
        "benchmark": "cycle",
        "machine": machine("pymodbus", "uvloop", "numpy"),
        **found,
        "notes": ["CPU is user + system; loopback charges most kernel time to the sender",
                  "memory is resident memory of the control plane alone, without the service plane"],
    }  # fmt: skip
    rows = [
        ("acquisition: ours", found["cpu_us_per_point_ours"], "µs CPU a point"),
        ("acquisition: pymodbus, point by point", found["cpu_us_per_point_one_by_one"], "µs CPU a point"),
        ("acquisition: pymodbus, same blocks", found["cpu_us_per_point_by_blocks"], "µs CPU a point"),
        ("pymodbus point by point / ours (aim ≥ 40)", found["ratio_one_by_one"], "×"),
        ("pymodbus same blocks / ours", found["ratio_by_blocks"], "×"),
        ("whole cycle, journal included", found["cpu_us_per_cycle"], "µs CPU a cycle of 100 points"),
        ("whole cycle, journal included", found["cpu_us_per_point_whole_cycle"], "µs CPU a point"),
        ("control plane memory (aim ≤ 70)", found["control_plane_rss_mb"], "MB"),
        ("start to first telemetry (aim ≤ 5)", found["first_telemetry_s"], "s"),
        ("SIGTERM to end (aim < 2)", found["exit_s"], "s"),
        ("missed cycles", found["missed_cycles"], ""),
        ("latest start of a cycle", found["start_lateness_max_ms"], "ms"),
    ]
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
