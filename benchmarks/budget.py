"""What a whole gateway takes of a small machine: memory and CPU of each of its processes.

    python -m benchmarks.budget [--minutes M] [--quick] [--json] [--only local,published]

The real `bessai run` commands a simulated Huawei plant (a process of its own) of which every point is read every
second, more than 60 of them. `local`: the history, and nothing leaves the site. `published`: besides, every record goes
to a Pub/Sub server over gRPC and to an OTLP collector, and the page is served. Servers and device are other processes.

Every process runs from compiled bytecode, as one that was installed does: a first, short start makes it, since what
compiling leaves behind would be measured too.

From `/proc`, after the gateway has settled: resident memory (RSS) and the proportional one (PSS, what the processes
share counted once), once a second, the largest of the run; CPU is user + system of all threads over the whole run. The
aim of a Raspberry-class machine is for the control and the service plane together: at most 180 MB of RSS and 10 % of
one core. The page is told beside it. What is measured here is this machine, not a Raspberry Pi.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, machine, parser, report
from benchmarks.jitter import plant, quick_profile, running
from benchmarks.pubsub_server import serving
from bessai.cli.common import GatewayError, ask_gateway

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.otlp_receiver import OtlpReceiver

ROWS = ("local", "published")
AIM_MB, AIM_CPU, AIM_POINTS = 180.0, 10.0, 60.0
_READY_WITHIN = 60.0
_SETTLE = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BudgetError(Exception):
    """The gateway did not run as it has to for a measurement; the text says how."""


@dataclass
class Use:
    """What one process took."""

    pid: int
    rss_mb: float = 0.0
    pss_mb: float = 0.0
    first_mb: float = 0.0
    cpu: float = 0.0
    """Of one core, %."""
    _begun: float = field(default=0.0, repr=False)

    def begin(self) -> None:
        """Count CPU from now on."""
        self._begun = _cpu_seconds(self.pid)
        self.look()
        self.first_mb = self.rss_mb

    def look(self) -> None:
        """Keep the largest memory."""
        rss, pss = _memory_mb(self.pid)
        self.rss_mb, self.pss_mb = max(self.rss_mb, rss), max(self.pss_mb, pss)

    def end(self, seconds: float) -> None:
        """Take the CPU of so many seconds."""
        self.cpu = 100 * (_cpu_seconds(self.pid) - self._begun) / seconds


def measure(row: str, seconds: float) -> dict[str, Any]:
    """One of `ROWS`.

    Raises:
        BudgetError: the gateway does not start, does not command the plant, or one of its processes began anew.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bytecode = directory / "bytecode"
        profile, points = _every_second(directory / "bench_inverter.json")
        data = directory / "data"
        environment = {
            **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "DATA_DIR": str(data), "LOG_LEVEL": "WARNING",
            "INVERTER_PORT": stack.enter_context(plant(profile)), "DRIVER_PROFILE_PATH": str(profile),
            "HTTP_PORT": "0", "OTEL_SDK_DISABLED": "true", "PYTHONPYCACHEPREFIX": str(bytecode),
        }  # fmt: skip
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if row == "published":
            environment |= {
                "GCP_PROJECT_ID": "bench", "GCP_PUBSUB_TOPIC": "bench", "HTTP_PORT": str(_free_port()),
                "PUBSUB_EMULATOR_HOST": stack.enter_context(serving()).host, "OTEL_SDK_DISABLED": "false",
                "OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(OtlpReceiver()).endpoint,
            }  # fmt: skip
        log = stack.enter_context((directory / "log").open("wb"))
        command = (sys.executable, "-m", "bessai.cli", "run")
        with running(*command, env=environment, stdout=log, stderr=log):
            _until_commanding(data, row, directory / "log", settle=0.0)
        gateway = stack.enter_context(running(*command, env=environment, stdout=log, stderr=log))
        before = _until_commanding(data, row, directory / "log")
        uses = {name: Use(pid) for name, pid in _processes(gateway.pid, before).items()}
        begun = renewed = _begin(uses)
        while (lasted := time.monotonic() - begun) < seconds:
            if time.monotonic() > renewed + 1800.0:
                renewed = time.monotonic()
                _ask(data)
            time.sleep(1.0)
            for use in uses.values():
                use.look()
        for use in uses.values():
            use.end(lasted)
        after = _status(data)
        if _processes(gateway.pid, after) != {name: use.pid for name, use in uses.items()}:
            raise BudgetError("a process of the gateway died and was started again: see what it logs")
    cycles = after["cycle"]["cycles"] - before["cycle"]["cycles"]
    planes = [uses["control"], uses["service"]]
    return {
        "seconds": round(lasted),
        "points_per_second": round(points * cycles / lasted, 1),
        "missed": after["cycle"]["missed"] - before["cycle"]["missed"],
        "planes_rss_mb": round(sum(use.rss_mb for use in planes), 1),
        "planes_pss_mb": round(sum(use.pss_mb for use in planes), 1),
        "planes_cpu_percent": round(sum(use.cpu for use in planes), 2),
        "processes": {
            name: {
                "rss_mb": round(use.rss_mb, 1), "pss_mb": round(use.pss_mb, 1), "cpu_percent": round(use.cpu, 2),
                "growth_mb": round(use.rss_mb - use.first_mb, 1),
            }
            for name, use in uses.items()
        },
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }  # fmt: skip


def rows(row: str, found: dict[str, Any]) -> Iterator[Row]:
    """The rows of a table."""
    yield f"{row}: points read a second (at least {AIM_POINTS:g})", found["points_per_second"], "points"
    yield f"{row}: missed cycles", found["missed"], ""
    yield f"{row}: control + service, RSS (aim ≤ {AIM_MB:g})", found["planes_rss_mb"], "MB"
    yield f"{row}: control + service, PSS", found["planes_pss_mb"], "MB"
    yield f"{row}: control + service, CPU (aim ≤ {AIM_CPU:g})", found["planes_cpu_percent"], "% of a core"
    for name, use in found["processes"].items():
        yield f"{row}: {name}, RSS", use["rss_mb"], f"MB, {use['growth_mb']:g} of it since it settled"
        yield f"{row}: {name}, PSS", use["pss_mb"], "MB"
        yield f"{row}: {name}, CPU", use["cpu_percent"], "% of a core"


def _every_second(path: Path) -> tuple[Path, int]:
    """A profile of which every point is read in every cycle, and how many those are."""
    document = json.loads(quick_profile(path).read_text(encoding="utf-8"))
    read = [point for point in document["points"].values() if point.get("poll") != "once"]
    for point in read:
        point["poll"] = "fast"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path, len(read)


def _begin(uses: dict[str, Use]) -> float:
    for use in uses.values():
        use.begin()
    return time.monotonic()


def _processes(control: int, status: dict[str, Any]) -> dict[str, int]:
    told = {
        "control": control,
        "service": status["service_plane"]["pid"],
        "page": (status.get("page") or {}).get("pid"),
    }
    return {name: pid for name, pid in told.items() if pid}


def _until_commanding(data: Path, row: str, log: Path, settle: float = _SETTLE) -> dict[str, Any]:
    """The status once the plant has taken a power and all has run for a while."""
    deadline, asked = time.monotonic() + _READY_WITHIN, False
    while time.monotonic() < deadline:
        time.sleep(0.5)
        with contextlib.suppress(GatewayError, BudgetError):
            asked = asked or _ask(data)
            status = _status(data)
            if status["control"].get("setpoint") and _well(status, row):
                time.sleep(settle)
                return _status(data)
    raise BudgetError(
        f"no power commanded after {_READY_WITHIN:g} s: {log.read_text(errors='replace')[-400:]}"
    )


def _ask(data: Path) -> bool:
    """Ask for power; a lease lasts an hour at most."""
    ask = {"op": "request", "power": -2.0, "for": 3600, "reason": "bench"}
    return bool((ask_gateway(data, ask) or {}).get("ok"))


def _well(status: dict[str, Any], row: str) -> bool:
    """Whether the sinks of a row deliver."""
    sinks = {sink["name"]: sink for sink in status["service_plane"].get("sinks") or ()}
    wanted = ("pubsub", "otel") if row == "published" else ()
    return bool(status["service_plane"]["running"]) and all(
        sinks.get(name, {}).get("delivered") for name in wanted
    )


def _status(data: Path) -> dict[str, Any]:
    answer = ask_gateway(data, {"op": "status"}, timeout=10.0)
    if answer is None:
        raise BudgetError("the gateway does not answer for its status")
    status: dict[str, Any] = answer["status"]
    return status


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS, in MB of 10^6 bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {
        name: 1024 * int(rest.split()[0]) / 1e6
        for name, _, rest in (line.partition(":") for line in lines[1:])
    }
    return sizes["Rss"], sizes["Pss"]


def main() -> None:
    """Measure and report."""
    options = parser(__doc__ or "")
    options.add_argument("--minutes", type=float, default=10.0, help="of each row (default 10)")
    options.add_argument("--only", default=",".join(ROWS), help="which rows (default: all)")
    chosen = options.parse_args()
    seconds = 20.0 if chosen.quick else 60 * chosen.minutes
    result: dict[str, Any] = {"benchmark": "budget", "machine": machine("uvloop", "numpy"), "notes": []}
    table: list[Row] = []
    for row in [row for row in ROWS if row in chosen.only.split(",")]:
        result[row] = measure(row, seconds)
        table += rows(row, result[row])
        result["notes"].append(
            f"{row}: {result[row]['seconds']} s, load average {result[row]['load_average']}"
        )
    result["notes"].append("MB are 10^6 bytes; the largest of one look a second")
    report(result, table, as_json=chosen.json)


if __name__ == "__main__":
    main()
