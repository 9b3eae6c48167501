"""Cells on a site of several devices, whose status knows only the plant's own points."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.live import Live
from bessai.interfaces.api.routes.points import cells
from bessai.interfaces.scada.feed import Columns, Frame
from bessai.model import Quality

NAMES = (
    "soc",
    "rack_1.cell_voltage_2",
    "rack_1.cell_voltage_1",
    "rack_2.cell_temperature_1",
    "rack_2.cell_voltage_max",
)


class _Gateway:
    async def status(self) -> dict[str, Any]:
        return {"points": {"soc": {"value": 50.0, "unit": "%", "quality": "good", "age": 1.0}}}


def _live() -> Live:
    live = Live(Path("no.sock"), "site", cast("Gateway", None))
    units = ("%", "V", "V", "°C", "V")
    live.started(Columns(names=NAMES, units=units, period=1.0, part=np.array([0]), alarms={}))
    return live


def _cells(live: Live) -> list[dict[str, Any]]:
    answer = asyncio.run(cells(cast("Any", SimpleNamespace(live=live, gateway=_Gateway()))))
    return [group.model_dump() for group in answer.groups]


def test_cells_of_every_device_come_in_the_order_of_their_numbers() -> None:
    live = _live()
    live.frame(
        Frame(
            cycle=1, wall_ns=1, positions=None, values=np.array([50.0, 3.2, 3.3, 25.0, 3.4]),
            quality=np.array([0, 0, Quality.STALE, 0, 0], np.uint8), ages=np.ones(5, np.float32), decision={},
            events=(), missed=0,
        )
    )  # fmt: skip
    volts, degrees = _cells(live)
    assert (volts["device"], volts["kind"], volts["unit"]) == ("rack_1", "voltage", "V")
    assert volts["names"] == ["rack_1.cell_voltage_1", "rack_1.cell_voltage_2"]
    assert volts["values"] == [3.3, 3.2]
    assert volts["quality"] == ["stale", "good"]
    assert volts["mean"] == 3.2, "only good cells count"
    assert (degrees["device"], degrees["kind"], degrees["values"]) == ("rack_2", "temperature", [25.0])


def test_before_the_first_cycle_cells_are_known_by_name_alone() -> None:
    volts, _ = _cells(_live())
    assert volts["values"] == [None, None]
    assert volts["ages"] == [None, None]
    assert volts["quality"] == ["missing", "missing"]
    assert volts["mean"] is None
