"""Messages of the local socket that become a `Request`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bessai.model import Bounds, Priority, Request

LEASE = 60.0
"""Seconds of a lease that says nothing else."""

MAX_LEASE = 3600.0
"""Longest lease in seconds: nobody's wish outlives an hour of silence."""

_TEXT = 128


def request_from(message: Mapping[str, Any], now: float) -> Request:
    """The request of a message.

    Args:
        message: as `bessai.core.local_socket` shows it.
        now: monotonic seconds at which its lease begins.

    Raises:
        ValueError: with the field, its value and the mend.
    """
    lease = lease_of(message)
    name = str(message.get("priority", "operator")).upper()
    if name not in Priority.__members__:
        raise ValueError(f"priority={name.lower()}: use one of {', '.join(Priority.__members__).lower()}")
    power = message.get("power")
    return Request(
        source=_text(message, "source") or "operator",
        priority=Priority[name],
        power=None if power is None else number(message, "power", 0.0),
        bounds=Bounds(number(message, "low", -math.inf), number(message, "high", math.inf)),
        expires=now + lease,
        reactive=None if message.get("reactive") is None else number(message, "reactive", 0.0),
        reactive_bounds=Bounds(
            number(message, "reactive_low", -math.inf), number(message, "reactive_high", math.inf)
        ),
        firm=_flag(message, "firm"),
        soc_target=None if message.get("soc_target") is None else number(message, "soc_target", 0.0),
        reason=_text(message, "reason"),
        id=_text(message, "id"),
    )


def lease_of(message: Mapping[str, Any]) -> float:
    """Seconds of a lease.

    Raises:
        ValueError: it is no number, or out of range.
    """
    lease = number(message, "for", LEASE)
    if not 0 < lease <= MAX_LEASE:
        raise ValueError(f"for={lease:g}: a lease lasts more than 0 and at most {MAX_LEASE:g} s")
    return lease


def _flag(message: Mapping[str, Any], key: str) -> bool:
    value = message.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key}={value!r}: give true or false")
    return value


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if value is not None and (not isinstance(value, str) or len(value) > _TEXT):
        raise ValueError(f"{key}: give a text of at most {_TEXT} characters")
    if value is not None and not value.isprintable():  # it is shown, logged and published
        raise ValueError(f"{key}={value!r}: only printable characters")
    return value or ""


def number(message: Mapping[str, Any], key: str, default: float) -> float:
    """A number of a message.

    Raises:
        ValueError: it is no finite number.
    """
    value = message.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key}={value!r}: give a number")
    return float(value)
