"""What settings, site, limits and grid functions must be to each other before the gateway starts."""

from __future__ import annotations

import os
from pathlib import Path

from bessai.core.limits import Limits
from bessai.core.settings import Settings
from bessai.grid import GridConfig
from bessai.registry import CompiledProfile
from bessai.site import Device, Site


def missing_power_limits(profile: CompiledProfile, limits: Limits) -> list[str]:
    """Settings that this profile needs because the device does not report its power limits."""
    control = profile.control
    if control is None:
        return []
    return [
        f"{name} is missing: profile {profile.id} has no point that tells it; give it in kW"
        for name, point, own in (
            ("CHARGE_POWER_MAX", control.charge_power_max, limits.charge_power_max),
            ("DISCHARGE_POWER_MAX", control.discharge_power_max, limits.discharge_power_max),
        )
        if point is None and own is None
    ]


def missing_limit_points(site: Site, limits: Limits) -> list[str]:
    """Points of the limits file that no device tells of a commanded unit, or of a plant that is only watched."""
    seen = [(unit.name, site.views[unit.name].layout) for unit in site.units] or [("", site.view.layout)]
    return [
        f"LIMITS_FILE: it limits {point}, which no device tells{f' of {name}' if name else ''}; add the device that "
        "does, or take the limit out"
        for name, layout in seen
        for point in limits.named
        if point not in layout.index
    ]


def commands_nothing(settings: Settings, site: Site) -> str | None:
    """Why a gateway that is to control only watches, or None."""
    if settings.control_mode != "control":
        return None
    if not site.units:
        return "no device is commanded: none has `control: true` in the site file"
    if all(unit.compiled.control is None for unit in site.units):
        return f"no device is commanded: profile {site.units[0].compiled.id} has no control section"
    return None


def slow_evidence(site: Site, limits: Limits, stale_after: float) -> list[str]:
    """Devices that control judges the battery by, and that are read too seldom for it."""
    if site.whole_view:
        return []
    slow: dict[str, tuple[Device, str]] = {}
    for unit in site.units:
        control, view = unit.compiled.control, site.views[unit.name]
        looked_at = {"soc", *(control.evidence if control else ()), *limits.points} & view.foreign
        slow |= {
            device.name: (device, point)
            for point in sorted(looked_at)
            for device in site.behind(site.layout.names[view.columns[view.layout.index[point]]])
            if not device.control and (device.period or 0.0) > stale_after
        }
    return [
        f"{site.file}: devices.{name}.period={device.period:g}: control judges the battery by its part in {point}; "
        f"read it at least every {stale_after:g} s, or set STALE_AFTER to {device.period:g} or more"
        for name, (device, point) in slow.items()
    ]


def slow_grid_points(site: Site, grid: GridConfig) -> list[str]:
    """Points of the grid functions that are not looked at in every cycle."""
    every = site.part[0].index
    named = {field: getattr(grid.points, field) for field in grid.points.__dataclass_fields__}
    return [
        f"points.{field}={name}: it is looked at once a second; make it a point of the plant, under `points` of "
        f"{site.file}, for example grid_{field}: {{formula: {name}}}"
        for field, name in named.items()
        if name is not None and name in site.layout.index and name not in every
    ]


_ANSWERS_IN = 0.4
"""Seconds of a cycle beyond which a meter's reading, a cycle and a write may take a second together."""


def slow_cycle(settings: Settings, grid: GridConfig | None) -> str | None:
    """Why the grid functions answer too late for the grid code, or None."""
    if grid is None or settings.cycle_time <= _ANSWERS_IN:
        return None
    return (
        f"CYCLE_TIME={settings.cycle_time:g}: AT-IBR Art. 3-6 a asks for a reaction in less than 1 s; set at most "
        f"{_ANSWERS_IN:g} where meter and device can be read and written that fast"
    )


_LARGEST_MESSAGE = 9_000_000
_BYTES_PER_POINT = 130
"""Of a published point, a generous mean; Pub/Sub takes messages of at most 10 MB."""


def too_large_to_publish(site: Site) -> str | None:
    """Why the records of a site cannot be published as they are, or None."""
    size = len(site.layout) * _BYTES_PER_POINT
    if site.publish == "plant" or size <= _LARGEST_MESSAGE:
        return None
    return (
        f"{site.file}: publish = all: {len(site.layout)} points make messages of about {size / 1e6:.0f} MB, and "
        "Pub/Sub takes 10 MB; set `publish: plant`"
    )


def data_directory_problem(path: Path) -> str | None:
    """Why a data directory cannot be used, or None. Creates it when it does not exist."""
    try:
        if path.exists() and not path.is_dir():
            return f"DATA_DIR={path}: is not a directory"
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"DATA_DIR={path}: cannot be created: {error.strerror}"
    if not os.access(path, os.W_OK | os.X_OK):
        return f"DATA_DIR={path}: is not writable by this user; choose another or change its owner"
    return None
