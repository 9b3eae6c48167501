"""Starting the control plane: settings and profile that fit together, then the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import uvloop

from bessai import logs
from bessai.core.environment import SettingsError, given_value, load_settings, readable
from bessai.core.fitting import (
    data_directory_problem,
    missing_limit_points,
    missing_power_limits,
    slow_evidence,
    slow_grid_points,
    too_large_to_publish,
)
from bessai.core.gateway import Gateway
from bessai.core.limits import Limits, LimitsError, load_limits
from bessai.core.ownership import claim, foreign_records
from bessai.core.settings import Settings
from bessai.grid import GridConfig, GridError, load_grid
from bessai.journal import JournalError
from bessai.model import Endpoint
from bessai.registry import ProfileError, compile_profile, load_profile
from bessai.site import Site, SiteError, load_report, load_site, single_device_site

_SWITCH = 0.0005
"""Seconds that the journal's thread may keep the interpreter from the control loop: a tenth of Python's default."""


class Checked(NamedTuple):
    """Everything that the configuration says, checked against each other."""

    settings: Settings
    site: Site
    limits: Limits
    grid: GridConfig | None
    """None: no grid functions."""


def checked() -> Checked:
    """Settings, the site with its profiles, the battery's limits and the grid functions, that fit together.

    Raises:
        SettingsError: with every problem of all of them.
    """
    problems: list[str] = []
    settings: Settings | None = None
    site: Site | None = None
    limits = Limits()
    grid: GridConfig | None = None
    try:
        settings = load_settings()
    except SettingsError as error:
        problems += error.problems
        if not readable():
            raise
    fields = Settings.model_fields
    try:
        site = _site(settings)
    except ProfileError as error:
        problems += [f"DRIVER_PROFILE_PATH: {problem}" for problem in error.problems]
    except SiteError as error:
        problems += [f"SITE_FILE: {problem}" for problem in error.problems]
    if settings is not None and settings.report_file is not None and site is not None:
        try:
            site = replace(site, report=load_report(settings.report_file, site.layout.names))
        except SiteError as error:
            problems += [f"REPORT_FILE: {problem}" for problem in error.problems]
    if settings is not None and settings.grid_file is not None and site is not None:
        try:
            grid = load_grid(settings.grid_file, site.layout.names)
            problems += [f"GRID_FILE: {problem}" for problem in slow_grid_points(site, grid)]
        except GridError as error:
            problems += [f"GRID_FILE: {problem}" for problem in error.problems]
    data_dir = Path(given_value("DATA_DIR") or fields["data_dir"].default)
    if (problem := data_directory_problem(data_dir)) is not None:
        problems.append(problem)
    if settings is not None:
        if (problem := foreign_records(data_dir, settings.site_id)) is not None:
            problems.append(problem)
        try:
            limits = limits_of(settings)
        except SettingsError as error:
            problems += error.problems
    if settings is not None and site is not None:
        if site.name is not None and site.name != settings.site_id:
            problems.append(
                f"SITE_ID={settings.site_id}: the site file says {site.name!r}; make them the same"
            )
        for profile in {unit.compiled.id: unit.compiled for unit in site.units}.values():
            if settings.control_mode == "control":
                problems += missing_power_limits(profile, limits)
        problems += missing_limit_points(site, limits)
        problems += slow_evidence(site, limits, settings.stale_after)
        if settings.gcp_pubsub_topic and (problem := too_large_to_publish(site)) is not None:
            problems.append(problem)
    if problems or settings is None or site is None:
        raise SettingsError(problems)
    return Checked(settings, site, limits, grid)


def _site(settings: Settings | None) -> Site:
    """The site that the configuration names, as far as it can be read when other settings are wrong."""
    if (file := given_value("SITE_FILE")) is not None:
        return load_site(file)
    path = given_value("DRIVER_PROFILE_PATH") or Settings.model_fields["driver_profile_path"].default
    profile = load_profile(path)
    host, port, unit = (
        (settings.inverter_ip or "", settings.inverter_port, settings.inverter_unit)
        if settings
        else ("", 502, None)
    )
    return single_device_site(compile_profile(profile), Endpoint(host=host, port=port), unit, profile)


def limits_of(settings: Settings) -> Limits:
    """The battery's limits: those of the limits file, else of an LFP battery; the settings may narrow them.

    Raises:
        SettingsError: with every problem of the file.
    """
    if settings.limits_file is None:
        return Limits(
            soc_min=settings.soc_min,
            soc_max=settings.soc_max,
            charge_power_max=settings.charge_power_max,
            discharge_power_max=settings.discharge_power_max,
        )
    said = settings.model_fields_set
    names = ("soc_min", "soc_max", "charge_power_max", "discharge_power_max")
    try:
        return load_limits(
            settings.limits_file, {name: getattr(settings, name) for name in names if name in said}
        )
    except LimitsError as error:
        raise SettingsError([f"LIMITS_FILE: {problem}" for problem in error.problems]) from None


def main() -> int:
    """Run the control plane. Exit code 0 after a clean stop, 2 when it cannot start as configured."""
    try:
        found = checked()
    except SettingsError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 2
    settings = found.settings
    logs.set_up(settings.log_level, settings.log_format, logs.Origin(settings.site_id, "control"))
    sys.setswitchinterval(_SWITCH)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:  # a device needs a socket
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(found))


async def _run(found: Checked) -> int:
    try:
        gateway = Gateway(found.settings, found.site, found.limits, found.grid)
    except JournalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    claim(found.settings.data_dir, found.settings.site_id)  # the journal's lock is ours by now
    try:
        await gateway.run()
    except OSError as error:
        print(f"error: cannot listen in {found.settings.data_dir}: {error}", file=sys.stderr)
        return 2
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)  # the journal is closed; a look-up of the device's name may still hang in a thread
