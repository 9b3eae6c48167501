"""What the benchmarks share: arguments, the machine, tables and JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

Row = tuple[str, float | None, str]
"""What, value (None: not measured), unit."""


def parser(description: str) -> argparse.ArgumentParser:
    """`--quick` and `--json`."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


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


def median(values: Sequence[float]) -> float:
    """Median, rounded to what noise leaves."""
    return round(statistics.median(values), 4)


def report(result: dict[str, Any], rows: Sequence[Row], *, as_json: bool) -> None:
    """One JSON object, or a table of (what, value, unit) with the machine above it."""
    print(json.dumps({**result, "rows": rows}) if as_json else table(result, rows))


def table(result: dict[str, Any], rows: Sequence[Row]) -> str:
    """For people."""
    lines = ["  ".join(f"{key} {value}" for key, value in result["machine"].items())]
    width = max((len(str(row[0])) for row in rows), default=0)
    lines += [f"{what:<{width}}  {shown(value):>12} {unit}" for what, value, unit in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in result.get("notes", ()))])


def shown(value: float | None) -> str:
    """With as many digits as are worth reading."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
