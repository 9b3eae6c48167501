"""The units are ones that systemd takes, that keep little open, and that fit the gateway."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bessai.core.settings import Settings

SYSTEMD = Path(__file__).parents[2] / "infrastructure" / "systemd"
UNIT = SYSTEMD / "bessai-gateway.service"
DROP_INS = sorted((SYSTEMD / "bessai-gateway.service.d").glob("*.conf"))
MOST = 2.0
"""Exposure that systemd-analyze may find, from 0 (safe) to 10."""


def _read(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    return unit


def _analyze() -> str:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    return analyze


def test_the_unit_fits_the_gateway() -> None:
    unit = _read(UNIT)
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "main", "always")
    assert float(service["WatchdogSec"]) >= 3 * Settings.model_fields["cycle_time"].default
    assert service["ExecStart"] == "/opt/bessai/current/bin/bessai run"
    assert service["User"] != "root"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""


def test_the_drop_in_asks_for_what_it_is_granted() -> None:
    service = _read(next(path for path in DROP_INS if path.stem == "realtime"))["Service"]
    asked = service["Environment"].removeprefix("REALTIME_PRIORITY=")
    assert (asked, service["RestrictRealtime"]) == (service["LimitRTPRIO"], "no")
    assert "LimitRTTIME" in service


@pytest.mark.parametrize("name", ["bessai-gateway.service", "bessai-backup.service", "bessai-backup.timer"])
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    analyze = _analyze()
    there = shutil.which("true") or "/bin/true"
    for path in SYSTEMD.glob("bessai-*.*"):
        if path.is_file():
            text = path.read_text()
            text = re.sub(r"/opt/bessai/(?:current/bin/bessai|settle)", there, text)
            (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("drop_in", [None, *DROP_INS], ids=lambda path: path.stem if path else "as it is")
def test_little_is_left_open(drop_in: Path | None, tmp_path: Path) -> None:
    analyze = _analyze()
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text() + (drop_in.read_text() if drop_in else ""))
    assert _exposure(analyze, unit) <= MOST


def test_the_backup_leaves_less_open() -> None:
    assert _exposure(_analyze(), SYSTEMD / "bessai-backup.service") <= 1.0


def test_the_threshold_can_fail(tmp_path: Path) -> None:
    """Without its protections the same unit is found open."""
    unit = tmp_path / UNIT.name
    kept = (
        line for line in UNIT.read_text().splitlines() if not line.startswith(("Protect", "Private", "Cap"))
    )
    unit.write_text("\n".join(kept))
    assert _exposure(_analyze(), unit) > MOST


def _exposure(analyze: str, unit: Path) -> float:
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])
