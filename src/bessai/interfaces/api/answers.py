"""What the answers of the routes share: how errors are declared, how times come in, numbers that JSON can say."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bessai.interfaces.api.problems import field_problem

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Answer(BaseModel):
    """Base of all answers: names are described where they are declared."""

    model_config = ConfigDict(use_attribute_docstrings=True, allow_inf_nan=False)


class Body(BaseModel):
    """Of a request: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


Secret = Annotated[str, Field(max_length=1024)]
"""Of a password. It is never shown again."""
Flag = Annotated[bool, Field(strict=True)]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route besides those that any may have, for its `responses`; `openapi` gives them their form."""
    return {status: {"description": ""} for status in statuses}


def shown(*examples: Mapping[str, Any]) -> ConfigDict:
    """The configuration of a model with examples."""
    return ConfigDict(json_schema_extra={"examples": [dict(one) for one in examples]})


def text_answer(media: str, example: str) -> dict[int | str, dict[str, Any]]:
    """The good answer of a route that is no JSON, for its `responses`."""
    return {200: {"content": {media: {"schema": {"type": "string", "examples": [example]}}}}}


def moment(name: str, text: str | None, default_ns: int, *, now_ns: int | None = None) -> int:
    """UTC nanoseconds of a time in a request: ISO 8601 (UTC unless it says otherwise), ms since 1970, `now` or `-2h`.

    Raises:
        Problem: 422 when it is none.
    """
    if text is None or not text.strip():
        return default_ns
    now = time.time_ns() if now_ns is None else now_ns
    text = text.strip()
    try:
        if text == "now":
            found = now
        elif re.fullmatch(r"-?\d{1,16}", text, re.ASCII):
            found = int(text) * 1_000_000
        elif ago := re.fullmatch(r"-(\d{1,9}(?:\.\d{1,9})?)([smhd])", text, re.ASCII):
            found = now - int(timedelta(**{_UNITS[ago[2]]: float(ago[1])}).total_seconds() * 1e9)
        else:
            plus = re.sub(
                r"^(.*T.*) (\d\d:?\d\d)$", r"\1+\2", text
            )  # a + that nobody encoded came as a space
            when = datetime.fromisoformat(plus)
            when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
            found = (when - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        found = 1 << 63
    if not -(1 << 62) < found < 1 << 62:
        raise field_problem(
            name, text[:80], "is no time: write 2026-01-31T12:00:00Z, milliseconds since 1970, or -2h"
        )
    return found


def through(wall_ns: int) -> int:
    """The end of the millisecond: answers tell times in whole ones, and what happened within must be found by them."""
    return wall_ns // 1_000_000 * 1_000_000 + 999_999


def time_text(wall_ns: int) -> str:
    """ISO 8601 UTC with milliseconds."""
    whole, part = divmod(wall_ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part // 10**6:03d}Z"


def finite(value: object) -> float | None:
    """A number that JSON can say, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def good(points: Mapping[str, Any], name: str) -> float | None:
    """The value of a point of the status when it is evidence, else None."""
    point = points.get(name)
    return finite(point.get("value")) if point is not None and point.get("quality") == "good" else None
