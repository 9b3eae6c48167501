"""Gateways with their page, for the browser of `benchmarks.dashboard`: an inverter, and a plant of 5,000 cells."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.native import NotAvailableError, build, serving

CELLS = 5000
_RACKS = 25
_FIRST_PORTS = range(20000, 32000, 1000)  # below the ports that Linux gives to clients
_FIRST_REGISTER = 3200
_READY_WITHIN = 90.0
_LINK = re.compile(r"setup\?token=(\S+)")


class NotReadyError(Exception):
    """The gateway did not come up; the text is the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A gateway that runs, and the session of somebody who is signed in."""

    port: int
    cookie: str
    """`name=value`."""

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """What the API answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/api/v1{path}", headers={"Cookie": self.cookie})
        return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def inverter(cycle: float = 1.0) -> Iterator[Site]:
    """A simulated inverter with its battery, in a process of its own."""
    profile = "registry/huawei_sun2000.json"
    command = [
        sys.executable,
        "-m",
        "bessai.cli",
        "simulate",
        "--profile",
        profile,
        "--port",
        "0",
        "--seed",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as twin:
        try:
            assert twin.stdout is not None
            line = twin.stdout.readline()
            found = re.search(r":(\d+)", line)
            assert found, line
            with _gateway(
                DRIVER_PROFILE_PATH=profile,
                INVERTER_IP="127.0.0.1",
                INVERTER_PORT=found[1],
                CYCLE_TIME=str(cycle),
            ) as site:
                yield site
        finally:
            twin.kill()


@contextlib.contextmanager
def cells(count: int = CELLS) -> Iterator[Site]:
    """Racks whose every cell has another voltage each second, behind the C server.

    Raises:
        NotAvailableError: no C compiler, or no free ports.
    """
    each = count // _RACKS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = build("server", folder)
        (folder / "bench_cells.json").write_text(json.dumps(_rack(each)), encoding="utf-8")
        for first in _FIRST_PORTS:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(
                        serving([server, "--base", str(first), "--ports", str(_RACKS), "--changing"])
                    )
                except NotAvailableError:
                    continue
                racks = {
                    "count": _RACKS,
                    "profile": "bench_cells.json",
                    "role": "battery",
                    "endpoint": f"tcp://127.0.0.1:{{n+{first - 1}}}",
                    "period": 1.0,
                }
                plan = {"site": "bench", "devices": {"rack_{n}": racks}}
                (folder / "site.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
                yield stack.enter_context(_gateway(SITE_FILE=str(folder / "site.yaml")))
                return
    raise NotAvailableError(f"no {_RACKS} consecutive free ports in {_FIRST_PORTS}")


def _rack(count: int) -> dict[str, Any]:
    """A profile of nothing but cells. Register N of the server holds N and a count of seconds."""
    cell = {"type": "u16", "gain": 0.001, "unit": "V", "valid": [0, 5], "poll": "fast", "sources": ["b"]}
    return {
        "schema_version": 1, "id": "bench_cells", "manufacturer": "none", "model": f"{count} cells",
        "kinds": ["bms", "battery"], "status": "documented", "connection": {},
        "points": {f"cell_voltage_{i + 1:03}": {"address": _FIRST_REGISTER + i, **cell} for i in range(count)},
        "sources": {"b": {"title": "benchmark", "kind": "project", "where": "benchmarks/dashboard_plants.py"}},
    }  # fmt: skip


@contextlib.contextmanager
def _gateway(**environment: str) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as name, (Path(name) / "log").open("wb") as log:
        whole = {
            **os.environ, "SITE_ID": "bench", "DATA_DIR": f"{name}/data", "HTTP_PORT": str(port),
            "CONTROL_MODE": "monitor", "OTEL_SDK_DISABLED": "true", "LOG_FORMAT": "text", **environment,
        }  # fmt: skip
        command = [sys.executable, "-m", "bessai.cli", "run"]
        with subprocess.Popen(command, env=whole, stdout=log, stderr=log) as process:
            try:
                site = Site(port=port, cookie=_set_up(port, Path(name) / "log", process))
                _until_measured(site)
                yield site
            finally:
                process.terminate()
                process.wait(60)


def _set_up(port: int, log: Path, process: subprocess.Popen[bytes]) -> str:
    """Be the first user; returns the session's cookie."""
    deadline = time.monotonic() + _READY_WITHIN
    while not (link := _LINK.search(log.read_text(encoding="utf-8", errors="replace"))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotReadyError(log.read_text(encoding="utf-8", errors="replace")[-600:])
        time.sleep(0.1)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = {"token": link[1], "user": "bench", "password": "a long word of nobody", "language": "en"}
    connection.request("POST", "/api/v1/setup", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return str(answer.headers["Set-Cookie"]).split(";", maxsplit=1)[0]


def _until_measured(site: Site) -> None:
    """Until most points have a good value."""
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        devices = site.get("/status").get("devices", {})
        if devices.get("total") and devices.get("well") == devices["total"]:
            return
        time.sleep(0.5)
    raise NotReadyError(f"not every device was read within {_READY_WITHIN:g} s")


class Wire:
    """The newest of each kind of message that a gateway streams, word for word.

    Args:
        site: the gateway.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.newest: dict[str, str] = {}
        self._come = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()
        if not self._come.wait(_READY_WITHIN):
            raise NotReadyError("no cycle came on the stream")

    def _follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=20)
        connection.request("GET", "/api/v1/stream?channel=all", headers={"Cookie": self._site.cookie})
        answer = connection.getresponse()
        kind = ""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # the gateway ended
            while line := answer.readline().decode():
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    self.newest[kind] = line[5:].strip()
                    if kind == "cycle":
                        self._come.set()
