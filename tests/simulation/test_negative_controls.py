"""The oracle can see: a gateway with one protection switched off breaks a promise within simulated hours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from simulation.profiles import PROFILES
from simulation.seeds import base_seed
from simulation.world import Scenario, World

SEEDS, HOURS = 6, 2.0
"""A sabotage that is not seen in so many runs of so long is not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One protection, and what stands in its place."""

    name: str
    where: str
    """Dotted name of the function."""
    by: Callable[..., Any]
    promises: tuple[str, ...]
    """One of these must be seen broken."""
    faults: tuple[str, ...]
    profile: str = "pack"


def _never_stale(arrays: Any, _: float) -> Any:
    return arrays.values.copy(), arrays.quality.copy(), arrays.times.copy()


def _any_number(image: Any, name: str) -> float | None:
    i = image.layout.index.get(name)
    return None if i is None or math.isnan(image.values[i]) else float(image.values[i])


async def _believed(*_: object) -> None:
    return None


BAD_EVIDENCE = ("no_power_on_bad_evidence", "unsafe_power_ends", "dead_man_ends_it_anyway")

SABOTAGES = (
    Sabotage(
        name="the stale check",
        where="bessai.drivers.columns.Arrays.frozen",
        by=_never_stale,
        promises=(*BAD_EVIDENCE, "no_feed_from_an_incomplete_cycle"),
        faults=("reads_refused",),
        profile="huawei_sun2000",  # it has no counter that would show as well that nothing new comes
    ),
    Sabotage(
        name="the quality of values",
        where="bessai.model.ProcessImage.good",
        by=_any_number,
        promises=BAD_EVIDENCE,
        faults=("out_of_range", "frozen", "point_vanishes"),
    ),
    Sabotage(
        name="the frozen counter",
        where="bessai.drivers.columns.Columns.mark_frozen",
        by=lambda *_: False,
        promises=BAD_EVIDENCE,
        faults=("frozen",),
    ),
    Sabotage(
        name="the limits of the battery",
        where="bessai.core.limits.Curve.__call__",
        by=lambda *_: 1.0,
        promises=BAD_EVIDENCE,
        faults=("unsafe_step",),
    ),
    Sabotage(
        name="the end of leases",
        where="bessai.core.requests.RequestBook.live",
        by=lambda book, _: sorted(book._requests.values(), key=lambda request: -request.priority),
        promises=("leases_end",),
        faults=("clock_step",),
    ),
    Sabotage(
        name="the read-back",
        where="bessai.drivers.writing.Writer._read_back",
        by=_believed,
        promises=(*BAD_EVIDENCE, "leases_end"),
        faults=("writes_lost", "unsafe_step"),
    ),
    Sabotage(
        name="feeding only after complete cycles",
        where="bessai.core.cycle.ControlCycle._is_verified",
        by=lambda *_: True,
        promises=("no_feed_from_an_incomplete_cycle", *BAD_EVIDENCE, "leases_end"),
        faults=("delayed_long", "writes_refused", "busy", "silent"),
    ),
    Sabotage(
        name="the dead-man's time",
        where="bessai.core.deadman.DeadMan.time",
        by=property(lambda _: 100.0),  # type: ignore[arg-type]
        promises=("silence_falls_back",),
        faults=("killed", "unreachable"),
    ),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotaged_gateway_is_found_out(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sabotage.where, sabotage.by)
    base = base_seed()
    for seed in range(base, base + SEEDS):
        profile = PROFILES[sabotage.profile]()
        world = World(Scenario(seed=seed, profile=profile, faults=sabotage.faults, fault_every=30.0))
        result = world.run(HOURS * 3600, stop_when_broken=True)
        if any(promise in violation for violation in result.violations for promise in sabotage.promises):
            return
    raise AssertionError(f"{sabotage.name} was off from BESSAI_SEED={base} on, and nobody noticed")
