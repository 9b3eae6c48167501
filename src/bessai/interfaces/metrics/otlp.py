"""OpenTelemetry's instruments, made from the table."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from bessai.interfaces.metrics import METRICS
from bessai.interfaces.metrics.figures import Figures, Histogram
from bessai.interfaces.metrics.metric import Kind, Metric

_FRESH = 2.0
"""Seconds for which the figures count: one collection asks once for all instruments."""


class Instruments:
    """Gauges and counters that are read when the collector's turn comes; `histograms` are recorded by their owners.

    Args:
        meter: makes them.
        collect: the figures of now.
        metrics: which ones.
        edges: classes of the histograms, by name.
    """

    def __init__(
        self,
        meter: Meter,
        collect: Callable[[], Figures],
        *,
        metrics: Sequence[Metric] = METRICS,
        edges: Mapping[str, Sequence[float]],
    ) -> None:
        self._collect = collect
        self._held: tuple[float, Figures] = (-math.inf, Figures())
        self._lock = threading.Lock()
        self.histograms: dict[str, api.Histogram] = {}
        for metric in metrics:
            match metric.kind:
                case Kind.GAUGE:
                    meter.create_observable_gauge(
                        metric.name, [self._reader(metric)], metric.unit, metric.text
                    )
                case Kind.COUNTER:
                    meter.create_observable_counter(
                        metric.name, [self._reader(metric)], metric.unit, metric.text
                    )
                case Kind.HISTOGRAM:
                    self.histograms[metric.name] = meter.create_histogram(
                        metric.name, metric.unit, metric.text,
                        explicit_bucket_boundaries_advisory=edges[metric.name],
                    )  # fmt: skip

    def _reader(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterator[Observation]:
            for attributes, value in metric.samples(self._figures()):
                if value is not None and not isinstance(value, Histogram) and math.isfinite(value):
                    yield Observation(value, attributes)

        return read

    def _figures(self) -> Figures:
        with self._lock:
            if time.monotonic() - self._held[0] > _FRESH:
                figures = self._collect()
                self._held = (time.monotonic(), figures)
            return self._held[1]
