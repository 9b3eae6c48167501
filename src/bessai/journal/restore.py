"""Putting a backup in the place of a journal.

The restored journal lies in a directory of its own, so it begins a new epoch when it is opened: what it records from
then on never bears the name of a record that was made after the backup.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bessai.journal.archive import Manifest, Tar
from bessai.journal.cursors import DIRECTORY as CURSORS
from bessai.journal.disk import RealDisk, sync_directory
from bessai.journal.errors import JournalError
from bessai.journal.lock import lock_directory
from bessai.journal.log import DIRECTORY as JOURNAL
from bessai.journal.migration import is_needed
from bessai.journal.reader import JournalReader
from bessai.journal.verify import Tick

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    manifest: Manifest
    aside: tuple[Path, ...]
    """Where the journal and the cursors from before are now."""


def restore(source: Path, directory: Path, *, replace: bool = False, tick: Tick | None = None) -> Restored:
    """Put the backup `source` in place of the journal and the cursors of a data directory, all or nothing.

    Args:
        source: the backup.
        directory: the data directory; created when missing.
        replace: a journal that holds records is renamed aside; otherwise it is an error.
        tick: told how many bytes were checked.

    Raises:
        JournalError: the backup is damaged, a gateway runs, or the journal holds records. Nothing was changed.
        OSError: the disk is full or failing. Nothing was changed.
    """
    tar = Tar(source)
    if wrong := tar.check(tick):
        raise JournalError(
            f"{source} is damaged: {', '.join(wrong)} is not what was written; use another backup"
        )
    lock = lock_directory(directory)
    try:
        _require_free(directory, replace)
        for left in directory.glob(".restore-*"):  # of an attempt that was killed
            shutil.rmtree(left)
        stage = directory / f".restore-{os.getpid()}"
        try:
            for part in (JOURNAL, CURSORS):
                (stage / part).mkdir(parents=True)
            for name in tar.manifest.files:
                _copy(tar, name, stage / name)
            for path in (stage / JOURNAL, stage / CURSORS, stage):
                sync_directory(path)
            aside = _exchange(stage, directory)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return Restored(manifest=tar.manifest, aside=aside)
    finally:
        os.close(lock)


def _require_free(directory: Path, replace: bool) -> None:
    if is_needed(directory):
        raise JournalError(
            f"{directory} holds a journal of an older version: start the gateway once to take it over, or move it away"
        )
    reader = JournalReader(directory)
    with closing(reader):
        if not replace and reader.last_sequence():
            raise JournalError(
                f"{reader.path} holds records up to {reader.last_sequence()}: "
                "restore into an empty data directory, or with --replace, which renames this journal aside"
            )


def _copy(tar: Tar, name: str, target: Path) -> None:
    with (
        closing(tar.open(Path(name))) as file,
        closing(RealDisk().open(target, write=True, create=True)) as out,
    ):
        for offset in range(0, file.size(), _CHUNK):
            out.write(offset, file.read(offset, _CHUNK))
        out.sync()


def _exchange(stage: Path, directory: Path) -> tuple[Path, ...]:
    """Rename what is there aside and what is staged into its place; undo all of it when a step fails.

    The cursors come first: those of the backup beside the journal from before only mean that records are sent twice.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    done: list[tuple[Path, Path]] = []
    aside: list[Path] = []
    try:
        for name in (CURSORS, JOURNAL):
            here = directory / name
            if here.exists():
                away = _unused(directory / f"{name}.replaced-{stamp}")
                here.rename(away)
                done.append((here, away))
                aside.append(away)
            (stage / name).rename(here)
            done.append((stage / name, here))
        sync_directory(directory)
    except BaseException:
        for old, new in reversed(done):
            new.rename(old)
        raise
    return tuple(aside)


def _unused(path: Path) -> Path:
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
