"""The reading side, from any process: what is stored, as indices, events, availability and energy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from bessai.history.database import DAMAGE, number
from bessai.performance.availability import MINUTE_NS, Availability, availability, window
from bessai.performance.database import NAME, get_events, get_quarters, get_rows, open_database
from bessai.performance.energy import Energy, energy
from bessai.performance.errors import PerformanceError
from bessai.performance.events import Rows
from bessai.performance.excursion import GridEvent
from bessai.performance.fecf import Fecf, fecf
from bessai.performance.folding import GATEWAY
from bessai.performance.hours import COUNT, FREQUENCY, GOOD, HOUR_NS, NUMBERS, ROCOF, Cells, blank, unpack
from bessai.performance.primary import Primary, primary
from bessai.performance.quarters import QUARTER_NS
from bessai.performance.samples import SECOND
from bessai.performance.settings import Plant

_SANE_NS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * SECOND
"""Earlier records come from a clock that was not set, and do not say when recording began."""
_SPELLED = 31 * 96
"""Quarters in a row that are told although nothing is known of them."""
_ALWAYS = (GATEWAY, "frequency", "voltage", "active_power")


class Performance:
    """What is stored of one data directory. Opens lazily; is empty while there is nothing. One thread at a time."""

    def __init__(self, directory: Path, plant: Plant) -> None:
        self.path = directory / NAME
        self._plant = plant

    @contextmanager
    def _opened(self) -> Iterator[apsw.Connection | None]:
        """One look at the database.

        Raises:
            PerformanceError: it cannot be read.
        """
        try:
            connection = open_database(self.path, write=False)
            try:
                if connection is not None:
                    connection.execute("BEGIN")
                yield connection
            finally:
                if connection is not None:
                    connection.close()
        except (*DAMAGE, ValueError) as error:
            raise PerformanceError(
                f"{self.path} is damaged ({error}): the gateway makes a new one of its journal"
            ) from error
        except (apsw.Error, OSError) as error:
            raise PerformanceError(f"{self.path} cannot be read ({error}): check its permissions") from error

    def sequence(self) -> int:
        """Of the last record of the journal that is in it; 0 when there is nothing."""
        with self._opened() as connection:
            return 0 if connection is None else number(connection, "SELECT sequence FROM state")

    def quantum(self) -> float | None:
        """Hz of the smallest step of the frequency that was seen."""
        with self._opened() as connection:
            if connection is None:
                return None
            ((carry,),) = connection.execute("SELECT carry FROM state").fetchall()
            found = json.loads(str(carry) or "{}").get("quantum")
            return None if found is None else float(found)

    def events(self, first_ns: int, end_ns: int, kind: str | None = None) -> list[tuple[int, GridEvent]]:
        """Numbers and summaries of the events that began in a range, in order of time."""
        with self._opened() as connection:
            return [] if connection is None else list(get_events(connection, first_ns, end_ns, kind))

    def event(self, identity: int) -> tuple[GridEvent, Rows] | None:
        """An event and its records; None when there is no such number."""
        with self._opened() as connection:
            rows = (
                []
                if connection is None
                else connection.execute("SELECT body FROM event WHERE id = ?", (identity,)).fetchall()
            )
            for (body,) in rows:
                assert connection is not None  # noqa: S101 - there are rows
                return GridEvent(**json.loads(str(body))), get_rows(connection, identity)
        return None

    def fecf(self, first_ns: int, end_ns: int) -> list[Fecf]:
        """The index of every hour of a range that has any frequency."""
        first, end = first_ns // HOUR_NS, _end(end_ns, HOUR_NS)
        cells = self._series((FREQUENCY,), first - 1, end)
        settings, empty = self._plant.settings, blank(FREQUENCY)
        return [
            fecf(
                hour,
                cells.get((hour - 1, FREQUENCY), empty),
                cells[hour, FREQUENCY],
                nominal=self._plant.nominal_frequency,
                reserve=settings.reserve_deviation,
                share=settings.coverage,
            )
            for hour, _ in sorted(cells)
            if hour >= first
        ]

    def rocof(self, first_ns: int, end_ns: int) -> dict[int, Cells]:
        """Steepest change of frequency in Hz/s of each ten seconds, by number of the hour; NaN: not measurable."""
        cells = self._series((ROCOF,), first_ns // HOUR_NS, _end(end_ns, HOUR_NS))
        return {hour: found for (hour, _), found in sorted(cells.items())}

    def primary(self, first_ns: int, end_ns: int) -> list[Primary]:
        """The performance of every hour of a range in which the response was on."""
        first, end = first_ns // HOUR_NS, _end(end_ns, HOUR_NS)
        names = tuple(name for name in NUMBERS if name not in {FREQUENCY, ROCOF})
        cells = self._series(names, first, end)
        with self._opened() as connection:
            laws: dict[int, Mapping[str, Any]] = {}
            if connection is not None:
                rows = connection.execute("SELECT * FROM law WHERE hour >= ? AND hour < ?", (first, end))
                laws = {int(str(hour)): json.loads(str(body)) for hour, body in rows}
        return [
            primary(hour, {name: cells.get((hour, name), blank(name)) for name in names}, laws.get(hour))
            for hour in sorted(hour for hour, name in cells if name == COUNT)
        ]

    def availability(self, end_ns: int, *, most_gaps: int | None = None) -> list[Availability]:
        """Of every source, over the 12 months before a time, or since the first record."""
        start_ns, end_ns = window(end_ns)
        with self._opened() as connection:
            if connection is None:
                return []
            ((oldest,),) = connection.execute(
                "SELECT min(hour) FROM hour WHERE series = ? AND hour >= ?",
                (GOOD + GATEWAY, _SANE_NS // HOUR_NS),
            ).fetchall()
            seen = [
                str(series).removeprefix(GOOD)
                for (series,) in connection.execute("SELECT DISTINCT series FROM hour ORDER BY series")
                if str(series).startswith(GOOD)
            ]
        if oldest is None:
            return []
        hour = int(str(oldest))
        if hour * HOUR_NS >= start_ns:
            cells = self._series((GOOD + GATEWAY,), hour, hour + 1)[hour, GOOD + GATEWAY]
            start_ns = hour * HOUR_NS + int((cells > 0).argmax()) // 6 * MINUTE_NS
        if start_ns >= end_ns:
            return []
        given = [role for role, name in self._plant.points.items() if name is not None]
        sources = list(dict.fromkeys([*_ALWAYS, *given, *seen]))
        found = []
        for source in sources:
            cells_of = self._series((GOOD + source,), start_ns // HOUR_NS, _end(end_ns, HOUR_NS))
            bits = {hour: cells for (hour, _), cells in cells_of.items()}
            found.append(availability(source, bits, start_ns, end_ns, most_gaps=most_gaps))
        return found

    def energy(self, first_ns: int, end_ns: int) -> list[Energy]:
        """The energy of every quarter of a range, from the first that is known to the last.

        Those that are not known are there, too, but not more than a month of them at a time.
        """
        first, end = first_ns // QUARTER_NS, _end(end_ns, QUARTER_NS)
        with self._opened() as connection:
            held = {} if connection is None else get_quarters(connection, first - 1, end + 1)
        known = sorted(quarter for quarter in held if first <= quarter < end)
        numbers = known[:1]
        for quarter in known[1:]:
            missing = range(numbers[-1] + 1, quarter)
            numbers += [*(missing if len(missing) <= _SPELLED else ()), quarter]
        return [energy(quarter, held, self._plant.rated_power) for quarter in numbers]

    def _series(self, names: Sequence[str], first: int, end: int) -> dict[tuple[int, str], Cells]:
        marks = ", ".join("?" * len(names))
        query = f"SELECT hour, series, body FROM hour WHERE series IN ({marks}) AND hour >= ? AND hour < ?"  # noqa: S608
        with self._opened() as connection:
            rows = [] if connection is None else connection.execute(query, (*names, first, end)).fetchall()
        try:
            return {(int(str(h)), str(s)): unpack(str(s), b) for h, s, b in rows}  # type: ignore[arg-type]
        except ValueError as error:
            raise PerformanceError(
                f"{self.path} is damaged ({error}): run `bessai performance rebuild`"
            ) from error


def _end(end_ns: int, step: int) -> int:
    """Number of the first bucket that begins at or after a time."""
    return -(-end_ns // step)
