"""The rows of a schedule in CSV, also as spreadsheets in Chile write it: `;` between fields, decimal comma."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from bessai.interfaces.schedule.schema import COLUMNS, NUMBERS, EntryRow
from bessai.registry.problems import Problem, explain, shorten

_ZONE = re.compile(r"^#\s*time\s*_?zone\s*[:=]\s*(\S+)$", re.IGNORECASE)
_THOUSANDS = re.compile(r"^[+-]?\d{1,3}(\.\d{3})+$")


@dataclass(slots=True)
class Rows:
    """What was found in a file."""

    zone: str | None = None
    zone_line: int = 0
    rows: list[tuple[str, EntryRow]] = field(default_factory=list)
    """Where each stands, and what it says."""
    problems: list[Problem] = field(default_factory=list)


def read_rows(text: str, file: str) -> Rows:
    """Read every line; what is wrong is listed in `problems`."""
    found = Rows()
    header: list[str] | None = None
    delimiter = ","
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip().strip('";,\t ')
        if not bare:
            continue
        if bare.startswith("#"):
            if match := _ZONE.match(bare):
                found.zone, found.zone_line = match[1], number
            continue
        if header is None:
            delimiter = max(",;\t", key=line.count)
            header = [name.strip().lower() for name in _cells(line, delimiter)]
            found.problems += _of_header(header, file, number)
            if found.problems:
                return found
            continue
        cells = _cells(line, delimiter)
        where = f"line {number}"
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            hint = f" (a decimal comma needs {'; between fields' if delimiter == ',' else 'no quotes'})"
            mend = f"has {len(cells)} fields and the first line {len(header)}{hint}"
            found.problems.append(Problem(file, where, shorten(line), mend))
            continue
        row, problems = _row(dict(zip(header, cells, strict=False)), delimiter)
        if not problems:
            try:
                found.rows.append((where, EntryRow.model_validate(row)))
            except ValidationError as error:
                problems = explain(error, file, row, COLUMNS)
        for problem in problems:
            whole = problem.field in {"", '""'}
            name, value = (where, shorten(line)) if whole else (f"{where}, {problem.field}", problem.value)
            found.problems.append(replace(problem, file=file, field=name, value=value))
    if header is None:
        found.problems.append(
            Problem(file, "", "", f"is empty; the first line names the columns: {','.join(COLUMNS)}")
        )
    return found


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _of_header(header: list[str], file: str, number: int) -> Iterator[Problem]:
    where = f"line {number}"
    for name in dict.fromkeys(header):
        if name and name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"use {', '.join(COLUMNS)}"
            yield Problem(file, where, shorten(name), f"unknown column; {hint}")
        elif name and header.count(name) > 1:
            yield Problem(file, where, shorten(name), "is there twice; keep one")
    for name in ("start", "end", "power_kw"):
        if name not in header and not (name == "power_kw" and "soc_target_pct" in header):
            yield Problem(file, where, "", f"column `{name}` is missing; the first line names the columns")


def _row(cells: dict[str, str], delimiter: str) -> tuple[dict[str, Any], list[Problem]]:
    row: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        text = cell.strip()
        if not name or not text:
            continue
        row[name] = text
        if name in NUMBERS:
            try:
                row[name] = _number(text, comma=delimiter != ",")
            except ValueError as error:
                problems.append(Problem("", name, shorten(text), str(error)))
    return row, problems


def _number(text: str, *, comma: bool) -> float:
    if comma and _THOUSANDS.match(text):
        plain = text.replace(".", "")
        raise ValueError(f"can be read in two ways; write {plain} or {text.replace('.', ',', 1)}")
    if "," in text:
        text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError("is no number; write 12.5 or, with ; between fields, 12,5; no thousands separator")
    return float(text)
