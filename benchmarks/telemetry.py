"""What telemetry costs: without a collector, with one that is away, with one that answers.

    python -m benchmarks.telemetry [--quick] [--json]

The real gateway on a simulated inverter, two cycles a second, page off. Read from /proc: user + system, over the same
time for each; the first seconds, in which libraries load, are not in it. The collector is a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, machine, parser, report
from bessai.cli.common import ask_gateway
from bessai.interfaces.metrics.kernel import process

_COLLECTOR = """
import sys, time
sys.path.insert(0, "tests")
from support.otlp_receiver import OtlpReceiver
with OtlpReceiver() as receiver:
    print(receiver.endpoint, flush=True)
    sys.stdin.read()
"""
_PROFILE = "kostal_plenticore"
_CYCLE = 0.5
_WARM = 8.0
"""Seconds before the measuring begins."""


def variants(collector: str) -> dict[str, dict[str, str]]:
    """What is compared."""
    away = "http://127.0.0.1:9"
    return {
        "off": {"OTEL_SDK_DISABLED": "true"},
        "away": {"OTEL_EXPORTER_OTLP_ENDPOINT": away},
        "answers": {"OTEL_EXPORTER_OTLP_ENDPOINT": collector},
        "answers_all": {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_SAMPLER": "always_on"},
    }


@contextmanager
def child(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that says its address in its first line."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, **options) as found:
        try:
            yield found
        finally:
            found.terminate()


def first_line(found: subprocess.Popen[str]) -> str:
    assert found.stdout is not None
    return found.stdout.readline().strip()


def measured(data: Path, port: str, settings: dict[str, str], seconds: float) -> dict[str, float]:
    """Milliseconds of processor time a cycle, and MB, of both planes."""
    environment = {
        **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "INVERTER_PORT": port, "DATA_DIR": str(data),
        "DRIVER_PROFILE_PATH": f"registry/{_PROFILE}.json",
        "LOG_LEVEL": "ERROR", "HTTP_PORT": "0", "CYCLE_TIME": str(_CYCLE), **settings,
    }  # fmt: skip
    gateway = subprocess.Popen([sys.executable, "-m", "bessai.core"], env=environment)
    try:
        service = None
        while service is None:
            time.sleep(0.2)
            answer = ask_gateway(data, {"op": "summary"}, timeout=1)
            service = answer["status"]["service_plane"]["pid"] if answer else None
        time.sleep(_WARM)
        begun, before = _look(data, gateway.pid, service)
        time.sleep(seconds)
        ended, after = _look(data, gateway.pid, service)
        cycles = ended - begun
        return {
            "control_ms": 1000 * (after[0] - before[0]) / cycles,
            "service_ms": 1000 * (after[1] - before[1]) / cycles,
            "control_mb": after[2],
            "service_mb": after[3],
        }
    finally:
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(30)


def _look(data: Path, control: int, service: int) -> tuple[int, tuple[float, float, float, float]]:
    answer = ask_gateway(data, {"op": "summary"}, timeout=2)
    assert answer is not None
    one, other = process(control), process(service)
    return answer["status"]["cycle"]["cycles"], (
        one.cpu or 0.0, other.cpu or 0.0, (one.memory or 0) / 1e6, (other.memory or 0) / 1e6,
    )  # fmt: skip


def main() -> None:
    """Measure and report."""
    options = parser(__doc__ or "").parse_args()
    seconds = 20.0 if options.quick else 60.0
    twin = ("-m", "bessai.cli", "simulate", "--profile", _PROFILE, "--port", "0")
    found: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        child(*twin) as plant,
        child("-c", _COLLECTOR, stdin=subprocess.PIPE) as collector,
    ):
        port = first_line(plant).split()[3].rpartition(":")[2]
        endpoint = first_line(collector)
        for variant, settings in variants(endpoint).items():
            found[variant] = measured(Path(name) / variant, port, settings, seconds)
    result: dict[str, Any] = {
        "benchmark": "telemetry",
        "machine": machine("opentelemetry-sdk", "grpcio"),
        **found,
        "notes": [f"{1 / _CYCLE:g} cycles a second over {seconds:g} s each; metrics are exported every 10 s"],
    }
    words = {
        "off": "OTEL_SDK_DISABLED=true", "away": "nobody listens", "answers": "a collector, 1 cycle of 10 traced",
        "answers_all": "a collector, every cycle traced",
    }  # fmt: skip
    rows: list[Row] = []
    for variant, told in found.items():
        rows += [
            (f"{words[variant]}: service plane", told["service_ms"], "ms CPU a cycle"),
            (f"{words[variant]}: control plane", told["control_ms"], "ms CPU a cycle"),
            (f"{words[variant]}: service plane", told["service_mb"], "MB"),
        ]
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
