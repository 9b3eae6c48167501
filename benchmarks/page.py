"""What those who look at the page cost the control cycle: its lateness beside nobody, viewers, and half requests.

    python -m benchmarks.page [SECONDS]

A real gateway on a simulated device with a cycle of 100 ms; its status says how late its recent cycles began.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bessai.cli.common import ask_gateway
from bessai.interfaces.api.connections import raise_descriptors
from bessai.interfaces.api.processes import rss
from bessai.registry import load_profile
from bessai.twin import TwinServer


def _status(data: Path) -> dict[str, Any]:
    answer = ask_gateway(data, {"op": "status"}, timeout=3)
    return answer["status"] if answer else {}


def _sign_in(port: int, log: Path) -> str:
    while not (link := re.search(r"setup\?token=(\S+)", log.read_text(encoding="utf-8"))):
        time.sleep(0.1)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = {"token": link[1], "user": "bench", "password": "a long word of nobody"}
    connection.request("POST", "/api/v1/setup", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return str(answer.headers["Set-Cookie"]).split(";", maxsplit=1)[0]


async def _view(port: int, cookie: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    writer.write(head.encode())
    while await reader.read(65536):
        pass


async def _half(port: int) -> None:
    while True:  # the door ends each after 5 s, or when others need its place
        with socket.socket() as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            try:
                await loop.sock_connect(sock, ("127.0.0.1", port))
                await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\n")
                await loop.sock_recv(sock, 100)
            except OSError:
                await asyncio.sleep(0.1)


async def measure(seconds: float) -> None:
    """Print a row for each load."""
    raise_descriptors()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as name:
        data, log = Path(name) / "data", Path(name) / "log"
        async with TwinServer(load_profile("huawei_sun2000"), seed=1) as twin:
            environment = {
                **os.environ, "SITE_ID": "bench", "INVERTER_IP": "127.0.0.1", "INVERTER_PORT": str(twin.port),
                "DATA_DIR": str(data), "CYCLE_TIME": "0.1", "HTTP_PORT": str(port), "OTEL_SDK_DISABLED": "true",
            }  # fmt: skip
            with log.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "bessai.core",
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=out,
                )
            try:
                cookie = await asyncio.wait_for(asyncio.to_thread(_sign_in, port, log), 30)
                for load, count in (("nobody", 0), ("viewers", 200), ("half requests", 1000)):
                    made = [
                        asyncio.create_task(_view(port, cookie) if load == "viewers" else _half(port))
                        for _ in range(count)
                    ]
                    await asyncio.sleep(seconds)
                    status = await asyncio.to_thread(_status, data)
                    cycle, memory = status["cycle"], rss(status["page"]["pid"])
                    print(
                        f"{count:>5} {load:<14} late p50 {cycle['late_p50'] * 1e3:.2f} ms  "
                        f"p99 {cycle['late_p99'] * 1e3:.2f} ms  missed {cycle['missed']}  "
                        f"page {(memory or 0) / 1e6:.0f} MB"
                    )
                    for task in made:
                        task.cancel()
                    await asyncio.gather(*made, return_exceptions=True)
            finally:
                process.terminate()
                await process.wait()


if __name__ == "__main__":
    asyncio.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
