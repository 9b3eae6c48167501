"""The page's own spans and metrics, against a real OTLP receiver."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from bessai.interfaces.api import telemetry
from bessai.interfaces.api.measured import Measured
from bessai.interfaces.api.tracing import Traced
from bessai.interfaces.metrics.figures import PageFigures
from bessai.interfaces.tracing import Sampler, Tracing
from support.asgi_call import call
from support.otlp_receiver import OtlpReceiver


async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": 200 if scope["path"] == "/well" else 500, "headers": []}
    )
    await send({"type": "http.response.body", "body": b"x"})


def test_requests_become_spans_and_a_histogram() -> None:
    tracing, measured = Tracing(Sampler("always_off")), Measured()
    app = Traced(answer, tracing, measured)
    with OtlpReceiver() as receiver:
        end = telemetry.start(
            endpoint=receiver.endpoint, service_name="gateway-under-test", site="plant-1", tracing=tracing,
            measured=measured, page=lambda: PageFigures(viewers=2, cycles=3, missed=1), metric_interval=0.3,
        )  # fmt: skip

        async def ask() -> None:
            await call(app, "GET", "/well")
            await call(app, "GET", "/ill")

        asyncio.run(ask())
        (span,) = receiver.wait_for_spans(1)
        metrics = receiver.wait_for_metrics("bessai.page.viewers", "http.server.request.duration")
        end()
    assert (span.span.name, span.attributes["http.response.status_code"]) == ("GET", 500)
    assert span.resource["bessai.process"] == "page"
    assert metrics["bessai.page.viewers"].values() == {None: 2}
    counts = metrics["http.server.request.duration"].values(by="http.response.status_code")
    assert counts == {"200": 1, "500": 1}
    assert not {name for name in metrics if name.startswith("bessai.") and ".page." not in name}
