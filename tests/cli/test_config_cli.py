"""What `bessai config check` says of the limits and of the commanded devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.gateway import bessai

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
    done = bessai("config", "check", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert said in " ".join(done.stdout.split())
    found = json.loads(bessai("config", "check", "--json", cwd=tmp_path, **environment).stdout)
    wanted = [f"d_{n}" for n, c in enumerate(controls, 1) if c == "true" and mode == "control"]
    assert found["commanded"] == wanted
    assert found["limits"] == {"chemistry": "lfp", "file": None}
