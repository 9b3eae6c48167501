"""What a seed may let go wrong: on the wire, in the device, in the battery, and with the gateway itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from simulation.network import WireFaults

if TYPE_CHECKING:
    from simulation.world import World

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault."""

    begin: Callable[[World, Random], Undo | None]
    """Lets it begin; returns how it ends, or None when it cannot begin now."""
    lasts: tuple[float, float] = (1.0, 60.0)
    """Seconds; the logarithm is spread evenly."""
    blocks: bool = False
    """True when it may keep the gateway from reading or commanding the device."""


def duration(fault: Fault, rng: Random) -> float:
    """How long it lasts this time, in seconds."""
    low, high = (math.log(seconds) for seconds in fault.lasts)
    return math.exp(rng.uniform(low, high))


def _wire(**values: float | bool | tuple[float, float]) -> Callable[[World, Random], Undo | None]:
    def begin(world: World, rng: Random) -> Undo | None:
        faults, fresh = world.network.faults, WireFaults()
        if any(getattr(faults, name) != getattr(fresh, name) for name in values):
            return None
        for name, value in values.items():
            share = isinstance(value, float) and value < 1
            setattr(faults, name, rng.uniform(0.02, value) if share else value)  # type: ignore[arg-type]
        world.network.disturbed = True
        if values.keys() & {"refuse", "unreachable"} and rng.random() < 0.5:
            world.network.cut(ConnectionResetError(104, "Connection reset by peer"))

        def undo() -> None:
            for name in values:
                setattr(faults, name, getattr(fresh, name))
            world.network.disturbed = faults != fresh

        return undo

    return begin


def _device(name: str, most: float) -> Callable[[World, Random], Undo | None]:
    def begin(world: World, rng: Random) -> Undo | None:
        faults = world.device.faults
        if getattr(faults, name):
            return None
        setattr(faults, name, rng.uniform(0.05, most))
        world.device.disturbed = True

        def undo() -> None:
            setattr(faults, name, 0.0)
            world.device.disturbed = bool(
                faults.busy
                or faults.failing
                or faults.reads_refused
                or faults.writes_refused
                or faults.writes_lost
            )

        return undo

    return begin


def _cut(world: World, rng: Random) -> Undo:
    reset = rng.random() < 0.5
    world.network.cut(ConnectionResetError(104, "Connection reset by peer") if reset else None)
    return lambda: None


def _reboot(world: World, rng: Random) -> Undo:
    world.device.restart(world.loop.now + rng.uniform(1.0, 40.0))
    world.network.cut(None)
    return lambda: None


def _forget(world: World, _: Random) -> Undo:
    """The device loses its settings and stays connected, as after a brown-out of its control board."""
    world.device.restart(-math.inf)
    return lambda: None


def _deaf(world: World, _: Random) -> Undo | None:
    twin = world.device.twin
    if twin.deaf:
        return None
    twin.deaf = True

    def undo() -> None:
        twin.deaf = False
        twin._obey()  # what the registers say counts again

    return undo


def _freeze(world: World, _: Random) -> Undo | None:
    faults = world.device.twin.faults
    if faults.freeze:
        return None
    faults.freeze = True

    def undo() -> None:
        faults.freeze = False

    return undo


def _shown(
    choose: Callable[[World, Random], tuple[str, float | None]],
) -> Callable[[World, Random], Undo | None]:
    """A point that shows something else than the truth."""

    def begin(world: World, rng: Random) -> Undo | None:
        twin = world.device.twin
        name, value = choose(world, rng)
        if name in twin.registers.overlay:
            return None
        try:
            twin.force(name, value)
        except ValueError:  # this type cannot say that
            return None
        return lambda: twin.release(name)

    return begin


def _sentinel(world: World, rng: Random) -> tuple[str, float | None]:
    return rng.choice(world.evidence), None


def _out_of_range(world: World, rng: Random) -> tuple[str, float | None]:
    name = rng.choice(world.evidence)
    valid = world.profile.points[name].valid
    if valid is None:
        return name, None
    span = valid[1] - valid[0]
    return name, valid[1] + rng.uniform(0.01, 1.0) * span if rng.random() < 0.5 else valid[0] - 0.3 * span


def _within_range(world: World, rng: Random) -> tuple[str, float | None]:
    """A number that could be true and is not."""
    name = rng.choice(world.evidence)
    valid = world.profile.points[name].valid
    return (name, rng.uniform(*valid)) if valid is not None else (name, None)


def _not_running(world: World, rng: Random) -> tuple[str, float | None]:
    states = sorted(world.profile.control.running_states.items()) if world.profile.control else []
    name, running = rng.choice(states)
    known = [int(key, 0) for key in world.profile.points[name].enum or {}]
    return name, float(rng.choice([state for state in known if state not in running] or [9]))


def _unsafe(world: World, rng: Random) -> tuple[str, float | None]:
    """A battery's state steps out of what it may be."""
    return rng.choice(unsafe_steps(world, rng))


def unsafe_steps(world: World, rng: Random) -> list[tuple[str, float]]:
    """Points of this device and values of them that allow less than both directions."""
    steps = {
        "soc": [rng.uniform(0, 10), rng.uniform(95, 100)],
        "battery_temperature": [rng.uniform(-20, 0), rng.uniform(40, 95)],
        "cell_temperature_max": [rng.uniform(40, 95)],
        "cell_temperature_min": [rng.uniform(-20, 0)],
        "cell_voltage_max": [rng.uniform(3.65, 3.9)],
        "cell_voltage_min": [rng.uniform(2.0, 2.9)],
        "fire_alarm": [1.0],
        "gas_alarm": [1.0],
        "insulation_resistance": [rng.uniform(0, 40.8)],
        "battery_voltage": [rng.uniform(410, 900), rng.uniform(0, 268)],
        "contactor_status": [0.0],
    }
    return [(name, v) for name, values in steps.items() if name in world.watched for v in values]


def _limit(world: World, rng: Random) -> tuple[str, float | None]:
    """The BMS lowers what it takes or gives."""
    control = world.profile.control
    assert control is not None
    names = [name for name in (control.charge_power_max, control.discharge_power_max) if name]
    return rng.choice(names), rng.uniform(0.0, 10.0)


def _absent(world: World, rng: Random) -> Undo | None:
    name = rng.choice(world.evidence)
    twin = world.device.twin
    if name in twin.registers.absent:
        return None
    twin.remove(name)
    return lambda: twin.release(name)


def _kill(world: World, rng: Random) -> Undo | None:
    if not world.alive:
        return None
    world.kill()

    def undo() -> None:
        world.start()

    return undo


def _lose(world: World, rng: Random) -> Undo | None:
    """The gateway is killed, and its record of trips is gone when it comes back."""
    undo = _kill(world, rng)
    if undo is not None:
        world.state.lost = "simulated"
    return undo


def _stuck(world: World, _: Random) -> Undo | None:
    if world.state.stuck:
        return None
    world.state.stuck = True

    def undo() -> None:
        world.state.stuck = False

    return undo


def _stall(world: World, rng: Random) -> Undo:
    world.loop.stall(math.exp(rng.uniform(math.log(0.2), math.log(200.0))))
    return lambda: None


def _clock(world: World, rng: Random) -> Undo:
    span = rng.choice([2.0, 3600.0, 86400.0, 10 * 365 * 86400.0])
    world.clock.step_wall(rng.uniform(-span, span))
    return lambda: None


FAULTS: dict[str, Fault] = {
    "refused": Fault(begin=_wire(refuse=True), blocks=True),
    "unreachable": Fault(begin=_wire(unreachable=True), blocks=True, lasts=(0.5, 300.0)),
    "silent": Fault(begin=_wire(silent=True), blocks=True),
    "requests_lost": Fault(begin=_wire(deaf=0.5), blocks=True),
    "delayed": Fault(begin=_wire(delay=(0.0, 0.3)), blocks=True),
    "delayed_long": Fault(begin=_wire(delay=(0.5, 6.0)), blocks=True),
    "resets": Fault(begin=_wire(reset=0.3), blocks=True),
    "truncated": Fault(begin=_wire(truncated=0.5), blocks=True),
    "garbage": Fault(begin=_wire(garbage=0.5), blocks=True),
    "bit_flips": Fault(begin=_wire(flipped=0.5), blocks=True),
    "duplicates": Fault(begin=_wire(duplicate=0.9), blocks=True),
    "pieces": Fault(begin=_wire(pieces=0.9), blocks=True),
    "cut": Fault(begin=_cut, lasts=(1.0, 2.0), blocks=True),
    "busy": Fault(begin=_device("busy", 0.9), blocks=True),
    "failing": Fault(begin=_device("failing", 0.9), blocks=True),
    "reads_refused": Fault(begin=_device("reads_refused", 1.5), blocks=True),
    "writes_refused": Fault(begin=_device("writes_refused", 0.95), blocks=True),
    "writes_lost": Fault(begin=_device("writes_lost", 0.95), blocks=True),
    "ignores_commands": Fault(begin=_deaf, lasts=(5.0, 300.0)),
    "reboot": Fault(begin=_reboot, lasts=(40.0, 41.0), blocks=True),
    "forgets": Fault(begin=_forget, lasts=(1.0, 2.0), blocks=True),
    "frozen": Fault(begin=_freeze, lasts=(1.0, 300.0)),
    "sentinel": Fault(begin=_shown(_sentinel)),
    "out_of_range": Fault(begin=_shown(_out_of_range)),
    "wrong_value": Fault(begin=_shown(_within_range)),
    "point_vanishes": Fault(begin=_absent, blocks=True),
    "not_running": Fault(begin=_shown(_not_running)),
    "unsafe_step": Fault(begin=_shown(_unsafe), lasts=(1.0, 200.0)),
    "power_limit": Fault(begin=_shown(_limit), lasts=(5.0, 600.0)),
    "killed": Fault(begin=_kill, lasts=(0.1, 400.0), blocks=True),
    "record_lost": Fault(begin=_lose, lasts=(0.1, 60.0), blocks=True),
    "disk_stuck": Fault(begin=_stuck, lasts=(5.0, 600.0)),
    "stalled": Fault(begin=_stall, lasts=(1.0, 2.0), blocks=True),
    "clock_step": Fault(begin=_clock, lasts=(1.0, 2.0)),
}
"""Every kind, by the name in the tally."""
