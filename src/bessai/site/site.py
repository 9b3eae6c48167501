"""A plant as the gateway runs it: devices, buses, one layout of columns, and the rules of the plant's own points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bessai.model import Endpoint, Layout
from bessai.registry import CompiledProfile, Profile
from bessai.site.report import ReportFile
from bessai.site.rules import Aggregation, Rule
from bessai.site.scada.points import Scada
from bessai.site.schema import Role

BATTERY_STATE = frozenset(
    {
        "soc",
        "soc_highest",
        "soc_lowest",
        "soh",
        "cell_voltage_max",
        "cell_voltage_min",
        "cell_temperature_max",
        "cell_temperature_min",
    }
)
"""What the plant's aggregate says better than the commanded device: it looks at every battery."""

WORST = (
    *("fire_alarm", "gas_alarm", "insulation_resistance"),
    *("battery_alarm", "contactor_status", "breaker_status"),
)
"""Where a commanded device and others tell it, the worst counts: none of them hides another's."""

_POWER_LIMITS = frozenset({"charge_power_max", "discharge_power_max"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Device:
    """One device of a site."""

    name: str
    """Empty for the only device of a site without a site file: its points have no prefix."""
    compiled: CompiledProfile
    """Shared by devices of the same profile and manners."""
    profile: Profile | None = None
    """What it was compiled from, where it came from a site file."""
    role: Role
    endpoint: Endpoint
    """Equal endpoints are one connection."""
    unit: int
    stations: Mapping[str, int] = field(default_factory=dict)
    """Unit id of each station that the profile names."""
    period: float | None = None
    """Seconds between readings of the class `fast`; None: the gateway's default."""
    capacity: float | None = None
    """kWh of its battery, where the site file tells it."""
    control: bool = False
    batteries: tuple[str, ...] = ()
    """Devices that tell the state of the batteries behind this commanded one; empty: it does, or the plant."""
    power_min: float = 0.0
    """Smallest power in kW, besides zero, that this commanded device can run at."""
    columns: slice
    """Its columns in the site's layout."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class View:
    """What control looks at."""

    layout: Layout
    columns: NDArray[np.intp]
    """Of the site's layout, one a point of `layout`."""
    plant: int
    """Columns below it are the plant's own points."""

    @property
    def foreign(self) -> frozenset[str]:
        """Names that the plant tells: good values there say nothing of the commanded device."""
        return frozenset(
            name for name, column in zip(self.layout.names, self.columns, strict=True) if column < self.plant
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Site:
    """A checked site. The plant's own points come first in `layout`, then each device's."""

    name: str | None
    file: Path | None
    devices: tuple[Device, ...]
    layout: Layout
    plant: tuple[str, ...] = ()
    """Names of the plant's own points, which are the first columns."""
    rules: tuple[Rule, ...] = ()
    """How they are computed, in an order in which each finds its inputs ready."""
    publish: Literal["all", "plant"] = "all"
    report: ReportFile | None = None
    """Which points leave the site when; None: all that `publish` allows, in every record."""
    scada: Scada | None = None
    """Links to the grid operator and their point list; None: there are none."""
    mixtures: frozenset[str] = frozenset()
    """The plant's usual points, which mix all devices."""
    behind_unit: tuple[str, ...] = ()
    """Points of the batteries behind a commanded device, named `DEVICE_POINT` among the plant's."""

    @cached_property
    def units(self) -> tuple[Device, ...]:
        """The devices that the gateway may command."""
        return tuple(device for device in self.devices if device.control)

    @property
    def controlled(self) -> Device | None:
        """The first device that the gateway may command; where there is one, what people call "the device"."""
        return self.units[0] if self.units else None

    def capacity_of(self, unit: Device) -> float | None:
        """KWh behind a commanded device, where the site file tells it: its batteries' together, or its own."""
        told = [d.capacity for d in self.devices if d.name in unit.batteries]
        if told:
            return None if None in told else sum(c for c in told if c is not None)
        return unit.capacity

    @cached_property
    def views(self) -> Mapping[str, View]:
        """What control looks at for each commanded device, by its name."""
        return {device.name: self._view(device) for device in self.units}

    @cached_property
    def view(self) -> View:
        """The plant's points, and, where there is one commanded device, its own without prefix."""
        return self._view(self.units[0] if len(self.units) == 1 else None)

    def _view(self, device: Device | None) -> View:
        """The plant's points and a commanded device's without prefix.

        Where both have a name, the device's own counts, except for the battery's state, which the plant (or the
        device's `batteries`) knows of every battery. A mean over it and others is no evidence of what it has itself,
        though: there its own counts as well. Of several commanded devices, none is judged by the plant's usual
        points: they mix it with the others.
        """
        rules = {rule.column: rule for rule in self.rules}
        mixed = device is not None and (len(self.units) > 1 or device.batteries)
        columns = {
            name: self.layout.index[name] for name in self.plant if not (mixed and name in self.mixtures)
        }
        if device is not None:
            for name in self.behind_unit if device.batteries else WORST:
                if (derived := f"{device.name}_{name}") in self.plant:
                    columns[name] = self.layout.index[derived]
            for i, name in enumerate(device.compiled.layout.names):
                own = device.columns.start + i
                plants = columns.get(name)
                if plants is not None and name in _POWER_LIMITS:
                    columns[f"batteries_{name}"] = plants  # the smaller one counts
                if name in WORST and plants is not None and self._covers(name, rules.get(plants), own):
                    continue
                if plants is None or name not in BATTERY_STATE or _averages(rules.get(plants), own):
                    columns[name] = own
        names = tuple(columns)
        layout = Layout(
            names=names,
            units=tuple(self.layout.units[column] for column in columns.values()),
            states=device.compiled.layout.states if device else {},
            bits=device.compiled.layout.bits if device else {},
        )
        return View(layout=layout, columns=np.array(list(columns.values()), np.intp), plant=len(self.plant))

    def _covers(self, name: str, rule: Rule | None, own: int) -> bool:
        """True when a point of the plant also tells what a commanded device's own column does, or the file says so."""
        said = name in self.plant and name not in self.mixtures
        return said or (rule is not None and own in rule.inputs)

    @cached_property
    def part(self) -> tuple[Layout, NDArray[np.intp]]:
        """What is recorded in every cycle, and its columns: the plant's points and the commanded devices'."""
        columns = [*range(len(self.plant))]
        for device in self.units:
            columns += range(device.columns.start, device.columns.stop)
        names = tuple(self.layout.names[column] for column in columns)
        layout = Layout(
            names=names,
            units=tuple(self.layout.units[column] for column in columns),
            states={name: self.layout.states[name] for name in names if name in self.layout.states},
            bits={name: self.layout.bits[name] for name in names if name in self.layout.bits},
        )
        return layout, np.array(columns, np.intp)

    def behind(self, name: str) -> list[Device]:
        """The devices whose values one of the plant's points is made of."""
        rules = {rule.column: rule for rule in self.rules}
        found: set[int] = set()
        ahead = [self.layout.index[name]]
        while ahead:
            column = ahead.pop()
            new = (rules[column].inputs if column in rules else frozenset()) - found
            found |= new
            ahead += new
        return [d for d in self.devices if any(d.columns.start <= c < d.columns.stop for c in found)]

    @property
    def whole_view(self) -> bool:
        """True when control looks at everything there is: a site of one device."""
        return len(self.devices) == 1 and not self.plant


def _averages(rule: Rule | None, column: int) -> bool:
    return isinstance(rule, Aggregation) and rule.kind == "mean" and column in rule.sources


def single_device_site(
    compiled: CompiledProfile, endpoint: Endpoint, unit: int | None = None, profile: Profile | None = None
) -> Site:
    """The site of one device whose points have no prefix."""
    device = Device(
        name="",
        compiled=compiled,
        profile=profile,
        role="inverter",
        endpoint=endpoint,
        unit=compiled.connection.unit if unit is None else unit,
        stations=dict(compiled.connection.stations),
        control=True,
        columns=slice(0, len(compiled.layout)),
    )
    return Site(name=None, file=None, devices=(device,), layout=compiled.layout)


def compose_layout(plant: Mapping[str, str | None], devices: Iterable[tuple[str, Layout]]) -> Layout:
    """The plant's points (name to unit), then every device's as `device.point`."""
    names, units = list(plant), list(plant.values())
    states: dict[str, Mapping[int, str]] = {}
    bits: dict[str, Mapping[int, str]] = {}
    for device, layout in devices:
        names += [f"{device}.{name}" for name in layout.names]
        units += layout.units
        states |= {f"{device}.{name}": meanings for name, meanings in layout.states.items()}
        bits |= {f"{device}.{name}": meanings for name, meanings in layout.bits.items()}
    return Layout(names=tuple(names), units=tuple(units), states=states, bits=bits)
