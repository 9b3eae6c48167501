"""Reading and decoding, side by side with named peers, and the whole control plane on a large plant.

    python -m benchmarks.acquisition [--quick] [--json] [--minutes M] [--only ROWS]

ROWS is a comma-separated list of `decode`, `plant`, `faults`, `growth`, `fast` (all without it).
`decode`: 100 mixed points in 300 registers; every client reads the same C server in turn within each round.
The others: see `benchmarks.plant`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from benchmarks import plant
from benchmarks.harness import Row, machine, median, parser, report
from benchmarks.native import NotAvailableError, build, libmodbus_round, one_device
from benchmarks.points import GAIN, client_plan, mixed_profile
from bessai.drivers import UniversalDriver
from bessai.registry import CompiledProfile

_Read = Callable[[int], Awaitable[list[float]]]
"""Reads everything so many times; returns the last values."""
_Measure = Callable[[int], Awaitable[tuple[float, float]]]
"""Reads everything so many times; returns CPU µs a point and the sum of the last values."""
_OUTSTANDING = 8
_PEER_TYPES = {"u16": "UINT16", "i16": "INT16", "u32": "UINT32", "i32": "INT32", "f32": "FLOAT32"}


class _Pymodbus:
    """The peer: pymodbus' async client, on uvloop like ours. Both methods return the last values."""

    def __init__(self, profile: CompiledProfile, port: int) -> None:
        self.client = AsyncModbusTcpClient("127.0.0.1", port=port)
        kinds = self.client.DATATYPE
        self._points = [(p.address, p.registers, kinds[_PEER_TYPES[p.type]]) for p in profile.points.values()]
        self._blocks = [
            (b.address, b.count, [p for p in self._points if b.address <= p[0] < b.address + b.count])
            for b in profile.plans["fast"].blocks
        ]

    def _value(self, registers: Sequence[int], kind: Any) -> float:
        value = self.client.convert_from_registers(registers, kind)
        assert isinstance(value, int | float)
        return value * GAIN

    async def one_by_one(self, times: int) -> list[float]:
        values: list[float] = []
        for _ in range(times):
            values = []
            for address, count, kind in self._points:
                reply = await self.client.read_holding_registers(address, count=count, device_id=1)
                values.append(self._value(reply.registers, kind))
        return values

    async def by_blocks(self, times: int) -> list[float]:
        values: list[float] = []
        for _ in range(times):
            values = []
            for start, size, members in self._blocks:
                reply = await self.client.read_holding_registers(start, count=size, device_id=1)
                for address, count, kind in members:
                    registers = reply.registers[address - start : address - start + count]
                    values.append(self._value(registers, kind))
        return values


async def decode(directory: Path, port: int, client: Path | None, *, quick: bool) -> dict[str, float]:
    """CPU per decoded point in µs of each client, and the ratios of each round to ours: medians.

    Raises:
        RuntimeError: the clients do not decode the same values.
    """
    profile = mixed_profile(directory)
    drivers = {
        "ours": UniversalDriver(profile, "127.0.0.1", port),
        "ours_pipelined": UniversalDriver(
            mixed_profile(directory, outstanding=_OUTSTANDING), "127.0.0.1", port
        ),
    }
    peer = _Pymodbus(profile, port)
    await peer.client.connect()
    plan, size = client_plan(profile), len(profile.points)

    def ours(driver: UniversalDriver) -> _Measure:
        async def read(times: int) -> list[float]:
            for _ in range(times):
                if not await driver.read_fast():
                    raise RuntimeError(f"our client does not read: {driver.problem}")
                values = driver.columns(0.0)[0]
            return [float(value) for value in values]

        return timed(read)

    def timed(read: _Read) -> _Measure:
        async def measure(times: int) -> tuple[float, float]:
            begin = time.process_time()
            values = await read(times)
            used = time.process_time() - begin
            return used / times / size * 1e6, sum(values)

        return measure

    async def libmodbus(times: int) -> tuple[float, float]:
        assert client is not None
        return await asyncio.to_thread(libmodbus_round, client, port, plan, times)

    measures: dict[str, tuple[_Measure, int]] = {
        "ours": (ours(drivers["ours"]), 300),
        "ours_pipelined": (ours(drivers["ours_pipelined"]), 300),
        "pymodbus_one_by_one": (timed(peer.one_by_one), 4),
        "pymodbus_by_blocks": (timed(peer.by_blocks), 60),
    }
    if client is not None:
        measures["libmodbus"] = (libmodbus, 300)
    found: dict[str, list[float]] = {name: [] for name in measures}
    sums = {name: (await measure(max(1, times // 6)))[1] for name, (measure, times) in measures.items()}
    for _ in range(3 if quick else 9):
        for name, (measure, times) in measures.items():
            used, sums[name] = await measure(times if quick else 4 * times)
            found[name].append(used)
    for driver in drivers.values():
        await driver.close()
    peer.client.close()
    if max(sums.values()) - min(sums.values()) > 1e-4 * abs(max(sums.values())):
        raise RuntimeError(f"the clients decode different values; their sums: {sums}")
    return {f"cpu_us_per_point_{key}": median(values) for key, values in found.items()} | _ratios(found)


def _ratios(found: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the ratios within each round."""
    result = {}
    for name in ("ours", "ours_pipelined"):
        for other in ("pymodbus_one_by_one", "pymodbus_by_blocks"):
            pairs = zip(found[other], found[name], strict=True)
            result[f"ratio_{other}_to_{name}"] = round(statistics.median(a / b for a, b in pairs), 3)
        if "libmodbus" in found:
            pairs = zip(found[name], found["libmodbus"], strict=True)
            result[f"ratio_{name}_to_libmodbus"] = round(statistics.median(a / b for a, b in pairs), 3)
    return result


def _decode_rows(found: dict[str, Any]) -> list[Row]:
    unit = "µs CPU a point"
    return [
        ("ours, one request at a time", found.get("cpu_us_per_point_ours"), unit),
        (f"ours, up to {_OUTSTANDING} outstanding", found.get("cpu_us_per_point_ours_pipelined"), unit),
        ("pymodbus async, point by point", found.get("cpu_us_per_point_pymodbus_one_by_one"), unit),
        ("pymodbus async, the same blocks", found.get("cpu_us_per_point_pymodbus_by_blocks"), unit),
        ("libmodbus (C), the same blocks", found.get("cpu_us_per_point_libmodbus"), unit),
        ("pymodbus point by point / ours (aim ≥ 40)", found.get("ratio_pymodbus_one_by_one_to_ours"), "×"),
        ("pymodbus blocks / ours (aim ≥ 3)", found.get("ratio_pymodbus_by_blocks_to_ours"), "×"),
        (
            "pymodbus blocks / ours pipelined (aim ≥ 6)",
            found.get("ratio_pymodbus_by_blocks_to_ours_pipelined"),
            "×",
        ),
        ("ours / libmodbus (aim ≤ 2)", found.get("ratio_ours_to_libmodbus"), "×"),
        ("ours pipelined / libmodbus (aim ≤ 1)", found.get("ratio_ours_pipelined_to_libmodbus"), "×"),
    ]


def _measure_decode(directory: Path, notes: list[str], *, quick: bool) -> dict[str, float]:
    client = None
    try:
        client = build("client", directory)
    except NotAvailableError as error:
        notes.append(f"libmodbus not measured: {error}")
    with one_device(directory) as (port, note):
        if note:
            notes.append(note)
        return uvloop.run(decode(directory, port, client, quick=quick))


def _options() -> argparse.Namespace:
    known = ("decode", *plant.ROWS)
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=1.0, help="of each plant row (default 1)")
    arguments.add_argument("--only", default=",".join(known), help=f"some of {', '.join(known)}")
    options = arguments.parse_args()
    options.only = [word.strip() for word in options.only.split(",")]
    if unknown := [word for word in options.only if word not in known]:
        arguments.error(f"--only: no rows {', '.join(unknown)}; there are {', '.join(known)}")
    if options.minutes <= 0:
        arguments.error(f"--minutes: {options.minutes} is not above 0")
    return options


def main() -> None:
    """Measure and report."""
    options = _options()
    seconds = 60 * options.minutes / (6 if options.quick else 1)
    found: dict[str, Any] = {}
    rows: list[Row] = []
    notes = ["CPU is user + system; loopback charges most kernel time to the sender"]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if "decode" in options.only:
            found["decode"] = _measure_decode(directory, notes, quick=options.quick)
            rows += _decode_rows(found["decode"])
        for row in [word for word in plant.ROWS if word in options.only]:
            try:
                found[row] = plant.measure(row, directory, seconds)
            except (NotAvailableError, plant.PlantError) as error:
                found[row] = None
                notes.append(f"{row} not measured: {error}")
            rows += plant.rows(row, found[row] or {})
    result = {
        "benchmark": "acquisition",
        "machine": machine("pymodbus", "uvloop", "numpy"),
        "plant_seconds": seconds,
        **found,
        "notes": notes,
    }
    report(result, rows, as_json=options.json)


if __name__ == "__main__":
    main()
