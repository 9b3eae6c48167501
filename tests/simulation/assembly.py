"""The control plane, put together as the gateway does it. The only place here that knows its parts."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from bessai.core.assembly import control_plane as assemble
from bessai.core.cycle import ControlCycle, Recorder
from bessai.core.guard import SafetyGuard
from bessai.core.keeping import take_up
from bessai.core.limits import Limits
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.core.settings import Settings
from bessai.core.state_file import MemoryState
from bessai.model import Clock, Request
from bessai.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator sets, as far as the simulation varies it."""

    cycle: float = 1.0
    """Seconds."""
    stale_after: float = 3.0
    """Seconds."""
    heartbeat: float = 3.0
    """Seconds between feeds of the dead-man, at least."""
    limits: Limits = field(default_factory=Limits)
    ramp: float | None = None
    """Of the setpoint, % of the rated power per minute; None: none."""


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
    state: dict[str, Any],
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
    )
    keeper = take_up(state.setdefault("file", MemoryState()), clock)
    parts = assemble(settings, site, clock, recorder, limits=config.limits, keeper=keeper, rng=rng)
    return ControlPlane(plant=parts.plant, book=parts.book, cycle=parts.cycle, guard=parts.guard)
