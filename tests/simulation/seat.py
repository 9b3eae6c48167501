"""One device of a simulated plant: its twin, its cable, who watches it, and what goes wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from bessai.model import Endpoint
from bessai.registry import CompiledProfile, Profile, compile_profile
from bessai.twin import PlantConfig
from simulation.device import STEP, SimDevice
from simulation.faults import FAULTS, Fault, duration
from simulation.invariants import PER_STEP, PER_WRITE
from simulation.network import Network
from simulation.oracle import TOLERANCE, Oracle
from simulation.records import RampWatch

if TYPE_CHECKING:
    from bessai.twin.sim_clock import SimClock
    from bessai.twin.sim_loop import SimLoop
    from simulation.state import SimState
    from simulation.world import World

START = 1000.0
"""The loop's time at which everything begins."""
RECOVERY = 30.0
"""Seconds after a fault in which the gateway may still wait before it tries again: its longest backoff (8 s), a
silent unit's longest rest (5 s), the identity's re-check after that, and the device's own settling, with room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What stands where."""

    name: str = ""
    profile: Profile
    plant: PlantConfig
    power_min: float = 0.0
    """kW, besides zero."""


class Seat:
    """A device at work.

    Args:
        world: the plant.
        place: what it is.
        alone: it is the only one; a ramp is the plant's, and only then shows on one device.
    """

    def __init__(self, world: World, place: Place, *, alone: bool) -> None:
        self.world = world
        self.place = place
        self.name = place.name
        self.profile: CompiledProfile = compiled(place.profile)
        self.loop: SimLoop = world.loop
        seed, key = world.scenario.seed, f"/{place.name}" if place.name else ""
        self.rng = Random(f"{seed}/faults{key}")
        config = replace(place.plant, step=STEP)
        self.device = SimDevice(
            place.profile, self.profile, START, seed + len(world.seats), Random(f"{seed}/device{key}"), config
        )
        self.network = Network(world.loop, self.device, Random(f"{seed}/wire{key}"))
        self.oracle = Oracle(self.profile, self.device.twin, world.scenario.config, world.trace)
        self.oracle.able_since = START + RECOVERY
        self.watched = self.oracle.watched
        control = self.profile.control
        assert control is not None
        self.evidence = tuple(dict.fromkeys(("soc", *control.evidence)))
        battery = place.plant.battery
        self.rated = max(battery.charge_power_max, battery.discharge_power_max)
        self.ramp = RampWatch(world.scenario.config, self.rated)
        self.endpoint = Endpoint(host=place.name or "twin", port=502)
        self.device.stepped = self._stepped
        self.device.asked = self.oracle.asked
        self.device.wrote = self._wrote
        self.device.lost = self.oracle.lost
        self.network.delivered = self.oracle.delivered
        self.network.ended = self._connection_ended
        self._alone = alone
        self._blocked = 0

    @property
    def alive(self) -> bool:
        """True while the gateway runs."""
        return self.world.alive

    @property
    def state(self) -> SimState:
        """What the gateway keeps across restarts."""
        return self.world.state

    @property
    def clock(self) -> SimClock:
        """The gateway's."""
        return self.world.clock

    def kill(self) -> None:
        """End the gateway."""
        self.world.kill()

    def start(self) -> None:
        """Start the gateway."""
        self.world.start()

    def begin(self, kind: str, seconds: float | None = None) -> bool:
        """Let a fault begin, and end by itself. False when it cannot begin now."""
        fault = FAULTS[kind]
        lasts = duration(fault, self.rng) if seconds is None else seconds
        if fault.blocks:
            self._block(fault)  # before it begins: a stall is over by then
        undo = fault.begin(self, self.rng)
        if undo is None:
            self._unblock(fault)
            return False
        self.world.counts[kind] += 1
        self.world.trace.update(f"{self.loop.now!r} {self.name} {kind}".encode())
        self.loop.call_at(self.loop.now + lasts, self._end, fault, undo)
        return True

    def block(self) -> None:
        """Something keeps the gateway from the device now: the promises that need it wait."""
        self._blocked += 1
        self.oracle.able_since = math.inf

    def unblock(self) -> None:
        """It no longer does."""
        self._blocked -= 1
        if not self._blocked:
            self.oracle.able_since = self.loop.now + RECOVERY

    def _end(self, fault: Fault, undo: Callable[[], None]) -> None:
        self.device.catch_up(self.loop.now)
        undo()
        self._unblock(fault)

    def _block(self, fault: Fault) -> None:
        for seat in self.world.seats.values() if fault.everywhere else (self,):
            seat.block()

    def _unblock(self, fault: Fault) -> None:
        if fault.blocks:
            for seat in self.world.seats.values() if fault.everywhere else (self,):
                seat.unblock()

    def _connection_ended(self) -> None:
        self.oracle.cut_at = self.loop.now

    def _stepped(self, now: float) -> None:
        oracle = self.oracle
        oracle.observe(now)
        if oracle.commanded:
            oracle.powered += STEP
        for promise in PER_STEP:
            if (broken := promise(oracle, now)) is not None:
                self._judge(promise.__name__, broken)
        self.world.stepped(self, now)

    def _wrote(self, now: float, values: dict[str, float]) -> None:
        oracle = self.oracle
        oracle.wrote(now, values)
        if not oracle.in_sequence and not oracle.last_write_fed:
            least = self.place.power_min - TOLERANCE
            if 0 < abs(oracle.commanded) < least:
                self._judge("exclusion_zones_are_kept", f"{oracle.commanded:g} kW, below {least:g}")
            for step in self.ramp.wrote(oracle.commanded, now, oracle.test_since < math.inf):
                if self._alone:
                    self._judge(*step.split(": ", 1))
        for promise in PER_WRITE:
            if (broken := promise(oracle, now)) is not None:
                self._judge(promise.__name__, broken)

    def _judge(self, promise: str, broken: str) -> None:
        self.world.judge(promise, f"{self.name}: {broken}" if self.name else broken)


_COMPILED: dict[int, tuple[Any, CompiledProfile]] = {}


def compiled(profile: Profile) -> CompiledProfile:
    """Compiling takes longer than a simulated minute; nothing changes a compiled profile."""
    if id(profile) not in _COMPILED:
        _COMPILED[id(profile)] = (profile, compile_profile(profile))
    return _COMPILED[id(profile)][1]
