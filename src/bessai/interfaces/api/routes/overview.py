"""The plant at a glance: charge, the window that may be used, time to its ends, and the flows of power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, finite, good
from bessai.interfaces.api.archive import journal
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.publishers import Publisher, publisher, sinks_of
from bessai.interfaces.api.roles import Role, needs

router = APIRouter(tags=["status"], dependencies=[Depends(needs(Role.VIEWER))])

_FLOWING = 0.005
"""Share of the capacity an hour below which nothing is said of full or empty: it would be days, and noise."""
_BEHIND = 50
"""Records that may wait before it is worth saying for how long."""
_SOURCES = {
    "battery": "battery_power",
    "inverter": "active_power",
    "grid": "grid_power",
    "load": "load_power",
    "pv": "pv_power",
}
"""Points that tell a flow."""


class Flow(Answer):
    """One flow: + is discharge of the battery, export of inverter and grid, generation, consumption of the load."""

    value: float
    """kW."""
    quality: str
    """Always `good`: of another quality there is no flow."""
    age: float
    """Seconds; of a balance, of the oldest value in it."""
    point: str | None
    """Where it was measured; null: it is what balances."""


class Flows(Answer):
    """Null: not measured, or not good now."""

    battery: Flow | None
    inverter: Flow | None
    grid: Flow | None
    load: Flow | None
    pv: Flow | None


class Overview(Answer):
    """The plant at a glance."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "soc": 50.0, "soc_low": 10.0, "soc_high": 95.0, "energy_capacity": 20.0,
                    "seconds_to_full": 12960.0, "seconds_to_empty": None,
                    "flows": {
                        "battery": {"value": -2.5, "quality": "good", "age": 0.4, "point": "battery_power"},
                        "inverter": {"value": -2.5, "quality": "good", "age": 0.4, "point": "active_power"},
                        "grid": {"value": -3.3, "quality": "good", "age": 0.4, "point": "grid_power"},
                        "load": {"value": 0.8, "quality": "good", "age": 0.4, "point": None}, "pv": None,
                    },
                    "publishers": [{"name": "mqtt", "state": "ok", "connected": True, "backlog": 1,
                                    "oldest_waiting": None, "delivered": "2026-11-29T06:41:55.402Z", "failed": None,
                                    "error": None}],
                }
            ]
        }
    )  # fmt: skip

    soc: float | None
    """%."""
    soc_low: float | None
    """% at which discharge ends by the limits in force."""
    soc_high: float | None
    energy_capacity: float | None
    """kWh, as the device tells it."""
    seconds_to_full: float | None
    """To soc_high at the present power, without losses; null: it does not charge, or something is not known."""
    seconds_to_empty: float | None
    flows: Flows
    publishers: list[Publisher]
    """That are on; the age of what waits is looked for where one fails or more than 50 records wait."""


@router.get("/overview")
async def overview(context: Annotated[Context, Depends(of)]) -> Overview:
    """The plant at a glance, of good values only.

    The window is what the limits in force say (`SOC_MIN`, `SOC_MAX` or the limits file). The time to its ends is the
    energy up to them, `capacity * (soc_high - soc) / 100`, divided by the battery's power now; losses are not in it.
    The load is a point of its own where there is one, else what balances: power of the inverter less what is exported,
    where both are measured and the plant has one inverter (its AC side is then all that the plant adds).
    """
    status = await context.gateway.status()
    limits = (await context.gateway.configuration())["limits"]
    sinks = [sink for sink in sinks_of(status) if sink["state"] != "off"]
    publishers = [publisher(sink, None) for sink in sinks]
    if any(map(_behind, publishers)):

        def follow() -> list[Publisher]:
            with journal(context.settings.data_dir) as reader:
                return [
                    publisher(sink, reader if _behind(one) else None)
                    for sink, one in zip(sinks, publishers, strict=True)
                ]

        publishers = await context.read(follow)
    return look(status, finite(limits["soc_min"]), finite(limits["soc_max"]), publishers)


def _behind(one: Publisher) -> bool:
    return one.state != "ok" or one.backlog > _BEHIND


def look(
    status: Mapping[str, Any], low: float | None, high: float | None, publishers: Sequence[Publisher] = ()
) -> Overview:
    """The overview of a status, with the ends of the window in %."""
    points = status["points"]
    soc, capacity = good(points, "soc"), good(points, "energy_capacity")
    flows = {name: _flow(points, point) for name, point in _SOURCES.items()}
    battery, inverter, grid = flows["battery"], flows["inverter"], flows["grid"]
    alone = len(status["units"]) == 1 and flows["pv"] is None
    if flows["load"] is None and "load_power" not in points and alone and inverter and grid:
        age = max(inverter.age, grid.age)
        flows["load"] = Flow(value=round(inverter.value - grid.value, 6), quality="good", age=age, point=None)
    full = empty = None
    if soc is not None and capacity and battery is not None and abs(battery.value) >= _FLOWING * capacity:
        share = capacity / 100 * 3600 / abs(battery.value)  # seconds for 1 %
        if battery.value < 0 and high is not None:
            full = max(0.0, high - soc) * share
        if battery.value > 0 and low is not None:
            empty = max(0.0, soc - low) * share
    return Overview(
        soc=soc,
        soc_low=low,
        soc_high=high,
        energy_capacity=capacity,
        seconds_to_full=full,
        seconds_to_empty=empty,
        flows=Flows(**flows),
        publishers=list(publishers),
    )


def _flow(points: Mapping[str, Any], name: str) -> Flow | None:
    value = good(points, name)
    if value is None:
        return None
    return Flow(value=value, quality="good", age=finite(points[name]["age"]) or 0.0, point=name)
