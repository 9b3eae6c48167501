from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bessai.cli.simulate import register


def _run(*arguments: str) -> tuple[int, str, str]:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_a_port_in_use_is_one_clear_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = _run("--port", str(port))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is in use" in err
    assert "--port" in err


def test_a_host_of_another_machine_is_told() -> None:
    code, out, err = _run("--port", "0", "--host", "192.0.2.1")
    assert (code, out) == (2, "")
    assert "192.0.2.1" in err
    assert "--host" in err


def test_every_problem_of_a_profile_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema_version": 1, "id": "bad", "points": {}, "colour": "red"}')
    code, out, err = _run("--profile", str(bad))
    assert (code, out) == (2, "")
    assert "manufacturer" in err
    assert "colour" in err


def test_an_unknown_profile_is_told() -> None:
    code, _, err = _run("--profile", "huawei_sun2001")
    assert code == 2
    assert "huawei_sun2000" in err


@pytest.mark.parametrize("speed", ["0", "-1", "1001", "nan"])
def test_a_wrong_speed_is_told(speed: str) -> None:
    code, _, err = _run("--speed", speed)
    assert code == 2
    assert "--speed" in err


@pytest.mark.parametrize("wrong", [("--short-circuit-power", "0"), ("--x-over-r", "-1")])
def test_a_wrong_grid_is_told(wrong: tuple[str, str]) -> None:
    code, _, err = _run(*wrong)
    assert code == 2
    assert wrong[0] in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_serves_and_ends_on_a_signal(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = threading.Event()
    lines: list[str] = []

    def note(line: str, *, flush: bool) -> None:
        assert flush
        lines.append(line)
        served.set()

    def end() -> None:
        assert served.wait(30)
        host, port = lines[0].split(" on ")[1].split(" ")[0].split(":")
        socket.create_connection((host, int(port))).close()
        os.kill(os.getpid(), number)

    monkeypatch.setattr("bessai.cli.simulate.print", note, raising=False)
    thread = threading.Thread(target=end)
    thread.start()
    try:
        code, _, _ = _run("--port", "0", "--seed", "4", "--speed", "2.5", "--unit", "7")
    finally:
        served.set()
        thread.join()
    assert code == 0
    assert lines[0].startswith("serving huawei_sun2000 on 127.0.0.1:")
    assert lines[0].endswith(" (unit 7, seed 4, speed 2.5)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--soc", "101"), "--soc '101'"),
        (("--soc", "rack_1=full"), "--soc 'rack_1=full'"),
        (("--soc", "nan"), "--soc 'nan'"),
        (("--soc", "rack_1=80"), "goes with --site"),
    ],
)
def test_a_wrong_state_of_charge_is_told(arguments: tuple[str, ...], said: str) -> None:
    code, _, err = _run("--port", "0", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


def test_a_state_of_charge_needs_a_device_of_the_site(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("devices: {a: {profile: huawei_sun2000, role: inverter, endpoint: '10.0.0.1'}}\n")
    code, _, err = _run("--site", str(site), "--port", "0", "--soc", "b=80")
    assert code == 2
    assert "there is no device 'b'" in err
