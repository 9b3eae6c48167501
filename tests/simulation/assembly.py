"""The control plane, put together as the gateway does it. The only place here that knows its parts."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from bessai.core.cycle import ControlCycle, Recorder
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.limits import Limits
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlPlane:
    """One running instance, as the world outside may use it."""

    plant: Plant
    cycle: ControlCycle
    book: RequestBook

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
        state: what survives a restart of the gateway; nothing does yet.
        rng: of the jitter of reconnects.
    """
    device = site.controlled
    assert device is not None
    del state
    plant = Plant(site, clock, cycle=config.cycle, stale_after=config.stale_after, rng=rng)
    dead_man = DeadMan(device.compiled, config.heartbeat, config.cycle)
    guard = SafetyGuard(device.compiled, config.limits, dead_man)
    book = RequestBook()
    return ControlPlane(
        plant=plant, book=book, cycle=ControlCycle(plant, guard, book, recorder, clock, config.cycle)
    )
