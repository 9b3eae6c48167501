"""The device around the plant: registers, commands and the dead-man, in simulated time. No I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bessai.registry import CompiledProfile, Profile
from bessai.registry.schema import Point
from bessai.twin.control import Order, limit_points, reactive_of, recognise, side_of, steps_of
from bessai.twin.deadman import DeadManTimer
from bessai.twin.image import DeviceImage, Exc, RefusedError
from bessai.twin.plant import Plant


@dataclass(frozen=True, slots=True)
class Written:
    """One value that the master wrote and the device took."""

    time: float
    """Simulated seconds."""
    point: str
    value: float
    """In the point's unit."""


class TwinDevice(DeviceImage):
    """A plant with the registers and the manners of a profile.

    device = TwinDevice(load_profile(path), Plant(seed=1))
    device.write("holding", 47100, [1])     # as the wire would
    device.advance(10)
    device.value("battery_power")

    Args:
        profile: the device.
        plant: the plant behind it; several devices may share one.
        dense: answer 0 for addresses of the own unit that the profile does not name, instead of exception 2.
        unit: unit id; the profile's when None.
        stations: unit ids of the profile's stations that differ from the profile's.
        compiled: the compiled profile, when many devices share it.
    """

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
        super().__init__(profile, plant, dense=dense, unit=unit, stations=stations, compiled=compiled)
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
        self._bounds = limit_points(profile.control) if profile.control else {}
        self._share_of = {
            step.point: step.of
            for kind in ("charge", "discharge", "reactive", "charge_limit", "discharge_limit")
            for step in (getattr(profile.control, kind, None) or ())
            if step.of is not None
        }
        self._timer = DeadManTimer(profile.dead_man, profile.points.__getitem__)
        self._deadline = math.inf
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
            self.after_step()

    def after_step(self) -> None:
        """To be called after every step of the plant: falls back when the dead-man's time is over."""
        self._hold()
        if self.plant.time >= self._deadline:
            self._fall_back()

    def restart(self) -> None:
        """Start anew: every setting has its start value, external control is over. The plant's state stays."""
        self._load()
        self.fallen_back = False
        self._obey()

    def write(self, table: str, address: int, words: list[int], *, unit: int | None = None) -> None:
        """Take a write, whole or not at all.

        Raises:
            RefusedError: unknown, read-only or half a value (2); a value that the point does not allow, that
                is above the device's maximum, or that means not available (3).
        """
        address = self._place(address, len(words), unit)
        taken: dict[str, list[int]] = {}
        covered = 0
        for name in self.registers.names_in(table, address, len(words)):
            point = self._placed.points[name]
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

    def _allows(self, name: str, point: Point, value: float) -> bool:
        if math.isnan(value):
            return False
        if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
            return False
        raw = round((value - point.offset) / point.gain)
        if point.enum and raw not in {int(key, 0) for key in point.enum}:
            return False
        slack = abs(point.gain) / 2
        value, slack = self._kilowatts(name, value), self._kilowatts(name, slack)
        bound = self._bounds.get(name)
        if bound is not None and value > self._maximum(bound) + slack:
            return False
        control = self.profile.control
        if control is not None and any(
            step.point == name and step.quantity == "power" for step in (*control.charge, *control.discharge)
        ):
            low, high = self._maximum(control.charge_power_max), self._maximum(control.discharge_power_max)
            return -low - slack <= value <= high + slack
        if control is not None and any(
            step.point == name and step.quantity == "reactive" for step in control.reactive or ()
        ):
            exported = self._maximum(control.reactive_power_max)
            absorbed = self._maximum(control.absorbed_reactive_power_max or control.reactive_power_max)
            return -absorbed - slack <= value <= exported + slack
        return True

    def _kilowatts(self, name: str, value: float) -> float:
        """A value in kW, also when the register holds a percentage of another point."""
        base = self._share_of.get(name)
        if base is None:
            return value
        live = self._live.get(base)
        return value / 100 * (self.registers.value_of(base) if live is None else live(self.plant))

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
        self.plant.reactive_target = (
            reactive_of(self.compiled, self.registers.value_of) if self.active else 0.0
        )
        for steps, attribute in (
            (control.charge_limit, "charge_limit"),
            (control.discharge_limit, "discharge_limit"),
        ):
            for step in steps or ():
                limit = self._kilowatts(step.point, self.registers.value_of(step.point))
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
