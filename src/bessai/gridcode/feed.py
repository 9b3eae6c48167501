"""The running gateway's live feed, read as samples: one connection to its local socket."""

from __future__ import annotations

import base64
import json
import math
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bessai.model import Quality

_GOOD = int(Quality.GOOD)


class FeedError(RuntimeError):
    """The gateway does not tell what is asked for, or has fallen silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What one cycle told."""

    time: float
    """UTC seconds of the cycle's image."""
    values: dict[str, float | None]
    """By point; None where the value was not good."""
    measured: dict[str, float]
    """UTC seconds at which each value was measured."""
    state: str
    """Of the guard."""


class Feed:
    """A watcher; also a context manager.

    Args:
        path: of the gateway's socket.
        points: to watch.
        patience: seconds without a line after which the gateway counts as silent.

    Raises:
        FeedError: no gateway, or it has no such points.
    """

    def __init__(self, path: Path, points: Sequence[str], patience: float = 5.0) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(patience)
        try:
            self._connection.connect(str(path))
            self._lines = self._connection.makefile("rb")
            self._connection.sendall(json.dumps({"op": "watch", "points": list(points)}).encode() + b"\n")
            first = self._line()
        except OSError as error:
            self._connection.close()
            raise FeedError(f"the gateway does not answer: {error}") from None
        if not first.get("ok"):
            self.close()
            raise FeedError(str(first.get("error")))
        self._points: list[str] = first["points"]
        self._part: list[int] = first["part"]
        self.period = float(first["period"])
        """Seconds of a control cycle."""

    def next(self) -> Frame:
        """The next cycle.

        Raises:
            FeedError: none came in time, or lines were lost.
        """
        try:
            line = self._line()
        except OSError as error:
            raise FeedError(f"the gateway has fallen silent: {error}") from None
        if line.get("missed"):
            raise FeedError(f"{line['missed']} cycles were not told: this program was too slow")
        places = range(len(self._points)) if line["whole"] else self._part
        names = [self._points[place] for place in places]
        values, ages = _column(line["values"], "d"), _column(line["ages"], "f")
        quality = base64.b64decode(line["quality"])
        now = line["wall_ns"] / 1e9
        good = [mark == _GOOD and math.isfinite(value) for mark, value in zip(quality, values, strict=True)]
        return Frame(
            time=now,
            values={name: value if ok else None for name, value, ok in zip(names, values, good, strict=True)},
            measured={name: now - age for name, age in zip(names, ages, strict=True) if math.isfinite(age)},
            state=str(line["decision"].get("state")),
        )

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self) -> dict[str, Any]:
        text = self._lines.readline()
        if not text:
            raise FeedError("the gateway ended the connection")
        line: dict[str, Any] = json.loads(text)
        return line


def _column(text: str, kind: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // struct.calcsize(kind)}{kind}", data))
