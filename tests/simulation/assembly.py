"""The control plane, put together as the gateway does it. The only place here that knows its parts."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessai.core.assembly import control_plane as assemble
from bessai.core.assembly import describe
from bessai.core.black_box import BlackBox
from bessai.core.cycle import ControlCycle, Recorder
from bessai.core.guard import SafetyGuard
from bessai.core.keeping import take_up
from bessai.core.limits import PRESETS, Limits
from bessai.core.limits.presets import series_levels
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.core.settings import Settings
from bessai.model import Clock, Operation, Request
from bessai.site import Site
from simulation.levels import CELLS
from simulation.state import SimState

LIMITS = Limits(cells_in_series=CELLS, levels=(*PRESETS["lfp"].levels, *series_levels(PRESETS["lfp"], CELLS)))
"""LFP, with what follows from the number of cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator sets, as far as the simulation varies it."""

    cycle: float = 1.0
    """Seconds."""
    stale_after: float = 3.0
    """Seconds."""
    heartbeat: float = 3.0
    """Seconds between feeds of the dead-man, at least."""
    limits: Limits = LIMITS
    ramp: float | None = None
    """Of the setpoint, % of the rated power per minute; None: none."""
    min_on: float = 0.0
    """Seconds."""
    min_off: float = 0.0
    """Seconds."""
    box: Path | None = None
    """Where the black box keeps its files; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlPlane:
    """One running instance, as the world outside may use it."""

    plant: Plant
    cycle: ControlCycle
    book: RequestBook
    guard: SafetyGuard

    def ask(self, request: Request) -> None:
        """Put a request, as the local socket does."""
        self.book.put(request)

    def operate(self, operation: Operation, clock: Clock) -> str | None:
        """Do what a person asks for, as the local socket does. Returns the objection."""
        return self.cycle.guard.operate(operation, clock.monotonic(), clock.wall_ns())

    async def run(self, stop: asyncio.Event) -> None:
        """Control until `stop` is set."""
        self.plant.start()
        await self.cycle.run(stop)

    async def close(self) -> None:
        """End every connection and task."""
        await self.plant.close()


def control_plane(
    config: Config,
    site: Site,
    clock: Clock,
    recorder: Recorder,
    state: SimState,
    rng: random.Random,
) -> ControlPlane:
    """One instance of the control plane.

    Args:
        config: settings.
        site: the devices.
        clock: monotonic and wall time.
        recorder: takes each cycle's record.
        state: what survives a restart of the gateway: trips, maintenance, alarms.
        rng: of the jitter of reconnects.
    """
    settings = Settings.model_construct(
        site_id="simulated",
        cycle_time=config.cycle,
        stale_after=config.stale_after,
        watchdog_timeout=config.heartbeat,
        ramp_up=config.ramp,
        ramp_down=config.ramp,
        min_on_time=config.min_on,
        min_off_time=config.min_off,
    )
    keeper = take_up(state, clock)
    box: Any = None
    if config.box is not None:
        described = describe(settings, site, config.limits)
        box = BlackBox(config.box, described, before=60.0, after=30.0, threaded=False)
    parts = assemble(settings, site, clock, recorder, limits=config.limits, keeper=keeper, box=box, rng=rng)
    return ControlPlane(plant=parts.plant, book=parts.book, cycle=parts.cycle, guard=parts.guard)
