"""Reading schedule files: every problem at once, each with its file, line or field, value and mend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from bessai.interfaces.schedule.model import Daily, Entry, Schedule, ScheduleError
from bessai.interfaces.schedule.rows import read_rows
from bessai.interfaces.schedule.schema import DAYS, FIELDS, DailyRow, EntryRow, ScheduleFile
from bessai.interfaces.schedule.times import parse_clock, parse_time, shown, zone_named
from bessai.registry.problems import Problem, explain, shorten

_WEEK = 7 * 86_400


def load_schedule(path: Path | str) -> Schedule:
    """Read and check a schedule, JSON when the file begins with `{` and CSV otherwise.

    Raises:
        ScheduleError: with all problems.
    """
    path = Path(path)
    text = _text(path)
    build = _Builder(str(path))
    if text.lstrip().startswith("{") or path.suffix.lower() == ".json":
        document = _json(text, str(path))
        try:
            parsed = ScheduleFile.model_validate(document)
        except ValidationError as error:
            raise ScheduleError(explain(error, str(path), document, FIELDS)) from None
        build.zone(parsed.timezone, "timezone")
        build.entries([(f"entries.{i}", row) for i, row in enumerate(parsed.entries)], ".")
        build.daily_entries([(f"daily.{i}", row) for i, row in enumerate(parsed.daily)])
    else:
        rows = read_rows(text, str(path))
        build.problems += rows.problems
        build.zone(rows.zone, f"line {rows.zone_line}, timezone")
        build.entries(rows.rows, ", ")
    return build.schedule()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        mend = "is not UTF-8 text; in a spreadsheet choose “CSV UTF-8” when saving"
    except (OSError, ValueError) as error:
        mend = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ScheduleError([Problem(str(path), "", "", mend)])


def _json(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ScheduleError([Problem(file, where, "", f"not JSON: {error.msg}")]) from None
    except (ValueError, RecursionError):
        raise ScheduleError(
            [Problem(file, "", "", "is nested too deeply or holds too long a number")]
        ) from None


@dataclass(slots=True)
class _Span:
    start: int
    end: int
    daily: Daily


class _Builder:
    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._zone: ZoneInfo | None = None
        self._zone_is_bad = False
        self._entries: list[Entry] = []
        self._daily: list[Daily] = []

    def schedule(self) -> Schedule:
        """The schedule.

        Raises:
            ScheduleError: something is wrong.
        """
        self._entries.sort(key=lambda entry: entry.start)
        self._check_overlap()
        self._check_daily()
        if self.problems:
            raise ScheduleError(self.problems)
        return Schedule(
            entries=tuple(self._entries), daily=tuple(self._daily), zone=self._zone, source=self._file
        )

    def zone(self, name: str | None, field: str) -> None:
        """The file's own time zone."""
        if name is None:
            return
        try:
            self._zone = zone_named(name)
        except ValueError as error:
            self._zone_is_bad = True
            self._problem(field, name, str(error))

    def entries(self, rows: Sequence[tuple[str, EntryRow]], joint: str) -> None:
        """The entries with dates."""
        for where, row in rows:
            times: list[float] = []
            for name, text in (("start", row.start), ("end", row.end)):
                try:
                    times.append(parse_time(text, self._zone))
                except (ValueError, OverflowError) as error:
                    # without its zone no local time of the file can be judged: that is said once
                    if not self._zone_is_bad:
                        self._problem(f"{where}{joint}{name}", text, str(error))
            if len(times) == 2 and times[1] <= times[0]:
                self._problem(f"{where}{joint}end", row.end, f"is not after start {row.start}")
            elif len(times) == 2:
                self._entries.append(Entry(start=times[0], end=times[1], wish=row.wish(), where=where))

    def daily_entries(self, rows: Sequence[tuple[str, DailyRow]]) -> None:
        """The entries of every day."""
        if rows and self._zone is None and not self._zone_is_bad:
            self._problem("timezone", "", "daily entries are local: add it, for example America/Santiago")
        for where, row in rows:
            times: list[int] = []
            for name, text in (("from", row.from_), ("to", row.to)):
                try:
                    times.append(parse_clock(text))
                except ValueError as error:
                    self._problem(f"{where}.{name}", text, str(error))
            if len(times) == 2 and times[0] == times[1]:
                self._problem(f"{where}.to", row.to, "equals `from`; for a whole day write 00:00 and 24:00")
            elif len(times) == 2 and times[0] == 86_400:
                self._problem(f"{where}.from", row.from_, "begins at 00:00 of the next day; write 00:00")
            elif len(times) == 2:
                start, end = times
                days = frozenset(DAYS.index(day) for day in row.days)
                end += 0 if end > start else 86_400
                self._daily.append(Daily(start=start, end=end, days=days, wish=row.wish(), where=where))

    def _check_overlap(self) -> None:
        last: Entry | None = None
        for entry in self._entries:
            if last is not None and entry.start < last.end:
                mend = (
                    f"overlaps {last.where}, which ends {shown(last.end, self._zone)}; "
                    "let one end where the other begins"
                )
                self._problem(entry.where, f"from {shown(entry.start, self._zone)}", mend)
            if last is None or entry.end > last.end:
                last = entry

    def _check_daily(self) -> None:
        spans = [
            _Span(day * 86_400 + daily.start + shift, day * 86_400 + daily.end + shift, daily)
            for daily in self._daily
            for day in daily.days
            for shift in (0, _WEEK)
        ]
        spans.sort(key=lambda span: span.start)
        told: set[tuple[str, str]] = set()
        last: _Span | None = None
        for span in spans:
            if last is not None and span.start < last.end:
                pair = (last.daily.where, span.daily.where)
                if pair not in told:
                    told.add(pair)
                    day = DAYS[span.start // 86_400 % 7]
                    self._problem(
                        span.daily.where, "", f"overlaps {last.daily.where} on {day}; let one end first"
                    )
            if last is None or span.end > last.end:
                last = span

    def _problem(self, field: str, value: str, mend: str) -> None:
        self.problems.append(Problem(self._file, field, shorten(value) if value else "", mend))
