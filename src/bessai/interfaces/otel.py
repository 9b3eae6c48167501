"""OpenTelemetry over OTLP/gRPC: never waits, never fills up, says a problem once and ends quickly."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from bessai import __version__
from bessai.interfaces.tracing import Ids, Span

_QUEUE = 2048
"""Spans that wait for the collector; the oldest give way."""
_EXPORT_TIMEOUT = 5.0
"""Seconds for one export, attempts included."""
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "producer": SpanKind.PRODUCER}

OnResult = Callable[[int | None], None]
"""Called after each export with the number of root spans that arrived, None when the export failed."""


class Otel:
    """A tracer and a meter for one process of one site.

    `endpoint` is a URL; `http://` is plain text, `https://` is TLS. Nothing is registered globally. Everything that is
    given to the tracer is exported: who gives it has sampled before, since the service plane knows a cycle's outcome
    when it traces it.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        service_name: str,
        site: str,
        metric_interval: float,
        on_result: OnResult,
        process: str = "service",
    ) -> None:
        # The exporters log every failed attempt; on_result tells what is worth saying.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        resource = Resource.create(
            {
                "service.name": service_name,
                "service.version": __version__,
                "service.instance.id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"bessai:{site}/{process}")),
                "deployment.name": site,
                "site": site,
                "bessai.process": process,
            }
        )
        self.reached = False
        """The last export arrived."""
        self._closed = False
        self._on_result = on_result
        self._lock = threading.Lock()
        self._ids = _GivenIds()
        self._spans = _SpanExporter(self._note, endpoint=endpoint, timeout=_EXPORT_TIMEOUT)
        self._metrics = _MetricExporter(self._note, endpoint=endpoint, timeout=_EXPORT_TIMEOUT)
        self._tracers = TracerProvider(
            resource=resource, shutdown_on_exit=False, sampler=ALWAYS_ON, id_generator=self._ids
        )
        self._tracers.add_span_processor(
            BatchSpanProcessor(self._spans, max_queue_size=_QUEUE, schedule_delay_millis=1000)
        )
        self._reader = PeriodicExportingMetricReader(
            self._metrics, export_interval_millis=metric_interval * 1000
        )
        self._meters = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
        self.tracer: Tracer = self._tracers.get_tracer("bessai", __version__)
        self.meter: Meter = self._meters.get_meter("bessai", __version__)

    def write(self, span: Span) -> Context:
        """Hand a span over. Returns the context below it, for its children and for exemplars."""
        above = context_of(span.parent) if span.parent is not None else Context()
        self._ids.give(span.ids)
        made = self.tracer.start_span(
            span.name, above, _KINDS[span.kind], attributes=span.attributes, start_time=span.start_ns,
            links=[Link(_context(ids)) for ids in span.links],
        )  # fmt: skip
        for name, attributes, wall_ns in span.events:
            made.add_event(name, attributes, wall_ns)
        if span.error is not None:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(span.end_ns)
        return set_span_in_context(made, Context())

    def close(self, grace: float = 0.4) -> None:
        """Flush for at most `grace` seconds when the collector answers, then cancel whatever is under way."""
        if self.reached:
            _within(grace, self._tracers.force_flush, self._meters.force_flush)
        self._closed = True
        self._spans.shutdown()
        self._metrics.shutdown()
        _within(0.2, self._tracers.shutdown, self._meters.shutdown)

    def _note(self, roots: int | None) -> None:
        with self._lock:
            if self._closed:
                return
            self.reached = roots is not None
            self._on_result(roots)


def context_of(ids: Ids) -> Context:
    """The context below a span that is sampled, wherever it was made."""
    return set_span_in_context(NonRecordingSpan(_context(ids)), Context())


def _context(ids: Ids) -> SpanContext:
    return SpanContext(ids.trace, ids.span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class _GivenIds(RandomIdGenerator):
    """Gives the next span of this thread the ids that it is to have."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, ids: Ids) -> None:
        self._given.ids = ids

    def generate_span_id(self) -> int:
        ids: Ids | None = getattr(self._given, "ids", None)
        self._given.ids = None
        return super().generate_span_id() if ids is None else ids.span

    def generate_trace_id(self) -> int:
        ids: Ids | None = getattr(self._given, "ids", None)
        return super().generate_trace_id() if ids is None else ids.trace


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, note: OnResult, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._note = note

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        arrived = result is SpanExportResult.SUCCESS
        self._note(sum(span.name == "cycle" for span in spans) if arrived else None)
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
