"""The control plane put together from checked settings, with clock and recorder handed in.

The gateway runs it on the machine's clock, a simulation on its own. A guard is built from a description in plain data,
so that a black-box record can carry it and be replayed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessai.core.black_box import BlackBox, RecordedGuard
from bessai.core.cycle import ControlCycle, Recorder
from bessai.core.deadman import DeadMan
from bessai.core.dynamics import Dynamics, RampLimits
from bessai.core.guard import SafetyGuard
from bessai.core.keeping import Keeper
from bessai.core.latch import Latch
from bessai.core.limits import Limits
from bessai.core.memory import from_plain, to_plain
from bessai.core.plant import Plant
from bessai.core.proposing import Proposer
from bessai.core.pulse import Pulse
from bessai.core.requests import RequestBook
from bessai.core.settings import Settings
from bessai.core.unit import Unit
from bessai.model import Clock
from bessai.registry import NO_DEVICE, Profile, compile_profile
from bessai.site import Site

_PER_MINUTE = 100 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """What runs."""

    plant: Plant
    guard: SafetyGuard
    book: RequestBook
    cycle: ControlCycle
    box: BlackBox | None


def control_plane(
    settings: Settings,
    site: Site,
    clock: Clock,
    recorder: Recorder,
    *,
    limits: Limits,
    keeper: Keeper,
    box: BlackBox | None = None,
    pulse: Pulse | None = None,
    proposer: Proposer | None = None,
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
        box: notes what the guard is told; None: nothing does.
        pulse: the process's heartbeat; None: nobody listens.
        proposer: what answers the grid within the cycle; None: nothing does.
        rng: source of the jitter of reconnects.
    """
    plant = Plant(site, clock, cycle=settings.cycle_time, stale_after=settings.stale_after, rng=rng)
    guard = guard_of(settings, site, limits, keeper.latch)
    book = RequestBook()
    cycle = ControlCycle(
        plant,
        guard if box is None else RecordedGuard(guard, box),
        book,
        recorder,
        clock,
        settings.cycle_time,
        keeper,
        box,
        pulse,
        proposer,
    )
    return ControlPlane(plant=plant, guard=guard, book=book, cycle=cycle, box=box)


def guard_of(settings: Settings, site: Site, limits: Limits, latch: Latch | None = None) -> SafetyGuard:
    """The guard of a site; one that commands nothing watches the plant all the same."""
    units = [
        Unit(
            device.compiled,
            limits,
            DeadMan(device.compiled, settings.watchdog_timeout, settings.cycle_time),
            name=device.name,
            control=settings.control_mode == "control",
            foreign=() if site.whole_view else site.views[device.name].foreign,
            power_min=device.power_min,
            capacity=site.capacity_of(device),
        )
        for device in site.units
    ]
    return _guard(units, limits, _dynamics(settings.model_dump()), latch, settings.watchdog_timeout)


def describe(settings: Settings, site: Site, limits: Limits) -> dict[str, Any]:
    """All that the guard of a site is made of, as plain data: what `guard_from` builds an equal one of."""
    names = ("watchdog_timeout", "cycle_time", "control_mode", *_RAMPS)
    profiles = {d.compiled.id: d.profile for d in site.units if d.profile is not None}
    return {
        "site": settings.site_id,
        "settings": {name: getattr(settings, name) for name in names},
        "limits": to_plain(limits),
        "profiles": {
            name: profile.model_dump(mode="json", by_alias=True, exclude_none=True)
            for name, profile in profiles.items()
        },
        "units": [
            {
                "name": device.name,
                "profile": device.compiled.id,
                "foreign": [] if site.whole_view else sorted(site.views[device.name].foreign),
                "power_min": device.power_min,
                "capacity": site.capacity_of(device),
            }
            for device in site.units
        ],
    }


def guard_from(description: Mapping[str, Any]) -> SafetyGuard:
    """A guard of today's code, equal to the described one.

    Raises:
        KeyError, TypeError, ValueError: the description is not one of this version.
    """
    settings, limits = description["settings"], from_plain(Limits, description["limits"])
    compiled = {
        name: compile_profile(Profile.model_validate_json(json.dumps(document)))
        for name, document in description["profiles"].items()
    }
    units = [
        Unit(
            compiled[unit["profile"]],
            limits,
            DeadMan(compiled[unit["profile"]], settings["watchdog_timeout"], settings["cycle_time"]),
            name=unit["name"],
            control=settings["control_mode"] == "control",
            foreign=frozenset(unit["foreign"]),
            power_min=unit["power_min"],
            capacity=unit["capacity"],
        )
        for unit in description["units"]
    ]
    return _guard(units, limits, _dynamics(settings), None, settings["watchdog_timeout"])


_RAMPS = ("ramp_up", "ramp_down", "ramp_start", "ramp_recovery", "min_on_time", "min_off_time")


def _guard(
    units: list[Unit], limits: Limits, dynamics: Dynamics, latch: Latch | None, heartbeat: float
) -> SafetyGuard:
    watched = [Unit(NO_DEVICE, limits, DeadMan(NO_DEVICE, heartbeat), control=False)]
    return SafetyGuard(units or watched, dynamics=dynamics, latch=latch)


def _dynamics(settings: Mapping[str, Any]) -> Dynamics:
    ramps = RampLimits(
        up=_share(settings["ramp_up"]),
        down=_share(settings["ramp_down"]),
        start=_share(settings["ramp_start"]),
        recovery=_share(settings["ramp_recovery"]),
    )
    return Dynamics(
        ramps,
        min_on=settings["min_on_time"],
        min_off=settings["min_off_time"],
        cycle=settings["cycle_time"],
    )


def _share(percent_per_minute: float | None) -> float | None:
    """% of the rated power per minute as a share per second."""
    return None if percent_per_minute is None else percent_per_minute / _PER_MINUTE
