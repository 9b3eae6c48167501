"""Sends the spans of the requests and the page's own metrics to an OTLP collector, from a thread beside the loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from opentelemetry.context import Context

from bessai.interfaces.api.measured import EDGES, Measured
from bessai.interfaces.metrics import METRICS, Figures, Origin
from bessai.interfaces.metrics.figures import PageFigures
from bessai.interfaces.metrics.otlp import Instruments
from bessai.interfaces.otel import Otel, context_of
from bessai.interfaces.tracing import Tracing

_log = logging.getLogger(__name__)

_EVERY = 1.0
_DURATION = "http.server.request.duration"


def start(
    *, endpoint: str, service_name: str, site: str, tracing: Tracing, measured: Measured,
    page: Callable[[], PageFigures], metric_interval: float = 10.0,
) -> Callable[[], None]:  # fmt: skip
    """Begin. Returns what ends it within half a second.

    An unreachable collector is not said here: the service plane, which has the same, says it.
    """
    stop = threading.Event()
    measured.keep_news()

    def run() -> None:
        otel = Otel(
            endpoint=endpoint, service_name=service_name, site=site, metric_interval=metric_interval,
            on_result=lambda _: None, process="page",
        )  # fmt: skip
        own = [metric for metric in METRICS if metric.origin is Origin.PAGE]
        instruments = Instruments(
            otel.meter, lambda: Figures(asked=False, page=page()), metrics=own, edges={_DURATION: EDGES}
        )
        ended = False
        while not ended:
            ended = stop.wait(_EVERY)
            for attributes, seconds, ids in measured.news():
                context = Context() if ids is None else context_of(ids)
                instruments.histograms[_DURATION].record(seconds, attributes, context)
            for span in tracing.take():
                otel.write(span)
        otel.close()

    def guarded() -> None:
        try:
            run()
        except Exception:  # noqa: BLE001  what watches must not end what it watches
            _log.exception("the page's telemetry has ended; everything else goes on")

    thread = threading.Thread(target=guarded, name="otel", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(0.5)

    return end
