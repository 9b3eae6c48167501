"""Switches the faults of everything that one simulator serves, by text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from bessai.twin.bus import Bus
from bessai.twin.device import TwinDevice
from bessai.twin.fault_table import KINDS, Kind, Spec, active, parse_fault
from bessai.twin.faults import Faults
from bessai.twin.grid import Grid
from bessai.twin.grid_faults import GRID_KINDS, GridKind, active_on, parse_grid_fault


class FaultPanel:
    """Takes `name[=value][@where]`, where `where` is a device's name or a bus's endpoint; none means every bus.

    Disturbances of the grid (`frequency=-0.3`) are the site's and take no `where`.

    A number of requests (`busy=3`) counts for each bus on its own.

    Args:
        members: bus and device of each name.
        endpoints: text of each bus's endpoint.
    """

    def __init__(self, members: Mapping[str, tuple[Bus, TwinDevice]], endpoints: Mapping[str, Bus]) -> None:
        self._members = members
        self._endpoints = endpoints
        grids = [device.plant.grid for _, device in members.values()]
        self._grids: list[Grid] = list({id(grid): grid for grid in grids}.values())

    def apply(self, texts: Iterable[str]) -> list[str]:
        """Switch faults on, all or none. Returns everything that is on then.

        Raises:
            ValueError: one of them is wrong; says which, and what to write instead.
        """
        planned: list[tuple[Spec, Bus, Faults]] = []
        disturbed: list[tuple[GridKind, float]] = []
        for text in texts:
            if (disturbance := parse_grid_fault(text)) is not None:
                disturbed.append(disturbance)
                continue
            spec = parse_fault(text)
            targets = [
                (bus, faults)
                for bus, faults in self._targets(text, spec.device)
                if not spec.kind.needs or spec.kind.needs in bus.features
            ]
            if not targets:
                raise ValueError(f"fault {text!r}: {_LACKS[spec.kind.needs]}")
            self._check_points(text, spec)
            planned += [(spec, bus, faults) for bus, faults in targets]
        for spec, _, faults in planned:
            spec.apply(faults)
        for grid_kind, value in disturbed:
            self._disturb(grid_kind, value)
        for bus in {id(bus): bus for _, bus, _ in planned}.values():
            bus.notice()
            if bus.faults.refuse:
                bus.close_connections()
        return self.listing()

    def clear(self, texts: Iterable[str] = ()) -> list[str]:
        """Switch faults off: all, or those named (`silence`, `silence@rack_3`, `@rack_3`).

        Returns:
            Everything that is still on.

        Raises:
            ValueError: there is no such fault or device.
        """
        planned: list[tuple[Faults, Kind | None]] = []
        calmed: list[GridKind] = []
        for text in list(texts) or [""]:
            name, at, where = text.partition("@")
            if not name and not at:
                calmed += GRID_KINDS.values()
            elif (grid_kind := GRID_KINDS.get(name.partition("=")[0])) is not None:
                calmed.append(grid_kind)
                continue
            kind = KINDS.get(name.partition("=")[0])
            if name and kind is None:
                parse_fault(name)  # tells what is wrong with it
            if at and not where:
                raise ValueError(f"fault {text!r}: name the device after @, or leave @ out")
            faults = [item for _, item in self._targets(text, where)] if where else list(self._all())
            planned += [(item, kind) for item in faults]
        for item, kind in planned:
            item.clear(*(kind.fields if kind is not None else ()))
        for grid_kind in calmed:
            self._disturb(grid_kind, grid_kind.calm)
        return self.listing()

    def listing(self) -> list[str]:
        """Everything that is on, as texts that `apply` takes."""
        texts = active_on(self._grids)
        seen: set[int] = set()
        named = [(name, device.faults) for name, (_, device) in self._members.items()]
        for where, faults in [*named, *((name, bus.faults) for name, bus in self._endpoints.items())]:
            if id(faults) not in seen:
                seen.add(id(faults))
                texts += [f"{text}@{where}" for text in active(faults)]
        return texts

    def _disturb(self, kind: GridKind, value: float) -> None:
        for grid in self._grids:
            setattr(grid, kind.field, value)

    def _all(self) -> Iterator[Faults]:
        for bus, device in self._members.values():
            yield bus.faults
            yield device.faults

    def _targets(self, text: str, where: str | None) -> list[tuple[Bus, Faults]]:
        if where is None:
            return [(bus, bus.faults) for bus in self._endpoints.values()]
        if where in self._members:
            bus, device = self._members[where]
            return [(bus, device.faults)]
        if where in self._endpoints:
            bus = self._endpoints[where]
            return [(bus, bus.faults)]
        known = [*self._members, *self._endpoints]
        near = difflib.get_close_matches(where, known, 1)
        shown = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {shown}"
        raise ValueError(f"fault {text!r}: there is no device {where!r}; {hint}")

    def _check_points(self, text: str, spec: Spec) -> None:
        wanted = set(spec.values.get("spike_points", ()))
        if not wanted:
            return
        devices = [device for _, device in self._members.values()]
        if spec.device is not None and spec.device in self._members:
            devices = [self._members[spec.device][1]]
        known = {name for device in devices for name in device.profile.points}
        for name in sorted(wanted - known):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"fault {text!r}: there is no point {name!r}{hint}")


_LACKS = {
    "transaction": "frames of a serial line carry no transaction id; use it on a TCP bus",
    "crc": "Modbus TCP frames carry no checksum; use it on a serial bus (--rtu)",
    "connection": "a serial line has no connections; use silence",
}
