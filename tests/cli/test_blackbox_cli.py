"""`bessai blackbox` and `bessai replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bessai.cli import blackbox as blackbox_cli
from bessai.cli import replay as replay_cli
from bessai.core import replay as replaying
from support.small_guard import Recorded, SmallGuard

app = typer.Typer()
blackbox_cli.register(app)
replay_cli.register(app)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight cycles, a trip, twenty more; a file that is no record."""
    scene = Recorded(tmp_path / "blackbox")
    scene.cycles(8)
    scene.cycle(soc=95.0)
    scene.cycles(20)
    (tmp_path / "blackbox" / "20990101T000000Z-odd.bbox").write_bytes(b"?")
    return tmp_path


def record(data: Path) -> Path:
    return min((data / "blackbox").glob("*.bbox"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    options: dict[str, Any] = {}
    monkeypatch.setattr(
        replaying, "build_guard", lambda header: SmallGuard(header["description"]["units"], **options)
    )
    return options


def test_list(data: Path) -> None:
    lines = run("blackbox", "list", "--data-dir", data).stdout.splitlines()
    told = json.loads(run("blackbox", "list", "--json", "--data-dir", data).stdout)

    assert "trip soc_high: too full  0.0" in lines[0]
    assert lines[0].endswith(" MB  (complete)")
    assert lines[1].endswith("is no black-box record")
    assert (told[0]["triggers"][0]["kind"], told[0]["end"]) == ("trip", "complete")
    assert "problem" in told[1]


def test_list_of_nothing(tmp_path: Path) -> None:
    result = run("blackbox", "list", "--data-dir", tmp_path)

    assert result.exit_code == 0
    assert result.stdout.startswith("no records in")


def test_show(data: Path) -> None:
    shown = run("blackbox", "show", record(data)).stdout
    told = json.loads(run("blackbox", "show", "--json", record(data)).stdout)

    assert "trip soc_high  18 s, 19 cycles  (complete)" in shown
    assert "trip soc_high: too full" in shown
    assert "2026-01-01T00:00:09.000Z  cycle 9  tripped  0 kW" in shown
    assert len(told["decisions"]) == 19
    assert told["header"]["description"] == {"units": [""]}


def test_show_of_what_is_none(data: Path) -> None:
    result = run("blackbox", "show", data / "blackbox" / "20990101T000000Z-odd.bbox")

    assert result.exit_code == 2
    assert "is no black-box record" in result.stderr


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ({"ok": True}, 0, "being kept in"),
        ({"ok": False, "error": "too many records were asked for"}, 1, "too many records"),
        (None, 3, "no gateway is running"),
    ],
)
def test_freeze(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None, code: int, message: str
) -> None:
    asked: list[dict[str, Any]] = []

    def gateway(_: Path, what: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(what)
        return answer

    monkeypatch.setattr(blackbox_cli, "ask_gateway", gateway)
    result = run("blackbox", "freeze", "--reason", "a noise", "--data-dir", tmp_path)

    assert result.exit_code == code
    assert message in result.output
    assert asked == [{"op": "freeze", "reason": "a noise"}]


def test_freeze_needs_a_reason(tmp_path: Path) -> None:
    assert run("blackbox", "freeze", "--reason", " ", "--data-dir", tmp_path).exit_code == 2


def test_replay_of_the_same_code(data: Path, small: dict[str, Any]) -> None:
    result = run("replay", record(data))
    told = json.loads(run("replay", "--json", record(data)).stdout)

    assert result.exit_code == 0, result.output
    assert "19 of 19 cycles agree" in result.stdout
    assert (told["identical"], told["first"]) == (True, None)


def test_replay_of_other_code(data: Path, small: dict[str, Any]) -> None:
    small["step"] = 0.2
    result = run("replay", "--show", "2", record(data))
    told = run("replay", "--json", record(data))

    assert result.exit_code == told.exit_code == 1
    assert "first difference: cycle 1, 2026-01-01T00:00:01.000Z, decide" in result.stdout
    assert "  setpoint: recorded 0.1, today 0.2" in result.stdout
    assert '  request {"source": "operator"' in result.stdout
    assert "  device: soc=50.0, battery_power=-0.0, device_status=1.0" in result.stdout
    assert "  fresh: device" in result.stdout
    assert json.loads(told.stdout)["first"]["cycle"] == 1


def test_replay_of_a_cut_record(data: Path, small: dict[str, Any]) -> None:
    raw = record(data).read_bytes()
    record(data).write_bytes(raw[: len(raw) * 3 // 4])
    result = run("replay", record(data))

    assert result.exit_code == 0
    assert "the record was cut" in result.stdout


def test_replay_of_what_is_none(data: Path) -> None:
    result = run("replay", data / "nothing.bbox")

    assert result.exit_code == 2
    assert "cannot be read: No such file" in result.stderr
