"""Cost of the control plane on one device; `benchmarks.acquisition` has the peers and the large plant.

    python -m benchmarks.cycle [--quick] [--json]

Cycle: 100 mixed points in 300 registers, read one request at a time, through image, guard and journal; CPU is
user + system of the process. Process: the real control plane on the simulated Huawei plant: memory, time to
first telemetry, time to end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.harness import Row, machine, median, parser, report
from benchmarks.native import one_device
from benchmarks.points import mixed_profile
from bessai.cli.common import ask_gateway
from bessai.core.cycle import ControlCycle
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.journal import Journal
from bessai.model import Endpoint, SystemClock
from bessai.registry import CompiledProfile
from bessai.site import single_device_site


async def whole_cycle(
    profile: CompiledProfile, port: int, directory: Path, *, quick: bool
) -> dict[str, float]:
    """CPU per cycle in µs with image, guard and durable journal, the writer thread included."""
    site = single_device_site(profile, Endpoint(host="127.0.0.1", port=port))
    plant = Plant(site, SystemClock())
    journal = Journal.open(directory / "journal", layout=profile.layout, device={})
    guard = SafetyGuard([Unit(profile, Limits(), DeadMan(profile, 5.0), control=False)])
    cycle = ControlCycle(plant, guard, RequestBook(), journal, SystemClock(), period=1.0)
    for _ in range(20):
        await cycle.step()
    values = []
    for _ in range(3 if quick else 9):
        times = 300 if quick else 1000
        begin = time.process_time()
        for _ in range(times):
            await cycle.step()
        values.append((time.process_time() - begin) / times * 1e6)
    await plant.close()
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
        "DATA_DIR": str(data), "LOG_LEVEL": "ERROR", "HTTP_PORT": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
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


def main() -> None:
    """Measure and report."""
    options = parser(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with one_device(directory) as (port, note):
            profile = mixed_profile(directory)
            found: dict[str, Any] = uvloop.run(whole_cycle(profile, port, directory, quick=options.quick))
        found |= process(directory, quick=options.quick)
    result = {
        "benchmark": "cycle",
        "machine": machine("uvloop", "numpy"),
        **found,
        "notes": ["CPU is user + system; loopback charges most kernel time to the sender",
                  "memory is resident memory of the control plane alone, without the service plane",
                  *([note] if note else [])],
    }  # fmt: skip
    rows: list[Row] = [
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
