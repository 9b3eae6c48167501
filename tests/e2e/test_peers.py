"""The whole gateway on a Modbus server that is neither ours nor pymodbus."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bessai.journal import JournalReader
from support.gateway import GatewayProcess
from support.libmodbus import libmodbus_or_skip
from support.profiles import document


def test_the_gateway_reads_libmodbus(tmp_path: Path) -> None:
    points = {f"p{i}": {"address": 100 * i, "type": "u16", "poll": "fast"} for i in range(50)}
    profile = tmp_path / "test.json"
    profile.write_text(json.dumps(document(points)))

    async def run(port: int) -> None:
        environment = {"INVERTER_PORT": str(port), "DRIVER_PROFILE_PATH": str(profile)}
        with GatewayProcess(tmp_path / "data", **environment) as gateway:
            status = await gateway.until(lambda s: s["points"].get("p49", {}).get("value") == 4900)
            assert status["control"]["state"] == "monitor"
            await gateway.until(lambda s: s["cycle"]["verified"] > 1)
            assert any("control refused" in problem for problem in status["problems"])
            assert gateway.end() == 0

    with libmodbus_or_skip() as port:
        asyncio.run(run(port))
    reader = JournalReader(tmp_path / "data")
    cycles = [entry for entry in reader.read(0, 100) if entry.kind == "cycle" and entry.verified]
    assert cycles
    assert cycles[-1].values.tolist() == [100.0 * i for i in range(50)]
    reader.close()
