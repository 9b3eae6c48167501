"""Sends what happens to an OTLP collector: cycles as traces, spans of publishing, the metrics of `metrics`.

A trace a cycle: the span `cycle` with `read`, `decide` and in it `guard`, `write` and `record`, timed by the control
plane and read from the journal. A share of all cycles is traced (OTEL_TRACES_SAMPLER), and every one that was unsafe.
The histograms of duration and lateness have the traced cycles as exemplars.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context

from bessai.interfaces.metrics import METRICS, Figures, Origin
from bessai.interfaces.metrics.kernel import process
from bessai.interfaces.metrics.otlp import Instruments
from bessai.interfaces.otel import Otel
from bessai.interfaces.sink import Reader, Sink, SinkStatus
from bessai.interfaces.tracing import Ids, Span, Tracing, cycle_ids, random_ids
from bessai.journal.entry import Entry
from bessai.model import Severity
from bessai.model.masking import address
from bessai.model.record import DURATION_EDGES, LATENESS_EDGES

_LATEST = 500
"""Records behind which the sink jumps to the newest: more spans would not fit the exporter's queue."""
_UNSAFE = frozenset({"hold", "tripped"})
_FIRST_TRIES = 2
"""Failed exports after which nothing is collected until the collector takes something again."""
_UNHEARD_POLL = 1.0
DURATION, LATENESS = "bessai.cycle.duration", "bessai.cycle.lateness"
_EDGES = {DURATION: DURATION_EDGES, LATENESS: LATENESS_EDGES}


class TelemetrySink(Sink):
    """Sends spans and metrics to an OTLP collector.

    It starts at the newest record. An unreachable collector costs an attempt each `metric_interval` and one log line:
    until it takes something again, the journal is not read and nobody is asked for metrics. Then it goes on where it
    was, or at the newest record when that is more than 500 away.
    """

    def __init__(
        self,
        *,
        site: str,
        service_name: str,
        endpoint: str,
        open_reader: Callable[[], Reader],
        collect: Callable[[], Figures] = Figures,
        tracing: Tracing | None = None,
        poll: float = 1.0,
        metric_interval: float = 10.0,
    ) -> None:
        super().__init__("otel")
        self._site = site
        self._service_name = service_name
        self._endpoint = endpoint
        self._shown = address(endpoint)
        self._open_reader = open_reader
        self._collect = collect
        self._tracing = tracing or Tracing()
        self._poll = poll
        self._metric_interval = metric_interval
        self._in_row = 0
        self._cycles: CycleTelemetry | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow the journal until `stop` is set. Blocks: give it a thread. Ends within a second."""
        reader = self._open_reader()
        try:
            otel = Otel(
                endpoint=self._endpoint, service_name=self._service_name, site=self._site,
                metric_interval=self._metric_interval, on_result=self._exported,
            )  # fmt: skip
            try:
                self._cycles = CycleTelemetry(self._site, otel, self._tracing, self._figures)
                self._follow(reader, otel, self._cycles, stop)
            finally:
                otel.close()
        finally:
            reader.close()

    def status(self) -> SinkStatus:
        """A snapshot; may be called from any thread."""
        status = super().status()
        if self._cycles is not None and self._cycles.exemplars:
            status.details["exemplars"] = self._cycles.exemplars
        return status

    @property
    def unheard(self) -> bool:
        """True while the collector takes nothing."""
        return self._in_row >= _FIRST_TRIES

    def _figures(self) -> Figures:
        if not self.unheard:
            return self._collect()
        return Figures(asked=False, processes={"service": process(os.getpid())})

    def _follow(self, reader: Reader, otel: Otel, telemetry: CycleTelemetry, stop: threading.Event) -> None:
        self.cursor = reader.last_sequence()
        while not stop.is_set():
            if self.unheard:  # nothing is read, decoded or asked for what nobody takes
                self.backlog = 0
                self._tracing.take()
                stop.wait(_UNHEARD_POLL)
                continue
            last = reader.last_sequence()
            if not last - _LATEST <= self.cursor <= last:
                self.cursor = last
            for entry in reader.read(self.cursor, 100):
                telemetry.record(entry)
                self.cursor = entry.sequence
            for span in self._tracing.take():
                otel.write(span)
            self.backlog = max(0, last - self.cursor)
            if not self.backlog:
                stop.wait(self._poll)
        for span in self._tracing.take():
            otel.write(span)

    def _exported(self, cycles: int | None) -> None:
        if cycles is None:
            self._in_row += 1
            self.failed(
                f"The collector at {self._shown} does not take telemetry, which is dropped until it does. "
                "Correct OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_SDK_DISABLED=true."
            )
        else:
            self._in_row = 0
            self.delivered += cycles
            self.recovered()


class CycleTelemetry:
    """The spans and instruments of one site."""

    def __init__(self, site: str, otel: Otel, tracing: Tracing, collect: Callable[[], Figures]) -> None:
        self.exemplars: dict[str, dict[str, dict[str, Any]]] = {}
        """The newest traced cycle of each class, by metric: for the page `/metrics`."""
        self._site = site
        self._otel = otel
        self._sampler = tracing.sampler
        own = [metric for metric in METRICS if metric.origin is not Origin.PAGE]
        self._histograms = Instruments(otel.meter, collect, metrics=own, edges=_EDGES).histograms

    def record(self, entry: Entry) -> None:
        """Count a cycle, and trace it when it is unsafe or its turn."""
        if entry.kind != "cycle":
            return
        ids = cycle_ids(self._site, entry.epoch, entry.sequence)
        context = Context()
        traced = unsafe(entry) or self._sampler.keeps(ids.trace)
        if traced:
            context = self._trace(entry, ids)
        for name, timing, least in ((DURATION, "total", -math.inf), (LATENESS, "late", 0.0)):
            value = entry.timing.get(timing)
            if value is not None and math.isfinite(value):
                self._histograms[name].record(max(least, value), context=context)
                if traced:
                    self._exemplar(name, max(least, value), ids, entry.wall_ns)

    def _exemplar(self, name: str, value: float, ids: Ids, wall_ns: int) -> None:
        place = next((i for i, edge in enumerate(_EDGES[name]) if value <= edge), len(_EDGES[name]))
        trace, span = ids.texts()
        newest = {"value": value, "trace_id": trace, "span_id": span, "wall_ns": wall_ns}
        # Made anew, since the thread that reports the status reads it.
        self.exemplars = {
            **self.exemplars,
            name: {**self.exemplars.get(name, {}), str(place): newest},
        }

    def _trace(self, entry: Entry, ids: Ids) -> Context:
        took = {name: int(seconds * 1e9) for name, seconds in entry.timing.items() if math.isfinite(seconds)}
        read, decide, write, total = (took.get(phase, 0) for phase in ("read", "decide", "write", "total"))
        start = entry.wall_ns - read  # the tick is the instant at which the read image is frozen
        frozen, decided, written = entry.wall_ns, entry.wall_ns + decide, entry.wall_ns + decide + write
        span = Span(name="cycle", kind="internal", ids=ids, parent=None, start_ns=start)
        span.end_ns = max(written + took.get("record", 0), start + total)
        span.attributes = {
            "bessai.sequence": entry.sequence,
            "bessai.cycle": entry.cycle,
            "bessai.guard.state": str(entry.decision.get("state", "")),
            "bessai.verified": entry.verified,
        }
        setpoint = entry.decision.get("setpoint")
        if setpoint is not None:
            span.attributes["bessai.setpoint"] = float(setpoint) * 1000.0
        alarms = [event for event in entry.events if event.severity is Severity.ALARM and event.active]
        if alarms:
            span.error = alarms[0].message
        span.events = [
            (event.code, {"message": event.message, "severity": event.severity.label}, event.wall_ns)
            for event in entry.events
        ]
        context = self._otel.write(span)
        decide_ids = random_ids(ids.trace)
        phases = [("read", ids, start, frozen), ("decide", ids, frozen, decided)]
        if "guard" in took:
            phases.append(("guard", decide_ids, decided - took["guard"], decided))
        phases.append(("write", ids, decided, written))
        if "record" in took:
            phases.append(("record", ids, written, written + took["record"]))
        for name, parent, begin, end in phases:
            own = decide_ids if name == "decide" else random_ids(ids.trace)
            self._otel.write(
                Span(name=name, kind="internal", ids=own, parent=parent, start_ns=begin, end_ns=end)
            )
        return context


def unsafe(entry: Entry) -> bool:
    """Whether a cycle is always traced: unverified, in a safe state, or with an alarm."""
    return (
        not entry.verified
        or entry.decision.get("state") in _UNSAFE
        or any(event.severity is Severity.ALARM for event in entry.events)
    )


__all__ = ["CycleTelemetry", "TelemetrySink", "unsafe"]
