"""Settings and files, the version, and the packages that the settings need."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from bessai import __version__
from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, warn

_DISTRIBUTION = "open-bess-edge"
_TESTED = ((3, 11), (3, 14))
"""First and last Python that the gateway is tested with."""


def settings(look: Look) -> Iterator[Finding]:
    """Environment, `config/.env` and every file that they name; each problem names its field."""
    for problem in look.problems:
        yield bad("problem", problem=problem)
    if look.settings is None:
        yield bad("elsewhere", file=str(look.env_file.absolute()))
    elif look.site is not None:
        where = look.env_file if os.access(look.env_file, os.R_OK) else None
        yield ok(
            "ok" if where else "ok_environment",
            site=look.settings.site_id,
            devices=len(look.site.devices),
            points=len(look.site.layout),
            file=str(where),
        )


def version(_: Look) -> Iterator[Finding]:
    """Of the gateway and of Python, and how the gateway was installed."""
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "installed": _installed(),
    }
    low, high = _TESTED
    if not low <= sys.version_info[:2] <= high:
        yield warn("untested", **facts, low=".".join(map(str, low)), high=".".join(map(str, high)))
    else:
        yield ok(**facts)


def _installed() -> str:
    """In one word: `wheel`, `source` (an editable installation), or `path` (run from its folder)."""
    try:
        found = distribution(_DISTRIBUTION)
    except PackageNotFoundError:
        return "path"
    direct = found.read_text("direct_url.json") or ""
    return (
        "source" if '"editable": true' in direct.replace('"editable":true', '"editable": true') else "wheel"
    )


def packages(look: Look) -> Iterator[Finding]:
    """The optional packages that the settings ask for."""
    settings, site = look.settings, look.site
    if settings is None:
        return
    scada = site.scada if site is not None else None
    wanted = [
        (name, package, extra)
        for given, name, package, extra in (
            (settings.kafka_brokers, "KAFKA_BROKERS", "aiokafka", "kafka"),
            (settings.nats_url, "NATS_URL", "nats", "nats"),
            (settings.notify_file, "NOTIFY_FILE", "apprise", "notify"),
            (settings.parquet_dir, "PARQUET_DIR", "pyarrow", "parquet"),
            (scada is not None and scada.dnp3, "scada.dnp3", "dnp3", "scada"),
        )
        if given
    ]
    for name, package, extra in wanted:
        if find_spec(package) is None:
            yield bad("missing", setting=name, package=package, extra=extra)
        else:
            yield ok(setting=name, package=package)
    if not wanted:
        yield ok("none")
