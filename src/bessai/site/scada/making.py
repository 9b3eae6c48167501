"""Makes the point list from the section `scada:` of a site file: expands it, checks it, numbers it.

Every problem is told at once, by the field that it stands in. Names are checked against the site's layout, so this runs
when the rest of the file is well.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bessai.model import SHARED_POINTS, Layout
from bessai.model.catalogue import catalogue
from bessai.site.reading import numbered
from bessai.site.scada.addresses import Addresses, Tell, near
from bessai.site.scada.commands import make_commands
from bessai.site.scada.links import dnp3_link, iec104_link
from bessai.site.scada.names import Source, names_beside, source_of
from bessai.site.scada.points import CommandPoint, MonitorPoint, Scada
from bessai.site.scada.presets import MENDS, PRESETS
from bessai.site.scada.schema import MonitorEntry, PresetEntry, ScadaEntry
from bessai.site.scada.spanish import SHARED_ES

_MOST = 100_000
"""Points of one list."""


def make_scada(
    entry: ScadaEntry, layout: Layout, roles: Mapping[str, str], folder: Path, problem: Tell
) -> Scada:
    """The checked list. What `problem` was told makes it unusable.

    Args:
        entry: the section.
        layout: the site's points.
        roles: role of each device, by its name, in the order of the site.
        folder: where relative paths start.
        problem: called once for each problem.
    """
    preset = PresetEntry(name=entry.preset) if isinstance(entry.preset, str) else entry.preset
    addresses = Addresses(entry.iec104.object_size if entry.iec104 else 3, problem)
    maker = _Maker(entry, preset, layout, roles, addresses, problem)
    points = maker.points()
    commands = make_commands(entry.commands, preset, {point.ioa for point in points}, addresses, problem)
    return Scada(
        iec104=iec104_link(entry.iec104, folder),
        dnp3=dnp3_link(entry.dnp3),
        points=_numbered_points(points),
        commands=_numbered_commands(commands),
        preset=preset.name if preset else None,
        missing=tuple(maker.missing),
    )


class _Maker:
    def __init__(
        self,
        entry: ScadaEntry,
        preset: PresetEntry | None,
        layout: Layout,
        roles: Mapping[str, str],
        addresses: Addresses,
        problem: Tell,
    ) -> None:
        self._entry = entry
        self._layout = layout
        self._roles = roles
        self._tell = problem
        self._alarms = {
            code: f"{item.texts['en'].meaning}\n{item.texts['es'].meaning}"
            for code, item in catalogue().items()
            if item.condition
        }
        self._addresses = addresses
        self._preset = preset
        self.missing: list[tuple[str, str]] = []
        """Points of the preset that the site does not have, and how it gets them."""

    def points(self) -> list[MonitorPoint]:
        """Those written in the file first, so that the preset gives way."""
        found: list[MonitorPoint] = []
        for field, name, ioa, item in self._written():
            if len(found) >= _MOST:
                self._tell(field, f"makes more than {_MOST:,} points; split the site")
                break
            if (
                self._addresses.free(f"{field}.ioa", ioa, name)
                and (point := self._point(field, name, ioa, item)) is not None
            ):
                found.append(point)
        return found + list(self._preset_points({point.name for point in found}))

    def _written(self) -> Iterator[tuple[str, str, int, MonitorEntry]]:
        for i, item in enumerate(self._entry.points):
            yield from ((f"scada.points.{i}", name, ioa, item) for name, ioa in _alike(item))
        for i, block in enumerate(self._entry.blocks):
            field = f"scada.blocks.{i}"
            devices = self._devices(block.of)
            if not devices:
                self._tell(f"{field}.of", f"there is no such device or role{near(block.of, [*self._roles])}")
            for number, device in enumerate(devices):
                first = block.ioa + number * block.step
                for j, item in enumerate(block.each):
                    for name, ioa in _alike(item):
                        if ioa >= block.step and len(devices) > 1:
                            self._tell(
                                f"{field}.step",
                                f"leaves no room for address {ioa} of a device; make it larger",
                            )
                            return
                        item_for = (
                            item
                            if item.second is None
                            else item.model_copy(update={"second": f"{device}.{item.second}"})
                        )
                        yield f"{field}.each.{j}", f"{device}.{name}", first + ioa, item_for

    def _devices(self, of: str | list[str]) -> list[str]:
        patterns = [of] if isinstance(of, str) else of
        return [
            name
            for name, role in self._roles.items()
            if any(pattern == role or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ]

    def _preset_points(self, written: set[str]) -> Iterator[MonitorPoint]:
        if self._preset is None:
            return
        known: set[str] = {str(item["name"]) for item in PRESETS[self._preset.name][0]}
        targets = {str(item["target"]) for item in PRESETS[self._preset.name][1]}
        for word, names in (("signs", self._preset.signs), ("without", self._preset.without)):
            for name in names:
                if name not in known and (word == "signs" or name not in targets):
                    self._tell(
                        f"scada.preset.{word}", f"{name!r} is not in the preset{near(name, sorted(known))}"
                    )
        for item in PRESETS[self._preset.name][0]:
            name = item["name"]
            if name in written or name in self._preset.without:
                continue
            if name not in self._layout.index and self._source(name) is None:
                mend = MENDS.get(name, "no device of the site tells it; define it under `points:`")
                self.missing.append((name, mend))
                continue
            ioa = item["ioa"] + self._preset.ioa
            if self._addresses.free("scada.preset", ioa, name):
                entry = MonitorEntry.model_validate({**item, "sign": self._preset.signs.get(name, 1)})
                if (point := self._point("scada.preset", name, ioa, entry)) is not None:
                    yield replace(point, provisional=True)

    def _source(self, name: str) -> Source | None:
        """What a name stands for, be it a point of the site or the gateway's own."""
        if name in self._layout.index:
            en, es = _described(name)
            return Source(
                unit=self._layout.units[self._layout.index[name]],
                states=self._layout.states.get(name, {}),
                en=en,
                es=es,
            )
        return source_of(name, self._alarms)

    def _point(self, field: str, name: str, ioa: int, item: MonitorEntry) -> MonitorPoint | None:
        source = self._source(name)
        if source is None:
            self._tell(f"{field}.name", self._unknown(name))
            return None
        if item.second is not None and self._source(item.second) is None:
            self._tell(f"{field}.second", self._unknown(item.second))
        if (mend := self._unfit(name, item, source)) is not None:
            self._tell(field, mend)
            return None
        unit = item.unit if item.unit is not None else source.unit if item.scale == 1 else None
        if item.scale != 1 and item.unit is None:
            self._tell(f"{field}.scale", "say in `unit` what the scaled value is, for example MW")
        return MonitorPoint(
            ioa=ioa,
            name=name,
            kind=item.type,
            sign=item.sign,
            scale=item.scale,
            unit=unit,
            full_scale=item.full_scale,
            dead_band=item.dead_band,
            group=item.group,
            agc=item.agc,
            period=item.period,
            bit=item.bit,
            on_when=None if item.on_when is None else frozenset(item.on_when),
            off_when=None if item.off_when is None else frozenset(item.off_when),
            second=item.second,
            states=dict(source.states),
            description=item.description or source.en,
            description_es=item.description_es or item.description or source.es,
            event_class=item.event_class if item.event_class is not None else _CLASSES.get(item.type, 2),
        )

    def _unfit(self, name: str, item: MonitorEntry, source: Source) -> str | None:
        """What keeps a source from being told as this type; None when nothing does."""
        if source.switch and item.type != "single":
            return f"{name!r} is on or off: take type single"
        if item.type == "counter" and source.states:
            return f"{name!r} tells states, which do not count; take type scaled"
        if item.type not in ("single", "double"):
            if (source.states or name in self._layout.bits) and (item.sign, item.scale) != (1, 1.0):
                return f"{name!r} tells numbered states; leave out `sign` and `scale`"
            return None
        if item.bit is None and item.on_when is None and item.second is None:
            if source.unit is not None:
                return f"{name!r} is measured in {source.unit}; take type float, normalized or scaled"
            if len(source.states) > 2:
                return f"{name!r} tells {len(source.states)} states: say in `on_when` which of them mean ON"
        if item.bit is not None and source.states:
            return f"{name!r} tells numbered states, not bits; use `on_when`"
        return None

    def _unknown(self, name: str) -> str:
        return f"there is no {name!r}{near(name, [*self._layout.names, *names_beside(self._alarms)])}"


def _described(name: str) -> tuple[str, str]:
    """What a point of the site is, in English and Spanish; its name where nobody says."""
    device, dot, own = name.rpartition(".")
    shared = SHARED_POINTS.get(own)
    bare = own.replace("_", " ").capitalize()
    en, es = (shared.description, SHARED_ES.get(own, shared.description)) if shared else (bare, bare)
    return (f"{device}: {en}", f"{device}: {es}") if dot else (en, es)


_CLASSES = {"single": 1, "double": 1, "counter": 3}


def _alike(item: MonitorEntry) -> Iterator[tuple[str, int]]:
    """Name and address of each point that an entry makes."""
    for n in range(1, (item.count or 1) + 1):
        yield numbered(item.name, n), item.ioa + (n - 1) * item.step


def _numbered_points(points: Sequence[MonitorPoint]) -> tuple[MonitorPoint, ...]:
    """By address, with DNP3 indices from 0 for each kind of object."""
    counts = {"binary": 0, "analog": 0, "counter": 0}
    done: list[MonitorPoint] = []
    for point in sorted(points, key=lambda point: point.ioa):
        kind = "analog" if point.is_measured else "counter" if point.kind == "counter" else "binary"
        done.append(replace(point, index=counts[kind]))
        counts[kind] += 2 if point.kind == "double" else 1
    return tuple(done)


def _numbered_commands(commands: Sequence[CommandPoint]) -> tuple[CommandPoint, ...]:
    counts = {True: 0, False: 0}
    done: list[CommandPoint] = []
    for command in sorted(commands, key=lambda command: command.ioa):
        done.append(replace(command, index=counts[command.is_setpoint]))
        counts[command.is_setpoint] += 1
    return tuple(done)
