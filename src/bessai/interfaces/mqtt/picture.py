"""What is true now, as retained messages: what has changed since it was last told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bessai.interfaces.courier import Batch
from bessai.interfaces.mqtt.topics import Topics

REFRESH: Final = 60.0
"""Seconds after which a point is told again although it has not changed: so that silence means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What to publish, and what is remembered of it once the broker has it."""

    messages: dict[str, bytes]
    """By topic."""
    points: dict[str, dict[str, Any]]
    """Every point of the records behind it."""
    device: dict[str, Any]
    told: dict[str, tuple[object, object, float]] = field(repr=False)


class Picture:
    """The newest record and the newest value of each point.

    A record need not hold every point: with a cycle shorter than a second most hold a few only. The state is the
    newest one that holds as many as any before it.
    """

    def __init__(self, topics: Topics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._topics = topics
        self._monotonic = monotonic
        self._told: dict[str, tuple[object, object, float]] = {}
        self._most = 0

    def news(self, batch: Batch) -> News | None:
        """What the newest records of the batch tell; None when there is no cycle among them."""
        records = list(_newest(batch))
        if not records:
            return None
        points: dict[str, dict[str, Any]] = {}
        for _, record in reversed(records):
            points |= record["points"]
        now = self._monotonic()
        told = {
            name: (point["value"], point["quality"], now)
            for name, point in points.items()
            if self._is_news(name, point, now)
        }
        found = {
            self._topics.point(name): json.dumps(points[name], ensure_ascii=False).encode() for name in told
        }
        data, record = max(records, key=lambda one: len(one[1]["points"]))  # the newest of equals
        if len(record["points"]) >= self._most:
            self._most = len(record["points"])
            found[self._topics.state] = data
        return News(messages=found, points=points, device=record["device"], told=told)

    def keep(self, news: News) -> None:
        """The broker has it."""
        self._told |= news.told

    def forget(self) -> None:
        """Tell everything again, at a broker that may know nothing."""
        self._told.clear()

    def _is_news(self, name: str, point: dict[str, Any], now: float) -> bool:
        known = self._told.get(name)
        return known is None or known[:2] != (point["value"], point["quality"]) or now - known[2] >= REFRESH


def _newest(batch: Batch) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The newest cycle of each layout, newest first."""
    seen: set[int] = set()
    for entry, message in zip(reversed(batch.entries), reversed(batch.messages), strict=True):
        if entry.kind == "cycle" and len(entry.layout) not in seen:
            seen.add(len(entry.layout))
            record = json.loads(message.data)
            if record["kind"] == "cycle":
                yield message.data, record
