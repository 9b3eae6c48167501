"""What a seed may let go wrong: on the wire, in the device, in the battery, and with the gateway itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from simulation.network import WireFaults

if TYPE_CHECKING:
    from simulation.seat import Seat

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault."""

    begin: Callable[[Seat, Random], Undo | None]
    """Lets it begin; returns how it ends, or None when it cannot begin now."""
    lasts: tuple[float, float] = (1.0, 60.0)
    """Seconds; the logarithm is spread evenly."""
    blocks: bool = False
    """True when it may keep the gateway from reading or commanding the device."""
    everywhere: bool = False
    """True when it is the gateway's, and so keeps it from every device."""


def duration(fault: Fault, rng: Random) -> float:
    """How long it lasts this time, in seconds."""
    low, high = (math.log(seconds) for seconds in fault.lasts)
    return math.exp(rng.uniform(low, high))


def _wire(**values: float | bool | tuple[float, float]) -> Callable[[Seat, Random], Undo | None]:
    def begin(seat: Seat, rng: Random) -> Undo | None:
        faults, fresh = seat.network.faults, WireFaults()
        if any(getattr(faults, name) != getattr(fresh, name) for name in values):
            return None
        for name, value in values.items():
            share = isinstance(value, float) and value < 1
            setattr(faults, name, rng.uniform(0.02, value) if share else value)  # type: ignore[arg-type]
        seat.network.disturbed = True
        if values.keys() & {"refuse", "unreachable"} and rng.random() < 0.5:
            seat.network.cut(ConnectionResetError(104, "Connection reset by peer"))

        def undo() -> None:
            for name in values:
                setattr(faults, name, getattr(fresh, name))
            seat.network.disturbed = faults != fresh

        return undo

    return begin


def _device(name: str, most: float) -> Callable[[Seat, Random], Undo | None]:
    def begin(seat: Seat, rng: Random) -> Undo | None:
        faults = seat.device.faults
        if getattr(faults, name):
            return None
        setattr(faults, name, rng.uniform(0.05, most))
        seat.device.disturbed = True

        def undo() -> None:
            setattr(faults, name, 0.0)
            seat.device.disturbed = bool(
                faults.busy
                or faults.failing
                or faults.reads_refused
                or faults.writes_refused
                or faults.writes_lost
            )

        return undo

    return begin


def _cut(seat: Seat, rng: Random) -> Undo:
    reset = rng.random() < 0.5
    seat.network.cut(ConnectionResetError(104, "Connection reset by peer") if reset else None)
    return lambda: None


def _reboot(seat: Seat, rng: Random) -> Undo:
    seat.device.restart(seat.loop.now + rng.uniform(1.0, 40.0))
    seat.network.cut(None)
    return lambda: None


def _forget(seat: Seat, _: Random) -> Undo:
    """The device loses its settings and stays connected, as after a brown-out of its control board."""
    seat.device.restart(-math.inf)
    return lambda: None


def _deaf(seat: Seat, _: Random) -> Undo | None:
    twin = seat.device.twin
    if twin.deaf:
        return None
    twin.deaf = True

    def undo() -> None:
        twin.deaf = False
        twin._obey()  # what the registers say counts again

    return undo


def _freeze(seat: Seat, _: Random) -> Undo | None:
    faults = seat.device.twin.faults
    if faults.freeze:
        return None
    faults.freeze = True

    def undo() -> None:
        faults.freeze = False

    return undo


def _shown(
    choose: Callable[[Seat, Random], tuple[str, float | None]],
) -> Callable[[Seat, Random], Undo | None]:
    """A point that shows something else than the truth."""

    def begin(seat: Seat, rng: Random) -> Undo | None:
        twin = seat.device.twin
        name, value = choose(seat, rng)
        if name in twin.registers.overlay:
            return None
        try:
            twin.force(name, value)
        except ValueError:  # this type cannot say that
            return None
        return lambda: twin.release(name)

    return begin


def _sentinel(seat: Seat, rng: Random) -> tuple[str, float | None]:
    return rng.choice(seat.evidence), None


def _out_of_range(seat: Seat, rng: Random) -> tuple[str, float | None]:
    name = rng.choice(seat.evidence)
    valid = seat.profile.points[name].valid
    if valid is None:
        return name, None
    span = valid[1] - valid[0]
    return name, valid[1] + rng.uniform(0.01, 1.0) * span if rng.random() < 0.5 else valid[0] - 0.3 * span


def _within_range(seat: Seat, rng: Random) -> tuple[str, float | None]:
    """A number that could be true and is not."""
    name = rng.choice(seat.evidence)
    valid = seat.profile.points[name].valid
    return (name, rng.uniform(*valid)) if valid is not None else (name, None)


def _not_running(seat: Seat, rng: Random) -> tuple[str, float | None]:
    states = sorted(seat.profile.control.running_states.items()) if seat.profile.control else []
    name, running = rng.choice(states)
    known = [int(key, 0) for key in seat.profile.points[name].enum or {}]
    return name, float(rng.choice([state for state in known if state not in running] or [9]))


def _unsafe(seat: Seat, rng: Random) -> tuple[str, float | None]:
    """A battery's state steps out of what it may be."""
    return rng.choice(unsafe_steps(seat, rng))


def unsafe_steps(seat: Seat, rng: Random) -> list[tuple[str, float]]:
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
    return [(name, v) for name, values in steps.items() if name in seat.watched for v in values]


def _limit(seat: Seat, rng: Random) -> tuple[str, float | None]:
    """The BMS lowers what it takes or gives."""
    control = seat.profile.control
    assert control is not None
    names = [name for name in (control.charge_power_max, control.discharge_power_max) if name]
    return rng.choice(names), rng.uniform(0.0, 10.0)


def _absent(seat: Seat, rng: Random) -> Undo | None:
    name = rng.choice(seat.evidence)
    twin = seat.device.twin
    if name in twin.registers.absent:
        return None
    twin.remove(name)
    return lambda: twin.release(name)


def _kill(seat: Seat, rng: Random) -> Undo | None:
    if not seat.alive:
        return None
    seat.kill()

    def undo() -> None:
        seat.start()

    return undo


def _lose(seat: Seat, rng: Random) -> Undo | None:
    """The gateway is killed, and its record of trips is gone when it comes back."""
    undo = _kill(seat, rng)
    if undo is not None:
        seat.state.lost = "simulated"
    return undo


def _stuck(seat: Seat, _: Random) -> Undo | None:
    if seat.state.stuck:
        return None
    seat.state.stuck = True

    def undo() -> None:
        seat.state.stuck = False

    return undo


def _stall(seat: Seat, rng: Random) -> Undo:
    seat.loop.stall(math.exp(rng.uniform(math.log(0.2), math.log(200.0))))
    return lambda: None


def _clock(seat: Seat, rng: Random) -> Undo:
    span = rng.choice([2.0, 3600.0, 86400.0, 10 * 365 * 86400.0])
    seat.clock.step_wall(rng.uniform(-span, span))
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
    "killed": Fault(begin=_kill, lasts=(0.1, 400.0), blocks=True, everywhere=True),
    "record_lost": Fault(begin=_lose, lasts=(0.1, 60.0), blocks=True, everywhere=True),
    "disk_stuck": Fault(begin=_stuck, lasts=(5.0, 600.0)),
    "stalled": Fault(begin=_stall, lasts=(1.0, 2.0), blocks=True, everywhere=True),
    "clock_step": Fault(begin=_clock, lasts=(1.0, 2.0)),
}
"""Every kind, by the name in the tally."""
