"""Two virtual environments and the link that says which one runs.

    /opt/bessai/a  /opt/bessai/b     the slots; `slot.json` in each is written last, when it is complete
    /opt/bessai/current              link to one of them; the unit starts what it names
    /opt/bessai/pending              an update is being watched: the slot to go back to
    /opt/bessai/settled              a way back that nobody has told the gateway yet
    /opt/bessai/update.lock          held by an updater that lives

`infrastructure/install/settle.sh` knows these names too.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bessai.update import UpdateError

NAMES: Final = ("a", "b")
DEFAULT: Final = Path("/opt/bessai")


def own_prefix() -> Path:
    """Where the program that runs now is installed: beside its own slot, else the usual place."""
    parent = Path(sys.prefix).parent
    return parent if (parent / "current").is_symlink() else DEFAULT


class Slots:
    """The slots under a prefix.

    Raises:
        UpdateError: there is no installation with slots.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix.absolute()
        if not (self.prefix / "current").is_symlink():
            raise UpdateError(
                f"{self.prefix}/current is no link: this is no installation with two slots; "
                "install one with install.sh, or name it with --prefix"
            )

    def current(self) -> str:
        """The slot that `current` names. UpdateError when it names none."""
        name = str((self.prefix / "current").readlink())
        if name not in NAMES:
            raise UpdateError(f"{self.prefix}/current points to {name!r}: link it to a or b")
        return name

    def idle(self) -> str:
        """The other one."""
        return NAMES[1 - NAMES.index(self.current())]

    def path(self, name: str) -> Path:
        """The directory of a slot."""
        return self.prefix / name

    def python(self, name: str) -> Path:
        """Its interpreter."""
        return self.path(name) / "bin" / "python"

    def told(self, name: str) -> dict[str, Any]:
        """What `complete` noted of a slot; empty when it was never completed."""
        try:
            found = json.loads((self.path(name) / "slot.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def version(self, name: str) -> str:
        """Of a complete slot, else `unknown`."""
        return str(self.told(name).get("version") or "unknown")

    def complete(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note that a slot is built, after all of it is on the disk; later calls add to what is noted."""
        os.sync()
        _write(self.path(name) / "slot.json", json.dumps({**self.told(name), **facts}, indent=1))

    def empty(self, name: str) -> None:
        """Remove a slot. UpdateError for the one that is current, or that this program runs from."""
        if name == self.current():
            raise UpdateError(f"{self.path(name)} is current: it is not replaced")
        if Path(sys.prefix).resolve() == self.path(name).resolve():
            raise UpdateError(f"this program runs from the idle slot: run {self.prefix}/current/bin/bessai")
        (self.path(name) / "slot.json").unlink(missing_ok=True)
        shutil.rmtree(self.path(name), ignore_errors=True)
        if self.path(name).exists():
            raise UpdateError(f"{self.path(name)} cannot be emptied: remove it by hand, then try again")

    def clean(self) -> None:
        """Remove what updates left that were cut off; with the lock held."""
        for left in (*self.prefix.glob(".staged-*"), self.prefix / ".try"):
            shutil.rmtree(left, ignore_errors=True)

    def switch(self, name: str) -> None:
        """Point `current` to a slot, in one step, durably."""
        fresh = self.prefix / ".current.new"
        with suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(name)
        fresh.replace(self.prefix / "current")
        _sync(self.prefix)

    def begin(self, back: str, facts: Mapping[str, Any]) -> None:
        """Note, durably, that an update begins and which slot to go back to."""
        _write(self.prefix / "pending", f"{back}\n{json.dumps(facts)}\n")

    def end(self, *, taken_back: bool = False) -> None:
        """The update is over: `current` is right and durable. Taken back: the gateway is still to be told."""
        if taken_back:
            (self.prefix / "pending").replace(self.prefix / "settled")
        else:
            (self.prefix / "pending").unlink(missing_ok=True)
        _sync(self.prefix)

    def pending(self) -> dict[str, Any] | None:
        """The update that is not over, with `back`; None when there is none."""
        return _noted(self.prefix / "pending")

    def settled(self) -> dict[str, Any] | None:
        """The way back that the gateway has not been told; None when there is none."""
        return _noted(self.prefix / "settled")

    def forget_settled(self) -> None:
        """It has been told."""
        (self.prefix / "settled").unlink(missing_ok=True)

    def settle(self) -> str | None:
        """Take back an update that its updater did not end; with the lock held. The slot, or None."""
        noted = self.pending()
        if noted is None:
            return None
        back = noted["back"]
        if back not in NAMES or not (self.path(back) / "bin" / "bessai").exists():
            raise UpdateError(
                f"{self.prefix}/pending names no slot that is there ({back!r}): look which slot is whole, "
                "link current to it, and remove that file"
            )
        changed = self.current() != back
        if changed:
            self.switch(back)
        self.end(taken_back=changed)
        return back if changed else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock: one updater at a time. UpdateError when another lives, or the prefix cannot be written."""
        try:
            handle = os.open(self.prefix / "update.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UpdateError(f"{self.prefix} cannot be written ({error.strerror}): run it as root") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise UpdateError(f"another update is under way in {self.prefix}: wait for it") from None
        try:
            yield
        finally:
            os.close(handle)


def _noted(path: Path) -> dict[str, Any] | None:
    try:
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except OSError:
        return None
    try:
        facts = json.loads(rest)
    except ValueError:
        facts = {}
    return {**(facts if isinstance(facts, dict) else {}), "back": first.strip()}


def _write(path: Path, text: str) -> None:
    """The whole file or the one before, durably."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
