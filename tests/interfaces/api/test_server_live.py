"""The page's process as the gateway starts it: a real gateway, a simulated plant, real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bessai.core.socket_file import socket_path
from bessai.interfaces.metrics import METRICS, Origin
from bessai.journal import JournalReader
from bessai.model import GuardState
from bessai.registry import find_profile, load_profile
from bessai.twin import TwinServer
from support.gateway import GatewayProcess
from support.listening import family, listening, unix_sockets

SECRET = "a long word of nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Client:
    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Cookie": self.cookie, "Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.headers.get("Set-Cookie"):
            self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        connection.close()
        return answer.status, said

    def stream(self, query: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/api/v1/stream{query}", headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        kind = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                yield kind, json.loads(line[6:])


def _set_up(gateway: GatewayProcess, port: int) -> _Client:
    link = re.search(r"setup\?token=(\S+)", gateway.log.read_text())
    assert link is not None
    client = _Client(port)
    status, said = client.ask("/api/v1/setup", {"token": link[1], "user": "ana", "password": SECRET})
    assert status == 201, said
    return client


def test_the_page_of_a_running_gateway(tmp_path: Path) -> None:
    port = _free_port()

    async def run() -> None:
        profile = load_profile(find_profile("huawei_sun2000"))
        async with TwinServer(profile, seed=3) as twin:
            environment = {"INVERTER_PORT": str(twin.port), "HTTP_PORT": str(port)}
            with GatewayProcess(tmp_path / "data", **environment) as gateway:
                await gateway.until(
                    lambda s: s["control"]["state"] == "normal" and "setup?token" in gateway.log.read_text()
                )
                await asyncio.to_thread(_look, gateway, port)
                _listens_where_it_says(gateway, port)
                first = await gateway.until(lambda s: s["page"]["running"])
                os.kill(first["page"]["pid"], signal.SIGKILL)
                healed = await gateway.until(
                    lambda s: s["page"]["running"] and s["page"]["pid"] != first["page"]["pid"]
                )
                assert healed["page"]["restarts"] == 1
                assert healed["service_plane"]["restarts"] == 0
                assert healed["pid"] == first["pid"]
                assert healed["cycle"]["cycles"] > first["cycle"]["cycles"]  # control went on meanwhile
                assert gateway.end() == 0, gateway.log.read_text()
                reader = JournalReader(gateway.data)
                told = [event for entry in reader.read(0, 10_000) for event in entry.events]
                reader.close()
                (died,) = (event for event in told if event.code == "page_died")
                assert died.message == "the page's process ended with code -9"

    asyncio.run(run())


def _listens_where_it_says(gateway: GatewayProcess, port: int) -> None:
    """The page on this machine, one file for the command line, and nothing else in any of its processes."""
    assert gateway.process is not None
    pid = gateway.process.pid
    assert len(family(pid)) >= 3  # control, service, page
    assert listening(pid) == {("tcp", "127.0.0.1", port)}
    file = socket_path(gateway.data)
    assert unix_sockets(pid) == {file}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert listening(os.getpid()) >= {
        ("tcp", "127.0.0.1", int(gateway._environment["INVERTER_PORT"]))
    }  # it sees them


def _look(gateway: GatewayProcess, port: int) -> None:
    stranger = _Client(port)
    assert stranger.ask("/api/v1/stream")[0] == 403
    assert json.loads(stranger.ask("/healthz")[1])["problems"] == []
    client = _set_up(gateway, port)
    assert stranger.ask("/api/v1/stream")[0] == 401
    seen: dict[str, dict[str, Any]] = {}
    for kind, data in client.stream("?points=soc,battery_power"):
        seen[kind] = data
        if kind == "status":
            break
    assert seen["hello"]["points"] == ["soc", "battery_power"]
    assert seen["hello"]["units"] == ["%", "kW"]
    assert seen["cycle"]["missed"] == 0
    assert seen["cycle"]["decision"]["state"] == "normal"
    assert "points" not in seen["status"]
    assert client.ask("/api/v1/stream?points=nothing")[0] == 422
    status, text = client.ask("/metrics")
    assert status == 200
    assert b"bessai_up 1\n" in text
    assert b"bessai_devices_delivering 1\n" in text
    assert b'bessai_alarms{severity="alarm"} ' in text
    assert b'bessai_journal_dropped_total{reason="queue"} 0\n' in text
    told = set(re.findall(rb"# TYPE (\w+) ", text))
    counted = {m.prometheus for m in METRICS if m.origin is Origin.CONTROL}
    silent = {"bessai_soh_percent", "bessai_cell_voltage_volts"}  # this device does not tell them
    assert {name.encode() for name in counted - silent} <= told
    assert b'http_server_request_duration_seconds_count{http_request_method="GET",' in text
    assert b'http_route="/api/v1/stream"' in text
    states = set(re.findall(rb'bessai_guard_state{state="(\w+)"}', text))
    assert states == {state.value.encode() for state in GuardState}
    assert client.ask("/readyz")[0] == 200
    held = []
    for _ in range(300):  # half a header each
        held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        held[-1].sendall(b"GET /readyz HTTP/1.1\r\nHost: 127")
    assert client.ask("/readyz")[0] == 200
    held[0].settimeout(30)
    assert held[0].recv(100).startswith(b"HTTP/1.1 408")
    for sock in held:
        sock.close()
