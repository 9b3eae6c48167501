"""Runs the benchmarks one after the other, keeps what each says, and puts it into docs/performance.md.

    python -m benchmarks.collect [--quick] [--only NAME ...] [--no-run] [--output DIR] [--page FILE]

`build/bench/NAME.json` is what one said, with the load of the machine before and after it, `NAME.txt` the same for
people. The page gets one section of its own, made from all files that are there; nothing else in it changes. One that
fails is said there too, with its last line, and ends this with exit code 1. `--quick` is a first look: minutes, not an
hour. Nothing else should run on the machine meanwhile; the load is written beside each result.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, shown, table

ROOT = Path(__file__).parents[1]
BEGIN = "<!-- written by benchmarks.collect: do not edit between these lines -->"
END = "<!-- end of what benchmarks.collect has written -->"
_INTRODUCTION = """Made by `make bench`; *quick* runs are a first look, and noisy. A load average above 1 is a warning:
something else ran, and times are worth little. Memory and bytes do not mind."""
_WITHIN = 2 * 3600.0
"""Seconds for one of them."""


def names() -> list[str]:
    """All that take `--quick` and `--json`: those that ask the harness for their arguments."""
    return sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path != Path(__file__)
        and re.search(
            r"from benchmarks.harness import [^\n]*\bparser\b|harness\.parser\(", path.read_text("utf-8")
        )
    )


def run(name: str, *, quick: bool) -> dict[str, Any]:
    """What one says, or `failed` with its last line; either way with time and load."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if quick else [])]
    return ran(command, quick=quick)


def ran(command: Sequence[str], *, quick: bool) -> dict[str, Any]:
    """The outcome of a command that prints one JSON object in its last line."""
    before, begun = os.getloadavg(), time.monotonic()
    about = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "quick": quick, "load_before": [*before]}
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_WITHIN)
        lines = done.stdout.strip().splitlines()
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
            found = {"failed": said[-1][:300]}
        else:
            found = json.loads(lines[-1])
    except subprocess.TimeoutExpired:
        found = {"failed": f"not done within {_WITHIN / 3600:g} h"}
    except (IndexError, ValueError):
        found = {"failed": "its last line is no JSON"}
    took = round(time.monotonic() - begun)
    return {**about, **found, "load_after": [*os.getloadavg()], "took_s": took}


def rows_of(result: Mapping[str, Any]) -> list[Row]:
    """The rows of its table; without one, all numbers in it by their place."""
    rows = result.get("rows")
    if isinstance(rows, list) and all(isinstance(row, list) and len(row) == 3 for row in rows):
        return [(str(what), value, str(unit)) for what, value, unit in rows]
    left_out = {"machine", "notes", "at", "quick", "load_before", "load_after", "took_s", "failed"}
    return [row for key, value in result.items() if key not in left_out for row in _numbers(key, value)]


def _numbers(place: str, value: Any) -> Iterator[Row]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield place, float(value), ""
    elif isinstance(value, dict):
        name = f"{place} {value['row']}" if "row" in value else place
        for key, inner in value.items():
            yield from _numbers(f"{name}: {key}", inner)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict):
                yield from _numbers(place, inner)


def section(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page's section."""
    parts = [
        BEGIN,
        "## Last `make bench`",
        "",
        _INTRODUCTION,
    ]
    for name, result in sorted(results.items()):
        known = [f"{key} {value}" for key, value in result.get("machine", {}).items() if key != "date"]
        machine = f" {', '.join(known)}." if known else ""
        kind = "quick" if result["quick"] else "full"
        before, after = result["load_before"][0], result["load_after"][0]
        parts += [
            "",
            f"### `benchmarks.{name}`",
            "",
            f"{result['at']}, {kind}, {result['took_s']} s, load {before:.1f} before, {after:.1f} after.{machine}",
        ]
        if "failed" in result:
            parts += ["", f"**Failed**: `{result['failed']}`"]
            continue
        parts += ["", "| what | measured | unit |", "|---|---|---|"]
        parts += [
            f"| {_cell(what)} | {shown(value)} | {_cell(unit)} |" for what, value, unit in rows_of(result)
        ]
        parts += [f"\nNote: {note}" for note in result.get("notes", ())]
    return "\n".join([*parts, END])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def placed(page: str, made: str) -> str:
    """The page with the section in the place of the former one, or at its end."""
    if BEGIN in page and END in page:
        head, _, rest = page.partition(BEGIN)
        return head + made + rest.partition(END)[2]
    return f"{page.rstrip()}\n\n{made}\n"


def main() -> None:
    """Run, keep, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", action="append", choices=names(), help="run this one; may be repeated")
    parser.add_argument(
        "--no-run", action="store_true", help="only write the page from the files that are there"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench", help="where results go")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs/performance.md", help="what gets the section"
    )
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in () if chosen.no_run else chosen.only or names():
        print(f"{name} …", flush=True)
        result = run(name, quick=chosen.quick)
        (chosen.output / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        text = result.get("failed") or table({"machine": {}, **result}, rows_of(result))
        (chosen.output / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8")
        if "failed" in result:
            failed.append(name)
            print(f"  failed: {result['failed']}", flush=True)
    results = {path.stem: json.loads(path.read_text("utf-8")) for path in chosen.output.glob("*.json")}
    if results:
        page = placed(chosen.page.read_text("utf-8"), section(results))
        chosen.page.write_text(page, encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
