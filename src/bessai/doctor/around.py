"""Gathering what the checks look at: settings and files, and the status of a running gateway."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bessai.core.environment import ENV_FILE, SettingsError, load_settings
from bessai.core.settings import Settings
from bessai.core.start import Checked, checked
from bessai.doctor.look import Ask, Look
from bessai.interfaces.settings import ServiceSettings
from bessai.journal.lock import in_use


def look_around(data_dir: Path, ask: Ask, env_file: Path = ENV_FILE) -> Look:
    """What the checks are given. Whatever is wrong with the settings is kept for the check that tells it."""
    there = os.access(data_dir, os.F_OK)
    problems: list[str] = []
    found: Checked | None = None
    settings: Settings | None = None
    try:
        found = checked()
        settings = found.settings
    except SettingsError as error:
        problems += error.problems
        with suppress(SettingsError):  # they may be good, and a file that they name bad
            settings = load_settings(env_file)
    if settings is not None:
        try:
            ServiceSettings.from_environment(settings.environment())
        except ValueError as error:
            problems += str(error).splitlines()
            settings = None  # what asks a destination would only break on it
    if not there and os.geteuid() == 0:  # looking makes the directory, and root's would be the wrong one
        with suppress(OSError):
            data_dir.rmdir()
    look = Look(data_dir=data_dir, problems=problems, env_file=env_file, ask=ask)
    status, trouble = _status(look)
    return Look(
        data_dir=data_dir,
        settings=settings,
        site=None if found is None else found.site,
        problems=problems,
        env_file=env_file,
        status=status,
        trouble=trouble,
        ask=ask,
    )


def _status(look: Look) -> tuple[dict[str, object] | None, str | None]:
    try:
        answer = look.ask({"op": "summary"})
    except OSError as error:
        return None, str(error)
    if answer is not None and answer.get("ok"):
        return answer["status"], None
    if in_use(look.data_dir):
        return None, f"a gateway holds {look.data_dir} and does not answer, or this user may not see it"
    return None, None
