"""Reading site files: every problem at once, each with its file, field, value and mend."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bessai.model import Endpoint, parse_endpoint
from bessai.registry import CompiledProfile, Problem, Profile, ProfileError, compile_profile, load_profile
from bessai.registry.loading import is_file
from bessai.registry.problems import at, explain, shorten
from bessai.site.formula import FormulaError, parse
from bessai.site.points import BEHIND_UNIT, Points
from bessai.site.reading import SiteError, numbered, read_mapping
from bessai.site.scada.making import make_scada
from bessai.site.scada.schema import FIELDS as SCADA_FIELDS
from bessai.site.schema import DeviceEntry, Manners, PointEntry, SiteFile
from bessai.site.site import Device, Site, compose_layout

_FIELDS = sorted(
    {name for model in (SiteFile, DeviceEntry, PointEntry, Manners) for name in model.model_fields}
    | set(SCADA_FIELDS)
)


def load_site(path: Path | str) -> Site:
    """Read and check a site file and every profile that it names.

    Raises:
        SiteError: with all problems.
    """
    path = Path(path)
    document = read_mapping(path, "site file", "`devices`; see config/site.example.yaml")
    try:
        entries = SiteFile.model_validate(document)
    except ValidationError as error:
        raise SiteError(explain(error, str(path), document, _FIELDS)) from None
    return _Loader(path, document, entries).site()


class _Loader:
    def __init__(self, path: Path, document: Any, entries: SiteFile) -> None:
        self._path = path
        self._document = document
        self._entries = entries
        self._problems: list[Problem] = []
        self._profiles: dict[tuple[str, str], tuple[Profile, CompiledProfile] | None] = {}
        self._endpoints: dict[str, Endpoint | None] = {}

    def site(self) -> Site:
        buses = {name: self._endpoint(f"buses.{name}", text) for name, text in self._entries.buses.items()}
        devices: list[Device] = []
        capacities: dict[str, float | None] = {}
        for key, entry in self._entries.devices.items():
            for name, device in self._expand(key, entry, buses):
                if name in capacities:
                    self._problem(f"devices.{key}", f"there is a device {name!r} already")
                capacities[name] = entry.capacity
                if device is not None:
                    devices.append(device)
        self._check(devices)
        devices = self._with_batteries(devices)
        points = Points(self._entries.points, devices, capacities)
        if len(devices) == len(capacities):
            for field, mend in points.problems:
                self._problem(field, mend)
        else:  # what a point misses is then missing for another reason
            self._check_formulas()
        if self._problems:
            raise SiteError(self._problems)
        return self._with_scada(_compose(self._path, self._entries, devices, points))

    def _with_scada(self, site: Site) -> Site:
        if self._entries.scada is None:
            return site
        roles = {device.name: device.role for device in site.devices}
        scada = make_scada(self._entries.scada, site.layout, roles, self._path.parent, self._problem)
        if self._problems:
            raise SiteError(self._problems)
        return replace(site, scada=scada)

    def _problem(self, field: str, mend: str) -> None:
        problem = Problem(str(self._path), field, shorten(at(self._document, field.split("."))), mend)
        if problem not in self._problems:
            self._problems.append(problem)

    def _expand(
        self, key: str, entry: DeviceEntry, buses: dict[str, Endpoint | None]
    ) -> Iterable[tuple[str, Device | None]]:
        loaded = self._profile(f"devices.{key}.profile", entry)
        if (entry.count is None) != ("{n" not in key):
            mend = "a name with {n} needs `count`" if entry.count is None else "`count` needs {n} in the name"
            self._problem(f"devices.{key}", f"{mend}, for example rack_{{n}} with count: 12")
            yield key, None
            return
        for n in range(1, (entry.count or 1) + 1):
            name = numbered(key, n)
            endpoint = self._where(key, entry, buses, n)
            unit = self._unit(key, entry.unit, n)
            device = None
            if loaded is not None and endpoint is not None and unit is not None:
                profile, compiled = loaded
                device = Device(
                    name=name,
                    profile=profile,
                    compiled=compiled,
                    role=entry.role,
                    endpoint=endpoint,
                    unit=compiled.connection.unit if unit < 0 else unit,
                    stations={**compiled.connection.stations, **entry.stations},
                    period=entry.period,
                    capacity=entry.capacity,
                    control=entry.control,
                    batteries=tuple(numbered(text, n) for text in entry.batteries),
                    power_min=entry.power_min,
                    columns=slice(0, 0),
                )
            yield name, device

    def _where(
        self, key: str, entry: DeviceEntry, buses: dict[str, Endpoint | None], n: int
    ) -> Endpoint | None:
        if entry.bus is None:
            return self._endpoint(f"devices.{key}.endpoint", numbered(entry.endpoint or "", n))
        name = numbered(entry.bus, n)
        if name not in buses:
            near = difflib.get_close_matches(name, buses, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self._problem(f"devices.{key}.bus", f"there is no bus {name!r}{hint}")
        return buses.get(name)

    def _endpoint(self, field: str, text: str) -> Endpoint | None:
        if text not in self._endpoints:
            self._endpoints[text] = None
            try:
                self._endpoints[text] = parse_endpoint(text, folder=self._path.parent)
            except ValueError as error:
                self._problem(field, str(error))
        return self._endpoints[text]

    def _unit(self, key: str, unit: int | str | None, n: int) -> int | None:
        """The unit id; -1 for the profile's, None when it is none."""
        if unit is None:
            return -1
        text = numbered(str(unit), n)
        if text.isdecimal() and len(text) <= 3 and int(text) <= 255:
            return int(text)
        self._problem(f"devices.{key}.unit", f"{text!r} is no unit id; give 0 … 255")
        return None

    def _profile(self, field: str, entry: DeviceEntry) -> tuple[Profile, CompiledProfile] | None:
        manners = entry.connection.model_dump(exclude_none=True)
        key = (entry.profile, repr(manners))
        if key not in self._profiles:
            beside = self._path.parent / entry.profile
            self._profiles[key] = None
            try:
                profile = load_profile(beside if is_file(beside) else entry.profile)
            except ProfileError as error:
                self._problems += error.problems if is_file(beside) else [
                    replace(problem, file=str(self._path), field=field, value=entry.profile)
                    for problem in error.problems
                ]  # fmt: skip
            else:
                changed = profile.connection.model_copy(update=manners)
                profile = profile.model_copy(update={"connection": changed})
                self._profiles[key] = (profile, compile_profile(profile))
        return self._profiles[key]

    def _check_formulas(self) -> None:
        for name, entry in self._entries.points.items():
            try:
                parse((entry.formula if entry else None) or "0")
            except FormulaError as error:
                self._problem(f"points.{name}.formula", str(error))

    def _check(self, devices: list[Device]) -> None:
        controlled = [device for device in devices if device.control]
        for device in controlled:
            if device.compiled.control is None:
                self._problem(
                    f"devices.{device.name}.control",
                    f"profile {device.compiled.id} cannot be commanded; leave it out",
                )
        places: dict[tuple[Endpoint, int], str] = {}
        for device in devices:
            units = [device.unit, *device.stations.values()]
            for unit in units:
                other = places.setdefault((device.endpoint, unit), device.name)
                if other != device.name:
                    where = f"{device.endpoint}, unit {unit}"
                    self._problem(f"devices.{device.name}", f"is at {where}, where {other!r} is already")
            unknown = set(device.stations) - set(device.compiled.connection.stations)
            for station in sorted(unknown):
                self._problem(
                    f"devices.{device.name}.stations.{station}",
                    f"profile {device.compiled.id} has no such station",
                )

    def _with_batteries(self, devices: list[Device]) -> list[Device]:
        """The devices, each commanded one with the names of its batteries; a battery belongs to one of them."""
        names = [device.name for device in devices]
        several = sum(device.control for device in devices) > 1
        owner: dict[str, str] = {}
        done: list[Device] = []
        for device in devices:
            found: dict[str, None] = {}
            for pattern in device.batteries:
                field = f"devices.{device.name}.batteries"
                matching = fnmatch.filter([name for name in names if name != device.name], pattern)
                if not matching:
                    self._problem(field, f"there is no device {pattern!r}")
                for name in matching:
                    if owner.setdefault(name, device.name) != device.name:
                        self._problem(
                            field,
                            f"{name!r} is behind {owner[name]!r} already; a battery is behind one commanded device",
                        )
                    found[name] = None
            told = {p for d in devices if d.name in found for p in d.compiled.layout.names}
            if found and "soc" not in told:
                self._problem(
                    f"devices.{device.name}.batteries", "none of them tells a state of charge (`soc`)"
                )
            if several and device.control and not found and "soc" not in device.compiled.layout.index:
                self._problem(
                    f"devices.{device.name}",
                    f"profile {device.compiled.id} tells no state of charge: say which devices tell the state of its "
                    "batteries, for example `batteries: [rack_1, rack_2]`",
                )
            done.append(replace(device, batteries=tuple(found)))
        if several or owner:
            for device in devices:
                if device.role == "battery" and not device.control and device.name not in owner:
                    self._problem(
                        f"devices.{device.name}",
                        "is behind no commanded device, so its cells would stop nobody: name it in `batteries`",
                    )
        return done


def _compose(path: Path, entries: SiteFile, devices: list[Device], points: Points) -> Site:
    layout = compose_layout(points.units, [(device.name, device.compiled.layout) for device in devices])
    placed: list[Device] = []
    start = len(points.units)
    for device in devices:
        end = start + len(device.compiled.layout)
        placed.append(replace(device, columns=slice(start, end)))
        start = end
    return Site(
        name=entries.site,
        file=path,
        devices=tuple(placed),
        layout=layout,
        plant=tuple(points.units),
        rules=points.rules(layout.index),
        publish=entries.publish,
        mixtures=points.mixtures,
        behind_unit=BEHIND_UNIT,
    )
