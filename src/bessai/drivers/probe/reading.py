"""What a profile would read from a unit, read once."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace

from bessai.drivers.columns import Pace
from bessai.drivers.link import Link
from bessai.drivers.probe.gentle import GentleClient
from bessai.drivers.universal import UniversalDriver
from bessai.model import SHARED_POINTS, Quality
from bessai.registry import CompiledProfile

_SHOWN = 12
_SPLITS = 100
"""Requests beyond twice the reads that finding out which points are absent may cost."""
_FIRST = (
    "soc", "battery_power", "active_power", "grid_power", "device_status", "battery_status", "meter_status",
    "frequency", "grid_frequency", "soh", "battery_voltage", "cell_voltage_max", "cell_voltage_min",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One point as it was read."""

    value: float | None
    meaning: str | list[str] | None
    unit: str | None
    quality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at every point of a profile."""

    classes: dict[str, tuple[int, int]]
    """Points and reads of each poll class."""
    values: dict[str, Value]
    """The points that say most, first the state of charge, powers and states."""
    good: int
    """Points with good quality, texts included."""
    points: int
    problem: str | None


async def read_once(client: GentleClient, profile: CompiledProfile, unit: int) -> Reading:
    """Read every poll class once, over the probe's own connection and within its bound."""
    client.breath = profile.connection.pause
    # the client repeats what is busy; nothing else is worth a repetition here
    once = profile.connection.model_copy(update={"retries": 0})
    link = Link(client.endpoint, client.manners)
    link.client = client
    driver = UniversalDriver(
        replace(profile, connection=once), link, unit=unit, pace=Pace(stale_fast=math.inf)
    )
    classes = {
        poll: (sum(len(block.names) + len(block.texts) for block in plan.blocks), len(plan.blocks))
        for poll, plan in profile.plans.items()
    }
    points = sum(count for count, _ in classes.values())
    reads = sum(count for _, count in classes.values())
    problem: str | None = None
    if reads > client.requests_left:
        problem = f"not read: {reads} reads are more than the {client.requests_left} left to the probe"
    else:
        client.share = client.stats.requests + 2 * reads + _SPLITS
        try:
            async with asyncio.timeout(client.seconds_left):
                await driver.read_all()
            problem = driver.problem
        except TimeoutError:
            problem = "the probe's bound of time ended the reading"
        finally:
            client.share = None
    values, quality, _ = driver.columns(asyncio.get_running_loop().time())
    chosen: dict[str, Value] = {}
    for name in _chosen(profile):
        i = profile.layout.index[name]
        value = None if math.isnan(values[i]) else float(values[i])
        chosen[name] = Value(
            value=value,
            meaning=None if value is None else profile.layout.meaning(name, value),
            unit=profile.points[name].unit,
            quality=Quality(int(quality[i])).label,
        )
    good = int((quality == Quality.GOOD).sum()) + len(driver.texts)
    return Reading(classes=classes, values=chosen, good=good, points=points, problem=problem)


def _chosen(profile: CompiledProfile) -> list[str]:
    polled = [name for name in profile.layout.names if profile.points[name].poll != "never"]
    first = [name for name in _FIRST if name in polled]
    shared = [name for name in polled if name in SHARED_POINTS and name not in first]
    rest = [name for name in polled if name not in SHARED_POINTS]
    return [*first, *shared, *rest][:_SHOWN]
