"""What a control decision costs, and how punctual a 100 ms cycle is.

    python -m benchmarks.control [--quick] [--json] [--minutes M] [--only decide,jitter]

`decide`: `SafetyGuard.decide` and `command` for every unit, on images made directly, for 1 and 100 commanded Huawei
SUN2000 with batteries: `steady` while the wish stays the same, `moving` while every cycle brings a new setpoint to
every unit (the second look and the writes included). Times are of single cycles, in wall and in process time.

`jitter`: see `benchmarks.jitter`. No named peer runs offline beside ours, and a naive loop written here would be no
peer: results are told as shares of the cycle.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.harness import Row, machine, parser, report
from benchmarks.jitter import CYCLE, SCHEDULES, JitterError, measure
from bessai.core.assembly import guard_of
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.settings import Settings
from bessai.model import Layout, Priority, ProcessImage, Quality, Request, WriteOutcome
from bessai.registry import find_profile, load_profile
from bessai.site import load_site
from bessai.twin import Plant, TwinDevice

PROFILE = "huawei_sun2000"
UNITS = (1, 100)
_PERIOD = 1.0
"""Seconds of a cycle, in the images' time."""
_SETTLE = 60


class Fleet:
    """A guard over so many devices, and images of them in which every value is good and power follows."""

    def __init__(self, units: int, directory: Path) -> None:
        path = directory / f"site_{units}.yaml"
        device = {"profile": PROFILE, "role": "inverter", "endpoint": "10.0.{n}.1:502", "control": True}
        path.write_text(yaml.safe_dump({"site": "bench", "devices": {"unit_{n}": device | {"count": units}}}))
        site = load_site(path)
        settings = Settings.model_construct(site_id="bench", watchdog_timeout=30.0, cycle_time=_PERIOD)
        self.guard: SafetyGuard = guard_of(settings, site, Limits())
        self.now = 1000.0
        profile = load_profile(find_profile(PROFILE))
        twin = TwinDevice(profile, Plant())
        values = {
            name: twin.value(name)
            for name in self.guard.units[next(iter(self.guard.units))].profile.layout.names
        }
        self._columns = {name: _columns(site.views[name].layout, values) for name in self.guard.units}

    @property
    def powered(self) -> bool:
        """True while every unit stands at a power."""
        return all(unit.standing for unit in self.guard.units.values())

    def images(self) -> dict[str, ProcessImage]:
        """What control looks at in the next cycle."""
        self.now += _PERIOD
        made = {}
        for name, unit in self.guard.units.items():
            layout, values, quality = self._columns[name]
            told, control = unit.standing or 0.0, unit.profile.control
            assert control is not None
            values = values.copy()
            values[layout.index[control.measured]] = told
            if unit.dead_man.remaining is not None:
                values[layout.index[unit.dead_man.remaining]] = unit.dead_man.time
            made[name] = ProcessImage(
                layout=layout,
                cycle=0,
                monotonic=self.now,
                wall_ns=int(self.now * 1e9),
                values=values,
                quality=quality,
                times=np.full(len(layout), self.now),
            )
        return made

    def cycle(self, power: float) -> tuple[float, float, int]:
        """One cycle: wall and process seconds of decision and commands, and how many commands there were."""
        images, units = self.images(), tuple(self.guard.units)
        wish = Request(
            source="operator",
            priority=Priority.OPERATOR,
            power=power,
            expires=self.now + 60.0,
            reason="bench",
        )
        fresh = frozenset(units)
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        self.guard.decide(images, [wish], fresh=fresh)
        commands = [self.guard.command(unit, self.now) for unit in units]
        wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
        written = 0
        for unit, command in zip(units, commands, strict=True):
            if command is not None:
                written += 1
                self.guard.wrote(unit, WriteOutcome(verified=True, written=command.writes), self.now)
            if (feed := self.guard.feed(unit, self.now)) is not None:
                self.guard.wrote(unit, WriteOutcome(verified=True, written=feed.writes), self.now)
        return wall / 1e9, cpu / 1e9, written


def _columns(layout: Layout, known: dict[str, float]) -> tuple[Layout, Any, Any]:
    values = np.array([known.get(name, np.nan) for name in layout.names])
    quality = np.where(np.isnan(values), Quality.ABSENT, Quality.GOOD).astype(np.uint8)
    return layout, values, quality


def decide(units: int, cycles: int, directory: Path) -> dict[str, float]:
    """Times of the decision for so many units."""
    fleet = Fleet(units, directory)
    for _ in range(_SETTLE):
        fleet.cycle(-0.5 * units)
    found: dict[str, float] = {}
    gc.collect()
    gc.freeze()  # as the gateway does after its start
    for kind, wishes in (("steady", _steady(units)), ("moving", _moving(units))):
        times = [fleet.cycle(next(wishes)) for _ in range(cycles)]
        wall, cpu, written = np.array(times).T
        commands, expected = float(np.median(written)), 0 if kind == "steady" else units
        if commands != expected or not fleet.powered:
            raise SystemExit(
                f"{kind}: {commands:g} commands a cycle, not {expected}: this measured something else"
            )
        found |= {
            f"{kind}_{clock}_{name}_us": round(float(np.percentile(of, share)) * 1e6, 1)
            for clock, of in (("wall", wall), ("cpu", cpu))
            for name, share in (("p50", 50), ("p99", 99))
        }
    return found


def _steady(units: int) -> Iterator[float]:
    while True:
        yield -0.5 * units


def _moving(units: int) -> Iterator[float]:
    while True:
        for share in (0.5, 0.6, 0.7, 0.8):
            yield -share * units


def main() -> None:
    """Measure and report."""
    options = parser(__doc__ or "")
    options.add_argument("--minutes", type=float, default=1.0, help="of each jitter run (default 1)")
    options.add_argument("--only", default="decide,jitter", help="which parts (default: all)")
    chosen = options.parse_args()
    parts = chosen.only.split(",")
    rows: list[Row] = []
    result: dict[str, Any] = {"benchmark": "control", "machine": machine("uvloop", "numpy"), "notes": []}
    if "decide" in parts:
        with tempfile.TemporaryDirectory() as name:
            for units in UNITS:
                cycles = (200 if chosen.quick else 3000) if units == 1 else (30 if chosen.quick else 300)
                found = decide(units, cycles, Path(name))
                result[f"decide_{units}"] = found
                rows += _decide_rows(units, found)
    if "jitter" in parts:
        for schedule in SCHEDULES:
            seconds = 5.0 if chosen.quick else 60 * chosen.minutes
            try:
                measured = measure(schedule, seconds)
            except JitterError as error:
                measured = {"refused": str(error)}
            result[f"jitter_{schedule}"] = measured
            if "refused" in measured:
                result["notes"].append(f"jitter {schedule}: {measured['refused']}")
            rows += _jitter_rows(schedule, measured)
    report(result, rows, as_json=chosen.json)


def _decide_rows(units: int, found: dict[str, float]) -> Iterator[Row]:
    what = "1 battery" if units == 1 else f"{units} batteries"
    for kind in ("steady", "moving"):
        for name in ("p50", "p99"):
            wall = found[f"{kind}_wall_{name}_us"]
            yield f"{what}, {kind}: decide and command, wall {name}", wall, "µs"
            yield f"{what}, {kind}: the same in process time", found[f"{kind}_cpu_{name}_us"], "µs"
        share = found[f"{kind}_wall_p99_us"] / 1e6 / CYCLE
        yield f"{what}, {kind}: p99 as a share of a 100 ms cycle", 100 * share, "%"


def _jitter_rows(schedule: str, found: dict[str, Any]) -> Iterator[Row]:
    for name in ("p50", "p99", "max"):
        yield f"100 ms cycle, {schedule}: start lateness {name}", found.get(f"late_{name}_ms"), "ms"
    yield f"100 ms cycle, {schedule}: cycles", found.get("cycles"), ""
    yield f"100 ms cycle, {schedule}: missed", found.get("missed"), ""


if __name__ == "__main__":
    main()
