"""The example unit is one that systemd takes, and that fits the gateway."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from bessai.core.settings import Settings

UNIT = Path(__file__).parents[2] / "infrastructure" / "systemd" / "bessai-gateway.service"


def test_the_unit_fits_the_gateway() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "main", "always")
    assert float(service["WatchdogSec"]) >= 3 * Settings.model_fields["cycle_time"].default
    assert service["ExecStart"].endswith("bessai run")
    assert service["User"] != "root"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/bessai/bin/bessai", shutil.which("true") or "/bin/true"))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
