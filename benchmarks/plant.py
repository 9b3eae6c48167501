"""The whole control plane on a large plant: read, decode, image, guard and journal.

A real control plane (`python -m bessai.core`) runs on a generated site file against the C server, and is measured
from outside: CPU of its process (user + system; the service plane, its child, not included), its largest resident
memory, and what its status says. Rows:

`plant`: 1,000 devices x 300 points every second. `faults`: the same with 50 of them dead and 50 babbling.
`growth`: CPU a point at 10, 100 and 1,000 devices. `fast`: a 100 ms cycle beside 1,000 devices read every second.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Row
from benchmarks.native import NotAvailableError, build, serving
from benchmarks.points import rack_profile
from bessai.cli.common import GatewayError, ask_gateway

ROWS = ("plant", "faults", "growth", "fast")
_FIRST_PORTS = range(20000, 32000, 2000)  # below the ports that Linux gives to clients
_READY_WITHIN = 120.0
_SETTLE = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


class PlantError(Exception):
    """The control plane did not run as it has to for a measurement; the text says how."""


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is simulated. The last devices are the sick ones."""

    devices: int
    dead: int = 0
    babbling: int = 0
    cycle: float = 1.0
    """Seconds of the control cycle."""
    period: float = 1.0
    """Seconds between reads of a device."""

    @property
    def sick(self) -> int:
        """Devices that cannot be read."""
        return self.dead + self.babbling


def measure(row: str, directory: Path, seconds: float) -> dict[str, Any]:
    """One of `ROWS`, each run of `seconds`.

    Raises:
        NotAvailableError: no C server here.
        PlantError: the control plane does not start, or ends.
    """
    server = build("server", directory)
    if row == "plant":
        return run(server, Plant(devices=1000), seconds)
    if row == "fast":
        return run(server, Plant(devices=1000, cycle=0.1), seconds)
    if row == "growth":
        sizes = (10, 100, 1000)
        found = {n: run(server, Plant(devices=n), seconds)["cpu_us_per_point"] for n in sizes}
        return {f"cpu_us_per_point_{n}": value for n, value in found.items()}
    healthy = run(server, Plant(devices=1000), seconds)
    sick = run(server, Plant(devices=1000, dead=50, babbling=50), seconds)
    return {
        **sick,
        "cpu_ratio": round(sick["cpu_s_per_s"] / healthy["cpu_s_per_s"], 3),
        "healthy_age_max_s": healthy["age_max_s"],
    }


def run(server: Path, plant: Plant, seconds: float) -> dict[str, Any]:
    """One control plane on one plant for `seconds`, after all healthy devices are read."""
    with tempfile.TemporaryDirectory() as name, _devices(server, plant) as first_port:
        directory = Path(name)
        points = len(rack_profile(directory / "bench_rack.json").points)
        site = directory / "site.yaml"
        site.write_text(_site(plant, first_port), encoding="utf-8")
        data = directory / "data"
        with _control_plane(site, data, plant) as process:
            _wait_until_read(process, data, plant)
            time.sleep(_SETTLE)
            before, cpu, begin = _status(process, data), _cpu_seconds(process.pid), time.monotonic()
            oldest = _watch(process, data, seconds)
            used, lasted = _cpu_seconds(process.pid) - cpu, time.monotonic() - begin
            after = _status(process, data)
            memory = _memory_max_mb(process.pid)
    cycle = after["cycle"]
    rate = points * (plant.devices - plant.sick) / plant.period
    return {
        "cpu_s_per_s": round(used / lasted, 4),
        "cpu_us_per_point": round(used / lasted / rate * 1e6, 3),
        "rss_max_mb": round(memory, 1),
        "cycles": cycle["cycles"] - before["cycle"]["cycles"],
        "missed": cycle["missed"] - before["cycle"]["missed"],
        "late_max_ms": _ms(cycle.get("late_max")),
        "late_p50_ms": _ms(cycle.get("late_p50")),
        "late_p99_ms": _ms(cycle.get("late_p99")),
        "healthy_devices_not_good": plant.devices - plant.sick - after["devices"]["well"],
        "age_max_s": oldest,
    }


def rows(row: str, found: dict[str, Any]) -> list[Row]:
    """The rows of a table; an empty `found` gives rows that are not measured."""
    get = found.get
    if row == "growth":
        return [
            (f"{n:,} devices: whole control plane", get(f"cpu_us_per_point_{n}"), "µs CPU a point")
            for n in (10, 100, 1000)
        ]
    if row == "fast":
        return [
            ("100 ms cycle beside 1,000 devices: start lateness p50", get("late_p50_ms"), "ms"),
            ("100 ms cycle beside 1,000 devices: start lateness p99", get("late_p99_ms"), "ms"),
            ("100 ms cycle beside 1,000 devices: missed cycles", get("missed"), ""),
        ]
    if row == "faults":
        return [
            ("100 of 1,000 devices sick: CPU, to all healthy", get("cpu_ratio"), "×"),
            ("100 of 1,000 devices sick: worst age of the others", get("age_max_s"), "s"),
            ("all healthy: worst age", get("healthy_age_max_s"), "s"),
            ("100 of 1,000 devices sick: others not good", get("healthy_devices_not_good"), ""),
            ("100 of 1,000 devices sick: missed cycles", get("missed"), ""),
        ]
    return [
        ("1,000 devices x 300 points every second: CPU", get("cpu_s_per_s"), "s CPU a second"),
        ("1,000 devices x 300 points every second: CPU", get("cpu_us_per_point"), "µs CPU a point"),
        ("1,000 devices x 300 points every second: memory", get("rss_max_mb"), "MB"),
        ("1,000 devices x 300 points every second: cycles", get("cycles"), ""),
        ("1,000 devices x 300 points every second: missed", get("missed"), ""),
        ("1,000 devices x 300 points every second: latest start", get("late_max_ms"), "ms"),
        ("1,000 devices x 300 points every second: devices not good", get("healthy_devices_not_good"), ""),
    ]


def _site(plant: Plant, first_port: int) -> str:
    """The site file; device 1 is on the first port."""
    racks = {
        "count": plant.devices,
        "profile": "bench_rack.json",
        "role": "battery",
        "endpoint": f"tcp://127.0.0.1:{{n+{first_port - 1}}}",
        "period": plant.period,
    }
    return yaml.safe_dump(
        {"site": "bench", "publish": "plant", "devices": {"rack_{n}": racks}}, sort_keys=False
    )


@contextlib.contextmanager
def _devices(server: Path, plant: Plant) -> Iterator[int]:
    """The C server on consecutive free ports; yields the first."""
    shares = ["--dead", str(plant.dead), "--babble", str(plant.babbling), "--changing"]
    for first in _FIRST_PORTS:
        command: list[str | Path] = [server, "--base", str(first), "--ports", str(plant.devices), *shares]
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(serving(command))
            except NotAvailableError:
                continue
            yield first
            return
    raise NotAvailableError(f"no {plant.devices} consecutive free ports in {_FIRST_PORTS}")


@contextlib.contextmanager
def _control_plane(site: Path, data: Path, plant: Plant) -> Iterator[subprocess.Popen[bytes]]:
    """The real control plane, started as a service would; ends with SIGTERM."""
    environment = {
        **os.environ, "SITE_FILE": str(site), "SITE_ID": "bench", "DATA_DIR": str(data), "CONTROL_MODE": "monitor",
        "CYCLE_TIME": str(plant.cycle), "LOG_LEVEL": "ERROR", "OTEL_SDK_DISABLED": "true", "HTTP_PORT": "0",
    }  # fmt: skip
    errors = data.with_name("control-plane.log")
    with errors.open("wb") as log:
        command = [sys.executable, "-m", "bessai.core"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _raise_descriptors(process.pid, 2 * plant.devices + 256)
        yield process
        process.terminate()
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _raise_descriptors(pid: int, needed: int) -> None:
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (wanted, hard))


def _wait_until_read(process: subprocess.Popen[bytes], data: Path, plant: Plant) -> None:
    """Until as many devices are good as can be."""
    deadline, good = time.monotonic() + _READY_WITHIN, 0
    while time.monotonic() < deadline:
        time.sleep(0.5)
        _alive(process, data)
        with contextlib.suppress(GatewayError):
            answer = ask_gateway(data, {"op": "status"})
            good = answer["status"]["devices"]["well"] if answer else 0
            if good >= plant.devices - plant.sick:
                return
    raise PlantError(f"{good} of {plant.devices - plant.sick} healthy devices good after {_READY_WITHIN:g} s")


def _watch(process: subprocess.Popen[bytes], data: Path, seconds: float) -> float | None:
    """The age of the oldest value of any healthy device, looked at twice a second for `seconds`."""
    oldest: float | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        age = _status(process, data)["devices"]["oldest_value"]
        oldest = age if oldest is None or (age is not None and age > oldest) else oldest
        time.sleep(0.5)
    return oldest


def _alive(process: subprocess.Popen[bytes], data: Path) -> None:
    if process.poll() is not None:
        log = data.with_name("control-plane.log").read_text(encoding="utf-8", errors="replace").strip()
        raise PlantError(f"the control plane ended with code {process.returncode}: {log[-400:]}")


def _status(process: subprocess.Popen[bytes], data: Path) -> dict[str, Any]:
    _alive(process, data)
    try:
        answer = ask_gateway(data, {"op": "status"}, timeout=10.0)
    except GatewayError as error:
        raise PlantError(str(error)) from None
    if answer is None:
        raise PlantError("the control plane does not answer for its status")
    status: dict[str, Any] = answer["status"]
    return status


def _cpu_seconds(pid: int) -> float:
    """User + system of the process and all its threads, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_max_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), math.nan)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)
