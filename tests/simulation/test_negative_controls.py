"""The oracle can see: a gateway with one protection switched off breaks a promise within simulated hours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bessai.core.alarms import AlarmBook
from bessai.core.deadman import DeadMan
from bessai.core.hand import Hand
from bessai.core.latch import Latch, to_state
from bessai.model import Event
from simulation.assembly import Config
from simulation.profiles import PROFILES
from simulation.scenario import Scenario
from simulation.seeds import base_seed
from simulation.world import World

SEEDS, HOURS = 6, 2.0
"""A sabotage that is not seen in so many runs of so long is not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One protection, and what stands in its place."""

    name: str
    patches: tuple[tuple[str, Callable[..., Any]], ...]
    """Dotted name of each function, and what stands in its place."""
    promises: tuple[str, ...]
    """One of these must be seen broken."""
    faults: tuple[str, ...]
    profile: str = "pack"
    fault_every: float = 30.0
    """Mean seconds between two faults."""


def _never_stale(arrays: Any, _: float) -> Any:
    return arrays.values.copy(), arrays.quality.copy(), arrays.times.copy()


def _any_number(image: Any, name: str) -> float | None:
    i = image.layout.index.get(name)
    return None if i is None or math.isnan(image.values[i]) else float(image.values[i])


def _endless(book: Any, now: float) -> list[Any]:
    live = [replace(request, expires=now + 1000.0) for request in book._requests.values()]
    return sorted(live, key=lambda request: -request.priority)


_act = Hand.act


async def _always_fresh(hand: Hand, told: Any, *, fresh: bool, **more: Any) -> Any:
    return await _act(hand, told, fresh=True, **more)


_dead_man = DeadMan.__init__


def _patient(dead_man: DeadMan, *args: Any) -> None:
    _dead_man(dead_man, *args)
    dead_man.time = 100.0


_to_state, _reset = to_state, Latch.reset


def _without_trips(memory: Any) -> Any:
    return {**_to_state(memory), "trips": []}


def _reset_at_once(latch: Latch, *args: Any) -> Any:
    gone = _reset(latch, *args)
    latch.memory.leaving = []
    return gone


_update = AlarmBook.update


def _every_cycle(book: AlarmBook, conditions: Any, now: float, wall_ns: int) -> Any:
    held = list(conditions)
    again = [
        Event(code=c.code, severity=c.severity, message="", wall_ns=wall_ns, point=c.point) for c in held
    ]
    return [*_update(book, held, now, wall_ns), *again]


SECOND_LOOK = ("bessai.core.guard.objection", lambda *_: None)
"""It would stop what a broken first look lets through."""

CURVES = ("bessai.core.limits.Curve.__call__", lambda *_: 1.0)


KVAR = ("bessai.core.reactive.beside", lambda _unit, bounds, _power: bounds)
"""A first look that forgets the apparent power."""


async def _believed(*_: object) -> None:
    return None


BAD_EVIDENCE = ("no_power_on_bad_evidence", "unsafe_power_ends", "dead_man_ends_it_anyway")

SABOTAGES = (
    Sabotage(
        name="the stale check",
        patches=(("bessai.drivers.columns.Arrays.frozen", _never_stale),),
        promises=(*BAD_EVIDENCE, "no_feed_from_an_incomplete_cycle"),
        faults=("reads_refused",),
        profile="huawei_sun2000",  # it has no counter that would show as well that nothing new comes
    ),
    Sabotage(
        name="the quality of values",
        patches=(  # the second look reads qualities by itself, and would stop the power
            ("bessai.model.ProcessImage.good", _any_number),
            SECOND_LOOK,
        ),
        promises=BAD_EVIDENCE,
        faults=("out_of_range", "frozen", "point_vanishes"),
    ),
    Sabotage(
        name="the frozen counter",
        patches=(("bessai.drivers.columns.Columns.mark_frozen", lambda *_: False),),
        promises=BAD_EVIDENCE,
        faults=("frozen",),
    ),
    Sabotage(
        name="the limits of the battery",
        patches=(CURVES, SECOND_LOOK),
        promises=BAD_EVIDENCE,
        faults=("unsafe_step",),
    ),
    Sabotage(
        name="the second look",
        patches=(CURVES, SECOND_LOOK),
        promises=("no_power_is_written_outside",),
        faults=("unsafe_step",),
    ),
    Sabotage(
        name="the second look at reactive power",
        patches=(KVAR, ("bessai.core.guard.reactive_objection", lambda *_: None)),
        promises=("unsafe_reactive_power_ends",),
        faults=("unsafe_step",),
        profile="reactive_pack",
        fault_every=900.0,  # where power flows most of the time
    ),
    Sabotage(
        name="the end of leases",
        patches=(("bessai.core.requests.RequestBook.live", _endless),),
        promises=("leases_end",),
        faults=("clock_step",),
    ),
    Sabotage(
        name="the read-back",
        patches=(("bessai.drivers.writing.Writer._read_back", _believed),),
        promises=("verified_is_true",),
        faults=("writes_lost",),
    ),
    Sabotage(
        name="feeding only after complete cycles",
        patches=(("bessai.core.hand.Hand.act", _always_fresh),),
        promises=("no_feed_from_an_incomplete_cycle",),
        faults=("reads_refused", "delayed_long"),
    ),
    Sabotage(
        name="the dead-man's time",
        patches=(("bessai.core.deadman.DeadMan.__init__", _patient),),
        promises=("silence_falls_back",),
        faults=("killed", "unreachable"),
    ),
    Sabotage(
        name="the latch",
        patches=(("bessai.core.latch.Latch.trip", lambda *_: True),),
        promises=("trips_come",),
        faults=("unsafe_step",),
    ),
    Sabotage(
        name="the record of trips",
        patches=(("bessai.core.keeping.to_state", _without_trips),),
        promises=("trips_are_kept", "trips_stay"),
        faults=("unsafe_step", "killed"),
    ),
    Sabotage(
        name="the wait for the disk",
        patches=(("bessai.core.latch.Latch.reset", _reset_at_once),),
        promises=("trips_stay",),
        faults=("unsafe_step", "disk_stuck"),
    ),
    Sabotage(
        name="the look at the cause before a reset",
        patches=(("bessai.core.operating.Desk._still", lambda *_: set()),),
        promises=("resets_are_earned",),
        faults=("unsafe_step",),
    ),
    Sabotage(
        name="the ramp",
        patches=(("bessai.core.dynamics.Dynamics._ramp", lambda _, target, *__: (target, "")),),
        promises=("ramp_is_kept",),
        faults=("cut",),
    ),
    Sabotage(
        name="the silence of a dead-man test",
        patches=(("bessai.core.unit.Unit.withheld", property(lambda _: False)),),  # type: ignore[arg-type]
        promises=("a_dead_man_test_is_silent",),
        faults=("clock_step",),
    ),
    Sabotage(
        name="maintenance",
        patches=(("bessai.core.latch.Latch.maintenance", property(lambda _: None)),),  # type: ignore[arg-type]
        promises=("maintenance_is_zero", "a_stop_ends_power", "no_power_is_written_while_stopped"),
        faults=("clock_step",),
    ),
    Sabotage(
        name="one begin an excursion",
        patches=(("bessai.core.alarms.AlarmBook.update", _every_cycle),),
        promises=("one_begin_per_excursion",),
        faults=("unsafe_step",),
    ),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotaged_gateway_is_found_out(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    for where, by in sabotage.patches:
        monkeypatch.setattr(where, by)
    base = base_seed()
    for seed in range(base, base + SEEDS):
        profile = PROFILES[sabotage.profile]()
        world = World(
            Scenario(
                seed=seed,
                profile=profile,
                config=Config(ramp=300.0) if sabotage.name == "the ramp" else Config(),
                faults=sabotage.faults,
                fault_every=sabotage.fault_every,
                people_every=60.0,
            )
        )
        result = world.run(HOURS * 3600, stop_when_broken=True)
        if any(promise in violation for violation in result.violations for promise in sabotage.promises):
            return
    raise AssertionError(f"{sabotage.name} was off from BESSAI_SEED={base} on, and nobody noticed")


@pytest.mark.timeout(600)
def test_the_second_look_keeps_a_broken_first_from_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limits off, what is written anew is inside them all the same: the other half of `the second look`."""
    monkeypatch.setattr(*CURVES)
    seed = base_seed()
    world = World(
        Scenario(
            seed=seed,
            profile=PROFILES["pack"](),
            faults=("unsafe_step",),
            fault_every=30.0,
            people_every=60.0,
        )
    )
    result = world.run(HOURS * 3600)
    assert result.faults["unsafe_step"] > 10
    assert not [v for v in result.violations if "no_power_is_written_outside" in v], f"BESSAI_SEED={seed}"


@pytest.mark.timeout(600)
def test_the_second_look_keeps_kvar_inside_the_apparent_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half of `the second look at reactive power`: alone it is enough, and power flows all the same."""
    monkeypatch.setattr(*KVAR)
    seed = base_seed()
    world = World(
        Scenario(
            seed=seed,
            profile=PROFILES["reactive_pack"](),
            faults=("unsafe_step",),
            fault_every=900.0,
            people_every=60.0,
        )
    )
    result = world.run(HOURS * 600)
    assert result.powered > 0
    assert result.events["recheck_refused"] > 0, f"BESSAI_SEED={seed}"
    assert not result.violations, f"BESSAI_SEED={seed}"
