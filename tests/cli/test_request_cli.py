"""`bessai request` and `bessai cancel` against a gateway's socket: what is sent, what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import request as request_cli
from bessai.cli import schedule as schedule_cli
from bessai.core.socket_file import socket_path
from support.answering_socket import AnsweringSocket

app = typer.Typer()
request_cli.register(app)
schedule_cli.register(app)

SCHEDULE = "start,end,power_kw\n2099-01-01T18:00-03:00,2099-01-01T22:00-03:00,40\n"


class Gateway:
    """Takes every message; shows the next of `controls` with each status, the last one for ever."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.controls: list[dict[str, Any]] = [{}]
        self.answer: dict[str, Any] = {"ok": True, "cancelled": True}
        self.sinks: list[dict[str, Any]] = []
        self._cycles = 0

    def hear(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] != "status":
            self.heard.append(message)
            return self.answer
        self._cycles += 1
        control = self.controls.pop(0) if len(self.controls) > 1 else self.controls[0]
        status = {
            "control": control,
            "cycle": {"cycles": self._cycles},
            "service_plane": {"sinks": self.sinks},
        }
        return {"ok": True, "status": status}


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr("bessai.cli.request.time.sleep", lambda _: None)
    made = Gateway()
    with AnsweringSocket(socket_path(tmp_path), made.hear):
        yield made


def run(tmp_path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)])


def control(setpoint: float | None, **more: Any) -> dict[str, Any]:
    return {"state": "normal", "setpoint": setpoint, "asked": 40.0, "source": "operator", "limited_by": [],
            "reasons": [], **more}  # fmt: skip


ASK = ("request", "--reason", "test")


@pytest.mark.parametrize(
    ("arguments", "status", "code", "lines"),
    [
        (["--power", "40"], control(40.0), 0, ["asked 40 kW for 60 s, granted 40 kW"]),
        (["--power", "40"], control(8.0, limited_by=["plant"]), 1,
         ["asked 40 kW for 60 s, granted 8 kW", "limited by: plant"]),
        (["--power", "40"], control(12.0, target=40.0, limited_by=["ramp_up"]), 0,
         ["asked 40 kW for 60 s, granted 40 kW", "on its way: 12 of 40 kW, ramp_up"]),
        (["--power", "40"], control(12.0, target=30.0, limited_by=["soc_low", "ramp_up"]), 1,
         ["asked 40 kW for 60 s, granted 30 kW", "on its way: 12 of 30 kW, ramp_up", "limited by: soc_low"]),
        (["--power", "40"], control(0.0, state="hold", limited_by=["hold"], reasons=["soc is stale"]), 1,
         ["asked 40 kW for 60 s, granted 0 kW", "limited by: hold; soc is stale"]),
        (["--power", "40"], control(0.0, state="tripped", trips=[{"code": "cell_overvoltage"}]), 1,
         ["asked 40 kW for 60 s, granted 0 kW", "limited by: trip cell_overvoltage"]),
        (["--power", "40"], control(None, state="monitor"), 1,
         ["asked 40 kW for 60 s, granted nothing: the gateway does not control this device"]),
        (["--power", "40"], control(-5.0, source="market"), 1,
         ["asked 40 kW for 60 s, granted nothing: the plant follows market with -5 kW instead"]),
        (["--power", "40", "--reactive", "5"], control(40.0, reactive=5.0), 0,
         ["asked 40 kW and 5 kvar for 60 s, granted 40 kW and 5 kvar"]),
        (["--power", "40", "--reactive", "5"], control(40.0), 1,
         ["asked 40 kW and 5 kvar for 60 s, granted 40 kW, no reactive power"]),
        (["--soc", "80", "--power", "40", "--for", "15m"], control(-40.0), 0,
         ["asked 80 % with at most 40 kW for 900 s, granted -40 kW"]),
        (["--soc", "80"], control(-8.0, asked=None, limited_by=["plant"]), 1,
         ["asked 80 % for 60 s, granted -8 kW", "limited by: plant"]),
        (["--low", "0", "--high", "20"], control(20.0, source="schedule"), 0,
         ["asked bounds 0 … 20 kW for 60 s; the plant is told 20 kW"]),
        (["--power", "40"], {"state": "starting"}, 1,
         ["asked 40 kW for 60 s, granted nothing: the gateway does not control this device"]),
    ],
)  # fmt: skip
def test_what_was_granted_and_what_clipped_it(
    tmp_path: Path,
    gateway: Gateway,
    arguments: list[str],
    status: dict[str, Any],
    code: int,
    lines: list[str],
) -> None:
    gateway.controls = [status]
    result = run(tmp_path, *ASK, *arguments)
    assert (result.output.splitlines(), result.exit_code) == (lines, code)


def test_everything_is_sent(tmp_path: Path, gateway: Gateway) -> None:
    run(
        tmp_path, *ASK, "--power", "-10", "--reactive", "2.5", "--soc", "80", "--low", "-20", "--high", "0",
        "--priority", "grid_operator", "--for", "1.5m", "--source", "dispatch", "--json",
    )  # fmt: skip
    assert gateway.heard == [
        {"op": "request", "source": "dispatch", "priority": "grid_operator", "power": -10.0, "reactive": 2.5,
         "soc_target": 80.0, "low": -20.0, "high": 0.0, "for": 90.0, "reason": "test"}
    ]  # fmt: skip


def test_what_is_not_asked_is_not_sent(tmp_path: Path, gateway: Gateway) -> None:
    run(tmp_path, *ASK, "--power", "1")
    assert gateway.heard[0].keys() == {"op", "source", "priority", "power", "for", "reason"}


def test_the_cycle_before_the_request_is_not_taken_for_its_answer(tmp_path: Path, gateway: Gateway) -> None:
    gateway.controls = [
        control(0.0, source=None, asked=None),
        control(0.0, source=None, asked=None),
        control(40.0),
    ]
    assert run(tmp_path, *ASK, "--power", "40").exit_code == 0


def test_wait_follows_the_ramp(tmp_path: Path, gateway: Gateway) -> None:
    gateway.controls = [control(power, target=40.0, limited_by=["ramp_up"]) for power in (2.0, 12.0, 39.0)]
    gateway.controls.append(control(40.0, target=40.0))
    result = run(tmp_path, *ASK, "--power", "40", "--wait")
    assert result.output == "asked 40 kW for 60 s, granted 40 kW\n"
    gateway.controls = [control(2.0, target=40.0), control(2.0, target=3.0, source="market")]
    assert run(tmp_path, *ASK, "--power", "40", "--wait").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--power", "1", "--for", "soon"], "give a number with s, m or h"),
        (["--power", "1", "--reason", " "], "--reason is empty"),
        (["--power", "1", "--reason", ""], "--reason is empty"),
        ([], "nothing is asked for"),
    ],
)
def test_wrong_arguments(tmp_path: Path, gateway: Gateway, arguments: list[str], error: str) -> None:
    result = run(tmp_path, *ASK, *arguments)
    assert result.exit_code == 2
    assert error in result.output
    assert gateway.heard == []


def test_what_the_gateway_refuses(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answer = {"ok": False, "error": "priority=king: use one of …"}
    result = run(tmp_path, *ASK, "--power", "1", "--priority", "king")
    assert (result.exit_code, "priority=king" in result.output) == (2, True)


def test_cancel(tmp_path: Path, gateway: Gateway) -> None:
    result = run(tmp_path, "cancel", "--source", "market")
    assert (result.exit_code, result.output) == (0, "the request of market has ended\n")
    assert gateway.heard == [{"op": "cancel", "source": "market"}]
    gateway.answer = {"ok": True, "cancelled": False}
    result = run(tmp_path, "cancel")
    assert (result.exit_code, result.output) == (1, "operator has no request\n")


@pytest.mark.parametrize("arguments", [(*ASK, "--power", "1"), ("cancel",)])
def test_nobody_is_there(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).exit_code == 3


PREVIEW = {
    "state": "normal", "setpoint": -8.0, "target": -8.0, "asked": -40.0, "reactive": None, "bounds": [-8.0, None],
    "clipped": True, "winner": "operator", "role": "won", "cycle": 7,
    "words": ["the plant would be told -8 kW", "limited by plant, request:market"],
    "limited_by": [
        {"name": "plant", "low": -8.0, "high": 8.0}, {"name": "request:market", "low": None, "high": None},
    ],
}  # fmt: skip


def test_a_preview_asks_for_nothing_and_needs_no_reason(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answer = {"ok": True, "preview": PREVIEW}
    result = run(tmp_path, "request", "--preview", "--power", "-40", "--for", "10m")
    assert [one["op"] for one in gateway.heard] == ["preview"]
    assert gateway.heard[0] | {"op": ""} == {
        "op": "", "source": "operator", "priority": "operator", "power": -40.0, "for": 600.0, "reason": "",
    }  # fmt: skip
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "the plant would be told -8 kW",
        "limited by plant, request:market",
        "  plant: more than the plant's rated power (-8 kW … 8 kW)",
        "  request:market: market asked for narrower bounds and outranks the winner",
        "allowed now: -8 kW … open",
        "clipped",
    ]


def test_a_preview_of_what_would_be_granted(tmp_path: Path, gateway: Gateway) -> None:
    whole = PREVIEW | {
        "clipped": False,
        "limited_by": [],
        "words": ["the plant would be told -8 kW"],
        "reactive": 2.5,
    }
    gateway.answer = {"ok": True, "preview": whole}
    result = run(tmp_path, "request", "--preview", "--power", "-8", "--reactive", "2.5")
    assert result.exit_code == 0
    assert result.output.splitlines()[1:] == [
        "reactive power: 2.5 kvar", "allowed now: -8 kW … open", "not clipped",
    ]  # fmt: skip
    result = run(tmp_path, "request", "--preview", "--power", "-8", "--json")
    assert (json.loads(result.output), result.exit_code) == (whole, 0)


def test_a_preview_that_is_refused(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answer = {"ok": False, "error": "for=7200: a lease lasts more than 0 and at most 3600 s"}
    result = run(tmp_path, "request", "--preview", "--power", "1", "--for", "2h")
    assert (result.exit_code, "at most 3600 s" in result.output) == (2, True)
    result = run(tmp_path, "request", "--preview", "--power", "1", "--wait")
    assert (result.exit_code, "exclude each other" in result.output) == (2, True)
    assert len(gateway.heard) == 1


def test_schedule_check(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("# timezone: America/Santiago\n" + SCHEDULE)
    result = CliRunner().invoke(app, ["schedule", "check", str(file)])
    assert result.exit_code == 0
    assert "1 entries" in result.output
    assert (
        "Thu 2099-01-01 18:00:00 -0300 – Thu 2099-01-01 22:00:00 -0300  +40 kW  +160.00 kWh" in result.output
    )
    assert "2099-01-01T21:00:00Z – 2099-01-02T01:00:00Z, 4 h" in result.output
    (entry,) = json.loads(CliRunner().invoke(app, ["schedule", "check", str(file), "--json"]).output)["next"]
    assert (entry["start_local"], entry["energy_kwh"]) == ("2099-01-01T18:00:00-03:00", 160.0)
    file.write_text("start,end,power_kw\nx,y,z\n")
    result = CliRunner().invoke(app, ["schedule", "check", str(file)])
    assert (result.exit_code, result.output.count("error: ")) == (2, 1)
    answer = json.loads(CliRunner().invoke(app, ["schedule", "check", str(file), "--json"]).output)
    assert answer["problems"][0]["field"] == "line 2, power_kw"


@pytest.mark.parametrize(
    ("sinks", "status", "said"),
    [
        ([], control(0.0), "the gateway has no schedule"),
        ([{"name": "schedule", "state": "ok", "last_error": None}], control(40.0, source="schedule"),
         "in force: asked +40 kW, granted +40 kW"),
        ([{"name": "schedule", "state": "ok"}], control(0.0, source=None), "in force now: nobody"),
        ([{"name": "schedule", "state": "retrying", "last_error": "line 2 …"}], control(0.0), "says: line 2 …"),
    ],
)  # fmt: skip
def test_schedule_show(
    tmp_path: Path, gateway: Gateway, sinks: list[dict[str, Any]], status: dict[str, Any], said: str
) -> None:
    file = tmp_path / "s.csv"
    file.write_text(SCHEDULE)
    gateway.sinks, gateway.controls = sinks, [status]
    result = run(tmp_path, "schedule", "show", "--file", str(file))
    assert result.exit_code == 0
    assert said in result.output.splitlines()[-1]


def test_schedule_show_without_a_schedule_or_a_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, "schedule", "show").exit_code == 2
    (tmp_path / "s.csv").write_text(SCHEDULE)
    monkeypatch.setenv("SCHEDULE_FILE", "s.csv")
    result = run(tmp_path, "schedule", "show")
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        3,
        "no gateway is running: nobody asks for this",
    )
