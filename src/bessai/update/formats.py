"""The formats on the disk: which ones this version writes, and whether it can read what is there."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from bessai.core.black_box import frames
from bessai.core.latch import FORMAT as TRIPS
from bessai.core.sealed_file import FORMAT as SEAL
from bessai.core.state_file import COPIES
from bessai.history import codec
from bessai.history import database as history
from bessai.incident.incident import FORMAT as INCIDENT
from bessai.interfaces.api.identity import database as identity
from bessai.journal import JournalError, JournalReader
from bessai.journal.block import FORMAT as JOURNAL
from bessai.performance import database as performance

_NEWEST = 20
"""Records of the journal that are read."""
_USER_VERSION: Final = 60
"""Where the header of a SQLite file has the format, see the file format of SQLite."""
_DATABASES = {
    history.NAME: len(history.MIGRATIONS),
    identity.NAME: len(identity.MIGRATIONS),
    performance.NAME: len(performance.MIGRATIONS),
}


def written() -> dict[str, int]:
    """By kind of file, the format that this version writes. It reads this one and every older one."""
    return {
        "journal": JOURNAL,
        "sealed_files": SEAL,
        "trips": TRIPS,
        "history_chunks": codec.FORMAT,
        "black_box": frames.FORMAT,
        "incidents": INCIDENT,
        **_DATABASES,
    }


def problems(directory: Path) -> Iterator[str]:
    """What lies in a data directory and this version cannot read. Changes nothing; a gateway may run there."""
    try:
        JournalReader(directory).tail(_NEWEST)
    except JournalError as error:
        yield f"the journal cannot be read: {error}"
    for name in COPIES:
        if (newer := _newer_seal(directory / name)) is not None:
            yield newer
    for name, newest in _DATABASES.items():
        path = directory / name
        try:
            version = _version(path)
        except (OSError, apsw.Error, struct.error) as error:
            yield f"{path} cannot be opened: {error}"
            continue
        if version is not None and version > newest:
            yield f"{path} has format {version}, this version reads up to {newest}: run the version that wrote it"


def _newer_seal(path: Path) -> str | None:
    """Only formats are judged: a damaged copy has a twin, and the gateway says so itself."""
    try:
        sealed = json.loads(path.read_bytes())
        told = {
            "the seal": (sealed["format"], SEAL),
            "the record of trips": (sealed["state"]["format"], TRIPS),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
    for what, (found, known) in told.items():
        if isinstance(found, int) and found > known:
            return f"{path}: {what} has format {found}, this version reads up to {known}: run the version that wrote it"
    return None


def _version(path: Path) -> int | None:
    """The format of a SQLite file; None while there is none. Makes no file beside it."""
    if not path.exists():
        return None
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        with path.open("rb") as file:
            header = file.read(100)
        return int(struct.unpack_from(">I", header, _USER_VERSION)[0]) if header else None
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(2000)
        return int(connection.pragma("user_version"))
    finally:
        connection.close()
