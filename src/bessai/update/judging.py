"""What this version says of the configuration around it and of the data there, before it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bessai import __version__
from bessai.core.environment import SettingsError
from bessai.core.start import checked
from bessai.interfaces.settings import ServiceSettings
from bessai.update import formats


def judge(data_dir: Path) -> dict[str, Any]:
    """Its version, the formats that it writes, and all that keeps it from running here."""
    problems: list[str] = []
    try:
        settings = checked().settings
        ServiceSettings.from_environment(settings.environment())
    except SettingsError as error:
        problems += error.problems
    except ValueError as error:
        problems += str(error).splitlines()
    return {
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "formats": formats.written(),
        "problems": problems,
        "unreadable": list(formats.problems(data_dir)),
    }
