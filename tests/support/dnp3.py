"""An outstation in its sink's thread, fed by a local socket without a plant, and ways to talk to it."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from dnp3.application import ResponseFragment, parse_response
from dnp3.datalink.builder import build_unconfirmed_user_data
from dnp3.datalink.parser import FrameParser
from dnp3.transport.reassembler import Reassembler
from dnp3.transport.segment import TransportSegment
from dnp3.transport.segmenter import Segmenter

from bessai.interfaces.dnp3.sink import Dnp3Sink
from bessai.site.scada import Scada
from support.feed_server import FeedServer
from support.processes import free_port
from support.scada_site import PLANT, scada_site

LIST = """
dnp3: {{masters: [127.0.0.1], port: {port}, commands: true, listen: 127.0.0.1, {more}}}
points:
  - {{ioa: 1, name: grid_power, scale: 0.001, unit: MW, sign: -1, dead_band: 0.01}}
  - {{ioa: 2, name: soc, dead_band: 0.5}}
  - {{ioa: 3, name: inverter.device_status, type: single, on_when: [512]}}
  - {{ioa: 4, name: inverter.device_status, type: double, on_when: [512], off_when: [0]}}
  - {{ioa: 5, name: energy_charged_total, type: counter}}
  - {{ioa: 6, name: decision.state, type: scaled}}
  - {{ioa: 7, name: "alarm:fire_alarm", type: single}}
  - {{ioa: 8, name: command.active_power, scale: 0.001, unit: MW, sign: -1}}
commands:
  - {{ioa: 101, target: active_power, scale: 0.001, unit: MW, sign: -1, min: -1, max: 1, feedback: 8}}
  - {{ioa: 102, target: voltage.mode, type: scaled, sbo: false}}
  - {{ioa: 103, target: frequency.enabled, type: single}}
"""

BLOCK = """
dnp3: {{masters: [127.0.0.1], port: {port}}}
blocks: [{{of: meter, ioa: 0, step: 2, each: [{{ioa: 1, name: grid_power}}]}}]{more}
"""


def many_meters(count: int) -> tuple[str, list[str]]:
    """A plant of that many meters, and the name of each one's power."""
    plant = f"""
devices:
  inverter: {{profile: huawei_sun2000, role: inverter, endpoint: "10.0.0.1", control: true}}
  meter_{{n}}: {{count: {count}, profile: eastron_sdm630, role: meter, endpoint: "10.0.1.1:{{n}}"}}
"""
    return plant, [f"meter_{n}.grid_power" for n in range(1, count + 1)]


POINTS = {"grid_power": -1500.0, "soc": 55.0, "inverter.device_status": 512.0, "energy_charged_total": 1234.0}


class Rig:
    """The outstation, its feed, and time."""

    def __init__(
        self,
        folder: Path,
        more: str = "",
        text: str = LIST,
        points: dict[str, float] = POINTS,
        plant: str = PLANT,
    ) -> None:
        self.port = free_port()
        site = scada_site(folder, text.format(port=self.port, more=more), plant)
        assert site.scada is not None
        self.scada: Scada = site.scada
        self.feed = FeedServer(folder / "gateway.sock", points)
        self.sink = Dnp3Sink(self.scada, folder / "gateway.sock")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.sink.run, args=(self._stop,))
        self._cycles = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._thread.start()
        wait(lambda: self.sink.ports and self.feed.watchers)
        self._cycles.start()
        wait(lambda: self.status.get("feed", {}).get("problem", 1) is None)
        wait(lambda: self.status["data_age"] is not None)
        return self

    def _go_on(self) -> None:
        while not self._stop.wait(0.1):
            self.feed.push()

    def seen(self) -> None:
        """Every point as it is now has reached the outstation, and the one before it."""
        cycle = self.feed.cycle + 2
        wait(lambda: self.feed.cycle > cycle)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._cycles.join(60)
        self._thread.join(60)
        self.feed.close()
        assert not self._thread.is_alive()

    @property
    def status(self) -> dict[str, Any]:
        return self.sink.status().details


class Master:
    """The other make's master, in a process of its own."""

    def __init__(self, port: int, own: int = 1, far: int = 10) -> None:
        pytest.importorskip("opendnp3", reason="yadnp3 is not installed")
        script = Path(__file__).with_name("dnp3_master.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(port), str(own), str(far)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.told: dict[tuple[str, int], dict[str, Any]] = {}
        """The newest static value of each object and index."""
        self.events: list[dict[str, Any]] = []
        self.indications = 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def order(self, do: str, **more: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()

    def until(self, found: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        """Take in what it says up to the first line that is looked for."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._said.get(timeout=max(0.01, deadline - time.monotonic()))
            if "iin" in line:
                self.indications = line["iin"][0] | line["iin"][1] << 8
            elif "told" in line and line["event"]:
                self.events.append(line)
            elif "told" in line:
                self.told[line["told"], line["index"]] = line
            if found(line):
                return line

    def started(self) -> None:
        """Its first integrity poll is done."""
        self.until(lambda line: line.get("task") == "STARTUP_INTEGRITY_POLL" and line["result"] == "SUCCESS")

    def scan(self, *classes: int) -> None:
        self.order("scan", classes=classes)
        self.until(lambda line: line.get("task") == "USER_TASK")

    def command(self, do: str, kind: str, index: int, value: float) -> tuple[str, list[str]]:
        """The result of the task, and the status of the point."""
        self.order(do, kind=kind, index=index, value=value)
        line = self.until(lambda line: "command" in line)
        return line["command"], line["points"]


class Wire:
    """A master of ours that says exactly what it is told to, and confirms nothing by itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._parser, self._segmenter = FrameParser(), Segmenter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, fragment: bytes, source: int = 1) -> None:
        for segment in self._segmenter.segment(fragment):
            frame = build_unconfirmed_user_data(
                destination=10, source=source, dir_from_master=True, user_data=segment.to_bytes()
            )
            self._socket.sendall(frame.to_bytes())

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> ResponseFragment:
        """The next fragment."""
        reassembler = Reassembler()
        while True:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the outstation closed the connection")
            for frame in self._parser.feed(data):
                whole = reassembler.add(TransportSegment.from_bytes(frame.user_data))
                if whole is not None:
                    return parse_response(whole.data)

    def ask(self, fragment: bytes) -> ResponseFragment:
        self.send(fragment)
        return self.receive()

    def closed(self) -> bool:
        """True once the other side has ended the connection."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionError:
            return True


def wait(check: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("it does not come true")
        time.sleep(0.01)
