"""The control plane put together from checked settings, with clock and recorder handed in.

The gateway runs it on the machine's clock, a simulation on its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bessai.core.cycle import ControlCycle, Recorder
from bessai.core.deadman import DeadMan
from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.guard import SafetyGuard
from bessai.core.keeping import Keeper
from bessai.core.latch import Latch
from bessai.core.limits import Limits
from bessai.core.plant import Plant
from bessai.core.requests import RequestBook
from bessai.core.settings import Settings
from bessai.core.unit import Unit
from bessai.model import Clock
from bessai.registry import NO_DEVICE
from bessai.site import Site

_PER_MINUTE = 100 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """What runs."""

    plant: Plant
    guard: SafetyGuard
    book: RequestBook
    cycle: ControlCycle


def control_plane(
    settings: Settings,
    site: Site,
    clock: Clock,
    recorder: Recorder,
    *,
    limits: Limits,
    keeper: Keeper,
    rng: random.Random | None = None,
) -> ControlPlane:
    """Plant, guard and cycle of a site.

    Args:
        settings: checked settings.
        site: the checked site.
        clock: of everything.
        recorder: takes the records.
        limits: of every battery.
        keeper: trips, maintenance and alarms from before.
        rng: source of the jitter of reconnects.
    """
    plant = Plant(site, clock, cycle=settings.cycle_time, stale_after=settings.stale_after, rng=rng)
    guard = guard_of(settings, site, limits, keeper.latch)
    book = RequestBook()
    cycle = ControlCycle(plant, guard, book, recorder, clock, settings.cycle_time, keeper)
    return ControlPlane(plant=plant, guard=guard, book=book, cycle=cycle)


def guard_of(settings: Settings, site: Site, limits: Limits, latch: Latch | None = None) -> SafetyGuard:
    """The guard of a site; one that commands nothing watches the plant all the same."""
    control = settings.control_mode == "control"
    units = [
        Unit(
            device.compiled,
            limits,
            DeadMan(device.compiled, settings.watchdog_timeout, settings.cycle_time),
            name=device.name,
            control=control,
            foreign=() if site.whole_view else site.views[device.name].foreign,
            power_min=device.power_min,
        )
        for device in site.units
    ]
    if not units:
        units = [Unit(NO_DEVICE, limits, DeadMan(NO_DEVICE, settings.watchdog_timeout), control=False)]
    ramps = RampLimits(
        up=_share(settings.ramp_up),
        down=_share(settings.ramp_down),
        start=_share(settings.ramp_start),
        recovery=_share(settings.ramp_recovery),
    )
    dynamics = Dynamics(
        ramps, min_on=settings.min_on_time, min_off=settings.min_off_time, cycle=settings.cycle_time
    )
    return SafetyGuard(units, dynamics=dynamics, latch=latch)


def _share(percent_per_minute: float | None) -> float | None:
    """% of the rated power per minute as a share per second."""
    return None if percent_per_minute is None else percent_per_minute / _PER_MINUTE
