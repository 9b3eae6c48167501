"""OpenTelemetry over OTLP/gRPC: never waits, never fills up, says a problem once and ends quickly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Tracer

from bessai import __version__

_QUEUE = 2048
"""Spans that wait for the collector; the oldest give way."""
_EXPORT_TIMEOUT = 5.0
"""Seconds for one export, attempts included."""

OnResult = Callable[[int | None], None]
"""Called after each export with the number of root spans that arrived, None when the export failed."""


class Otel:
    """A tracer and a meter for one service.

    `endpoint` is a URL; `http://` is plain text, `https://` is TLS. Nothing is registered globally.
    """

    def __init__(
        self, *, endpoint: str, service_name: str, site: str, metric_interval: float, on_result: OnResult
    ) -> None:
        # The exporters log every failed attempt; on_result tells what is worth saying.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        resource = Resource.create(
            {"service.name": service_name, "service.version": __version__, "site": site}
        )
        self._reached = False
        self._closed = False
        self._on_result = on_result
        self._lock = threading.Lock()
        self._spans = _SpanExporter(self._note, endpoint=endpoint, timeout=_EXPORT_TIMEOUT)
        self._metrics = _MetricExporter(self._note, endpoint=endpoint, timeout=_EXPORT_TIMEOUT)
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracers.add_span_processor(
            BatchSpanProcessor(self._spans, max_queue_size=_QUEUE, schedule_delay_millis=1000)
        )
        reader = PeriodicExportingMetricReader(self._metrics, export_interval_millis=metric_interval * 1000)
        self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.tracer: Tracer = self._tracers.get_tracer("bessai", __version__)
        self.meter: Meter = self._meters.get_meter("bessai", __version__)

    def close(self, grace: float = 0.4) -> None:
        """Flush for at most `grace` seconds when the collector answers, then cancel whatever is under way."""
        if self._reached:
            _within(grace, self._tracers.force_flush, self._meters.force_flush)
        self._closed = True
        self._spans.shutdown()
        self._metrics.shutdown()
        _within(0.2, self._tracers.shutdown, self._meters.shutdown)

    def _note(self, roots: int | None) -> None:
        with self._lock:
            if self._closed:
                return
            self._reached = roots is not None
            self._on_result(roots)


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, note: OnResult, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._note = note

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        arrived = result is SpanExportResult.SUCCESS
        self._note(sum(span.parent is None for span in spans) if arrived else None)
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self, note: OnResult, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._note = note

    def export(self, metrics_data: MetricsData, *args: Any, **kwargs: Any) -> MetricExportResult:
        result = super().export(metrics_data, *args, **kwargs)
        self._note(0 if result is MetricExportResult.SUCCESS else None)
        return result


def _within(seconds: float, *steps: Callable[[], object]) -> None:
    def run() -> None:
        for step in steps:
            step()

    thread = threading.Thread(target=run, name="otel-close", daemon=True)
    thread.start()
    thread.join(seconds)
