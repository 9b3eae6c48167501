"""A real OTLP/gRPC collector for tests: keeps what arrives.

with OtlpReceiver() as receiver:
    receiver.endpoint                    # "http://127.0.0.1:port"; survives stop and start
    receiver.wait_for_spans(4)
    receiver.wait_for_metrics("bessai.soc", "bessai.power")
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, kw_only=True)
class ReceivedSpan:
    """One span with the attributes of its resource."""

    span: Span
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ReceivedMetric:
    """The newest state of one metric."""

    metric: Metric
    resource: dict[str, Any]

    def values(self, by: str | None = None) -> dict[Any, float]:
        """Value (or count, for a histogram) of each data point, by one of its attributes."""
        kind = self.metric.WhichOneof("data")
        assert kind is not None
        found: dict[Any, float] = {}
        for point in getattr(self.metric, kind).data_points:
            attributes = _plain(point.attributes)
            value = point.count if kind == "histogram" else getattr(point, point.WhichOneof("value"))
            found[attributes.get(by) if by else None] = value
        return found


class OtlpReceiver:
    """Start with `start()` or as a context manager. `delay` seconds pass before each answer."""

    def __init__(self, delay: float = 0.0) -> None:
        self.port = 0
        self.delay = delay
        self.spans: list[ReceivedSpan] = []
        self.metrics: dict[str, ReceivedMetric] = {}
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> OtlpReceiver:
        """Listen; after `stop` on the same port again."""
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(self), server)  # type: ignore[no-untyped-call]
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), server)  # type: ignore[no-untyped-call]
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Drop every connection and stop listening."""
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def __enter__(self) -> OtlpReceiver:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for_spans(self, count: int, timeout: float = 60.0) -> list[ReceivedSpan]:
        """All spans, as soon as there are `count`. Raises TimeoutError."""
        self._wait(lambda: len(self.spans) >= count, timeout, lambda: f"only {len(self.spans)} spans")
        return list(self.spans)

    def wait_for_metrics(self, *names: str, timeout: float = 60.0) -> dict[str, ReceivedMetric]:
        """The metrics by name, as soon as all named ones have come. Raises TimeoutError."""
        self._wait(lambda: set(names) <= set(self.metrics), timeout, lambda: f"only {sorted(self.metrics)}")
        return dict(self.metrics)

    def _wait(self, true: Callable[[], bool], timeout: float, instead: Callable[[], str]) -> None:
        with self._changed:
            if not self._changed.wait_for(true, timeout):
                raise TimeoutError(f"{instead()} after {timeout:g} s")

    def keep(self, spans: list[ReceivedSpan], metrics: dict[str, ReceivedMetric]) -> None:
        """Called by the services."""
        time.sleep(self.delay)
        with self._changed:
            self.spans += spans
            self.metrics |= metrics
            self._changed.notify_all()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        spans = [
            ReceivedSpan(
                span=span, attributes=_plain(span.attributes), resource=_plain(group.resource.attributes)
            )
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        self._receiver.keep(spans, {})
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(
        self, request: metrics_service_pb2.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        metrics = {
            metric.name: ReceivedMetric(metric=metric, resource=_plain(group.resource.attributes))
            for group in request.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }
        self._receiver.keep([], metrics)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _plain(attributes: Any) -> dict[str, Any]:
    def value(item: KeyValue) -> Any:
        kind = item.value.WhichOneof("value")
        return None if kind is None else getattr(item.value, kind)

    return {item.key: value(item) for item in attributes}
