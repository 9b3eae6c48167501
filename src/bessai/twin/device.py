"""The device around the plant: registers, commands and the dead-man, in simulated time. No I/O."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from bessai.registry import Profile, compile_profile
from bessai.registry.schema import Point
from bessai.twin.control import Order, limit_points, recognise, side_of, steps_of
from bessai.twin.deadman import DeadManTimer
from bessai.twin.plant import Plant
from bessai.twin.registers import Registers, pack_raw
from bessai.twin.startup import fill


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


@dataclass(frozen=True, slots=True)
class Written:
    """One value that the master wrote and the device took."""

    time: float
    """Simulated seconds."""
    point: str
    value: float
    """In the point's unit."""


class TwinDevice:
    """A plant with the registers and the manners of a profile.

    device = TwinDevice(load_profile(path), Plant(seed=1))
    device.write("holding", 47100, [1])     # as the wire would
    device.advance(10)
    device.value("battery_power")
    """

    def __init__(self, profile: Profile, plant: Plant, *, dense: bool = False) -> None:
        self.profile = profile
        self.plant = plant
        self.compiled = compile_profile(profile)
        self.registers = Registers(self.compiled, dense=dense)
        self.order: Order | None = None
        """What the registers command now; None when they match no sequence of the profile."""
        self.fallbacks = 0
        """How often the dead-man ended external control."""
        self.fallen_back = False
        """True from a fallback until the master speaks again."""
        self.deaf = False
        """True to take writes and not act on them."""
        self.log: deque[Written] = deque(maxlen=10_000)
        """The latest accepted writes."""
        self._live = fill(self.registers, profile, plant)
        self._bounds = limit_points(profile.control) if profile.control else {}
        self._timer = DeadManTimer(profile.dead_man, profile.points.__getitem__)
        self._deadline = math.inf
        self._removed: set[str] = set()
        self._obey()

    @property
    def active(self) -> bool:
        """True while the plant is under external control."""
        return self.order is not None and self.order.kind != "stop" and not self.fallen_back

    @property
    def deadline(self) -> float:
        """Simulated time at which the dead-man ends external control; infinite when it will not."""
        return self._deadline

    def advance(self, seconds: float) -> None:
        """Move simulated time on; the dead-man acts in the very step in which its time is over."""
        for _ in range(self.plant.due(seconds)):
            self.plant.step()
            if self.plant.time >= self._deadline:
                self._fall_back()

    def read(self, table: str, address: int, count: int) -> list[int]:
        """The words (or bits) of a span, as clients see them.

        Raises:
            RefusedError: too long (3), or some of it does not exist or cannot be read (2).
        """
        limit = self.compiled.connection.max_registers * (16 if table in {"coil", "discrete"} else 1)
        if not 1 <= count <= limit:
            raise RefusedError(Exc.ILLEGAL_VALUE)
        for name in self.registers.names_in(table, address, count):
            if self.profile.points[name].access == "w":
                raise RefusedError(Exc.ILLEGAL_ADDRESS)
            self._refresh(name)
        span = self.registers.span(table, address, count)
        if span is None:
            raise RefusedError(Exc.ILLEGAL_ADDRESS)
        return span

    def write(self, table: str, address: int, words: list[int]) -> None:
        """Take a write, whole or not at all.

        Raises:
            RefusedError: unknown, read-only or half a value (2); a value that the point does not allow, that
                is above the device's maximum, or that means not available (3).
        """
        taken: dict[str, list[int]] = {}
        covered = 0
        for name in self.registers.names_in(table, address, len(words)):
            point = self.profile.points[name]
            start = point.address - address
            if start < 0 or start + point.registers > len(words):
                raise RefusedError(Exc.ILLEGAL_ADDRESS)
            if point.access == "r" or point.type == "text" or name in self.registers.absent:
                raise RefusedError(Exc.ILLEGAL_ADDRESS)
            taken[name] = words[start : start + point.registers]
            covered += point.registers
        if covered < len(words):
            raise RefusedError(Exc.ILLEGAL_ADDRESS)
        values = {name: self.registers.decode(name, part) for name, part in taken.items()}
        for name, value in values.items():
            if not self._allows(name, self.profile.points[name], value):
                raise RefusedError(Exc.ILLEGAL_VALUE)
        now = self.plant.time
        for name, part in taken.items():
            before = self.registers.value_of(name)
            self.registers.place(name, part)
            self.log.append(Written(now, name, values[name]))
            if self._timer.written(name, before, values[name], now):
                self.fallen_back = False
        self._obey()

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
        """Keep what clients see of points (without names: of every measured one) until `release`."""
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

    def _refresh(self, name: str) -> None:
        quantity = self._live.get(name)
        if quantity is not None:
            self.registers.show(name, quantity(self.plant))

    def _allows(self, name: str, point: Point, value: float) -> bool:
        if math.isnan(value):
            return False
        if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
            return False
        raw = round((value - point.offset) / point.gain)
        if point.enum and raw not in {int(key, 0) for key in point.enum}:
            return False
        slack = abs(point.gain) / 2
        bound = self._bounds.get(name)
        if bound is not None and value > self._maximum(bound) + slack:
            return False
        control = self.profile.control
        if control is not None and any(
            step.point == name and step.quantity == "power" for step in (*control.charge, *control.discharge)
        ):
            low, high = self._maximum(control.charge_power_max), self._maximum(control.discharge_power_max)
            return -low - slack <= value <= high + slack
        return True

    def _maximum(self, name: str | None) -> float:
        quantity = self._live.get(name or "")
        return math.inf if quantity is None else quantity(self.plant)

    def _obey(self) -> None:
        was_active = self.active
        self.order = recognise(self.compiled, self.registers.value_of)
        if self.active and not was_active:
            self._timer.begin(self.plant.time)
        self._deadline = self._timer.deadline(self.registers.value_of) if self.active else math.inf
        control = self.profile.control
        if control is None or self.deaf:
            return
        power = self.order.power if self.active and self.order is not None else None
        self.plant.command(power, side_of(control))
        for steps, attribute in (
            (control.charge_limit, "charge_limit"),
            (control.discharge_limit, "discharge_limit"),
        ):
            for step in steps or ():
                limit = self.registers.value_of(step.point)
                if step.quantity == "limit" and not math.isnan(limit):
                    setattr(self.plant, attribute, abs(limit))

    def _fall_back(self) -> None:
        self.fallbacks += 1
        self.fallen_back = True
        dead_man, control = self.profile.dead_man, self.profile.control
        if dead_man is not None and dead_man.kind == "duration" and control is not None:
            # a command that ran out is over: the device clears its mode, and a new write starts a new one
            for step in steps_of(control, "stop"):
                if step.value is not None:
                    self.registers.place(step.point, self.registers.pack_value(step.point, step.value))
        self._obey()
