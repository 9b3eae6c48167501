"""Turns every cycle into OpenTelemetry spans and metrics.

A trace a cycle: the span `cycle` with the children `read`, `decide` and `write`, timed by the control plane.
Metrics: `bessai.cycle.duration` (s), `bessai.cycles`, `bessai.cycles.unverified`, `bessai.points` by quality,
`bessai.events` by severity, `bessai.soc` (%), `bessai.power` (kW) by point, `bessai.setpoint` (kW),
`bessai.journal.records`, `bessai.journal.size` (bytes); by sink `bessai.sink.backlog`, `bessai.sink.lag` (s),
`bessai.sink.delivered`, `bessai.sink.failures` and `bessai.sink.dead_letters`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from bessai.interfaces.otel import Otel
from bessai.interfaces.sink import Reader, Sink, SinkStatus
from bessai.journal.entry import Entry
from bessai.journal.stats import ReaderStats
from bessai.model import Quality, Severity
from bessai.model.masking import address

_FRESH = 30.0
"""Seconds after which the last cycle says nothing about now, so that gauges fall silent."""
_POWERS = ("active_power", "battery_power", "grid_power")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SINK_FIGURES = (
    ("backlog", "{record}", "Records that wait for a sink"),
    ("lag", "s", "How much older the newest delivered record is than the newest of the journal"),
    ("delivered", "{record}", "Records delivered since the start"),
    ("failures", "{attempt}", "Failed attempts since the start"),
    ("dead_letters", "{message}", "Messages that were refused for their content"),
)
_LATEST = 500
"""Records behind which the sink jumps to the newest: more spans would not fit the exporter's queue."""


class TelemetrySink(Sink):
    """Sends spans and metrics to an OTLP collector.

    It starts at the newest record. An unreachable collector costs a bounded queue and one log line.
    """

    def __init__(
        self,
        *,
        site: str,
        service_name: str,
        endpoint: str,
        open_reader: Callable[[], Reader],
        statuses: Callable[[], Iterable[SinkStatus]] = tuple,
        poll: float = 0.2,
        metric_interval: float = 10.0,
    ) -> None:
        super().__init__("otel")
        self._site = site
        self._service_name = service_name
        self._endpoint = endpoint
        self._open_reader = open_reader
        self._statuses = statuses
        self._poll = poll
        self._metric_interval = metric_interval

    def run(self, stop: threading.Event) -> None:
        """Follow the journal until `stop` is set. Blocks: give it a thread. Ends within a second."""
        reader = self._open_reader()
        try:
            otel = Otel(
                endpoint=self._endpoint, service_name=self._service_name, site=self._site,
                metric_interval=self._metric_interval, on_result=self._exported,
            )  # fmt: skip
            try:
                self._follow(
                    reader, CycleTelemetry(self._site, otel.tracer, otel.meter, self._statuses), stop
                )
            finally:
                otel.close()
        finally:
            reader.close()

    def _follow(self, reader: Reader, telemetry: CycleTelemetry, stop: threading.Event) -> None:
        self.cursor = reader.last_sequence()
        looked = -math.inf
        while not stop.is_set():
            if time.monotonic() - looked >= 1.0:
                telemetry.journal, looked = reader.stats(), time.monotonic()
            last = reader.last_sequence()
            if not last - _LATEST <= self.cursor <= last:
                self.cursor = last
            for entry in reader.read(self.cursor, 100):
                telemetry.record(entry)
                self.cursor = entry.sequence
            self.backlog = max(0, last - self.cursor)
            if not self.backlog:
                stop.wait(self._poll)

    def _exported(self, cycles: int | None) -> None:
        if cycles is None:
            self.failed(
                f"The collector at {address(self._endpoint)} does not take telemetry, which is dropped until it does. "
                "Correct OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_SDK_DISABLED=true."
            )
        else:
            self.delivered += cycles
            self.recovered()


class CycleTelemetry:
    """The spans and instruments of one site."""

    def __init__(
        self, site: str, tracer: Tracer, meter: Meter, statuses: Callable[[], Iterable[SinkStatus]]
    ) -> None:
        self.journal = ReaderStats()
        self._site = site
        self._tracer = tracer
        self._statuses = statuses
        self._latest: Entry | None = None
        self._latest_at = 0.0
        self._duration = meter.create_histogram(
            "bessai.cycle.duration", "s", "Start of a cycle to its record",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )  # fmt: skip
        self._cycles = meter.create_counter("bessai.cycles", "{cycle}", "Control cycles")
        self._unverified = meter.create_counter(
            "bessai.cycles.unverified", "{cycle}", "Cycles without complete evidence or read-back"
        )
        self._events = meter.create_counter("bessai.events", "{event}", "Events by severity")
        for name, unit, description, observe in (
            ("bessai.points", "{point}", "Points of the last cycle by quality", self._observe_quality),
            ("bessai.soc", "%", "State of charge, while its value is good", self._observe_soc),
            (
                "bessai.power",
                "kW",
                "Active power, + = discharge, while its value is good",
                self._observe_power,
            ),
            ("bessai.setpoint", "kW", "Commanded active power, + = discharge", self._observe_setpoint),
            ("bessai.journal.records", "{record}", "Records in the journal", self._observe_journal),
            ("bessai.journal.size", "By", "Bytes of the journal on disk", self._observe_size),
        ):
            meter.create_observable_gauge(name, [_without_options(observe)], unit, description)
        for figure, unit, description in _SINK_FIGURES:
            observed = [_without_options(partial(self._observe_sinks, figure))]
            meter.create_observable_gauge(f"bessai.sink.{figure}", observed, unit, description)

    def record(self, entry: Entry) -> None:
        """Count one record and trace it when it is a cycle."""
        for event in entry.events:
            self._events.add(1, {"severity": event.severity.label})
        if entry.kind != "cycle":
            return
        self._latest, self._latest_at = entry, time.monotonic()
        self._cycles.add(1)
        self._unverified.add(0 if entry.verified else 1)
        self._duration.record(entry.timing.get("total", 0.0))
        self._trace(entry)

    def _trace(self, entry: Entry) -> None:
        read, decide, write, total = (
            int(entry.timing.get(phase, 0.0) * 1e9) for phase in ("read", "decide", "write", "total")
        )
        start = entry.wall_ns - read  # the tick is the instant at which the read image is frozen
        attributes: dict[str, AttributeValue] = {
            "site": self._site,
            "sequence": entry.sequence,
            "cycle": entry.cycle,
            "state": str(entry.decision.get("state", "")),
            "verified": entry.verified,
        }
        setpoint = entry.decision.get("setpoint")
        if setpoint is not None:
            attributes["setpoint"] = float(setpoint)
        span = self._tracer.start_span("cycle", Context(), attributes=attributes, start_time=start)
        inside = set_span_in_context(span, Context())
        begin = start
        for name, length in (("read", read), ("decide", decide), ("write", write)):
            self._tracer.start_span(name, inside, start_time=begin).end(begin + length)
            begin += length
        for event in entry.events:
            span.add_event(
                event.code, {"message": event.message, "severity": event.severity.label}, event.wall_ns
            )
        alarms = [event for event in entry.events if event.severity is Severity.ALARM and event.active]
        if alarms:
            span.set_status(Status(StatusCode.ERROR, alarms[0].message))
        span.end(max(begin, start + total))

    def _now(self) -> Entry | None:
        return self._latest if time.monotonic() - self._latest_at < _FRESH else None

    def _observe_quality(self) -> Iterator[Observation]:
        if entry := self._now():
            counts = np.bincount(entry.quality, minlength=len(Quality))
            for quality in Quality:
                yield Observation(int(counts[quality]), {"quality": quality.label})

    def _observe_soc(self) -> Iterator[Observation]:
        if (entry := self._now()) and (value := _good(entry, "soc")) is not None:
            yield Observation(value)

    def _observe_power(self) -> Iterator[Observation]:
        if entry := self._now():
            for name in _POWERS:
                if (value := _good(entry, name)) is not None:
                    yield Observation(value, {"point": name})

    def _observe_setpoint(self) -> Iterator[Observation]:
        if (entry := self._now()) and (value := entry.decision.get("setpoint")) is not None:
            yield Observation(float(value))

    def _observe_journal(self) -> Iterator[Observation]:
        yield Observation(self.journal.records)

    def _observe_size(self) -> Iterator[Observation]:
        yield Observation(self.journal.size_bytes)

    def _observe_sinks(self, figure: str) -> Iterator[Observation]:
        for status in self._statuses():
            if (value := getattr(status, figure)) is not None:
                yield Observation(value, {"sink": status.name})


def _without_options(
    observe: Callable[[], Iterator[Observation]],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: observe()


def _good(entry: Entry, name: str) -> float | None:
    i = entry.layout.index.get(name)
    return None if i is None or entry.quality[i] != Quality.GOOD else float(entry.values[i])
