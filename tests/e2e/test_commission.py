"""`bessai commission` against the real gateway and the twin."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bessai.registry import load_profile
from bessai.twin import TwinServer
from faults.conftest import KINDS, quick_profile
from support.gateway import GatewayProcess, bessai, power

HUAWEI = load_profile("huawei_sun2000")
REWRITE = next(device for device in KINDS if device.kind == "rewrite")


def _ready(status: dict[str, object]) -> bool:
    control = status["control"]
    assert isinstance(control, dict)
    return bool(control["state"] == "normal")


@pytest.mark.soak  # it takes the better part of five minutes; `commissioning/` walks it in simulated time
@pytest.mark.timeout(900)
def test_the_twin_is_commissioned(tmp_path: Path) -> None:
    """All steps but the fall-back of 120 s, which the next test waits for."""

    async def run() -> None:
        async with TwinServer(HUAWEI, seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(_ready)
                done = await asyncio.to_thread(
                    bessai, "commission", "--yes", "--full-power", "--skip", "deadman", "--wait", "0", "--user", "eva",
                    "--reason", "test", "--json", "--data-dir", str(gateway.data), timeout=500,
                )  # fmt: skip
                report = json.loads(done.stdout)["report"]
                verdicts = {step["key"]: step["verdict"] for step in report["steps"]}
                assert verdicts == {
                    "points": "passed", "sign": "passed", "limits": "passed", "deadman": "skipped",
                    "response": "passed",
                }, done.stderr  # fmt: skip
                assert done.returncode == 1, "one step was left out"
                assert report["device"]["profile"] == "huawei_sun2000"
                assert report["site"] == "site-1"
                await gateway.until(lambda s: abs(power(s)) < 0.1)
                assert gateway.end() == 0

    asyncio.run(run())


@pytest.mark.timeout(400)
def test_the_twin_falls_back_by_itself(tmp_path: Path) -> None:
    """On a device of 8 s, a quarter of what the shortest dead-man of the registry has."""
    path = quick_profile(tmp_path, REWRITE)

    async def run() -> None:
        async with TwinServer(load_profile(path), seed=3) as twin:
            with GatewayProcess(
                tmp_path / "data",
                INVERTER_PORT=str(twin.port),
                DRIVER_PROFILE_PATH=str(path),
                CYCLE_TIME="0.5",
                WATCHDOG_TIMEOUT="2",
            ) as gateway:
                await gateway.until(_ready)
                done = await asyncio.to_thread(
                    bessai, "commission", "deadman", "--yes", "--user", "eva", "--reason", "test", "--json",
                    "--data-dir", str(gateway.data), timeout=600,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr
                (step,) = json.loads(done.stdout)["report"]["steps"]
                fell = next(c for c in step["checks"] if c["name"] == "the device falls back by itself")
                assert 4.0 < fell["values"]["fell_back_after"] < fell["limits"]["limit_s"]
                status = await gateway.until(lambda s: s["units"][""]["dead_man"]["tested"] is not None)
                tested = status["units"][""]["dead_man"]["tested"]
                assert (tested["passed"], tested["user"]) == (True, "eva")
                assert gateway.end() == 0

    asyncio.run(run())
