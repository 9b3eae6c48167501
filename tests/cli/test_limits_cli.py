"""`bessai limits`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app

RUNNER = CliRunner()
EXAMPLE = Path(__file__).parents[2] / "config" / "limits.example.yaml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a checkout's own config/.env."""
    monkeypatch.chdir(tmp_path)
    for name in ("LIMITS_FILE", "SOC_MIN", "SOC_MAX", "CHARGE_POWER_MAX", "DISCHARGE_POWER_MAX"):
        monkeypatch.delenv(name, raising=False)


def _run(*arguments: str, code: int = 0) -> str:
    result = RUNNER.invoke(make_app(), ["limits", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_show_tells_the_configured_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cell_voltage_high" in _run("show")
    monkeypatch.setenv("SOC_MIN", "20")
    monkeypatch.setenv("LIMITS_FILE", str(EXAMPLE))
    shown = json.loads(_run("show", "--json"))
    assert (shown["soc_min"], shown["soc_max"], shown["cells_in_series"]) == (20.0, 92.0, 240)
    (level,) = (level for level in shown["levels"] if level["code"] == "cell_voltage_high")
    assert level["trip"] == {"at": 3.6, "delay": 3.0, "reset": "engineer"}
    assert level["charge"][0] == [3.4, 1.0]
    assert {"fire_alarm", "bms_fault"} <= {flag["code"] for flag in shown["flags"]}


def test_show_of_a_preset() -> None:
    assert json.loads(_run("show", "--chemistry", "lto", "--json"))["chemistry"] == "lto"
    assert "there are lfp, nmc" in _run("show", "--chemistry", "lead", code=2)


def test_check_and_sign(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("chemistry: lfp\nsoc_min: 5\nsoc_max: 99\n")
    told = _run("check", str(file), code=2)
    assert "soc_min = 5: less safe than the preset's 10 %" in told
    assert "soc_max = 99" in told
    data = json.loads(_run("check", str(file), "--json", code=2))
    assert (data["valid"], [p["field"] for p in data["problems"]]) == (False, ["soc_min", "soc_max"])
    told = _run("sign", str(file), "--by", "A. Engineer", "--reason", "data sheet rev. 3")
    assert "less safe than the preset: soc_min (preset: 10 %)" in told
    assert "2 less safe than the preset, signed by A. Engineer" in _run("check", str(file))
    data = json.loads(_run("check", str(file), "--json"))
    assert (data["valid"], data["signed"]["role"], len(data["weaker"])) == (True, "engineer", 2)
    file.write_text(file.read_text().replace("soc_min: 5", "soc_min: 4"))
    assert "changed after it was signed" in _run("check", str(file), code=2)
    assert "changed after it was signed" in _run("show", "--file", str(file), code=2)


def test_sign_refuses_what_contradicts_itself(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("chemistry: lfp\nsoc_min: 96\n")
    assert "leave nothing between" in _run("sign", str(file), "--by", "x", "--reason", "y", code=2)
    file.write_text("chemistry: lfp\n")
    assert "give a reason" in _run("sign", str(file), "--by", "x", "--reason", " ", code=2)
    assert "no such file" in _run("sign", str(tmp_path / "none"), "--by", "x", "--reason", "y", code=2)


def test_document_renews_a_page(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "limits.md"
    assert _run("document") in page.read_text(encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text(encoding="utf-8").replace("3.65", "9.99"), encoding="utf-8")
    _run("document", str(copy))
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    copy.write_text("nothing")
    assert "needs the lines" in _run("document", str(copy), code=2)
