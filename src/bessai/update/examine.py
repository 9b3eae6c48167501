"""A version that judges, before it runs, whether it can: with the gateway's real configuration and data.

judge(data_dir)                        # in the new version's own interpreter: `bessai update inspect --json`
examined(python, surroundings)         # asks it, from the version that runs
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bessai.update import UpdateError

_FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "JOURNAL_STREAM", "PYTHONPATH")
_PATIENCE = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the gateway runs, so that another version is examined in the same place."""

    data_dir: Path
    directory: Path
    """Its working directory, in which `config/.env` lies."""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    """Its user and group; None: those of this process."""
    group: int | None = None
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a version says before it runs."""

    version: str
    formats: Mapping[str, int]
    """By kind of file, what it writes; it reads these and older ones."""
    problems: tuple[str, ...]
    """Of the configuration."""
    unreadable: tuple[str, ...]
    """What lies on the disk in a format that it does not know."""


def surroundings_of(pid: int, data_dir: Path) -> Surroundings:
    """Those of a running gateway.

    Raises:
        UpdateError: this user may not look at it.
    """
    process = Path(f"/proc/{pid}")
    try:
        told = process.joinpath("environ").read_bytes().decode(errors="surrogateescape").split("\0")
        environment = dict(pair.split("=", 1) for pair in told if "=" in pair)
        directory = process.joinpath("cwd").readlink()
        status = dict(
            line.split(":\t", 1)
            for line in process.joinpath("status").read_text().splitlines()
            if ":\t" in line
        )
    except (OSError, ValueError) as error:
        raise UpdateError(
            f"the gateway (process {pid}) cannot be looked at: {error}; run this as root"
        ) from None
    user, group = (int(status[name].split()[1]) for name in ("Uid", "Gid"))
    same = user == os.geteuid()
    return Surroundings(
        data_dir=data_dir,
        directory=directory,
        environment={
            k: v for k, v in environment.items() if k not in _FOREIGN and not k.startswith("BESSAI_")
        },
        user=None if same else user,
        group=None if same else group,
        groups=() if same else tuple(map(int, status.get("Groups", "").split())),
    )


def examined(python: Path, where: Surroundings) -> Judgement:
    """Ask a slot's version to judge, as the gateway's user and in its place.

    Raises:
        UpdateError: it does not even get so far; or it was made before versions could be asked.
    """
    program = python.with_name(
        "bessai"
    )  # and not `python -m`, which would look for modules in the directory too
    command = [str(program), "update", "inspect", "--json", "--data-dir", str(where.data_dir)]
    environment = dict(where.environment) or dict(os.environ)
    environment["DATA_DIR"] = str(where.data_dir)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False,
            stdin=subprocess.DEVNULL, cwd=where.directory, env=environment,
            user=where.user, group=where.group, extra_groups=list(where.groups) if where.user is not None else None,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UpdateError(f"{python} cannot be asked about the configuration: {error}") from None
    try:
        found = json.loads(done.stdout)
        return Judgement(
            version=str(found["version"]),
            formats=dict(found["formats"]),
            problems=tuple(map(str, found["problems"])),
            unreadable=tuple(map(str, found["unreadable"])),
        )
    except (ValueError, KeyError, TypeError):
        said = (done.stderr or done.stdout).strip()
        raise UpdateError(
            f"the version in {python.parent.parent} cannot judge the configuration "
            f"(exit code {done.returncode}): {said[-2000:]}"
        ) from None


def raised(old: Mapping[str, int], new: Mapping[str, int]) -> list[str]:
    """Kinds of files that a version with the formats `new` writes and one with `old` cannot read."""
    return [kind for kind, number in sorted(new.items()) if number > old.get(kind, 0)]
