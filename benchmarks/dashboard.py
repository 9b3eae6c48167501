"""The dashboard in a real browser: how soon it shows the plant, how smoothly it goes on, and what it keeps in memory.

    python -m benchmarks.dashboard [--quick] [--json] [--only view,bytes,cells,soak] [--peer NAME=DIRECTORY]

`view`: nothing cached, somebody is signed in, the processor slowed down four times by the browser: from navigation to
the first painted numbers of a simulated inverter. `bytes`: gzip of all scripts. `cells`: frames of the screen while
each of 5,000 cells changes every second, behind a real gateway of 25 racks. `soak`: twelve hours of cycles in short,
through all pages, with the heap after garbage collection.

A peer is the folder of a built page. It has no server of its own here, so only what it asks for and when it paints
first can be compared: ours is measured in the same way beside it.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import dashboard_browser as seen
from benchmarks.dashboard_plants import cells, inverter
from benchmarks.harness import Row, machine, median, parser, report

PAGE = Path(__file__).parents[1] / "src" / "bessai" / "interfaces" / "api" / "page"
PARTS = ("view", "bytes", "cells", "soak")
SLOWER = 4.0
_RUNS = 9


class _Files(http.server.SimpleHTTPRequestHandler):
    """A folder, each file compressed as it goes out."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        data = _packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@functools.cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a built page; yields its address."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Files, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def scripts(folder: Path) -> float:
    """KB of all scripts of a page with gzip; those for browsers without modules are not counted."""
    found = [path for path in folder.rglob("*.js") if "legacy" not in path.name]
    return sum(len(_packed(path)) for path in found) / 1000


def measure(parts: list[str], peers: dict[str, Path], *, quick: bool) -> tuple[dict[str, Any], list[Row]]:
    """All that was asked for."""
    result: dict[str, Any] = {"machine": {**machine("playwright"), "load": round(os.getloadavg()[0], 1)}}
    rows: list[Row] = []
    with seen.browser() as chromium:
        result["machine"]["browser"] = chromium.version
        if "view" in parts:
            _view(chromium, 3 if quick else _RUNS, result, rows)
        if "bytes" in parts:
            _bytes(chromium, {"ours": PAGE, **peers}, 1 if quick else 3, result, rows)
        if "cells" in parts:
            _cells(chromium, 5.0 if quick else 30.0, result, rows)
        if "soak" in parts:
            _soak(chromium, 1200 if quick else seen.FRAMES, result, rows)
    return result, rows


def _view(chromium: Any, runs: int, result: dict[str, Any], rows: list[Row]) -> None:
    with inverter() as site:
        seen.first_view(chromium, site, slower=1)  # the gateway's own first time
        slow = [seen.first_view(chromium, site, slower=SLOWER) for _ in range(runs)]
        plain = [seen.first_view(chromium, site, slower=1) for _ in range(runs)]
    result["view"] = {"slow": slow, "plain": plain}
    for name, found in (("4 × slower", slow), ("as it is", plain)):
        rows += [
            (f"first view, {name}: numbers painted", _median(found, "numbers"), "ms"),
            (f"first view, {name}: main thread", _median(found, "cpu_ms"), "ms CPU"),
        ]
    rows += [
        ("first view: over the wire", _median(slow, "kb"), "kB"),
        ("first view: of it scripts", _median(slow, "script_kb"), "kB"),
    ]


def _bytes(chromium: Any, pages: dict[str, Path], runs: int, result: dict[str, Any], rows: list[Row]) -> None:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in pages}
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(serving(folder)) for name, folder in pages.items()}
        for _ in range(runs):
            for name, url in urls.items():  # in turn
                found[name].append(seen.bare_view(chromium, url, slower=SLOWER))
    result["bytes"] = {name: {"all_kb": scripts(pages[name]), "runs": runs} for name, runs in found.items()}
    for name, each in found.items():
        rows += [
            (f"{name}: all scripts, gzip", scripts(pages[name]), "kB"),
            (f"{name}: scripts of the first view, gzip", _median(each, "script_kb"), "kB"),
            (f"{name}: everything until it asks no more, gzip", _median(each, "kb"), "kB"),
            (f"{name}: first paint, 4 × slower, no server behind it", _median(each, "painted"), "ms"),
        ]


def _cells(chromium: Any, seconds: float, result: dict[str, Any], rows: list[Row]) -> None:
    result["cells"] = {}
    with cells() as site:
        for name, slower in (("as it is", 1.0), ("4 × slower", SLOWER)):
            found = result["cells"][name] = seen.smoothness(chromium, site, seconds, slower=slower)
            rows += [
                (f"{found['cells']:,} cells, {name}: frames of the screen", found["fps"], "a second"),
                (f"{found['cells']:,} cells, {name}: longest pause, p99", found["gap_p99_ms"], "ms"),
                (f"{found['cells']:,} cells, {name}: longest pause", found["gap_max_ms"], "ms"),
                (
                    f"{found['cells']:,} cells, {name}: tasks over 50 ms",
                    found["long_tasks_per_s"],
                    "a second",
                ),
                (f"{found['cells']:,} cells, {name}: updates", found["updates_per_s"], "a second"),
                (f"{found['cells']:,} cells, {name}: main thread", found["task_ms_per_s"], "ms CPU a second"),
            ]


def _soak(chromium: Any, frames: int, result: dict[str, Any], rows: list[Row]) -> None:
    with inverter(cycle=0.1) as site:
        found = result["soak"] = seen.soak(chromium, site, frames)
    hours = frames / 3600
    for i, mark in enumerate(found["marks"]):
        rows += [
            (f"soak of {hours:.3g} h, at {i}/4: heap after collection", mark["heap_mb"], "MB"),
            (f"soak of {hours:.3g} h, at {i}/4: nodes", mark["nodes"], ""),
            (f"soak of {hours:.3g} h, at {i}/4: listeners", mark["listeners"], ""),
        ]
    rows += [
        ("soak: heap at the end, to a quarter", found["heap_mb_growth"], "×"),
        ("soak: faster than real time", found["faster"], "×"),
    ]


def _median(runs: list[dict[str, Any]], what: str) -> float | None:
    found = [run[what] for run in runs if run[what] is not None]
    return median(found) if found else None


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--only", default=",".join(PARTS), help="some of " + ",".join(PARTS))
    arguments.add_argument("--peer", action="append", default=[], metavar="NAME=DIRECTORY")
    given = arguments.parse_args()
    peers = {name: Path(folder) for name, _, folder in (one.partition("=") for one in given.peer)}
    result, rows = measure(given.only.split(","), peers, quick=given.quick)
    report(result, rows, as_json=given.json)


if __name__ == "__main__":
    main()
