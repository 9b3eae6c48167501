"""The whole gateway on a SunSpec device with the DER models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bessai.drivers.modbus import ModbusClient
from bessai.drivers.sunspec import discover
from bessai.model import Endpoint
from bessai.twin import TwinServer
from support.gateway import GatewayProcess
from support.sunspec import demo_profile


def _power(status: dict[str, Any]) -> float:
    value = status["points"].get("active_power", {}).get("value")
    return float("nan") if value is None else float(value)


def test_the_gateway_charges_and_the_timer_ends_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with TwinServer(demo_profile(), seed=3, dense=True) as twin:
            client = ModbusClient(Endpoint(host="127.0.0.1", port=twin.port))
            await client.connect()
            found = await discover(client, 1)
            client.close()
            path = tmp_path / "sunspec.json"
            path.write_text(found.profile.model_dump_json(by_alias=True, exclude_defaults=True))
            environment = {"INVERTER_PORT": str(twin.port), "DRIVER_PROFILE_PATH": str(path)}
            with GatewayProcess(tmp_path / "data", **environment) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                gateway.request(-4.0)
                await gateway.until(lambda s: abs(_power(s) + 4.0) < 0.1)
                gateway.request(3.0)
                await gateway.until(lambda s: abs(_power(s) - 3.0) < 0.1)
                gateway.end(9)
            assert twin.device.active
            twin.device.advance(61)
            assert twin.device.fallbacks == 1
            assert abs(twin.device.value("active_power")) < 0.1

    asyncio.run(run())
