"""`bessai read`."""

from __future__ import annotations

import asyncio
import math
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import fail, print_json

_NO_ANSWER, _NOT_ALL_GOOD = 1, 3
if TYPE_CHECKING:
    from bessai.model import Endpoint

_SUNSPEC = "sunspec"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(read)


def read(
    address: str = typer.Argument(
        help="HOST:PORT of the device; also tls://…, rtu+tcp://HOST:PORT and rtu:///dev/ttyUSB0?baudrate=9600.",
        metavar="HOST:PORT",
    ),
    profile: str = typer.Option(
        ..., "--profile", "-p", help="Name in the registry, a file, or `sunspec` to discover."
    ),
    unit: int | None = typer.Option(None, min=0, max=255, help="Modbus unit id, when not the profile's."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Read every point of a device once. Never writes.

    Exit codes: 0 every point good, 3 some not good, 1 no answer, 2 wrong arguments or profile.
    """
    from bessai.model import parse_endpoint
    from bessai.registry import ProfileError, compile_profile, load_profile

    try:
        compiled = None if profile == _SUNSPEC else compile_profile(load_profile(profile))
        endpoint = parse_endpoint(address, default_port=compiled.connection.port if compiled else 502)
    except (ProfileError, ValueError) as error:
        fail(error)
    if compiled is None:
        compiled = asyncio.run(_discover(endpoint, 1 if unit is None else unit))
    if sys.stderr.isatty():
        typer.echo(f"reading {len(compiled.points)} points from {endpoint} …", err=True)
    result, problem = asyncio.run(_read(compiled, endpoint, unit))
    if result is None:
        fail(problem, code=_NO_ANSWER)
    points = result["points"]
    not_good = [name for name, point in points.items() if point["quality"] != "good"]
    if as_json:
        print_json(result)
    else:
        _show(result, problem)
    if len(not_good) == len(points):
        fail(problem or "the device answered nothing usable", code=_NO_ANSWER)
    raise typer.Exit(_NOT_ALL_GOOD if not_good else 0)


async def _discover(endpoint: Endpoint, unit: int) -> Any:
    """The compiled profile that a SunSpec device describes itself by."""
    from bessai.drivers.modbus import ConnectionFailed, ModbusClient
    from bessai.drivers.sunspec import NotSunSpecError, discover
    from bessai.registry import compile_profile

    client = ModbusClient(endpoint)
    try:
        await client.connect()
        return compile_profile((await discover(client, unit)).profile)
    except (ConnectionFailed, NotSunSpecError) as error:
        fail(error, code=_NO_ANSWER)
    finally:
        client.close()


async def _read(
    compiled: Any, endpoint: Endpoint, unit: int | None
) -> tuple[dict[str, Any] | None, str | None]:
    from bessai.drivers import Pace, UniversalDriver
    from bessai.model import Quality

    driver = UniversalDriver(compiled, endpoint, unit=unit, pace=Pace(stale_fast=math.inf))
    loop = asyncio.get_running_loop()
    started, wall = loop.time(), datetime.now(UTC)
    try:
        await driver.read_all()
        if driver.client.stats.replies == 0:
            return None, driver.problem or f"{endpoint} does not answer"
        values, quality, times = driver.columns(loop.time())
    finally:
        await driver.close()
    points: dict[str, Any] = {}
    for name, point in compiled.points.items():
        if point.poll == "never":
            continue
        entry: dict[str, Any] = {"value": None, "unit": point.unit, "quality": "missing", "time": None}
        if point.type == "text":
            if name in driver.texts:
                entry |= {"value": driver.texts[name], "quality": "good", "time": _iso(wall, 0.0)}
        else:
            i = compiled.layout.index[name]
            value = float(values[i])
            entry["quality"] = Quality(int(quality[i])).label
            if not math.isnan(value):
                meaning = compiled.layout.meaning(name, value)
                entry["value"] = value if meaning is None else meaning
                if name in compiled.layout.states or name in compiled.layout.bits:
                    entry |= {"value": meaning, "raw": int(value)}
            if not math.isnan(times[i]):
                entry["time"] = _iso(wall, float(times[i]) - started)
        points[name] = {**entry, "address": point.address}
    device = {
        "manufacturer": compiled.manufacturer,
        "model": compiled.model,
        "profile": compiled.id,
        "address": str(endpoint),
        "unit": driver.unit,
        **{name: text for name, text in driver.texts.items() if text},
    }
    return {"device": device, "points": points}, driver.problem


def _iso(wall: datetime, seconds: float) -> str:
    moment = wall + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _show(result: dict[str, Any], problem: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    device = result["device"]
    title = f"{device['manufacturer']} {device['model']} at {device['address']}, unit {device['unit']}"
    table = Table(Column("point", no_wrap=True), "value", "unit", "quality", "address", title=escape(title))
    for name, point in result["points"].items():
        value, good = point["value"], point["quality"] == "good"
        if isinstance(value, float):
            text = f"{value:.10g}"
        elif isinstance(value, list):
            text = ", ".join(value) or "none"
        else:
            text = "–" if value is None else str(value)
        if "raw" in point:
            text = f"{text} ({point['raw']})" if value is not None else f"({point['raw']})"
        quality = f"[green]{point['quality']}[/]" if good else f"[yellow]{point['quality']}[/]"
        table.add_row(name, escape(text), point["unit"] or "", quality, str(point["address"]))
    Console().print(table)
    if problem:
        Console(stderr=True).print(f"[yellow]{escape(problem)}[/]")
