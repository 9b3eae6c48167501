"""A real gateway on a twin, and the API on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bessai.core.socket_file import socket_path
from support.api_server import Api, plain_context, served
from support.gateway import GatewayProcess
from support.twin_process import TwinProcess

GRID = """
plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400, converters: gfm}
points: {frequency: frequency, voltage: null, active_power: active_power, reactive_power: reactive_power}
values: {frequency.enabled: true, frequency.droop: 5, frequency.dead_band: 30}
"""

SCHEDULE = """# timezone: America/Santiago
start,end,power_kw,reason
2035-11-24 18:00,2035-11-24 22:00,4,evening peak
"""


@dataclass(frozen=True)
class House:
    """What runs."""

    api: Api
    gateway: GatewayProcess
    twin: TwinProcess
    data: Path


@contextmanager
def furnished(folder: Path) -> Iterator[House]:
    """A plant that charges because an operator asks, with grid functions and a broker's password to hide."""
    data = folder / "data"
    (folder / "grid.yaml").write_text(GRID)
    with (
        TwinProcess("huawei_sun2000") as twin,
        GatewayProcess(
            data,
            INVERTER_PORT=str(twin.port),
            GRID_FILE=str(folder / "grid.yaml"),
            NATS_URL="nats://127.0.0.1:9",
            NATS_USERNAME="gateway",
            NATS_PASSWORD="hunter3",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://someone:hunter2@127.0.0.1:9",
            OTEL_SDK_DISABLED="true",
        ) as gateway,
    ):
        asyncio.run(gateway.until(lambda s: s["control"]["state"] == "normal", 120))
        gateway.request(-2.5)
        asyncio.run(gateway.until(lambda s: s["control"]["asked"] == -2.5 and s["journal"]["committed"] > 8))
        with served(plain_context(data, socket_path(data))) as api:
            yield House(api, gateway, twin, data)
