"""The twin at the other end of the wire: frames in, frames out, stepped as time passes. No pymodbus, no tasks."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bessai.registry import CompiledProfile, Profile
from bessai.twin import Exc, Plant, PlantConfig, RefusedError, TwinDevice

STEP = 1.0
"""Simulated seconds of one step of the twin."""
_PHASE = 0.02
"""Seconds before a whole second at which the twin steps: cycles begin at whole seconds, so this is their end."""
_HEADER = struct.Struct(">HHHB")
_TABLES = {3: "holding", 4: "input"}


@dataclass(slots=True, kw_only=True)
class DeviceFaults:
    """What the device itself does wrong now. Shares are 0 … 1 of the requests."""

    busy: float = 0.0
    """Share answered with exception 6."""
    failing: float = 0.0
    """Share answered with exception 4."""
    reads_refused: float = 0.0
    """Share of the reads answered with exception 4."""
    writes_refused: float = 0.0
    """Share of the writes answered with exception 4."""
    writes_lost: float = 0.0
    """Share of the writes that are acknowledged and forgotten."""
    gone_until: float = -math.inf
    """Simulated time until which it does not answer, because it restarts."""


class SimDevice:
    """A `TwinDevice` behind a network.

    Args:
        profile: the device.
        compiled: the same, compiled.
        start: the loop's time at which the plant starts.
        seed: of the plant.
        rng: chance of the faults.
        config: the plant; its step is replaced.
    """

    def __init__(
        self,
        profile: Profile,
        compiled: CompiledProfile,
        start: float,
        seed: int,
        rng: Random,
        config: PlantConfig,
    ) -> None:
        self.twin = TwinDevice(profile, Plant(config, seed=seed), compiled=compiled, dense=True)
        self.faults = DeviceFaults()
        self.disturbed = False
        """True while any of the faults is on."""
        self.wrote: Callable[[float, dict[str, float]], None] | None = None
        """Told of the points and values of each write that took effect."""
        self.lost: Callable[[dict[str, float]], None] | None = None
        """Told of the points and values of each write that was acknowledged and forgotten."""
        self.asked: Callable[[int, tuple[str, int, int], float], None] | None = None
        """Told of each read that is answered: transaction, (table, address, count), time."""
        self.stepped: Callable[[float], None] | None = None
        """Told of each step of the plant, with its time."""
        self._rng = rng
        self._next = start - _PHASE + STEP
        self._units = frozenset(self.twin.units)
        self._writable: dict[tuple[int, int], tuple[str, ...]] = {}
        self._packers: dict[int, struct.Struct] = {}

    def catch_up(self, now: float) -> None:
        """Step the plant up to `now`."""
        while self._next <= now:
            self.twin.plant.step()
            self.twin.after_step()
            if self.stepped is not None:
                self.stepped(self._next)
            self._next += STEP

    def restart(self, gone_until: float) -> None:
        """Forget everything that was written, and be away until then."""
        self.faults.gone_until = gone_until
        self.twin.restart()

    def answer(self, data: bytes, now: float) -> tuple[bytes, float]:
        """See `network.Server`."""
        self.catch_up(now)
        out = b""
        while len(data) > 8:
            transaction, _, length, unit = _HEADER.unpack_from(data)
            pdu, data = data[7 : 6 + length], data[6 + length :]
            if now < self.faults.gone_until:
                continue
            reply = self._reply(transaction, unit, pdu, now)
            out += _HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply
        return out, 0.0

    def _reply(self, transaction: int, unit: int, pdu: bytes, now: float) -> bytes:
        code = pdu[0]
        if unit not in self._units:
            return bytes((code | 0x80, Exc.NO_SUCH_UNIT))
        if self.disturbed:
            faults, chance = self.faults, self._rng.random()
            if chance < faults.busy:
                return bytes((code | 0x80, Exc.BUSY))
            if chance < faults.busy + faults.failing:
                return bytes((code | 0x80, Exc.DEVICE_FAILURE))
        try:
            if code in _TABLES:
                if self.disturbed and self._rng.random() < self.faults.reads_refused:
                    return bytes((code | 0x80, Exc.DEVICE_FAILURE))
                address, count = struct.unpack(">HH", pdu[1:5])
                words = self.twin.read(_TABLES[code], address, count, unit=unit)
                if self.asked is not None:
                    self.asked(transaction, (_TABLES[code], address, count), now)
                packer = self._packers.get(count)
                if packer is None:
                    packer = self._packers[count] = struct.Struct(f">BB{count}H")
                return packer.pack(code, 2 * count, *words)
            if code in {6, 16}:
                return self._write(code, unit, pdu, now)
        except RefusedError as refusal:
            return bytes((code | 0x80, refusal.code))
        return bytes((code | 0x80, Exc.ILLEGAL_FUNCTION))

    def _write(self, code: int, unit: int, pdu: bytes, now: float) -> bytes:
        address = pdu[1] << 8 | pdu[2]
        data = pdu[3:] if code == 6 else pdu[6:]
        words = list(struct.unpack(f">{len(data) // 2}H", data))
        if self.disturbed:
            chance = self._rng.random()
            if chance < self.faults.writes_refused:
                return bytes((code | 0x80, Exc.DEVICE_FAILURE))
            if chance < self.faults.writes_refused + self.faults.writes_lost:
                if self.lost is not None:
                    registers, points = self.twin.registers, self.twin.compiled.points
                    starts = {n: points[n].address - address for n in self._names(address, len(words))}
                    parts = {n: words[at : at + points[n].registers] for n, at in starts.items()}
                    self.lost({name: registers.decode(name, part) for name, part in parts.items()})
                return pdu[:5]
        self.twin.write("holding", address, words, unit=unit)
        if self.wrote is not None:
            names = self._names(address, len(words))
            self.wrote(now, {name: self.twin.registers.value_of(name) for name in names})
        return pdu[:5]

    def _names(self, address: int, count: int) -> tuple[str, ...]:
        names = self._writable.get((address, count))
        if names is None:
            names = tuple(self.twin.registers.names_in("holding", address, count))
            self._writable[address, count] = names
        return names
