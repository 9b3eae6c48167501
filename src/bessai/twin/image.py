"""What the masters of a device see: its registers on every unit id, and the lies about them. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import IntEnum
from random import Random

from bessai.registry import CompiledProfile, Profile, compile_profile
from bessai.twin.faults import Faults
from bessai.twin.numbers import absurd_words, alive_counter
from bessai.twin.plant import Plant
from bessai.twin.registers import Registers, pack_raw
from bessai.twin.startup import fill

Quantity = Callable[[Plant], float]

_SPAN = 65536  # addresses of one unit
_SPANS = 500  # reads that a device remembers


class Exc(IntEnum):
    """Modbus exception codes that the twin answers with."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    BUSY = 6
    NO_SUCH_UNIT = 11


class RefusedError(Exception):
    """The device answers with an exception."""

    def __init__(self, code: Exc) -> None:
        self.code = code
        super().__init__(f"exception {int(code)} ({code.name.lower()})")


class DeviceImage:
    """The registers of a profile in front of a plant; see `TwinDevice`."""

    def __init__(
        self,
        profile: Profile,
        plant: Plant,
        *,
        dense: bool = False,
        unit: int | None = None,
        stations: Mapping[str, int] | None = None,
        compiled: CompiledProfile | None = None,
    ) -> None:
        self.profile = profile
        self.plant = plant
        self.compiled = compiled or compile_profile(profile)
        self.unit = profile.connection.unit if unit is None else unit
        ids = {**profile.connection.stations, **(stations or {})}
        self.units = tuple(dict.fromkeys((self.unit, *ids.values())))
        """Every unit id that it answers to."""
        points = {
            name: point.model_copy(
                update={"address": point.address + _SPAN * self.units.index(ids[point.station])}
            )
            if point.station is not None
            else point
            for name, point in profile.points.items()
        }
        self._placed = replace(self.compiled, points=points)
        self._dense = dense
        self.faults = Faults(random=Random(f"{plant.seed}/faults"))  # noqa: S311
        """What goes wrong with this device."""
        self.fault_layers = [self.faults]
        """Its own faults and those of its bus."""
        self._load()

    def read(self, table: str, address: int, count: int, *, unit: int | None = None) -> list[int]:
        """The words (or bits) of a span, as clients see them.

        Args:
            table: holding, input, coil or discrete.
            address: from 0.
            count: words or bits.
            unit: one of `units`; the own one when None.

        Raises:
            RefusedError: too long (3), or some of it does not exist or cannot be read (2).
        """
        address = self._place(address, count, unit)
        limit = self.compiled.connection.max_registers * (16 if table in {"coil", "discrete"} else 1)
        if not 1 <= count <= limit:
            raise RefusedError(Exc.ILLEGAL_VALUE)
        names, live, readable = self._within(table, address, count)
        if not readable:
            raise RefusedError(Exc.ILLEGAL_ADDRESS)
        if not self._hold():
            for name in live:
                self.registers.show(name, self._live[name](self.plant))
        span = self.registers.span(table, address, count)
        if span is None:
            raise RefusedError(Exc.ILLEGAL_ADDRESS)
        for faults in self.fault_layers:
            hit = faults.spike_points.intersection(names) if faults.spike else ()
            if hit and faults.take("spike"):
                for name in hit:
                    point = self._placed.points[name]
                    words = absurd_words(point, self._placed.sentinels_of(name))
                    for at, word in enumerate(words, point.address - address):
                        if 0 <= at < count:
                            span[at] = word
        return span

    def value(self, name: str) -> float:
        """What a client sees of a numeric point now, in its unit; NaN when not available."""
        self._refresh(name)
        words = self.registers.overlay.get(name) or self.registers.words_of(name)
        if words is None or name in self.registers.absent:
            return math.nan
        return self.registers.decode(name, words)

    def force(self, name: str, value: float | None = None, *, raw: float | None = None) -> None:
        """Let clients see something else than the truth, until `release`.

        Args:
            name: the point.
            value: in the point's unit, also out of range; None or NaN for not available.
            raw: the raw number instead, before gain and offset.

        Raises:
            KeyError: the profile has no such point.
            ValueError: the value does not fit the type, or the point cannot say not available.
        """
        point = self.profile.points[name]
        if raw is not None:
            self.registers.overlay[name] = pack_raw(point, raw)
        elif value is not None and not math.isnan(value):
            self.registers.overlay[name] = self.registers.pack_value(name, value)
        else:
            words = self.registers.not_available(name)
            if words is None:
                raise ValueError(f"{name} has no sentinel and is not a float: it cannot be not available")
            self.registers.overlay[name] = words

    def freeze(self, *names: str) -> None:
        """Keep what clients see of points (without names: of every measured one) until `release`.

        The fault `freeze` does the same for all at once, until it is cleared.
        """
        for name in names or self._live:
            self._refresh(name)
            words = self.registers.words_of(name)
            if words is not None and name not in self.registers.overlay:
                self.registers.overlay[name] = words

    def remove(self, name: str) -> None:
        """Let the device not have a point until `release`: reads that touch it answer exception 2."""
        if name not in self.profile.points:
            raise KeyError(name)
        if name not in self.registers.absent:
            self._removed.add(name)
            self.registers.absent.add(name)

    def release(self, *names: str) -> None:
        """Undo `force`, `freeze` and `remove` for points, without names for all."""
        for name in names or list(self.registers.overlay):
            self.registers.overlay.pop(name, None)
        for name in self._removed & set(names or self._removed):
            self._removed.discard(name)
            self.registers.absent.discard(name)

    def _load(self) -> None:
        """Every register as it is when the device starts."""
        self.registers = Registers(self._placed, dense=self._dense)
        self._removed: set[str] = set()
        self._held = False
        self._spans: dict[tuple[str, int, int], tuple[list[str], list[str], bool]] = {}
        live: dict[str, Quantity] = dict(fill(self.registers, self.profile, self.plant))
        alive = self.profile.alive
        if alive is not None:
            point = self._placed.points[alive.point]
            live[alive.point] = alive_counter(point, self._placed.sentinels_of(alive.point))
            self.registers.absent.discard(alive.point)
            self.registers.show(alive.point, live[alive.point](self.plant))
        self._live = live

    def _place(self, address: int, count: int, unit: int | None) -> int:
        """Where a unit's address stands in the image, which has one span of 65536 for each unit."""
        if not 0 <= address <= address + count <= _SPAN:
            raise RefusedError(Exc.ILLEGAL_ADDRESS)
        return address + _SPAN * (0 if unit is None else self.units.index(unit))

    def _within(self, table: str, address: int, count: int) -> tuple[list[str], list[str], bool]:
        """Points in a span, the live ones of them, and whether all can be read; masters ask the same again."""
        key = (table, address, count)
        found = self._spans.get(key)
        if found is None:
            names = self.registers.names_in(table, address, count)
            readable = all(self.profile.points[name].access != "w" for name in names)
            found = names, [name for name in names if name in self._live], readable
            if len(self._spans) < _SPANS:
                self._spans[key] = found
        return found

    def _hold(self) -> bool:
        """Whether measured points stand still; what they stand at is taken when it begins."""
        held = any(faults.freeze for faults in self.fault_layers)
        if held != self._held:
            self._held = held
            for name, quantity in self._live.items() if held else ():
                self.registers.show(name, quantity(self.plant))
        return held

    def _refresh(self, name: str) -> None:
        if not self._hold() and name in self._live:
            self.registers.show(name, self._live[name](self.plant))
