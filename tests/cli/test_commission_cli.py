"""`bessai commission` over a real socket, with a simulated gateway behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bessai.cli import commission_setup
from bessai.cli.app import make_app
from bessai.core.socket_file import socket_path
from support.answering_socket import AnsweringSocket
from support.fake_gateway import FakeGateway, FakePace, Misbehaviour
from support.gateway import BESSAI, bessai

ALL = ("commission", "--yes", "--full-power", "--user", "eva", "--reason", "acceptance")


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory whose socket path is short enough."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run(data: Path, gateway: FakeGateway, *arguments: str, answers: str = "") -> Result:
    """The command in this process, in the gateway's simulated time."""
    patch = pytest.MonkeyPatch()
    patch.setattr(commission_setup, "pace", lambda: FakePace(gateway))
    try:
        with AnsweringSocket(socket_path(data), gateway.answer):
            return CliRunner().invoke(make_app(), [*arguments, "--data-dir", str(data)], input=answers)
    finally:
        patch.undo()


def files(data: Path) -> list[Path]:
    return sorted((data / "commissioning").glob("*"))


def test_a_whole_commissioning(data: Path) -> None:
    gateway = FakeGateway()
    done = run(data, gateway, *ALL)
    assert done.exit_code == 0, done.output
    html, document = files(data)
    assert (html.suffix, document.suffix) == (".html", ".json")
    assert str(html) in done.stdout
    assert str(document) in done.stdout
    report = json.loads(document.read_text())
    assert (report["verdict"], report["user"], report["reason"]) == ("passed", "eva", "acceptance")
    assert report["device"]["texts"]["serial_number"] == "SN & 1"
    assert report["device"]["response_time"] == 30.0, "from the profile that the gateway names"
    assert report["power"] == 2.0
    assert not report["attended"]
    assert [step["verdict"] for step in report["steps"]] == ["passed"] * 5
    assert gateway._leases == {}, "nothing is left behind"


def test_json(data: Path) -> None:
    done = run(data, FakeGateway(), *ALL, "--json")
    answer = json.loads(done.stdout)
    assert answer["verdict"] == answer["report"]["verdict"] == "passed"
    assert Path(answer["html"]).exists()


def test_the_dead_man_alone(data: Path) -> None:
    gateway = FakeGateway()
    done = run(data, gateway, "commission", "deadman", "--yes", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["report"]
    assert report["procedure"] == "deadman"
    assert [step["key"] for step in report["steps"]] == ["deadman"]
    assert [m["result"] for m in gateway.messages if m["op"] == "deadman_test_end"] == ["passed"]


@pytest.mark.parametrize(
    "wrong", [Misbehaviour(sign=-1.0), Misbehaviour(never_falls=True), Misbehaviour(dies_when="power")]
)
def test_a_failure_ends_with_1_and_a_report(data: Path, wrong: Misbehaviour) -> None:
    done = run(data, FakeGateway(wrong=wrong), *ALL)
    assert done.exit_code == 1, done.output
    assert "failed" in done.stdout
    assert len(files(data)) == 2


def test_a_skipped_step_is_incomplete(data: Path) -> None:
    done = run(data, FakeGateway(), *ALL, "--skip", "response", "--skip", "limits")
    assert done.exit_code == 1
    assert done.stdout.startswith("incomplete")


def test_a_person_answers(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessai.cli.commission.attended", lambda: True)
    done = run(data, FakeGateway(), "commission", "--user", "eva", "--json", answers="y\n" * 40)
    assert done.exit_code == 0, done.output
    (report,) = [json.loads(path.read_text()) for path in files(data) if path.suffix == ".json"]
    assert report["attended"]
    compared = [c for s in report["steps"] for c in s["checks"] if c["name"].startswith("display: ")]
    assert {c["verdict"] for c in compared} == {"passed"}


def test_a_person_does_not_begin(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessai.cli.commission.attended", lambda: True)
    gateway = FakeGateway()
    done = run(data, gateway, "commission", answers="n\n")
    assert done.exit_code == 1
    assert not [m for m in gateway.messages if m["op"] == "request"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("commission",), 2, "give --yes"),
        (("commission", "--yes", "--skip", "sing"), 2, "--skip sing: use one of points, sign"),
        (("commission", "--yes", "--power", "0.4"), 2, "--power 0.4: give 2 … 10 kW"),
        (("commission", "--yes", "--power", "11"), 2, "--power 11: give 2 … 10 kW"),
        (("commission", "--yes", "--unit", "rack"), 2, "--unit rack: is not commanded here"),
        (("commission", "--yes", "--reason", " "), 2, "must not be empty"),
    ],
)
def test_wrong_arguments(data: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    gateway = FakeGateway()
    done = run(data, gateway, *arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert not [m for m in gateway.messages if m["op"] != "status" and m["op"] != "device"]


def test_a_gateway_that_is_too_old(data: Path) -> None:
    done = run(data, FakeGateway(old=True), *ALL)
    assert done.exit_code == 1
    assert "does not tell its units" in done.stderr


def test_no_gateway(tmp_path: Path) -> None:
    done = bessai(*ALL, "--data-dir", str(tmp_path))
    assert done.returncode == 3
    assert "no gateway is running" in done.stderr


def test_an_earlier_report_is_rendered_again(data: Path) -> None:
    run(data, FakeGateway(), *ALL)
    html, document = files(data)
    first = html.read_text()
    html.unlink()
    done = CliRunner().invoke(make_app(), ["commission", "report", str(document)])
    assert done.exit_code == 0, done.output
    assert html.read_text() == first
    document.write_text(json.dumps({**json.loads(document.read_text()), "verdict": "fine"}))
    done = CliRunner().invoke(make_app(), ["commission", "report", str(document)])
    assert done.exit_code == 2
    assert f"{document}: verdict: " in done.stderr
    assert CliRunner().invoke(make_app(), ["commission", "report", str(data / "none.json")]).exit_code == 2


class _RealTime:
    """Lets a fake gateway live in real time."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway, self._end = gateway, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._end.wait(0.05):
            now = time.monotonic()
            self.gateway.advance(now - before)
            before = now


def _until(check: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_silence(data: Path, number: int) -> None:
    gateway = FakeGateway(time=60.0, lag=0.2)
    with AnsweringSocket(socket_path(data), gateway.answer), _RealTime(gateway):
        process = subprocess.Popen(
            [*BESSAI, "commission", "deadman", "--yes", "--data-dir", str(data)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
        )  # fmt: skip
        _until(lambda: gateway.withheld, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 1, err
        assert "ended by the engineer" in err
        assert not gateway.withheld
        (end,) = [m for m in gateway.messages if m["op"] == "deadman_test_end"]
        assert (end["result"], end["evidence"]) == ("failed", {"aborted": True})
        assert gateway._leases == {}
        assert out.startswith("failed")
        assert len(files(data)) == 2


def test_killed_while_power_flows(data: Path) -> None:
    gateway = FakeGateway(lag=0.2)
    with AnsweringSocket(socket_path(data), gateway.answer), _RealTime(gateway):
        process = subprocess.Popen(
            [*BESSAI, "commission", "--yes", "--skip", "points", "--data-dir", str(data)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        _until(lambda: abs(gateway.measured) > 1.5, process)
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 30
        while abs(gateway.measured) > 0.1:
            assert time.monotonic() < deadline, "the lease must end the power"
            time.sleep(0.1)
