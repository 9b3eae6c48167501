"""The plant's own points: the usual ones that the devices allow, and those of the site file."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from bessai.model import SHARED_POINTS
from bessai.site.formula import Formula, FormulaError, parse
from bessai.site.rules import Aggregation, Computation, Kind, Rule
from bessai.site.schema import ROLES, PointEntry
from bessai.site.site import BATTERY_STATE, WORST, Device

_EVIDENCE = BATTERY_STATE | {
    *("battery_temperature", "charge_power_max", "discharge_power_max"),
    *("battery_voltage", "battery_current", "charge_current_max", "discharge_current_max"),
    *WORST,
}
"""Points of the plant by which control judges the battery."""

_STORAGE = ("battery", "inverter")
_CONVERTERS = ("pcs", "inverter")

_USUAL: dict[str, tuple[Kind, tuple[str, ...], tuple[str, ...]]] = {
    "active_power": ("sum", ("active_power",), _CONVERTERS),
    "reactive_power": ("sum", ("reactive_power",), _CONVERTERS),
    "battery_power": ("sum", ("battery_power",), _STORAGE),
    "soc": ("mean", ("soc",), _STORAGE),
    "soc_highest": ("max", ("soc",), _STORAGE),
    "soc_lowest": ("min", ("soc",), _STORAGE),
    "soh": ("mean", ("soh",), _STORAGE),
    "energy_capacity": ("sum", ("energy_capacity",), _STORAGE),
    "energy_charged_total": ("sum", ("energy_charged_total",), _STORAGE),
    "energy_discharged_total": ("sum", ("energy_discharged_total",), _STORAGE),
    "charge_power_max": ("sum", ("charge_power_max",), _STORAGE),
    "discharge_power_max": ("sum", ("discharge_power_max",), _STORAGE),
    "battery_voltage": ("mean", ("battery_voltage",), ("battery",)),
    "battery_current": ("sum", ("battery_current",), ("battery",)),
    "charge_current_max": ("sum", ("charge_current_max",), ("battery",)),
    "discharge_current_max": ("sum", ("discharge_current_max",), ("battery",)),
    "insulation_resistance": ("min", ("insulation_resistance",), ROLES),
    "fire_alarm": ("max", ("fire_alarm",), ROLES),
    "gas_alarm": ("max", ("gas_alarm",), ROLES),
    "battery_alarm": ("max", ("battery_alarm",), ("battery",)),
    "contactor_status": ("min", ("contactor_status",), ("battery",)),
    "breaker_status": ("min", ("breaker_status",), ("battery",)),
    "cell_voltage_max": ("max", ("cell_voltage_max",), ROLES),
    "cell_voltage_min": ("min", ("cell_voltage_min",), ROLES),
    "cell_temperature_max": ("max", ("cell_temperature_max", "battery_temperature"), ROLES),
    "cell_temperature_min": ("min", ("cell_temperature_min", "battery_temperature"), ROLES),
    "grid_power": ("sum", ("grid_power",), ("meter",)),
    "grid_reactive_power": ("sum", ("grid_reactive_power",), ("meter",)),
    "grid_frequency": ("mean", ("grid_frequency",), ("meter",)),
    "grid_voltage": ("mean", ("grid_voltage",), ("meter",)),
}
"""Name to aggregation, points that a device may offer for it (the first it has), and roles.

Of `_STORAGE` and `_CONVERTERS` the first role with such a device is taken, so that nothing is counted twice; a
meter only where it is the only one.
"""


BEHIND_UNIT = (
    *(
        "soc",
        "soc_highest",
        "soc_lowest",
        "soh",
        "energy_capacity",
        "charge_power_max",
        "discharge_power_max",
    ),
    *("cell_voltage_max", "cell_voltage_min", "cell_temperature_max", "cell_temperature_min"),
    *("battery_voltage", "battery_current", "charge_current_max", "discharge_current_max"),
    *("insulation_resistance", "fire_alarm", "gas_alarm"),
    *("battery_alarm", "contactor_status", "breaker_status"),
)
"""What is told of the batteries behind a commanded device."""


_OF_ALL = ("fire_alarm", "gas_alarm")
"""Told by a device that belongs to no commanded one, it concerns them all."""


_LINES = ("line_voltage_ab", "line_voltage_bc", "line_voltage_ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A point before columns are known: its inputs by name of the layout."""

    unit: str | None
    inputs: tuple[str, ...]
    kind: Kind | None = None
    weights: tuple[str, ...] | None = None
    shares: tuple[float, ...] | None = None
    skip: bool = False
    formula: Formula | None = None


class Points:
    """Plans the plant's points; `problems` gathers what is wrong as (field, mend)."""

    def __init__(
        self,
        entries: Mapping[str, PointEntry | None],
        devices: Sequence[Device],
        capacities: Mapping[str, float | None],
    ) -> None:
        self.problems: list[tuple[str, str]] = []
        self._devices = devices
        self._capacities = capacities
        self._plans: dict[str, _Plan] = {}
        for name, (kind, offered, roles) in _USUAL.items():
            if name not in entries and (plan := self._usual(name, kind, offered, roles)) is not None:
                self._plans[name] = plan
        self.mixtures = frozenset(self._plans)
        for device in devices:
            if device.batteries:
                self._behind(device)
            if device.control:
                self._worst(device, [name for name in WORST if name not in entries])
        for name, entry in entries.items():
            if entry is not None and (plan := self._given(name, entry, entries)) is not None:
                self._plans[name] = plan
        self.order = self._order()

    @property
    def units(self) -> dict[str, str | None]:
        """Every point of the plant with its unit, in the order of the columns."""
        return {name: plan.unit for name, plan in self._plans.items()}

    def rules(self, index: Mapping[str, int]) -> tuple[Rule, ...]:
        """The rules, in an order in which each finds its inputs ready."""
        return tuple(_rule(index[name], self._plans[name], index) for name in self.order)

    def _usual(self, name: str, kind: Kind, offered: tuple[str, ...], roles: tuple[str, ...]) -> _Plan | None:
        found = [(d, p) for d in self._devices if (p := _first(d, offered)) is not None and d.role in roles]
        if name == "grid_voltage" and not found:
            return self._line_voltages()
        if roles in {_STORAGE, _CONVERTERS}:
            role = next((role for role in roles if any(d.role == role for d, _ in found)), None)
            found = [(d, p) for d, p in found if d.role == role]
        if not found or (roles == ("meter",) and len(found) > 1):
            return None
        return self._gathered(name, name, kind, found)

    def _line_voltages(self) -> _Plan | None:
        """The mean of the three line voltages of the only meter that tells them, where none tells the mean."""
        found = [
            device
            for device in self._devices
            if device.role == "meter" and all(point in device.compiled.layout.index for point in _LINES)
        ]
        if len(found) != 1:
            return None
        return _Plan(unit="V", kind="mean", inputs=tuple(f"{found[0].name}.{point}" for point in _LINES))

    def _behind(self, unit: Device) -> None:
        """Plan the points of the batteries behind a commanded device."""
        batteries = [d for d in self._devices if d.name in unit.batteries]
        for name in BEHIND_UNIT:
            kind, offered, _ = _USUAL[name]
            found = [(d, p) for d in batteries if (p := _first(d, offered)) is not None]
            plan = self._gathered(f"{unit.name}_{name}", name, kind, found) if found else None
            if plan is not None:
                self._plans[f"{unit.name}_{name}"] = plan

    def _worst(self, unit: Device, names: Sequence[str]) -> None:
        """Plan what a commanded device, its batteries and what belongs to nobody tell together.

        A fire panel stands for the whole plant, whoever has batteries of his own.
        """
        units = [d for d in self._devices if d.control]
        owned = {name for d in units for name in d.batteries}
        alone = len(units) == 1 and not unit.batteries
        for name in names:
            kind, offered, roles = _USUAL[name]
            everybody = roles is ROLES
            found = [
                (d, p)
                for d in self._devices
                if (p := _first(d, offered)) is not None
                and (
                    d is unit
                    or d.name in unit.batteries
                    or (alone and (everybody or d.role in roles))
                    or (name in _OF_ALL and not d.control and d.name not in owned)
                )
            ]
            usual = self._plans.get(name)
            covered = alone and usual is not None and len(usual.inputs) == len(found)
            if not covered and any(d is not unit for d, _ in found):
                plan = self._gathered(f"{unit.name}_{name}", name, kind, found)
                if plan is not None:
                    self._plans[f"{unit.name}_{name}"] = plan

    def _gathered(self, name: str, shared: str, kind: Kind, found: list[tuple[Device, str]]) -> _Plan | None:
        """One value of a point of several devices."""
        if shared in {"soc_highest", "soc_lowest"} and len(found) == 1:
            return None  # it is the soc
        inputs = tuple(f"{d.name}.{p}" for d, p in found)
        unit = found[0][0].compiled.points[found[0][1]].unit
        if shared not in {"soc", "soh"} or len(found) == 1:
            return _Plan(unit=unit, inputs=inputs, kind=kind)
        return self._weighted(name, [d for d, _ in found], inputs, unit)

    def _weighted(
        self, name: str, devices: list[Device], inputs: tuple[str, ...], unit: str | None
    ) -> _Plan | None:
        given = [self._capacities[device.name] for device in devices]
        if all(value is not None for value in given):
            return _Plan(unit=unit, inputs=inputs, kind="mean", shares=tuple(v or 0.0 for v in given))
        if all("energy_capacity" in device.compiled.layout.index for device in devices):
            weights = tuple(f"{device.name}.energy_capacity" for device in devices)
            return _Plan(unit=unit, inputs=inputs, kind="mean", weights=weights)
        if len({device.compiled.id for device in devices}) == 1 and not any(given):
            return _Plan(unit=unit, inputs=inputs, kind="mean")
        unknown = [d.name for d, value in zip(devices, given, strict=True) if value is None]
        self.problems.append(
            (
                f"points.{name}",
                f"give `capacity` in kWh to {', '.join(unknown[:3])}, or leave {name} out: null",
            )
        )
        return None

    def _given(self, name: str, entry: PointEntry, entries: Mapping[str, PointEntry | None]) -> _Plan | None:
        if name in _EVIDENCE and entry.missing == "skip" and any(d.control for d in self._devices):
            self.problems.append(
                (
                    f"points.{name}.missing",
                    f"control judges the battery by {name!r}: no device may be skipped",
                )
            )
        if entry.formula is not None:
            return self._computed(name, entry, entries)
        kind, point = next(
            (k, p) for k in ("sum", "mean", "min", "max") if (p := getattr(entry, k)) is not None
        )
        devices = [d for d in self._chosen(name, entry) if point in d.compiled.layout.index]
        if not devices:
            near = "no device" if entry.of is None else f"none of {entry.of}"
            self.problems.append((f"points.{name}", f"{near} has a number {point!r}"))
            return None
        units = {d.compiled.points[point].unit for d in devices}
        if len(units) > 1:
            self.problems.append(
                (f"points.{name}", f"{point!r} has the units {sorted(map(str, units))}; choose devices")
            )
            return None
        lacking = [d.name for d in devices if entry.weight and entry.weight not in d.compiled.layout.index]
        if lacking:
            self.problems.append((f"points.{name}.weight", f"{lacking[0]} has no number {entry.weight!r}"))
            return None
        unit = units.pop()
        self._check_unit(name, unit)
        return _Plan(
            unit=unit,
            inputs=tuple(f"{d.name}.{point}" for d in devices),
            kind=kind,  # type: ignore[arg-type]
            weights=tuple(f"{d.name}.{entry.weight}" for d in devices) if entry.weight else None,
            skip=entry.missing == "skip",
        )

    def _chosen(self, name: str, entry: PointEntry) -> Iterator[Device]:
        of = entry.of
        if isinstance(of, list):
            known = [device.name for device in self._devices]
            for pattern in of:
                if not fnmatch.filter(known, pattern):
                    self.problems.append((f"points.{name}.of", f"there is no device {pattern!r}"))
            yield from (
                d for d in self._devices if any(fnmatch.fnmatchcase(d.name, pattern) for pattern in of)
            )
        else:
            yield from (d for d in self._devices if of in {None, d.role})

    def _computed(
        self, name: str, entry: PointEntry, entries: Mapping[str, PointEntry | None]
    ) -> _Plan | None:
        try:
            formula = parse(entry.formula or "")
        except FormulaError as error:
            self.problems.append((f"points.{name}.formula", str(error)))
            return None
        devices = {device.name: device for device in self._devices}
        unknown = []
        for used in formula.names:
            device, dot, point = used.partition(".")
            if not dot:
                if used not in self._plans and entries.get(used) is None:
                    unknown.append(used)
            elif device not in devices or point not in devices[device].compiled.layout.index:
                unknown.append(used)
        for used in unknown:
            self.problems.append((f"points.{name}.formula", f"there is no point {used!r}"))
        if name in _EVIDENCE and not formula.names:
            self.problems.append(
                (f"points.{name}.formula", f"{name!r} must be measured: a number is no evidence")
            )
        shared = SHARED_POINTS.get(name)
        unit = entry.unit if shared is None or entry.unit is not None else shared.unit
        self._check_unit(name, unit)
        return None if unknown else _Plan(unit=unit, inputs=formula.names, formula=formula)

    def _check_unit(self, name: str, unit: str | None) -> None:
        shared = SHARED_POINTS.get(name)
        if shared is not None and unit != shared.unit:
            self.problems.append(
                (f"points.{name}", f"the shared name {name!r} is in {shared.unit or 'no unit'}")
            )

    def _order(self) -> list[str]:
        graph = {
            name: [i for i in (*plan.inputs, *(plan.weights or ())) if i in self._plans]
            for name, plan in self._plans.items()
        }
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            loop = " → ".join(error.args[1])
            self.problems.append((f"points.{error.args[1][0]}.formula", f"goes in a circle: {loop}"))
            return []


def _first(device: Device, offered: tuple[str, ...]) -> str | None:
    return next((point for point in offered if point in device.compiled.layout.index), None)


def _rule(column: int, plan: _Plan, index: Mapping[str, int]) -> Rule:
    def columns(names: Sequence[str]) -> NDArray[np.intp]:
        return np.array([index[name] for name in names], np.intp)

    if plan.formula is not None:
        return Computation(column=column, sources=columns(plan.inputs), evaluate=plan.formula.evaluate)
    return Aggregation(
        column=column,
        kind=plan.kind or "sum",
        sources=columns(plan.inputs),
        weights=None if plan.weights is None else columns(plan.weights),
        shares=None if plan.shares is None else np.array(plan.shares),
        skip=plan.skip,
    )
