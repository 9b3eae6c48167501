"""Starting the control plane: settings and profile that fit together, then the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import uvloop

from bessai.core.gateway import Gateway, data_directory_problem, missing_power_limits
from bessai.core.settings import Settings, SettingsError, given_value, load_settings, readable
from bessai.journal import JournalError
from bessai.registry import CompiledProfile, ProfileError, compile_profile, load_profile


def checked() -> tuple[Settings, CompiledProfile]:
    """Settings and profile that fit together.

    Raises:
        SettingsError: with every problem of both.
    """
    problems: list[str] = []
    settings: Settings | None = None
    profile: CompiledProfile | None = None
    try:
        settings = load_settings()
    except SettingsError as error:
        problems += error.problems
        if not readable():
            raise
    fields = Settings.model_fields
    path = given_value("DRIVER_PROFILE_PATH") or fields["driver_profile_path"].default
    try:
        profile = compile_profile(load_profile(path))
    except ProfileError as error:
        problems += [f"DRIVER_PROFILE_PATH: {problem}" for problem in error.problems]
    data_dir = Path(given_value("DATA_DIR") or fields["data_dir"].default)
    if (problem := data_directory_problem(data_dir)) is not None:
        problems.append(problem)
    if settings is not None and profile is not None:
        problems += missing_power_limits(profile, settings)
    if problems or settings is None or profile is None:
        raise SettingsError(problems)
    return settings, profile


def main() -> int:
    """Run the control plane. Exit code 0 after a clean stop, 2 when it cannot start as configured."""
    try:
        settings, profile = checked()
    except SettingsError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, profile))


async def _run(settings: Settings, profile: CompiledProfile) -> int:
    try:
        gateway = Gateway(settings, profile)
    except JournalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        await gateway.run()
    except OSError as error:
        print(f"error: cannot listen in {settings.data_dir}: {error}", file=sys.stderr)
        return 2
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)  # the journal is closed; a look-up of the device's name may still hang in a thread
