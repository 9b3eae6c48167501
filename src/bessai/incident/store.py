"""Incidents on disk: `DATA_DIR/incidents/ID.json`, each written whole and durably before a command says so."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bessai.incident.deadlines import REPORTS
from bessai.incident.incident import Incident, Sent
from bessai.journal.disk import sync_directory

TEXT = 256
"""Characters that a title or a reason may have."""


class IncidentError(ValueError):
    """What was asked cannot be done. `problems` says why, each with the mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class IncidentStore:
    """The incidents of a data directory. Any number of processes may use it at once.

    Every method raises IncidentError when the disk refuses, or what is asked cannot be.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "incidents"

    def open(
        self,
        *,
        title: str,
        known_ns: int,
        known_by: str,
        opened_by: str,
        wall_ns: int,
        essential: bool = False,
    ) -> Incident:
        """Enter an incident; the clock runs from `known_ns`."""
        problems = [
            *_wrong("title", title), *_wrong("known-by", known_by), *_wrong("user", opened_by),
        ]  # fmt: skip
        if known_ns > wall_ns:
            problems.append("known: the moment of knowledge lies in the future; give when it was known")
        if problems:
            raise IncidentError(*problems)
        with self._locked():
            year = datetime.fromtimestamp(wall_ns / 1e9, UTC).year
            taken = [int(path.stem[5:]) for path in self._files() if path.stem.startswith(f"{year}-")]
            incident = Incident(
                id=f"{year}-{max(taken, default=0) + 1:03}",
                title=title.strip(),
                known_ns=known_ns,
                known_by=known_by.strip(),
                opened_ns=wall_ns,
                opened_by=opened_by.strip(),
                essential=essential,
            )
            self._write(incident)
        return incident

    def sent(
        self, number: str, report: str, *, by: str, reference: str, wall_ns: int, now_ns: int
    ) -> Incident:
        """Note that a person sent a report. Its first sending counts."""
        problems = [*_wrong("user", by), *_wrong("reference", reference)]
        if report not in REPORTS:
            problems.append(f"report={report!r}: use one of {', '.join(REPORTS)}")
        if wall_ns > now_ns:
            problems.append("at: it lies in the future; give when the report went out")
        if problems:
            raise IncidentError(*problems)
        with self._locked():
            incident = self.get(number)
            if wall_ns < incident.known_ns:
                raise IncidentError(
                    "at: it lies before the moment of knowledge; give when the report went out"
                )
            if any(item.report == report for item in incident.sent):
                raise IncidentError(f"{number}: the {report} report is noted as sent already")
            sent = Sent(report=report, wall_ns=wall_ns, by=by.strip(), reference=reference.strip())
            incident = replace(incident, sent=(*incident.sent, sent))
            self._write(incident)
        return incident

    def close(self, number: str, *, by: str, reason: str, wall_ns: int, unsent: bool = False) -> Incident:
        """Close an incident: its clock stops. With reports that were never sent only when `unsent` says so."""
        if problems := [*_wrong("user", by), *_wrong("reason", reason)]:
            raise IncidentError(*problems)
        with self._locked():
            incident = self.get(number)
            if incident.closed_ns is not None:
                raise IncidentError(f"{number} is closed already")
            done = {item.report for item in incident.sent}
            missing = [report for report in REPORTS if report not in done]
            if missing and not unsent:
                raise IncidentError(
                    f"{number}: not sent yet: {', '.join(missing)}; note them with `bessai incident sent`, or close "
                    "with --not-reportable and a reason that says why nothing had to be sent"
                )
            incident = replace(incident, closed_ns=wall_ns, closed_by=by.strip(), closing=reason.strip())
            self._write(incident)
        return incident

    def get(self, number: str) -> Incident:
        """One incident."""
        path = self.path / f"{number}.json"
        known = [file.stem for file in self._files()]
        if number not in known:
            there = f"there are {', '.join(known)}" if known else "there is none"
            raise IncidentError(f"there is no incident {number!r}; {there}")
        try:
            return Incident.from_plain(json.loads(path.read_bytes()))
        except (ValueError, OSError) as error:
            raise IncidentError(
                f"{path} cannot be read: {error}; mend it or restore it from a backup"
            ) from error

    def all(self) -> tuple[list[Incident], list[str]]:
        """Every incident, oldest first, and what could not be read."""
        found: list[Incident] = []
        problems: list[str] = []
        try:
            files = self._files()
        except IncidentError as error:
            return [], error.problems
        for path in files:
            try:
                found.append(self.get(path.stem))
            except IncidentError as error:
                problems += error.problems
        return found, problems

    def _files(self) -> list[Path]:
        """Raises IncidentError when they cannot be listed: that is not the same as none."""
        if not self.path.parent.is_dir():
            raise IncidentError(
                f"{self.path.parent}: there is no such directory (set DATA_DIR or --data-dir)"
            )
        try:
            found = list(self.path.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise IncidentError(f"{self.path} cannot be read: {error.strerror or error}") from error
        return sorted(path for path in found if path.suffix == ".json" and path.stem[5:].isdecimal())

    def _write(self, incident: Incident) -> None:
        path = self.path / f"{incident.id}.json"
        fresh = path.with_suffix(".new")
        try:
            with os.fdopen(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(incident.to_plain(), file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_directory(self.path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise IncidentError(f"{path} cannot be written: {error.strerror or error}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise IncidentError(f"{self.path} cannot be used: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _wrong(name: str, text: str) -> Iterator[str]:
    """What is wrong with a text that a person gave."""
    if not text.strip():
        yield f"{name} is empty: it is recorded, say it"
    elif len(text) > TEXT:
        yield f"{name}: {len(text)} characters are too many, at most {TEXT}"
    elif not text.isprintable():
        yield f"{name}={text!r}: only printable characters"
