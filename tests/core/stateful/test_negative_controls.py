"""Guards of which one check is switched off: the judge finds each of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.core import unit as unit_module
from bessai.core.envelope import EnvelopeCheck
from bessai.core.guard import SafetyGuard
from bessai.core.latch import Cause, Latch, LatchMemory
from bessai.core.limits import Flag
from bessai.model import (
    Bounds,
    Command,
    Decision,
    Operation,
    ProcessImage,
    Quality,
    Request,
    Role,
    Trip,
    WriteOutcome,
)
from support.stateful import QUIET, Devices, Driver, Mix, PresentGuard, Setup, UnitSetup, Violation, run

SEEDS = 150
"""Episodes within which each must be found; the slowest takes about a third of them."""
Images = Mapping[str, ProcessImage]


def changed(image: ProcessImage, home: Mapping[str, float], hide: Callable[[str, int], bool]) -> ProcessImage:
    """An image in which some values are those of a battery at its best."""
    values, quality = image.values.copy(), image.quality.copy()
    for name, value in home.items():
        i = image.layout.index[name]
        if hide(name, int(quality[i])):
            values[i], quality[i] = value, Quality.GOOD
    return ProcessImage(
        image.layout, image.cycle, image.monotonic, image.wall_ns, values, quality, image.times
    )


def _still(unit: UnitSetup) -> dict[str, float]:
    return {"battery_current": 0.0} if "battery_current" in unit.device.layout.index else {}


class Blind(PresentGuard):
    """Does not see some points."""

    def __init__(self, setup: Setup, *hidden: str) -> None:
        self.hidden = hidden
        super().__init__(setup)

    def hides(self, name: str, quality: int) -> bool:
        return name in self.hidden

    def decide(self, images: Images, requests: Sequence[Request], *, fresh: frozenset[str]) -> Decision:
        homes = {unit.name: {**unit.home, **_still(unit)} for unit in self.setup.units}
        seen = {name: changed(image, homes[name], self.hides) for name, image in images.items()}
        return super().decide(seen, requests, fresh=fresh)


class Credulous(Blind):
    """Takes what is lost for what it is at its best: the stale check is switched off."""

    def hides(self, name: str, quality: int) -> bool:
        return quality != Quality.GOOD


class Unproved(PresentGuard):
    """Believes that a new connection is the old one: the dead-man is not proved again."""

    def connection_changed(self, unit: str) -> None:
        pass


class Forgiving(PresentGuard):
    """Believes that every write arrived: the read-back is switched off."""

    def wrote(self, unit: str, outcome: WriteOutcome, now: float) -> None:
        super().wrote(unit, WriteOutcome(verified=True, written=outcome.written), now)


class Stubborn(PresentGuard):
    """Keeps to requests after they have expired."""

    def decide(self, images: Images, requests: Sequence[Request], *, fresh: frozenset[str]) -> Decision:
        self._kept: Sequence[Request] = requests or getattr(self, "_kept", ())
        now = next(iter(images.values())).monotonic
        later = [replace(request, expires=now + 9, bounds=Bounds()) for request in self._kept]
        return super().decide(images, later, fresh=fresh)


class Hasty(PresentGuard):
    """Takes what was read incompletely for complete: the count of valid cycles is switched off."""

    def decide(self, images: Images, requests: Sequence[Request], *, fresh: frozenset[str]) -> Decision:
        return super().decide(images, requests, fresh=frozenset(images))


class Forgetful(PresentGuard):
    """Its trips do not latch."""

    def decide(self, images: Images, requests: Sequence[Request], *, fresh: frozenset[str]) -> Decision:
        self.guard.latch.memory.trips.clear()
        return super().decide(images, requests, fresh=fresh)


class Amnesiac(PresentGuard):
    """Its trips do not survive a restart."""

    def restart(self, state: str) -> None:
        self.guard = self.build(Latch())


class _Rash(Latch):
    """A latch whose resets count before they are on disk."""

    def reset(self, operation: Operation, still: Collection[Cause], now_wall: int) -> list[Trip]:
        gone = super().reset(operation, still, now_wall)
        self.settled(self.memory.revision)
        return gone


class Rash(PresentGuard):
    """Believes a record durable that is not: a crash brings a trip back, power flowed in between."""

    def build(self, latch: Latch) -> SafetyGuard:
        return super().build(_Rash(latch.memory))


class Careless(PresentGuard):
    """Lets anybody reset anything."""

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        return super().operate(replace(operation, role=Role.ENGINEER), now, wall_ns)


class Inattentive(PresentGuard):
    """Resets a trip while its cause is there."""

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        if operation.kind == "reset" and operation.role is Role.ENGINEER and self.guard.latch.memory.trips:
            memory: LatchMemory = self.guard.latch.memory
            memory.leaving, memory.trips = memory.trips, []
            memory.revision += 1
            memory.leaving_revision = memory.revision
            return None
        return super().operate(operation, now, wall_ns)


class Idle(PresentGuard):
    """Does not let people work: maintenance is noted and changes nothing."""

    def operate(self, operation: Operation, now: float, wall_ns: int) -> str | None:
        return None if operation.kind == "maintenance_on" else super().operate(operation, now, wall_ns)


class Resigned(PresentGuard):
    """Does not try a refused zero again."""

    def command(self, unit: str, now: float) -> Command | None:
        refusals = self.guard.units[unit].memory.refusals
        if "zero" in refusals:
            refusals["zero"].retry_at = now + 30.0
        return super().command(unit, now)


class Mended(PresentGuard):
    """A guard whose units were built with other limits than the judge knows."""

    def __init__(self, setup: Setup, **other: object) -> None:
        units = [replace(unit, limits=replace(unit.limits, **other)) for unit in setup.units]  # type: ignore[arg-type]
        super().__init__(replace(setup, units=tuple(units)))


def no_flags(setup: Setup) -> PresentGuard:
    none: tuple[Flag, ...] = ()
    return Mended(setup, flags=none)


def no_hysteresis(setup: Setup) -> PresentGuard:
    units = [
        replace(
            unit,
            limits=replace(
                unit.limits,
                soc_hysteresis=0.0,
                levels=tuple(replace(limit, hysteresis=0.0) for limit in unit.limits.levels),
            ),
        )
        for unit in setup.units
    ]
    return PresentGuard(replace(setup, units=tuple(units)))


def no_zone(setup: Setup) -> PresentGuard:
    return PresentGuard(replace(setup, units=tuple(replace(unit, power_min=0.0) for unit in setup.units)))


def no_ramps(setup: Setup) -> PresentGuard:
    return PresentGuard(replace(setup, up=None, down=None, start=None, recovery=None))


class Loose(PresentGuard):
    """An envelope that knows no curves and no trips; the second look does."""

    def build(self, latch: Latch) -> SafetyGuard:
        guard = super().build(latch)
        for unit in guard.units.values():
            levels = tuple(replace(l, charge=None, discharge=None) for l in unit.limits.levels)  # noqa: E741
            memory = unit.check.memory
            unit.check = EnvelopeCheck(unit.profile, replace(unit.limits, levels=levels, soc_taper=1e-9))
            memory.limits = unit.check.memory.limits
            unit.check.memory = memory
        return guard


class Looser(Loose):
    """The same without the second look."""

    def build(self, latch: Latch) -> SafetyGuard:
        guard = super().build(latch)
        guard._second_look = lambda told, device, *, armed: (None, None)  # type: ignore[method-assign]
        return guard


class LooseReactive(PresentGuard):
    """A first look that gives every kvar that is asked for, in every state; the second look does not."""

    def build(self, latch: Latch) -> SafetyGuard:
        guard = super().build(latch)
        granting = guard._granting
        look = granting._reactive

        def loose(units: Any, resolution: Any, *more: Any) -> Any:
            done, limited = look(units, resolution, *more)
            asked = resolution.reactive_asked
            return [
                unit if unit.reactive is None or asked is None else replace(unit, reactive=asked)
                for unit in done
            ], limited

        granting._reactive = loose  # type: ignore[assignment]
        return guard


class LooserReactive(LooseReactive):
    """The same without the second look."""

    def build(self, latch: Latch) -> SafetyGuard:
        guard = super().build(latch)
        look = guard._second_look
        guard._second_look = lambda told, device, *, armed: (  # type: ignore[method-assign]
            look(told, device, armed=armed)[0],
            None,
        )
        return guard


POINTS = (
    "soc", "battery_temperature", "cell_voltage_max", "cell_voltage_min", "charge_power_max",
    "discharge_power_max", "device_status", "battery_voltage", "battery_current", "charge_current_max",
    "discharge_current_max", "insulation_resistance", "fire_alarm", "gas_alarm", "contactor_status",
    "reactive_power_max",
)  # fmt: skip
CONTROLS: dict[str, Callable[[Setup], PresentGuard]] = {
    **{f"blind to {point}": lambda setup, point=point: Blind(setup, point) for point in POINTS},  # type: ignore[misc]
    "stale values": Credulous,
    "new connection": Unproved,
    "read-back": Forgiving,
    "expiry": Stubborn,
    "valid cycles": Hasty,
    "latch": Forgetful,
    "latch across a restart": Amnesiac,
    "reset before it is on disk": Rash,
    "role": Careless,
    "cause of a reset": Inattentive,
    "maintenance": Idle,
    "retry of zero": Resigned,
    "flags": no_flags,
    "hysteresis": no_hysteresis,
    "exclusion zone": no_zone,
    "ramp up": lambda setup: PresentGuard(replace(setup, up=None)),
    "ramp down": lambda setup: PresentGuard(replace(setup, down=None)),
    "ramps": no_ramps,
    "ramp start": lambda setup: PresentGuard(replace(setup, start=None)),
    "ramp recovery": lambda setup: PresentGuard(replace(setup, recovery=None)),
    "min on": lambda setup: PresentGuard(replace(setup, min_on=0.0)),
    "min off": lambda setup: PresentGuard(replace(setup, min_off=0.0)),
    "curves and second look": Looser,
}


def found(make: Callable[[Setup], PresentGuard], devices: Devices) -> str | None:
    """What the judge says about a guard."""
    for seed in range(SEEDS):
        try:
            run(seed, 400, make, devices, Mix() if seed % 4 else QUIET)
        except Violation as violation:
            return str(violation)
    return None


@pytest.mark.parametrize("name", CONTROLS)
def test_a_guard_without_one_check_is_found_out(tmp_path: Path, name: str) -> None:
    assert found(CONTROLS[name], Devices.of(tmp_path)) is not None


def test_a_dead_man_test_that_outlives_its_envelope_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(self: unit_module.Unit, envelope: object) -> bool:
        return unit_module.look_time(self.image) >= self._until

    monkeypatch.setattr(unit_module.Unit, "_ends_test", later)
    assert found(PresentGuard, Devices.of(tmp_path)) is not None


def test_the_second_look_mends_a_loose_envelope(tmp_path: Path) -> None:
    """What the first implementation lets through, the second refuses."""
    devices = Devices.of(tmp_path)
    setup, refused = devices.simple(), 0
    for seed in range(20):
        driver = Driver(random.Random(seed), Loose(setup), setup, Mix())
        try:
            for _ in range(200):
                driver.cycle()
        except Violation as violation:  # of what it does not know, or does not see when nothing is written
            if not any(word in str(violation) for word in ("far enough", "stands", "since the last hold")):
                raise
        refused += driver.episode.second_looks
    assert refused > 0


class _Lenient(Driver):
    """Lets a decision pass that gives more kvar than the requests' bounds: a second look at one device sees none."""

    def _object(self, why: str | None) -> None:
        super()._object(None if why is not None and "kvar is outside the requests' bounds" in why else why)


def _broken_by(make: Callable[[Setup], PresentGuard], setup: Setup) -> list[str]:
    """What the judge says of a guard whose first look gives too many kvar."""
    said = []
    for seed in range(12):
        driver = _Lenient(random.Random(seed), make(setup), setup, Mix())
        try:
            for _ in range(200):
                driver.cycle()
        except Violation as violation:
            said.append(str(violation))
    return said


def test_the_second_look_mends_a_loose_reactive_power(tmp_path: Path) -> None:
    """No kvar that the device does not take, or in a state that allows none, is on the device; without it they are."""
    setup = Devices.of(tmp_path).several()
    mended, broken = _broken_by(LooseReactive, setup), _broken_by(LooserReactive, setup)
    assert mended
    assert all("makes 0 kvar" in text for text in mended), (
        "what was decided was not written, and nothing else broke"
    )
    assert any("kvar that it can" in text or "allows no reactive power" in text for text in broken)
