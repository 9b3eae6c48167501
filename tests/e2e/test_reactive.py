"""Reactive power on the wire: granted, read back, narrowed, beside active power, and gone with its lease."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bessai.cli.common import ask_gateway
from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.gateway import GatewayProcess, bessai
from support.sunspec import demo_profile


async def _request(gateway: GatewayProcess, *arguments: str) -> tuple[int, str]:
    done = await asyncio.to_thread(
        bessai, "request", *arguments, "--reason", "test", "--data-dir", str(gateway.data)
    )
    return done.returncode, done.stdout + done.stderr


def _told(status: dict[str, Any], power: float, reactive: float) -> bool:
    control = status["control"]
    return (control["setpoint"], control["reactive"], control["verified"]) == (power, reactive, True)


def test_a_sunspec_device_is_told_vars(tmp_path: Path) -> None:
    async def play() -> None:
        profile = demo_profile()
        path = tmp_path / "sunspec.json"
        path.write_text(profile.model_dump_json(by_alias=True, exclude_defaults=True))
        async with TwinServer(profile, seed=3, dense=True) as twin:
            pcs = twin.device.plant.pcs
            environment: dict[str, Any] = {"INVERTER_PORT": str(twin.port), "DRIVER_PROFILE_PATH": str(path)}
            with GatewayProcess(tmp_path / "data", **environment) as gateway:

                async def seen(reactive: float) -> None:
                    await gateway.until(lambda _: abs(pcs.reactive_power - reactive) < 0.2)

                await gateway.until(lambda s: s["control"]["state"] == "normal")
                code, text = await _request(gateway, "--power", "3", "--reactive", "-2")
                assert (code, "granted 3 kW and -2 kvar" in text) == (0, True), text
                await gateway.until(lambda s: _told(s, 3.0, -2.0))
                await seen(-2.0)
                await gateway.until(lambda _: abs(pcs.active_power - 3.0) < 0.1)
                assert twin.device.value("m704_var_set") == -2.0

                bounds = {"reactive_low": -1.0, "reactive_high": 1.5}
                message = {
                    "op": "request",
                    "source": "grid",
                    "priority": "grid_operator",
                    "for": 600,
                    "reason": "volts",
                }
                answer = await asyncio.to_thread(ask_gateway, gateway.data, message | bounds)
                assert answer is not None
                assert answer["ok"], answer
                status = await gateway.until(lambda s: _told(s, 3.0, -1.0))
                assert status["control"]["limited_by"] == ["request:grid"]
                assert status["control"]["reactive_asked"] == -2.0
                await seen(-1.0)
                await asyncio.to_thread(ask_gateway, gateway.data, {"op": "cancel", "source": "grid"})

                code, text = await _request(gateway, "--power", "8", "--reactive", "10", "--for", "8s")
                assert (code, "8 kW and 6 kvar" in text, "apparent_power_max" in text) == (1, True, True), (
                    text
                )
                await gateway.until(lambda s: _told(s, 8.0, 6.0))
                await seen(6.0)
                status = await gateway.until(lambda s: _told(s, 0.0, 0.0))  # the lease is over
                assert status["control"]["source"] is None
                await seen(0.0)

                await _request(gateway, "--reactive", "4", "--power", "1")
                await seen(4.0)
                gateway.end(9)
            twin.device.advance(61)
            assert twin.device.fallbacks == 1
            assert abs(twin.device.plant.pcs.reactive_power) < 0.1, (
                "vars end with the device's own timer, too"
            )

    asyncio.run(play())


def test_a_device_that_cannot_be_told_vars_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        async with TwinServer(load_profile("huawei_sun2000"), seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                code, text = await _request(gateway, "--power", "2", "--reactive", "1")
                assert (code, "granted 2 kW, no reactive power" in text) == (1, True), text
                assert "reactive_not_supported" in text

    asyncio.run(play())
