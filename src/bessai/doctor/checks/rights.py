"""Who runs this, and who may read what only the gateway should."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn
from bessai.interfaces.notify.loading import NotifyError, load_notify

_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH
_SECRET_FIELDS = ("_password_file", "_token_file", "_credentials_file", "_key_file")
_OWN = ("identity.db", "identity.db-wal", "tls/page.key")
"""In DATA_DIR: password hashes and digests of tokens, and the page's key."""


def user(look: Look) -> Iterator[Finding]:
    """Of this command, and of the gateway."""
    uid = os.geteuid()
    if look.pid is not None and (owner := _owner_of(look, look.pid)) is not None:
        if owner == 0:
            yield warn("gateway_root", pid=look.pid)
        else:
            yield ok("gateway", user=_name(owner), pid=look.pid)
    elif uid == 0:
        yield warn("root")
    else:
        yield ok(user=_name(uid))


def data_dir(look: Look) -> Iterator[Finding]:
    """The directory belongs to the gateway, and nobody else comes in."""
    try:
        state = look.data_dir.stat()
    except FileNotFoundError:
        yield skipped(directory=str(look.data_dir))
        return
    except OSError as error:
        yield unknown("unreadable", directory=str(look.data_dir), error=error.strerror or str(error))
        return
    facts = {
        "directory": str(look.data_dir),
        "mode": f"{stat.S_IMODE(state.st_mode):04o}",
        "owner": _name(state.st_uid),
    }
    runner = _owner_of(look, look.pid) if look.pid is not None else None
    if state.st_mode & stat.S_IWOTH:
        yield bad("writable", **facts)
    elif state.st_mode & (_OTHERS | stat.S_IWGRP):
        yield warn("open", **facts)
    elif runner not in {None, state.st_uid}:
        yield warn("foreign", **facts)
    else:
        yield ok(**facts)


def secrets(look: Look) -> Iterator[Finding]:
    """Every file with a secret: settings, keys, passwords, tokens, credentials, the page's database."""
    good = 0
    for name, path in secret_files(look):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            yield unknown("unreadable", name=name, file=str(path), error=error.strerror or str(error))
            continue
        facts = {"name": name, "file": str(path), "mode": f"{stat.S_IMODE(mode):04o}"}
        if mode & _OTHERS:
            yield bad("open", **facts)
        elif mode & stat.S_IWGRP:
            yield warn("group", **facts)
        else:
            good += 1
    if good:
        yield ok(count=good)


def secret_files(look: Look) -> list[tuple[str, Path]]:
    """Where each of them is named, and where it is."""
    found = [(str(look.env_file), look.env_file)]
    settings, site = look.settings, look.site
    if settings is not None:
        found += [
            (name.upper(), value)
            for name in type(settings).model_fields
            if (name.endswith(_SECRET_FIELDS) or name == "google_application_credentials")
            and isinstance(value := getattr(settings, name), Path)
        ]
        found += [("NOTIFY_FILE", path) for path in _of_notifications(settings.notify_file)]
    if site is not None:
        found += [(d.name, d.endpoint.key) for d in site.devices if d.endpoint.key is not None]
        if site.scada is not None and site.scada.iec104 is not None and site.scada.iec104.tls is not None:
            found.append(("scada.iec104.tls.key", Path(site.scada.iec104.tls.key)))
    found += [(name, look.data_dir / name) for name in _OWN]
    return list({path: (name, path) for name, path in reversed(found)}.values())[::-1]


def _of_notifications(path: Path | None) -> list[Path]:
    """The files that hold addresses; the notification file itself where one stands in it."""
    if path is None:
        return []
    try:
        config = load_notify(path, os.environ)
    except NotifyError as error:
        return error.secret_files
    return config.secret_files() + ([path] if config.literals() else [])


def _owner_of(look: Look, pid: int) -> int | None:
    text = look.read(f"proc/{pid}/status") or ""
    for line in text.splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
