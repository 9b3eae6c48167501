"""JSON lines of `bessai journal export` back into a journal: sequences, epochs and columns as they were.

The file is read twice: the first time every line is checked and nothing is written. What the lines do not say is
not there afterwards either: a state or a bit that never occurred has no meaning in the rebuilt layout, a value that
was infinite is none, and ages are whole microseconds.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bessai.journal.block import pack
from bessai.journal.errors import JournalError, TooLargeError
from bessai.journal.forms import form_of, template
from bessai.journal.lock import lock_directory
from bessai.journal.log import Log
from bessai.journal.migration import is_needed
from bessai.journal.rebuilt import LayoutBook
from bessai.journal.repair import open_log
from bessai.journal.row import CYCLE, FED, VERIFIED, Row
from bessai.journal.verify import Tick
from bessai.model import Quality, Severity

_BATCH = 256
_MANY = 500
"""Points of a record that may be too large for a commit."""
_LABELS = {quality.label: int(quality) for quality in Quality}
_SEVERITIES = {severity.label: int(severity) for severity in Severity}
_Quality = Literal[
    "good", "missing", "stale", "not_available", "invalid", "out_of_range", "absent", "implausible", "frozen"
]
_Counted = Field(ge=-(2**63), lt=2**63)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Point(_Strict):
    """One point of a line."""

    value: float | None
    unit: str | None
    quality: _Quality
    age: float | None
    meaning: str | list[str] | None = None


class _Event(_Strict):
    code: str
    severity: Literal["info", "warning", "alarm"]
    message: str
    wall_ns: int = _Counted
    active: bool
    point: str | None
    value: float | None
    first_out: bool
    about: str | None
    user: str | None
    time: str


class Line(_Strict):
    """One line of a file."""

    sequence: int = Field(ge=1, lt=2**63)
    epoch: int = Field(default=0, ge=0, lt=2**63)
    kind: Literal["cycle", "event"]
    time: str
    wall_ns: int = _Counted
    device: dict[str, str]
    cycle: int = Field(default=0, ge=-(2**63), lt=2**63)
    points: dict[str, Point] = {}
    texts: dict[str, str] = {}
    decision: dict[str, Any] = {}
    outcome: dict[str, Any] | None = None
    timing: dict[str, float | None] = {}
    verified: bool = False
    fed: bool = False
    events: list[_Event]


_LINE = TypeAdapter(Line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did."""

    records: int
    first: int
    last: int
    """Sequences; zero when the file was empty."""
    skipped: int
    """Numbers that were left out because the file has no record for them."""
    layouts: int
    dropped: int
    """Records dropped meanwhile to keep the size bound."""


def import_jsonl(
    source: Path, directory: Path, *, max_bytes: int, resume: bool = False, tick: Tick | None = None
) -> Imported:
    """Append the lines of `source` to the journal of a data directory that no gateway uses.

    Args:
        source: the file.
        directory: the data directory; created when missing.
        max_bytes: bound of the journal's size.
        resume: leave out the lines up to the journal's last sequence, for an import that was interrupted.
        tick: told how many bytes of the file were read, of twice its size because it is read twice.

    Raises:
        JournalError: a line is not what `export` writes, the journal is in use or is beyond the first line. Nothing
            was changed.
        OSError: the disk is full or failing; what was imported so far is durable.
    """
    size = source.stat().st_size
    progressed = tick or (lambda done, total: None)
    book, first, last, largest = LayoutBook(), 0, 0, 0
    for number, (line, offset) in enumerate(_lines(source), 1):
        if line.sequence <= last:
            raise _bad(
                source, number, "sequence", line.sequence, f"it must be above {last}, that of the line before"
            )
        row = _row(line)
        try:
            template(row.forms)
            json.dumps((line.decision, line.outcome), allow_nan=False)
        except (ValueError, RecursionError) as error:
            raise _bad(source, number, "decision", line.decision, str(error)) from None
        if problem := book.add(line):
            raise _bad(source, number, *problem)
        if len(line.points) > _MANY:
            largest = max(largest, len(pack([row])))
        first, last = first or line.sequence, line.sequence
        progressed(offset, 2 * size)
    lock = lock_directory(directory)
    try:
        if is_needed(directory):
            raise JournalError(
                f"{directory} holds a journal of an older version: start the gateway once first"
            )
        log = open_log(directory, max_bytes=max_bytes)
        try:
            after = log.last_sequence
            if first and after >= first and not resume:
                raise JournalError(
                    f"{directory / 'journal'} ends at sequence {after}, {source} begins at {first}: "
                    "import into an empty data directory, or add --resume when an import was interrupted"
                )
            if largest and largest > log.most_bytes:
                raise JournalError(
                    f"{source} has a record of {largest} bytes, a commit takes {log.most_bytes}: raise JOURNAL_MAX_MB"
                )
            before = log.totals
            records = _write(
                log, book, _runs(source, book, after), lambda done: progressed(size + done, 2 * size)
            )
            return Imported(
                records=records, first=first, last=last, skipped=log.totals.skipped - before.skipped,
                layouts=len(book.layouts), dropped=log.totals.space - before.space,
            )  # fmt: skip
        finally:
            log.close()
    finally:
        os.close(lock)


@dataclass(slots=True)
class _Run:
    """Records that follow each other in one layout and epoch."""

    layout: int
    epoch: int
    first: int
    rows: list[Row]
    end: int
    """Where the last of them ends in the file."""


def _runs(source: Path, book: LayoutBook, after: int) -> Iterator[_Run]:
    run: _Run | None = None
    for (line, offset), layout in zip(_lines(source), book.numbers(), strict=True):
        if line.sequence <= after:
            continue
        expected = (run.layout, run.epoch, run.first + len(run.rows)) if run is not None else None
        if run is None or expected != (layout, line.epoch, line.sequence) or len(run.rows) >= _BATCH:
            if run is not None:
                yield run
            run = _Run(layout, line.epoch, line.sequence, [], 0)
        run.rows.append(_row(line))
        run.end = offset
    if run is not None:
        yield run


def _write(log: Log, book: LayoutBook, runs: Iterable[_Run], progressed: Callable[[int], None]) -> int:
    """Append the records, then begin an epoch above all of theirs; how many records."""
    own, records, layouts = log.epoch, 0, book.layouts
    for run in runs:
        log.epoch = run.epoch
        log.skip(run.first - 1)
        rows, count = run.rows, len(run.rows)
        while rows:
            try:
                log.append(rows[:count], *layouts[run.layout])
                rows = rows[count:]
            except TooLargeError:
                if count == 1:
                    raise
                count = max(1, count // 2)
        records += len(run.rows)
        own = max(own, run.epoch)
        progressed(run.end)
    log.epoch = own
    if records:
        log.renew(time.time_ns() // 10**6)
    return records


def _lines(source: Path) -> Iterator[tuple[Line, int]]:
    """Every line, checked, and where it ends. Raises JournalError."""
    with source.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                yield _LINE.validate_json(raw), file.tell()
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                field = ".".join(map(str, first["loc"])) or "line"
                raise _bad(source, number, field, first.get("input"), first["msg"]) from None


def _bad(source: Path, number: int, field: str, value: object, mend: str) -> JournalError:
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return JournalError(
        f"{source}, line {number}: {field} is {shown}, but: {mend}. Nothing was imported; "
        "mend the line, or export the journal again"
    )


def _row(line: Line) -> Row:
    numbers: list[float] = []
    events = [
        {**event.model_dump(exclude={"time"}), "severity": _SEVERITIES[event.severity]}
        for event in line.events
    ]
    timing = {name: math.nan if seconds is None else seconds for name, seconds in line.timing.items()}
    parts: list[Any] = [line.decision, timing, line.outcome, line.texts, events]
    forms = [form_of(part, numbers) for part in parts]
    points = line.points.values()
    cycle = line.kind == "cycle"
    return Row(
        wall_ns=line.wall_ns,
        flags=(CYCLE | VERIFIED * line.verified | FED * line.fed) if cycle else 0,
        cycle=line.cycle,
        events=len(events),
        values=np.array([math.nan if p.value is None else p.value for p in points], np.float64),
        quality=np.array([_LABELS[p.quality] for p in points], np.uint8),
        times=-np.array([math.nan if p.age is None else p.age for p in points], np.float64),
        forms=(forms[0], forms[1], forms[2], forms[3], forms[4]),
        numbers=numbers,
    )
