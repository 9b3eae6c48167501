"""What `bessai config check` says of the limits and of the commanded devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway import typed


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


DEVICE = "  {name}: {{profile: huawei_sun2000, role: inverter, endpoint: '10.0.0.{n}', control: {control}}}\n"


@pytest.mark.parametrize(
    ("controls", "mode", "said"),
    [
        (("true",), "control", "lfp, preset; 1 device is commanded"),
        (("true", "true", "false"), "control", "lfp, preset; 2 devices are commanded"),
        (("false",), "control", "no device is commanded"),
        (("true", "true"), "monitor", "no device is commanded"),
    ],
)
def test_limits_and_commanded_devices(
    tmp_path: Path, controls: tuple[str, ...], mode: str, said: str
) -> None:
    site = tmp_path / "site.yaml"
    lines = [DEVICE.format(name=f"d_{n}", n=n, control=c) for n, c in enumerate(controls, 1)]
    site.write_text("devices:\n" + "".join(lines))
    environment: dict[str, Any] = {
        "SITE_ID": "x",
        "SITE_FILE": str(site),
        "CONTROL_MODE": mode,
        "DATA_DIR": str(tmp_path / "d"),
    }
    done = typed("config", "check", **environment)
    assert done.returncode == 0, done.stderr
    assert said in " ".join(done.stdout.split())
    found = json.loads(typed("config", "check", "--json", **environment).stdout)
    wanted = [f"d_{n}" for n, c in enumerate(controls, 1) if c == "true" and mode == "control"]
    assert found["commanded"] == wanted
    assert found["limits"] == {"chemistry": "lfp", "file": None}


def test_a_device_that_cannot_be_commanded_is_not_counted(tmp_path: Path) -> None:
    environment: dict[str, Any] = {
        "SITE_ID": "x", "INVERTER_IP": "10.0.0.1", "DRIVER_PROFILE_PATH": "eastron_sdm630", "DATA_DIR": str(tmp_path),
    }  # fmt: skip
    done = typed("config", "check", **environment)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "lfp, preset; no device is commanded" in said
    assert (
        "warning: no device is commanded: profile eastron_sdm630 has no control section; set CONTROL" in said
    )
    assert "warning" not in typed("config", "check", CONTROL_MODE="monitor", **environment).stdout


def test_report_rules_are_checked_against_the_points_of_the_site(tmp_path: Path) -> None:
    report = tmp_path / "report.yaml"
    environment: dict[str, Any] = {"SITE_ID": "x", "INVERTER_IP": "10.0.0.1", "REPORT_FILE": str(report)}
    report.write_text(
        "rules:\n  - {points: [active_power], dead_band: 0.1}\n  - {points: ['*'], at_least_every: 60}\n"
    )
    done = typed("config", "check", **environment)
    assert done.returncode == 0, done.stderr
    assert "report: 2 rules" in " ".join(done.stdout.split())
    report.write_text("rules:\n  - {points: [activ_power], dead_band: 0.1}\n")
    done = typed("config", "check", **environment)
    assert done.returncode == 2
    said = (
        f'REPORT_FILE: {report}:2: rules.0.points.0 = "activ_power": the site has no such point; did you mean'
    )
    assert said in " ".join(done.stderr.split())


def test_a_grid_file_is_checked_and_a_slow_cycle_is_told(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    plant = "plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400}\n"
    grid.write_text(plant + "points: {frequency: frequency, voltage: null, reactive_power: null}\n")
    environment: dict[str, Any] = {
        "SITE_ID": "x", "INVERTER_IP": "10.0.0.1", "GRID_FILE": str(grid), "CYCLE_TIME": "1",
    }  # fmt: skip
    done = typed("config", "check", **environment)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "grid functions: 10 kW, gfm" in said
    assert "CYCLE_TIME=1: AT-IBR Art. 3-6 a" in said
    quick = typed("config", "check", **{**environment, "CYCLE_TIME": "0.2"})
    assert "AT-IBR" not in quick.stdout
    grid.write_text(plant + "values: {frequency.dead_band: 150}\n")
    done = typed("config", "check", **environment)
    assert done.returncode == 2
    assert "GRID_FILE:" in done.stderr
    assert "0 … 30 mHz" in done.stderr


def test_every_file_and_every_destination_is_looked_at_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "notify.yaml").write_text("rules: 1\n")
    environment: dict[str, Any] = {
        "SITE_ID": "x", "INVERTER_IP": "10.0.0.1", "SCHEDULE_FILE": "nowhere.csv", "NOTIFY_FILE": "notify.yaml",
    }  # fmt: skip
    done = typed("config", "check", **environment)
    assert done.returncode == 2
    assert "SCHEDULE_FILE: nowhere.csv" in done.stderr
    assert "NOTIFY_FILE: notify.yaml" in done.stderr
    done = typed("config", "check", SITE_ID="x", INVERTER_IP="10.0.0.1", HISTORY_KEEP_YEARS="ten")
    assert done.returncode == 2
    assert done.stderr.startswith("error: HISTORY_KEEP_YEARS 'ten'")


def test_what_is_required_comes_first(tmp_path: Path) -> None:
    done = typed("config", "check", "--json", SITE_ID="x", INVERTER_IP="10.0.0.1", DATA_DIR=str(tmp_path))
    names = list(json.loads(done.stdout)["settings"])
    assert names[0] == "SITE_ID"
    assert names.index("LOG_FORMAT") < names.index("MQTT_URL")
