"""What a support bundle holds, one function a part; each gives names and contents, texts or plain data."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import apsw

from bessai.core.describing import settings_as_plain
from bessai.core.environment import SettingsError, given_value
from bessai.core.settings import Settings
from bessai.doctor.checks.rights import secret_files
from bessai.doctor.checks.unit import unit_of
from bessai.doctor.look import Look
from bessai.doctor.masking import without_strange_variables
from bessai.doctor.report import plain
from bessai.doctor.result import Checked
from bessai.interfaces.api.archive import events_before
from bessai.journal import JournalReader, read_cursors

Made = Iterator[tuple[str, Any]]

_EVENTS = 2000
_PATIENCE = 5.0
"""Seconds of looking for events."""
_LOG_LINES = 5000
_FILE_BYTES = 2 << 20
_KERNEL = (
    "proc/version", "proc/cmdline", "proc/uptime", "proc/loadavg", "proc/meminfo", "proc/cpuinfo",
    "proc/self/mountinfo", "proc/diskstats", "proc/interrupts", "proc/net/dev", "proc/net/route", "proc/pressure/cpu",
    "proc/pressure/io", "proc/pressure/memory", "etc/os-release", "proc/device-tree/model",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the bundle, the most telling first: what comes last is left out first."""

    name: str
    about: str
    make: Callable[[Look, Sequence[Checked]], Made]
    """May raise: then the part is missing, and the manifest says why."""


def people(look: Look) -> set[str]:
    """Names that are people's: users of the page, of this machine's session, and who stands in events."""
    found = {os.environ.get("SUDO_USER", ""), _login()}
    path = look.data_dir / "identity.db"
    if os.access(path, os.R_OK):
        with suppress(apsw.Error), closing(_read_only(path)) as database:
            found |= {str(name) for (name,) in database.execute("SELECT name FROM user")}
            found |= {str(name) for (name,) in database.execute("SELECT name FROM token")}
    if look.status is not None and look.status.get("maintenance"):
        found.add(str(look.status["maintenance"]["user"]))
    with suppress(Exception):
        found |= {str(event["user"]) for event in _events_of(look) if event.get("user")}
    return found - {""}


def given(look: Look) -> dict[str, str]:
    """The texts of all settings as they stand in the environment and the file, good or not.

    Addresses of notifications are variables of any name that begins so.
    """
    found = {
        name: value for name, value in os.environ.items() if name.startswith("NOTIFY_") and "://" in value
    }
    for field in Settings.model_fields:
        name = field.upper()
        try:
            value = given_value(name, look.env_file)
        except SettingsError:  # a file that cannot be understood
            value = os.environ.get(name)
        if value:
            found[name] = value
    return found


def _read_only(path: Path) -> apsw.Connection:
    return apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _doctor(look: Look, found: Sequence[Checked]) -> Made:
    yield "doctor.json", plain(look, found)


def _status(look: Look, _: Sequence[Checked]) -> Made:
    answer = look.ask({"op": "summary"})
    if answer is None:
        raise RuntimeError("no gateway runs")
    yield "status.json", answer.get("status", answer)


def _versions(look: Look, _: Sequence[Checked]) -> Made:
    held = sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions())
    yield "packages.txt", "\n".join(dict.fromkeys(held)) + "\n"


def _settings(look: Look, _: Sequence[Checked]) -> Made:
    yield (
        "settings.json",
        {
            "settings": None if look.settings is None else settings_as_plain(look.settings),
            "problems": list(look.problems),
            "secret_files": [
                {"name": name, "file": str(path), **_state(path)} for name, path in secret_files(look)
            ],
        },
    )


def _state(path: Path) -> dict[str, Any]:
    try:
        state = path.stat()
    except OSError as error:
        return {"problem": error.strerror}
    return {"mode": f"{state.st_mode & 0o7777:04o}", "bytes": state.st_size, "owner": state.st_uid}


def _files(look: Look, _: Sequence[Checked]) -> Made:
    """Site, limits, grid, report and schedule files, and profiles that are not the registry's."""
    settings = look.settings
    if settings is None:
        raise RuntimeError("the settings cannot be used")
    wanted = [
        path
        for name in ("site_file", "limits_file", "grid_file", "report_file", "schedule_file")
        if isinstance(path := getattr(settings, name), Path)
    ]
    profile = Path(settings.driver_profile_path)
    wanted += [profile] if settings.site_file is None and profile.is_file() else []
    for path in dict.fromkeys(wanted):
        try:
            if path.stat().st_size > _FILE_BYTES:
                raise OSError(0, f"larger than {_FILE_BYTES >> 20} MB")
            yield f"files/{path.name}", path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            yield f"files/{path.name}", error


def _alarms(look: Look, _: Sequence[Checked]) -> Made:
    answer = look.ask({"op": "alarms"})
    if answer is None:
        raise RuntimeError("no gateway runs")
    yield "alarms.json", answer.get("alarms", answer)


def _events(look: Look, _: Sequence[Checked]) -> Made:
    yield "events.json", _events_of(look)


def _events_of(look: Look) -> list[dict[str, Any]]:
    """The newest events of the journal, oldest first; read once for a bundle."""
    if "events" not in look.kept:
        with closing(JournalReader(look.data_dir)) as reader:
            found, _ = events_before(
                reader, reader.last_sequence() + 1, 0, 1 << 62, _EVENTS, lambda _: True, _PATIENCE
            )
        look.kept["events"] = [
            {"sequence": sequence, "cycle": cycle, **asdict(event), "severity": event.severity.label}
            for sequence, cycle, event in reversed(found)
        ]
    return list(look.kept["events"])


def _journal(look: Look, _: Sequence[Checked]) -> Made:
    with closing(JournalReader(look.data_dir)) as reader:
        yield (
            "journal.json",
            {
                "stats": asdict(reader.stats()),
                "cursors": read_cursors(look.data_dir),
                "files": _listing(look),
            },
        )


def _listing(look: Look) -> list[dict[str, Any]]:
    """Every file of DATA_DIR: name, size, mode, and when it was changed. Nothing of what it holds."""
    return [
        {"file": str(path.relative_to(look.data_dir)), "changed": int(path.lstat().st_mtime), **_state(path)}
        for path in sorted(look.data_dir.rglob("*"))
        if not path.is_dir()
    ][:5000]


def _boxes(look: Look, _: Sequence[Checked]) -> Made:
    from bessai.core.black_box import UnreadableBoxError, outline  # noqa: PLC0415  not needed for the doctor alone
    from bessai.core.black_box.store import files_in  # noqa: PLC0415  as above

    told: list[dict[str, Any]] = []
    for path in files_in(look.data_dir / "blackbox"):
        try:
            told.append({"file": path.name, "bytes": path.stat().st_size, **asdict(outline(path))})
        except (UnreadableBoxError, OSError) as error:
            told.append({"file": path.name, "problem": str(error)})
    yield "blackbox.json", told


def _audit(look: Look, _: Sequence[Checked]) -> Made:
    from bessai.interfaces.api.audit import Audit  # noqa: PLC0415  as above

    if not (look.data_dir / "audit").is_dir():
        raise RuntimeError("there is no audit log")
    audit = Audit(look.data_dir / "audit")
    try:
        verdict = audit.check()
        newest, *_more = audit.read_page(limit=1)
    finally:
        audit.close()
    head = (
        {"sequence": newest[0].sequence, "hash": newest[0].hash, "time": newest[0].time} if newest else None
    )
    yield "audit.json", {"verdict": asdict(verdict), "head": head}


def _log(look: Look, _: Sequence[Checked]) -> Made:
    if look.log is not None:
        yield "log.txt", _end_of(look.log)
        return
    text = look.run(
        ["journalctl", "-u", unit_of(look), "-n", str(_LOG_LINES), "--no-pager", "-o", "short-iso-precise"]
    )
    if not text or text.startswith("-- No entries"):
        raise RuntimeError("journalctl has none for this user: name a file with --log, or see `docker logs`")
    yield "log.txt", text


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _FILE_BYTES))
        if size > _FILE_BYTES:
            file.readline()  # half a secret is one that nobody recognises
        return file.read().decode(errors="replace")


def _unit(look: Look, _: Sequence[Checked]) -> Made:
    text = look.run(["systemctl", "cat", unit_of(look), "--no-pager"])
    if not text:
        raise RuntimeError("no such unit, or no systemd")
    state = look.run(["systemctl", "show", unit_of(look), "--no-pager"]) or ""
    known = {name.upper() for name in Settings.model_fields}
    yield "unit.txt", without_strange_variables(text, known)
    yield "unit-state.txt", without_strange_variables(state, known)


def _machine(look: Look, _: Sequence[Checked]) -> Made:
    texts = [f"== /{name}\n{text}\n" for name in _KERNEL if (text := look.read(name)) is not None]
    if look.pid is not None:
        texts += [
            f"== gateway's {name}\n{look.read(f'proc/{look.pid}/{name}')}\n"
            for name in ("status", "limits", "cgroup")
        ]
    yield "machine.txt", "\n".join(texts)


PARTS: Final[tuple[Part, ...]] = (
    Part(name="doctor.json", about="what `bessai doctor --json` found", make=_doctor),
    Part(name="status.json", about="the running gateway's own words, without values of points", make=_status),
    Part(
        name="settings.json",
        about="settings, masked; modes of files with secrets, not what they hold",
        make=_settings,
    ),
    Part(name="packages.txt", about="installed packages and versions", make=_versions),
    Part(name="alarms.json", about="the alarm list", make=_alarms),
    Part(
        name="journal.json",
        about="what the journal holds and lost, cursors, names and sizes in DATA_DIR",
        make=_journal,
    ),
    Part(name="events.json", about=f"the newest events, at most {_EVENTS}", make=_events),
    Part(name="blackbox.json", about="list of the black-box records, not the records", make=_boxes),
    Part(name="audit.json", about="whether the audit log is sound, and its head; no entries", make=_audit),
    Part(name="unit.txt", about="the systemd unit and its state", make=_unit),
    Part(name="machine.txt", about="kernel, processor, memory, disks, network counters", make=_machine),
    Part(name="files", about="a file that the settings name, masked", make=_files),
    Part(name="log.txt", about=f"the newest lines of the log, at most {_LOG_LINES}", make=_log),
)
