"""What the benchmarks share: the machine, the peer's process, tables and JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


def arguments(description: str) -> argparse.Namespace:
    """`--quick` and `--json`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def machine(*packages: str) -> dict[str, Any]:
    """What was measured on, and with which versions."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:  # noqa: PTH123
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


@contextlib.contextmanager
def device() -> Iterator[int]:
    """The fast server as a process; yields its port."""
    command = [sys.executable, "-m", "benchmarks.device"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def median(values: Sequence[float]) -> float:
    """Median, rounded to what noise leaves."""
    return round(statistics.median(values), 4)


def report(result: dict[str, Any], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """One JSON object, or a table of (what, value, unit) with the machine above it."""
    if as_json:
        print(json.dumps(result))
        return
    print("  ".join(f"{key} {value}" for key, value in result["machine"].items()))
    width = max(len(str(row[0])) for row in rows)
    for what, value, unit in rows:
        shown = "not measured" if value is None else f"{value:,.4g}"
        print(f"{what:<{width}}  {shown:>12} {unit}")
    for note in result.get("notes", ()):
        print(f"note: {note}")
