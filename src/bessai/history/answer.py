"""The one question that dashboard, API and command line ask: how did these points go from here to there?"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bessai.history.cells import Cells, Floats, Ints, empty, join, mean, squash
from bessai.history.errors import HistoryError
from bessai.history.levels import LEVELS, SECOND, SLOT
from bessai.history.plan import RAW, RECORDS, Plan, buckets, make_plan, nice_step
from bessai.history.raw import JournalSource, Run, runs, tail, within
from bessai.history.reader import History, Snapshot
from bessai.journal.stats import ReaderStats

TAIL = 20_000
"""Records behind the stored ones that an answer includes. The sink stores long before there are so many."""
MOST_RECORDS = 50_000
"""Records that one question reads from the journal."""
MOST_VALUES = 4_000_000
"""Buckets times points of one answer."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Series:
    """One point's course. A row per bucket, gaps included: `count` is 0 and the rest NaN there."""

    point: str
    unit: str | None
    resolution: str
    """What it is made of: `raw`, `10s`, `1min`, `15min` or `1d`. The edges of the range may come from finer data."""
    step_ns: int
    """Length of a bucket; 0: every row is one record of the journal."""
    start_ns: int
    """What is covered. Earlier than asked for only where the data that would tell is not kept any more."""
    end_ns: int
    """Not included."""
    times: Ints
    """UTC nanoseconds at which each bucket begins; buckets are aligned to 1970-01-01T00:00:00Z."""
    minimum: Floats
    """Of the good samples, exact, as `maximum` is. NaN where there is none, here and below."""
    maximum: Floats
    mean: Floats
    """Mean of the good samples."""
    last: Floats
    """The newest good value."""
    count: Ints
    """Samples of any quality."""
    good: Floats
    """The share of them that is good, 0 to 1; NaN where `count` is 0."""
    pending: int
    """Records that are missing here because the history is still catching up; 0 when all is in."""


def query(
    history: History,
    journal: JournalSource,
    points: Sequence[str],
    start_ns: int,
    end_ns: int,
    *,
    max_points: int = 2000,
    step: float | None = None,
    now_ns: int | None = None,
) -> list[Series]:
    """How points went from `start_ns` to before `end_ns`, one series each, in buckets of one length.

    Minima and maxima are exact: of each bucket, and of the range, also where it begins or ends within a bucket.

    Args:
        history: the rollups.
        journal: a reader of the same data directory.
        points: names.
        start_ns: UTC nanoseconds.
        end_ns: UTC nanoseconds, not included.
        max_points: rows of a series when `step` is left out. The step is then the shortest human one that keeps
            to it; a short range whose records are no more comes record by record.
        step: seconds of a bucket; 0 for every record. Where only coarser data are kept, it becomes longer, see
            `Series.step_ns`.
        now_ns: UTC nanoseconds at which the answer ends at the latest.

    Raises:
        HistoryError: a point is unknown, the range or the step makes no sense or is too much to answer.
        JournalError: the journal cannot be read.
    """
    if now_ns is not None:
        end_ns = max(start_ns, min(end_ns, now_ns))
    if end_ns < start_ns:
        raise HistoryError("the range ends before it begins: swap start and end")
    if max_points < 1 or (step is not None and not 0 <= step <= 1e9):
        raise HistoryError("give a step from 0 (every record) to 1e9 seconds, and at least 1 point to return")
    points = list(dict.fromkeys(points))
    with history.snapshot() as stored:
        held = journal.stats()
        raw_from = history.telemetry_from(journal, held)
        plan = _plan(stored, held, raw_from, start_ns, end_ns, max_points, step, len(points))
        single = step is None and plan.level == RAW
        pending = max(0, held.last_sequence - stored.sequence - TAIL) if plan.rolled else 0
        found = _samples(stored, journal, plan, points)
        units = _units(stored, found, points)
        rollups = _Rollups(stored, plan, units)
        made = []
        for point in points:
            raw = [part for run in found if (part := run.samples(point, units[point])) is not None]
            rows = sum(len(times) for times, _ in raw)
            if plan.step == RECORDS or (single and rows <= max_points):
                times, cells = _in_order(raw)
                step_ns = RECORDS
            else:
                parts = rollups.of(point) + [(times // plan.step, cells) for times, cells in raw]
                keys, cells = _on_grid(plan, parts)
                times, step_ns = keys * plan.step, plan.step
            made.append(_series(point, units[point], plan, step_ns, times, cells, pending))
    return made


def _series(
    point: str, unit: str | None, plan: Plan, step_ns: int, times: Ints, cells: Cells, pending: int
) -> Series:
    with np.errstate(invalid="ignore"):
        share = cells.good / cells.count
    return Series(
        point=point,
        unit=unit,
        resolution="raw" if plan.level == RAW else LEVELS[plan.level].label,
        step_ns=step_ns,
        start_ns=plan.start,
        end_ns=plan.end,
        times=times,
        minimum=cells.low,
        maximum=cells.high,
        mean=mean(cells),
        last=cells.last,
        count=cells.count,
        good=share,
        pending=pending,
    )


def _in_order(raw: list[tuple[Ints, Cells]]) -> tuple[Ints, Cells]:
    """Records by time."""
    times = np.concatenate([np.empty(0, np.int64), *(times for times, _ in raw)])
    cells = join([empty(), *(cells for _, cells in raw)])
    order = np.argsort(times, kind="stable")
    return times[order], cells[order]


def _on_grid(plan: Plan, parts: list[tuple[Ints, Cells]]) -> tuple[Ints, Cells]:
    """Every bucket of the range, also those without a sample."""
    if plan.start == plan.end:
        return np.empty(0, np.int64), empty()
    grid = np.arange(plan.start // plan.step, -(-plan.end // plan.step))
    return squash(
        np.concatenate([grid, *(keys for keys, _ in parts)]),
        join([empty(grid.shape), *(cells for _, cells in parts)]),
    )


def _plan(
    stored: Snapshot, held: ReaderStats, raw_from: float, start: int, end: int, most: int, step: float | None,
    points: int,
) -> Plan:  # fmt: skip
    span = held.last_wall_ns - max(held.first_wall_ns, raw_from)
    expected = held.records * (min(1, (end - start) / span) if span > 0 else 1)
    plan = make_plan(
        start, end, nice_step(start, end, most) if step is None else round(step * SECOND),
        kept_from=stored.kept_from, raw_from=raw_from,
        many=expected > MOST_RECORDS or expected * points > MOST_VALUES,
    )  # fmt: skip
    if plan.step and (rows := buckets(start, end, plan.step)) * points > MOST_VALUES:
        least = -(-(end - start) * points // MOST_VALUES // SECOND) + 1
        raise HistoryError(
            f"{rows} buckets of {points} points are too much for one answer: take a step of at least {least} s, "
            "a shorter range, or fewer points"
        )
    return plan


def _samples(stored: Snapshot, journal: JournalSource, plan: Plan, points: Sequence[str]) -> list[Run]:
    """Records that no rollup of the plan has. The newest tell units too, also where their time is not asked for."""
    found: list[Run] = []
    rows = 0
    for piece in (piece for piece in plan.pieces if piece.level == RAW):
        entries = journal.read_between(piece.start, piece.end - 1)
        for run in runs(entries, points):
            found.append(run.within([piece]))
            rows += len(run.wall_ns)
            if rows > 2 * MOST_RECORDS:  # the estimate was wrong, as after a clock has jumped
                raise HistoryError(
                    "these are more records than are answered at once: ask for a shorter range"
                )
    found += [run.within(plan.rolled) for run in tail(journal, stored.sequence, TAIL, points)]
    return found


def _units(stored: Snapshot, found: Sequence[Run], points: Sequence[str]) -> dict[str, str | None]:
    """The unit of each point: what is stored, unless a newer record knows better."""
    known = stored.names()
    for run in found:
        for name, unit in zip(run.layout.names, run.layout.units, strict=True):
            if name not in known or run.last > stored.sequence:
                known[name] = unit
    for point in points:
        if point not in known:
            near = difflib.get_close_matches(point, known, 3, 0.5)
            raise HistoryError(
                f"there is no point {point!r} in the history"
                + (f": did you mean {', '.join(near)}?" if near else f", it has {len(known)} others")
            )
    return {point: known[point] for point in points}


class _Rollups:
    """The stored buckets of several points, brought to the step of the answer."""

    def __init__(self, stored: Snapshot, plan: Plan, units: dict[str, str | None]) -> None:
        self._stored, self._plan = stored, plan
        self._ids = {name: stored.identity(name, unit) for name, unit in units.items()}
        self._fresh: dict[int, list[tuple[Ints, Cells]]] = {}
        if not plan.rolled:
            return
        wanted = frozenset(identity for identity in self._ids.values() if identity is not None)
        first, last = plan.start // SLOT, plan.end // SLOT
        for keys, points in stored.fresh(wanted, first, last):
            inside = within(keys * SLOT, plan.rolled)
            for identity, cells in points.items():
                part = squash(keys[inside] * SLOT // plan.step, cells[inside])
                self._fresh.setdefault(identity, []).append(part)

    def of(self, point: str) -> list[tuple[Ints, Cells]]:
        """Buckets of the answer and what is stored of them, oldest records first."""
        identity = self._ids[point]
        if identity is None:
            return []
        parts = []
        for level, start, end in self._plan.rolled:
            size = LEVELS[level].step
            for keys, cells in self._stored.chunks(identity, level, start // size, end // size):
                parts.append(squash(keys * size // self._plan.step, cells))
        return parts + self._fresh.get(identity, [])
