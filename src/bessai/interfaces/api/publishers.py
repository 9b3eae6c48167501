"""What waits to be published, how long it has, and whether the far end is there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bessai.interfaces.api.answers import Answer, time_text
from bessai.interfaces.metrics.collecting import made_ns
from bessai.journal import JournalReader


class Publisher(Answer):
    """One destination of the journal's records."""

    name: str
    state: str
    connected: bool | None
    """It holds a connection that it has not seen end; null: it keeps none, or cannot tell."""
    backlog: int
    """Records that wait."""
    oldest_waiting: float | None
    """Seconds since the oldest of them was made; null: none waits, or it is not looked for."""
    delivered: str | None
    """When it delivered last; null: not since the service plane started."""
    failed: str | None
    """When it failed last."""
    error: str | None
    """What is wrong now."""


def sinks_of(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the service plane last said of its sinks; other processes may write it, so shapes are looked at."""
    found = status["service_plane"].get("sinks")
    known = found if isinstance(found, list) else []
    return [sink for sink in known if isinstance(sink, dict) and {"name", "state"} <= sink.keys()]


def publisher(sink: Mapping[str, Any], reader: JournalReader | None) -> Publisher:
    """One sink, with the age of what waits as the journal has it; without a reader it is not looked for."""
    backlog = int(sink.get("backlog") or 0)
    made = made_ns(reader, int(sink.get("cursor") or 0)) if backlog and reader is not None else None
    return Publisher(
        name=str(sink["name"]),
        state=str(sink["state"]),
        connected=sink.get("connected"),
        backlog=backlog,
        oldest_waiting=None if made is None else max(0.0, (time.time_ns() - made) / 1e9),
        delivered=_text(sink.get("delivered_ns")),
        failed=_text(sink.get("newest_error_ns")),
        error=sink.get("last_error"),
    )


def _text(wall_ns: object) -> str | None:
    return time_text(wall_ns) if isinstance(wall_ns, int) else None
