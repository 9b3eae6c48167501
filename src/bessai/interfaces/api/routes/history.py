"""How points went, from the last seconds to decades."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray
from pydantic import ConfigDict

from bessai.history import History, HistoryError, Series, query
from bessai.interfaces.api.answers import Answer, moment, text_answer, time_text
from bessai.interfaces.api.archive import journal
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.roles import Role, needs

router = APIRouter(tags=["history"], dependencies=[Depends(needs(Role.VIEWER))])

MOST_POINTS = 12
"""Of one question."""
_DAY = 86_400 * 10**9
_COLUMNS = ("point", "unit", "time", "min", "mean", "max", "last", "count", "good")
_CSV_EXAMPLE = ",".join(_COLUMNS) + "\r\nsoc,%,2026-11-29T06:41:40.000Z,50.0,50.01,50.02,50.02,10,1.0\r\n"
_ROWS = 500
"""Rows of CSV that are sent at once."""


class Course(Answer):
    """One point's course, a column each; a gap has count 0 and null in the others."""

    point: str
    unit: str | None
    resolution: str
    """What it is made of: `raw`, `10s`, `1min`, `15min` or `1d`."""
    step: float
    """Seconds of a bucket; 0: every row is one record."""
    times: list[int]
    """Milliseconds since 1970 at which each bucket begins."""
    min: list[float | None]
    """Of the good samples, as are max, mean and last."""
    max: list[float | None]
    mean: list[float | None]
    last: list[float | None]
    count: list[int]
    """Samples of any quality."""
    good: list[float | None]
    """The share of them that is good, 0 to 1."""
    pending: int
    """Records that are missing because the history is still catching up."""


class Courses(Answer):
    """What was asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "start": 1795934500000, "end": 1795934520000,
                    "series": [
                        {"point": "soc", "unit": "%", "resolution": "raw", "step": 10.0,
                         "times": [1795934500000, 1795934510000], "min": [50.0, 50.0], "max": [50.0, 50.02],
                         "mean": [50.0, 50.01], "last": [50.0, 50.02], "count": [10, 10], "good": [1.0, 1.0],
                         "pending": 0}
                    ],
                }
            ]
        }
    )  # fmt: skip

    start: int
    """Milliseconds since 1970 of what is covered."""
    end: int
    series: list[Course]


@router.get(
    "/history",
    response_model=Courses,
    responses=text_answer("text/csv", _CSV_EXAMPLE),
)
async def history(
    request: Request,
    context: Annotated[Context, Depends(of)],
    points: Annotated[
        str, Query(max_length=2000, description="At most 12 names, comma between them.", examples=["soc"])
    ],
    start: Annotated[
        str | None, Query(max_length=40, description="ISO 8601, ms since 1970, or -2h; default a day ago.")
    ] = None,
    end: Annotated[str | None, Query(max_length=40, description="The same, exclusive; default now.")] = None,
    max_points: Annotated[int, Query(ge=1, le=20_000, description="Most buckets of a point.")] = 800,
    step: Annotated[
        float | None, Query(ge=0, le=1e9, description="Seconds of a bucket; 0: every record.")
    ] = None,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
) -> Response:
    """Minimum, mean, maximum and last of the good values by buckets. As CSV with `format=csv` or `Accept: text/csv`."""
    names = list(dict.fromkeys(name.strip() for name in points.split(",") if name.strip()))
    if not 1 <= len(names) <= MOST_POINTS:
        raise field_problem("points", points[:200], f"name 1 to {MOST_POINTS} points")
    now = time.time_ns()
    end_ns = moment("end", end, now, now_ns=now)
    start_ns = moment("start", start, min(now, end_ns) - _DAY, now_ns=now)
    if start_ns > end_ns:
        raise field_problem("start", start, "the range ends before it begins: swap start and end")
    as_csv = form == "csv" or (form is None and "text/csv" in request.headers.get("accept", ""))

    def work() -> list[Series] | bytes:
        found = ask(context, names, start_ns, end_ns, max_points, step, now)
        return found if as_csv else _json(found)

    made = await context.read(work)
    if isinstance(made, bytes):
        return Response(made, media_type="application/json")
    return StreamingResponse(
        _csv(made),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="history.csv"'},
    )


def ask(
    context: Context,
    names: Sequence[str],
    start_ns: int,
    end_ns: int,
    max_points: int,
    step: float | None,
    now_ns: int,
) -> list[Series]:
    """The question to the history; in a thread.

    Raises:
        Problem: 422 with the field, 503 when the files cannot be read.
    """
    directory = context.settings.data_dir
    stored = History(directory)
    try:
        with journal(directory) as reader:
            return query(
                stored, reader, names, start_ns, end_ns, max_points=max_points, step=step, now_ns=now_ns
            )
    except HistoryError as error:
        text = str(error)
        if text.startswith(str(directory)):
            raise Problem(503, "history_unreadable", text) from error
        field = "points" if text.startswith("there is no point") else "start" if step is None else "step"
        raise field_problem(field, None, text, "cannot_answer") from error
    finally:
        stored.close()


def _json(found: Sequence[Series]) -> bytes:
    series = [
        {
            "point": one.point,
            "unit": one.unit,
            "resolution": one.resolution,
            "step": one.step_ns / 1e9,
            "times": (one.times // 1_000_000).tolist(),
            "min": _numbers(one.minimum),
            "max": _numbers(one.maximum),
            "mean": _numbers(one.mean),
            "last": _numbers(one.last),
            "count": one.count.tolist(),
            "good": _numbers(one.good),
            "pending": one.pending,
        }
        for one in found
    ]
    told = {
        "start": min(one.start_ns for one in found) // 1_000_000,
        "end": max(one.end_ns for one in found) // 1_000_000,
        "series": series,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _numbers(column: NDArray[np.float64]) -> list[Any]:
    known = np.isfinite(column)
    numbers: list[Any] = column.tolist()
    return numbers if known.all() else [n if ok else None for n, ok in zip(numbers, known, strict=True)]


def _csv(found: Sequence[Series]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for one in found:
        columns = (one.minimum, one.mean, one.maximum, one.last)
        rows = zip(
            one.times.tolist(), *map(_numbers, columns), one.count.tolist(), _numbers(one.good), strict=True
        )
        for i, (when, *cells) in enumerate(rows, 1):
            shown = ("" if cell is None else cell for cell in cells)
            writer.writerow((one.point, one.unit or "", time_text(when), *shown))
            if i % _ROWS == 0:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
    yield buffer.getvalue()
