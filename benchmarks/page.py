"""What those who look at the page, and those who mean harm, cost the control cycle and each other.

    python -m benchmarks.page [--seconds 60] [--quick] [--json] [--only ROW ...] [--no-peer]

A real gateway with a cycle of 100 ms on a simulated device; page, device and load are processes of their own. Each row
is a load for some seconds; the journal says how late each of its cycles began. Beside it somebody at another address
asks for `/readyz` over a new connection twice a second. When the load has ended, `back` is the time until a new
connection has `/readyz` and a sign-in answered. The last rows are the same application behind uvicorn as it comes. Both
servers are started with the usual limit of 1,024 open files.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.jitter import plant, quick_profile, running
from bessai.cli.common import GatewayError, ask_gateway
from bessai.core.socket_file import socket_path
from bessai.interfaces.api.processes import rss
from bessai.journal import JournalReader

ROWS: tuple[tuple[str, str, int], ...] = (
    ("nobody", "", 0),
    ("1 viewer", "viewer", 1),
    ("200 viewers", "viewer", 200),
    ("400 slow headers", "slow_header", 400),
    ("400 slow bodies", "slow_body", 400),
    ("1,100 half-open", "half_open", 1100),
    ("flood on 8 connections", "flood", 8),
    ("nobody again", "", 0),
)
PEER_ROWS = ("nobody", "400 slow headers", "1,100 half-open")
_ELSEWHERE = ("127.0.0.9", 0)
"""The address of who asks beside the load: limits are for each address."""
_WORD = "a long word of nobody"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Row:
    """What was seen."""

    name: str
    late: list[float] = field(default_factory=list)
    asked: list[float | None] = field(default_factory=list)
    """Seconds until each answer; None: none within 5 s, or another than 200."""
    back: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    held: int = 0
    """Descriptors of the server at the end of the load."""
    load: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON and the table."""
        answered = [seconds for seconds in self.asked if seconds is not None]
        found: dict[str, Any] = {
            "row": self.name, "asked": len(self.asked), "answered": len(answered),
            "answer_p50_ms": _ms(answered, 50), "answer_max_ms": _ms(answered, 100), "back_s": round(self.back, 2),
            "page_cpu": round(self.cpu, 3), "page_mb": round(self.memory / 1e6, 1), "descriptors": self.held,
            **self.load,
        }  # fmt: skip
        if self.late:
            found |= {
                "cycles": len(self.late), "late_p50_ms": _ms(self.late, 50), "late_p99_ms": _ms(self.late, 99),
                "late_max_ms": _ms(self.late, 100),
            }  # fmt: skip
        return found


def _ms(seconds: list[float], share: float) -> float | None:
    return round(1000 * float(np.percentile(seconds, share)), 2) if seconds else None


class Client:
    """Who asks beside the load."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = self.csrf = ""

    def ask(self, method: str, path: str, body: Any = None, limit: float = 5.0) -> tuple[int, Any]:
        """One question over a connection of its own."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=limit, source_address=_ELSEWHERE
        )
        headers = {"Cookie": self.cookie, "X-CSRF-Token": self.csrf, "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            said = answer.read()
        if answer.headers.get("Set-Cookie"):
            self.cookie = answer.headers["Set-Cookie"].split(";", maxsplit=1)[0]
            self.csrf = json.loads(said)["csrf"]
        return answer.status, json.loads(said) if said.startswith(b"{") else None

    def answer(self) -> float | None:
        """Seconds until `/readyz` is answered."""
        begun = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            if self.ask("GET", "/readyz")[0] == 200:
                return time.monotonic() - begun
        return None

    def until_back(self) -> float:
        """Seconds until `/readyz` and a sign-in are answered."""
        begun = time.monotonic()
        while self.answer() is None:
            time.sleep(0.05)
        other = Client(self.port)
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if other.ask("POST", "/api/v1/session", {"user": "bench", "password": _WORD})[0] == 200:
                    return time.monotonic() - begun
            time.sleep(0.05)

    def set_up(self, data: Path, token: str) -> list[str]:
        """Make the first user and two tokens; their secrets. Without a link's word the data directory makes one."""
        if not token:
            link = subprocess.run(
                [sys.executable, "-m", "bessai.cli", "user", "setup-link", "--data-dir", str(data)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            token = link.stdout.partition("token=")[2].split()[0]
        status, said = self.ask("POST", "/api/v1/setup", {"token": token, "user": "bench", "password": _WORD})
        if status != 201:
            raise RuntimeError(f"the page cannot be set up: {said}")
        wanted = {"role": "viewer", "scopes": ["read"], "days": 1}
        return [
            self.ask("POST", "/api/v1/tokens", {"name": f"bench{n}", **wanted})[1]["secret"] for n in (1, 2)
        ]


@contextlib.contextmanager
def _load(kind: str, count: int, port: int, tokens: list[str], row: Row) -> Iterator[None]:
    if not kind:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.page_loads", kind, str(port), str(count), *tokens]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield
        row.load = json.loads(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _row(name: str, seconds: float, client: Client, pid: int, tokens: list[str], note: Any) -> Row:
    _, kind, count = next(row for row in ROWS if row[0] == name)
    row, held = Row(name), Path(f"/proc/{pid}/fd")
    with _load(kind, count, client.port, tokens, row):
        latest = time.monotonic() + 60.0
        while len(list(held.iterdir())) < 0.95 * min(count, 1000) and time.monotonic() < latest:
            time.sleep(0.1)  # until the load is there
        time.sleep(3.0)  # and what was before has ended
        begun, before, wall = time.monotonic(), _cpu(pid), time.time_ns()
        while time.monotonic() < begun + seconds:
            row.asked.append(client.answer())
            time.sleep(0.5)
        row.cpu = (_cpu(pid) - before) / (time.monotonic() - begun)
        row.memory = rss(pid) or 0.0
        row.held = len(list(held.iterdir()))
        note(row, wall, time.time_ns())
    row.back = client.until_back()
    print(f"  {name}: done", file=sys.stderr)
    return row


def measure(seconds: float, names: list[str], *, peer: bool) -> dict[str, Any]:
    """All rows."""
    spans: list[tuple[Row, int, int]] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        profile = quick_profile(folder / "bench_inverter.json")
        data, client = folder / "data", Client(_free_port())
        environment = {
            **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "DATA_DIR": str(data),
            "INVERTER_PORT": stack.enter_context(plant(profile)), "DRIVER_PROFILE_PATH": str(profile),
            "CYCLE_TIME": "0.1", "HTTP_PORT": str(client.port), "OTEL_SDK_DISABLED": "true",
        }  # fmt: skip
        log = stack.enter_context((folder / "log").open("wb"))
        command = (sys.executable, "-m", "bessai.cli", "run")
        process = stack.enter_context(running(*command, env=environment, stderr=log))
        tokens = client.set_up(data, _word(process, folder / "log"))
        pid = _status(data)["page"]["pid"]
        time.sleep(5.0)  # the control plane has read everything and settled
        missed = _status(data)["cycle"]["missed"]
        ours = [
            _row(name, seconds, client, pid, tokens, lambda *span: spans.append(span))
            for name, _, _ in ROWS if name in names
        ]  # fmt: skip
        status = _status(data)
        theirs: list[Row] = []
        if peer:
            theirs = _peer(seconds, [name for name in PEER_ROWS if name in names], folder, data)
        _read_lateness(data, spans)
    return {
        "machine": harness.machine("uvicorn", "fastapi", "h11", "uvloop"),
        "load_average": os.getloadavg(), "seconds": seconds, "missed": status["cycle"]["missed"] - missed,
        "page_restarts": status["page"]["restarts"],
        "rows": [row.as_dict() for row in ours], "uvicorn": [row.as_dict() for row in theirs],
    }  # fmt: skip


def _peer(seconds: float, names: list[str], folder: Path, data: Path) -> list[Row]:
    own, port = folder / "peer", _free_port()
    own.mkdir()
    command = [sys.executable, "-m", "benchmarks.page_peer", str(port), str(own), str(socket_path(data))]
    with running(*command) as process:
        client = Client(port)
        while client.answer() is None:
            time.sleep(0.2)
        tokens = client.set_up(own, "")
        return [_row(name, seconds, client, process.pid, tokens, lambda *_: None) for name in names]


def _read_lateness(data: Path, spans: list[tuple[Row, int, int]]) -> None:
    """From the journal, which has told every cycle's timing."""
    time.sleep(3.0)  # it commits every two seconds
    reader = JournalReader(data)
    for row, begin, end in spans:
        row.late = [
            entry.timing["late"] for entry in reader.read_between(begin, end) if entry.kind == "cycle"
        ]
    reader.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _status(data: Path) -> dict[str, Any]:
    while True:
        with contextlib.suppress(GatewayError):
            answer = ask_gateway(data, {"op": "status"}, timeout=10)
            if answer:
                found: dict[str, Any] = answer["status"]
                return found
        time.sleep(0.2)


def _word(process: subprocess.Popen[Any], log: Path) -> str:
    while not (link := re.search(r"setup\?token=(\S+)", log.read_text(encoding="utf-8"))):
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended: {log.read_text(encoding='utf-8')}")
        time.sleep(0.1)
    return link[1]


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each row")
    parser.add_argument("--only", action="append", choices=[row[0] for row in ROWS], help="this row")
    parser.add_argument("--no-peer", action="store_true", help="without uvicorn as it comes")
    chosen = parser.parse_args()
    seconds = 5.0 if chosen.quick else chosen.seconds
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    result = measure(seconds, chosen.only or [row[0] for row in ROWS], peer=not chosen.no_peer)
    if chosen.json:
        print(json.dumps(result))
        return
    print("  ".join(f"{key} {value}" for key, value in result["machine"].items()))
    print(
        f"load average {result['load_average']}  missed {result['missed']}  restarts {result['page_restarts']}"
    )
    base = next((row.get("late_p99_ms") for row in result["rows"] if row["row"] == "nobody"), None)
    for who in ("rows", "uvicorn"):
        for row in result[who]:
            print(_line(row, base if who == "rows" else None))


def _line(row: dict[str, Any], base: float | None) -> str:
    late = "late   –"
    if "late_p99_ms" in row:
        times = f" ({row['late_p99_ms'] / base:.2f} ×)" if base else ""
        late = (
            f"late p50 {row['late_p50_ms']} p99 {row['late_p99_ms']}{times} max {row['late_max_ms']} ms "
            f"of {row['cycles']}"
        )
    more = {
        name: row[name] for name in ("came", "frames_least", "frames_median", "frames_missed") if name in row
    }
    return (
        f"{row['row']:<23} {late}; answered {row['answered']}/{row['asked']} p50 {row['answer_p50_ms']} "
        f"max {row['answer_max_ms']} ms; back {row['back_s']} s; page {100 * row['page_cpu']:.0f} % "
        f"{row['page_mb']} MB {row['descriptors']} fds; {more}"
    )


if __name__ == "__main__":
    main()
