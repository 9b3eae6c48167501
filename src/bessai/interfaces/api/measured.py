"""How long answers took, by method, route and status."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from bessai.interfaces.metrics.figures import Histogram
from bessai.interfaces.tracing import Ids

EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: those of OpenTelemetry's conventions for HTTP."""

_MOST = 1000
"""Combinations that are kept apart; there are fewer, since routes and methods are the API's own."""


class Measured:
    """Counts since the process began. Used by the loop's thread."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str, str], tuple[list[int], list[float]]] = {}
        self._news: deque[tuple[Mapping[str, str], float, Ids | None]] | None = None

    def keep_news(self) -> None:
        """From now on, keep what `news` takes: the newest 4,096 answers."""
        self._news = deque(maxlen=4096)

    def news(self) -> Iterator[tuple[Mapping[str, str], float, Ids | None]]:
        """Every answer since the last call: attributes, seconds, and its span where that is traced. Any thread."""
        while self._news:
            yield self._news.popleft()

    def add(self, attributes: Mapping[str, str], seconds: float, ids: Ids | None = None) -> None:
        """Count one answer; `ids`: of its span, where it is traced."""
        if self._news is not None:
            self._news.append(({name: value for name, value in attributes.items() if value}, seconds, ids))
        key = (
            attributes["http.request.method"],
            attributes.get("http.route", ""),
            attributes["http.response.status_code"],
        )
        held = self._classes.get(key)
        if held is None:
            if len(self._classes) >= _MOST:
                return
            held = self._classes[key] = ([0] * (len(EDGES) + 1), [0.0])
        held[0][bisect_left(EDGES, seconds)] += 1
        held[1][0] += seconds

    def histograms(self) -> Sequence[tuple[Mapping[str, str], Histogram]]:
        """A copy."""
        return [
            (
                {
                    "http.request.method": method,
                    **({"http.route": route} if route else {}),
                    "http.response.status_code": status,
                },
                Histogram(edges=EDGES, counts=tuple(counts), sum=total),
            )
            for (method, route, status), (counts, (total,)) in self._classes.items()
        ]
