"""A slot built from a checked package, without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bessai.update import UpdateError
from bessai.update.package import DISTRIBUTION, Package
from bessai.update.slots import Slots

_MOST = 1800.0
"""Seconds that one step of building may take: a Raspberry Pi compiles and copies for minutes."""


def build(slots: Slots, name: str, package: Package) -> None:
    """Make a slot anew: empty it, fill it, check it, note it as complete.

    A bundle brings everything that the slot needs. A wheel alone finds the packages of the current slot there, copied;
    when it needs others, or newer ones, it is refused.

    Raises:
        UpdateError: it cannot be built. The slot is then not complete; the current one is untouched.
    """
    slots.empty(name)
    target = slots.path(name)
    if package.requirements is None:
        _step([sys.executable, "-m", "venv", "--without-pip", str(target)], "make the environment")
        _inherit(_packages(slots.path(slots.current())), _packages(target))
    else:
        _step([sys.executable, "-m", "venv", str(target)], "make the environment")
        links = ["--no-index", "--find-links", str(package.wheels), "--only-binary", ":all:"]
        pinned = ["--require-hashes", "-r", str(package.requirements)]
        _pip(slots.python(name), ["install", *links, *pinned], "install what the bundle brings")
    alone = ["--no-index", "--no-deps", "--ignore-installed"]
    _pip(slots.python(name), ["install", *alone, str(package.wheel)], "install the gateway")
    if package.requirements is not None or _needs(target) != _needs(slots.path(slots.current())):
        _check(slots.python(name))
    slots.complete(
        name,
        {
            "version": package.version,
            "sha256": package.sha256,
            "built": time.strftime("%FT%TZ", time.gmtime()),
        },
    )


def _packages(slot: Path) -> Path:
    found = sorted(slot.glob("lib/python3*/site-packages"))
    if len(found) != 1:
        raise UpdateError(f"{slot} is no virtual environment of one Python")
    return found[0]


def _needs(slot: Path) -> list[str]:
    """What the gateway of a slot requires, as its metadata says."""
    found = metadata.distributions(path=[str(_packages(slot))])
    return next((sorted(one.requires or ()) for one in found if _own(one)), ["unknown"])


def _inherit(source: Path, target: Path) -> None:
    """Copy the packages of one slot to another, but for the gateway itself.

    A copy and no hard links: what damages one slot must not reach the other. Compiled files name the directory that
    they were compiled in, so they are made anew.
    """
    if source.parent.name != target.parent.name:
        raise UpdateError(
            f"the current slot has {source.parent.name}, this machine makes {target.parent.name} now: use a bundle"
        )
    own = {top for found in metadata.distributions(path=[str(source)]) for top in _own(found)}
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        source, target, symlinks=True,
        ignore=lambda at, names: {*ignored(at, names), *(own & set(names) if at == str(source) else ())},
    )  # fmt: skip
    _step(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", str(target)],
        "compile the packages",
        may_fail=True,  # packages bring templates and tests that are no Python
    )


def _own(found: metadata.Distribution) -> set[str]:
    """The names in site-packages that belong to the gateway's own distribution."""
    if (found.metadata["Name"] or "").lower().replace("_", "-") != DISTRIBUTION:
        return set()
    return {path.parts[0] for path in found.files or () if path.parts[0] != ".."}


def _check(python: Path) -> None:
    """Refuse a slot in which the gateway lacks something; what else pip finds is not its matter."""
    done = _run([str(python), "-m", "pip", "--disable-pip-version-check", "check"])
    wrong = [
        line
        for line in done.stdout.splitlines()
        if line.lower().replace("_", "-").startswith(f"{DISTRIBUTION} ")
    ]
    if wrong:
        raise UpdateError(
            f"this version needs more than the wheel brings ({'; '.join(wrong)}): use an offline bundle of it"
        )


def _pip(python: Path, arguments: Sequence[str], what: str) -> None:
    quiet = ["-q", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    _step([str(python), "-m", "pip", *arguments, *quiet], what)


def _step(command: Sequence[str], what: str, *, may_fail: bool = False) -> None:
    done = _run(command)
    if done.returncode and not may_fail:
        said = (done.stderr or done.stdout).strip()
        raise UpdateError(f"cannot {what}: {said[-2000:] or f'exit code {done.returncode}'}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1"}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_MOST, check=False,
            stdin=subprocess.DEVNULL, env=environment, preexec_fn=_gently,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"{command[0]}: {error}") from None


def _gently() -> None:
    """The gateway runs beside it."""
    os.nice(15)
