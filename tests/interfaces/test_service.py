"""The process: its settings, its status, how it ends, and the way from a real journal to both servers."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from bessai.history import Keep
from bessai.interfaces.envelope import Envelope
from bessai.interfaces.service import Service, report
from bessai.interfaces.settings import PubSubSettings, ServiceSettings
from bessai.interfaces.sink import Off, Sink
from bessai.journal import Cursors, Journal, JournalReader
from support.answering_socket import AnsweringSocket
from support.entries import LAYOUT, cycle_record
from support.fake_pubsub import FakePubSub
from support.otlp_receiver import OtlpReceiver


class Stuck(Sink):
    """Waits for something that only `abort` cancels."""

    def __init__(self) -> None:
        super().__init__("stuck")
        self.released = threading.Event()

    def run(self, stop: threading.Event) -> None:
        self.released.wait()

    def abort(self) -> None:
        self.released.set()


class Raising(Sink):
    def run(self, stop: threading.Event) -> None:
        raise OSError("broken")


class Counting(Sink):
    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.01):
            self.delivered += 1


class ControlPlane:
    """Listens where the control plane would, and keeps what the service reports."""

    def __init__(self, path: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.heard = threading.Event()
        self.log: dict[str, str] = {}
        self._socket = AnsweringSocket(path, self._hear)

    def _hear(self, message: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(message)
        self.heard.set()
        return {"ok": True, "log": self.log}

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def short_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose paths fit the address of a Unix socket."""
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="bessai"))
    yield directory
    shutil.rmtree(directory)


def test_a_broken_or_stuck_sink_neither_delays_another_nor_the_end(short_dir: Path) -> None:
    control = ControlPlane(short_dir / "s")
    counting = Counting("counting")
    service = Service([Stuck(), Raising("raising"), counting, Off("none")], short_dir / "s", period=0.05)
    service.start()
    assert control.heard.wait(30)
    deadline = time.monotonic() + 30
    while counting.delivered < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.stop()
    control.close()
    request = control.requests[-1]
    assert request["op"] == "service_status"
    assert request["status"]["pid"] == os.getpid()
    states = {sink["name"]: sink["state"] for sink in request["status"]["sinks"]}
    assert states == {"stuck": "ok", "raising": "retrying", "counting": "ok", "none": "off"}
    assert "OSError: broken" in request["status"]["sinks"][1]["last_error"]
    assert not [thread for thread in threading.enumerate() if thread.name in states]


def test_it_is_as_loud_as_the_control_plane_says(short_dir: Path) -> None:
    control = ControlPlane(short_dir / "s")
    logger = logging.getLogger("bessai.test_service")
    control.log = {logger.name: "DEBUG"}
    service = Service([], short_dir / "s", period=0.02)
    service.start()
    wait_for(lambda: logger.level == logging.DEBUG)
    control.log = {}
    wait_for(lambda: logger.level == logging.NOTSET)
    service.stop()
    control.close()


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nobody_listening_is_no_trouble(short_dir: Path) -> None:
    assert report(short_dir / "nobody", {}) is None


def test_settings_from_the_environment() -> None:
    settings = ServiceSettings.from_environment({"SITE_ID": "plant-1", "GCP_PROJECT_ID": "p"})
    assert settings == ServiceSettings(
        site="plant-1", data_dir=Path("data"),
        otlp_endpoint="http://otel-collector:4317", service_name="bessai-edge-gateway", log_level="INFO",
        socket=None, history=Keep(),
    )  # fmt: skip
    assert ServiceSettings.from_environment({"SITE_ID": "s", "HISTORY_MAX_MB": "0"}).history is None
    assert (
        ServiceSettings.from_environment({"SITE_ID": "s", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}).otlp_endpoint
        is None
    )
    environment = {"SITE_ID": "s", "BESSAI_REPORT": "{}", "PUBLISH_FORMAT": "batch"}
    given = ServiceSettings.from_environment(environment)
    assert (given.report, given.batch) == ("{}", True)
    with pytest.raises(ValueError, match="SITE_ID is not set"):
        ServiceSettings.from_environment({})


def test_settings_of_pubsub() -> None:
    environment = {"GCP_PROJECT_ID": "p", "GCP_PUBSUB_TOPIC": "t"}
    assert PubSubSettings.from_environment(environment) == PubSubSettings(project="p", topic="t")
    limited = environment | {"PUBSUB_COMPRESSION": "none", "PUBSUB_MAX_RECORDS_PER_SECOND": "20.0"}
    assert PubSubSettings.from_environment(limited) == PubSubSettings(
        project="p", topic="t", compression="none", records_per_second=20.0
    )
    for name, value in (
        ("COMPRESSION", "zstd"),
        ("MAX_RECORDS_PER_SECOND", "0"),
        ("MAX_BYTES_PER_SECOND", "much"),
    ):
        with pytest.raises(ValueError, match=f"PUBSUB_{name}={value}: set it to"):
            PubSubSettings.from_environment(environment | {f"PUBSUB_{name}": value})
    for wrong, words in (
        ({"GCP_PUBSUB_TOPIC": "projects/p/topics/t"}, "give the short name alone"),
        ({"GCP_PROJECT_ID": "my plant"}, "GCP_PROJECT_ID=my plant: give the project's id alone"),
        ({"PUBSUB_EMULATOR_HOST": "http://h:8085"}, "give host:port, without http://"),
    ):
        with pytest.raises(ValueError, match=words):
            PubSubSettings.from_environment(environment | wrong)


class Process:
    """`python -m bessai.interfaces`, and what it said."""

    def __init__(self, environment: dict[str, str]) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "bessai.interfaces"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={"LOG_FORMAT": "text"} | inherited | coverage | environment,
        )  # fmt: skip
        self.lines: list[str] = []
        self._said = threading.Condition()
        assert self.popen.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self.popen.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str, timeout: float = 60.0) -> None:
        with self._said:
            assert self._said.wait_for(lambda: words in self.text, timeout), self.text

    def wait(self) -> int:
        code = self.popen.wait(60)
        self._reader.join(60)
        return code


@contextmanager
def process(environment: dict[str, str]) -> Iterator[Process]:
    running = Process(environment)
    try:
        yield running
    finally:
        running.popen.kill()
        running.popen.wait()
        assert running.popen.stdin is not None
        running.popen.stdin.close()


def local(data_dir: Path, **more: str) -> dict[str, str]:
    environment = {"SITE_ID": "plant-1", "DATA_DIR": str(data_dir), "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    return environment | {"HISTORY_MAX_MB": "0"} | more


def test_without_a_site_it_says_what_is_missing() -> None:
    with process({}) as service:
        assert service.wait() == 2
    assert "SITE_ID is not set" in service.text


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stdin"])
def test_it_runs_without_a_cloud_and_ends_when_told(tmp_path: Path, short_dir: Path, how: str) -> None:
    control = ControlPlane(short_dir / "s")
    with process(local(tmp_path, BESSAI_SOCKET=str(short_dir / "s"))) as service:
        service.wait_for("publishing is off: everything stays local")
        assert control.heard.wait(60)
        if how == "stdin":
            assert service.popen.stdin is not None
            service.popen.stdin.close()
        else:
            service.popen.send_signal(signal.Signals[how])
        assert service.wait() == 0, service.text
    control.close()
    assert service.text.count("publishing is off") == 1
    sinks = control.requests[-1]["status"]["sinks"]
    assert [(sink["name"], sink["state"]) for sink in sinks] == [("pubsub", "off"), ("otel", "off")]


TOPIC = "projects/plant/topics/telemetry"


@contextmanager
def writing(data_dir: Path) -> Iterator[Journal]:
    """A gateway's journal, with short windows."""
    journal = Journal.open(data_dir, layout=LAYOUT, device={"profile": "test_device"}, window=0.1)
    try:
        yield journal
    finally:
        assert journal.close(30)


def published(server: FakePubSub, last: int) -> list[int]:
    """The sequences that arrived, as soon as `last` of them have."""
    server.wait_until(lambda messages: len({m.attributes["sequence"] for m in messages}) >= last)
    return sorted(set(server.sequences()))


def wait_for_cursor(data_dir: Path, sequence: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        cursors = Cursors(data_dir)
        reached = cursors.get("pubsub")
        cursors.close()
        if reached >= sequence:
            return
        assert time.monotonic() < deadline, f"the cursor stands at {reached}"
        time.sleep(0.05)


def test_records_go_from_the_journal_to_the_topic_and_the_collector(tmp_path: Path) -> None:
    with FakePubSub([TOPIC]) as server, OtlpReceiver() as receiver, writing(tmp_path) as journal:
        environment = local(
            tmp_path, GCP_PROJECT_ID="plant", GCP_PUBSUB_TOPIC="telemetry", PUBSUB_EMULATOR_HOST=server.host,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SERVICE_NAME="under-test",
        )  # fmt: skip
        journal.append(cycle_record(1))
        with process(environment) as service:
            published(server, 1)
            for cycle in range(2, 51):
                journal.append(cycle_record(cycle))
                time.sleep(0.02)
            assert published(server, 50) == list(range(1, 51))
            spans = receiver.wait_for_spans(4)
            wait_for_cursor(tmp_path, 50)
            service.popen.send_signal(signal.SIGTERM)
            assert service.wait() == 0, service.text
    assert spans[0].resource["service.name"] == "under-test"
    envelope = Envelope.model_validate_json(server.messages[6].data)
    assert (envelope.sequence, envelope.points["soc"].value, envelope.device.serial) == (7, 57.0, "HV0001")
    assert envelope.time == "2026-01-01T00:00:00.700000Z"
    assert envelope.points["soc"].time == "2026-01-01T00:00:00.650000Z"
    assert envelope.decision is not None
    assert (envelope.decision.bounds.low, envelope.decision.bounds.high) == (-5.0, 5.0)


def test_killed_and_started_again_it_goes_on_without_a_gap(tmp_path: Path) -> None:
    with FakePubSub([TOPIC]) as server, writing(tmp_path) as journal:
        environment = local(
            tmp_path, GCP_PROJECT_ID="plant", GCP_PUBSUB_TOPIC="telemetry", PUBSUB_EMULATOR_HOST=server.host
        )
        for cycle in range(1, 301):
            journal.append(cycle_record(cycle))
        with process(environment) as service:
            server.wait_for(1)
            service.popen.kill()
            service.popen.wait()
        server.stop()
        for cycle in range(301, 401):
            journal.append(cycle_record(cycle))
        with process(environment) as service:
            service.wait_for("cannot be reached")
            server.start()
            assert published(server, 400) == list(range(1, 401))
            service.popen.send_signal(signal.SIGTERM)
            assert service.wait() == 0, service.text


def test_it_ends_while_every_server_hangs(tmp_path: Path) -> None:
    with FakePubSub([TOPIC]) as server, OtlpReceiver() as receiver, writing(tmp_path) as journal:
        server.delay = receiver.delay = 4.0
        environment = local(
            tmp_path, GCP_PROJECT_ID="plant", GCP_PUBSUB_TOPIC="telemetry", PUBSUB_EMULATOR_HOST=server.host,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, LOG_LEVEL="DEBUG",
        )  # fmt: skip
        with process(environment) as service:
            service.wait_for("running 2 sinks")
            for cycle in range(1, 20):
                journal.append(cycle_record(cycle))
            time.sleep(1.5)  # both have a call under way
            service.popen.send_signal(signal.SIGTERM)
            assert service.wait() == 0, service.text
        assert server.requests == [], "it had ended before the server looked at the request"
    reader = JournalReader(tmp_path)
    assert reader.last_sequence() == 19
    reader.close()
