"""Spans of publishing and of requests, as they are handed to the exporter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bessai.interfaces.api.measured import Measured
from bessai.interfaces.api.tracing import Traced
from bessai.interfaces.courier import Batch, Lane
from bessai.interfaces.spans import publishing
from bessai.interfaces.tracing import Sampler, Tracing, current, cycle_ids, parent_of, random_ids
from support.asgi_call import call
from support.entries import cycle_entry

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_batch_on_its_way_links_to_the_cycles_that_are_traced() -> None:
    sampler = Sampler("traceidratio", 0.3)
    tracing = Tracing(sampler, site="plant-1")
    entries = [cycle_entry(n) for n in range(1, 41)]
    batch = Batch(Lane.BACKLOG, entries, lambda _: [])
    while not (found := tracing.take()):
        with publishing(tracing, "pubsub", batch, 12_345) as span:
            assert current.get() == span.ids
    (done,) = found
    traced = [ids for n in range(1, 41) if sampler.keeps((ids := cycle_ids("plant-1", 0, n)).trace)]
    assert 0 < len(traced) < 40
    assert list(done.links) == traced[-16:]
    assert done.name == "publish pubsub"
    assert done.attributes["bessai.sequence.first"] == 1
    assert done.attributes["bessai.sequence.last"] == 40
    assert done.attributes["bessai.records"] == 40
    assert done.attributes["bessai.lane"] == "backlog"
    assert done.end_ns >= done.start_ns
    assert current.get() is None


def test_what_fails_is_kept_whatever_the_share() -> None:
    tracing = Tracing(Sampler("always_off"))
    batch = Batch(Lane.LIVE, [cycle_entry(1)], lambda _: [])
    with publishing(tracing, "mqtt", batch, 1):
        pass
    with pytest.raises(TimeoutError), publishing(tracing, "mqtt", batch, 1):
        raise TimeoutError("mqtts://me:secret@broker")
    (failed,) = tracing.take()
    assert (failed.error, failed.attributes["error.type"]) == ("TimeoutError", "TimeoutError")
    silent = Tracing(Sampler("always_on"), exports=False)
    with silent.span("x", "internal", {}):
        pass
    assert silent.take() == []


def test_parents_are_taken_as_w3c_writes_them() -> None:
    found = parent_of(PARENT)
    assert found is not None
    assert (f"{found[0].trace:032x}", f"{found[0].span:016x}", found[1]) == (
        PARENT[3:35],
        PARENT[36:52],
        True,
    )
    for wrong in (None, "", "00-xyz", "00-" + "0" * 32 + PARENT[35:], "ff" + PARENT[2:], PARENT.upper()):
        assert parent_of(wrong) is None
    assert random_ids(7).trace == 7


def test_a_request_is_a_span_without_what_is_private() -> None:
    async def shown(request: Request) -> PlainTextResponse:
        request.scope["route"] = route
        return PlainTextResponse("x", 503 if request.path_params["name"] == "ill" else 200)

    route = Route("/points/{name}", shown)
    tracing, measured = Tracing(Sampler("always_on")), Measured()
    app = Traced(Starlette(routes=[route]), tracing, measured)

    async def ask() -> list[int]:
        asked = [
            await call(
                app, "GET", "/points/soc?token=hunter3", authorization="Bearer hunter2", traceparent=PARENT
            ),
            await call(app, "GET", "/points/ill"),
            await call(app, "BREW", "/nowhere?x=hunter4"),
        ]
        return [answer.status for answer in asked]

    assert asyncio.run(ask()) == [200, 503, 404]
    good, ill, odd = tracing.take()
    assert (good.name, good.kind, f"{good.ids.trace:032x}") == ("GET /points/{name}", "server", PARENT[3:35])
    assert good.attributes == {
        "http.request.method": "GET", "http.route": "/points/{name}", "http.response.status_code": 200,
        "url.scheme": "http",
    }  # fmt: skip
    assert (ill.error, ill.parent) == ("503", None)
    assert (odd.name, odd.error) == ("_OTHER", None)
    assert "hunter" not in repr((good, ill, odd))
    told: dict[Any, int] = {
        (of["http.request.method"], of.get("http.route"), of["http.response.status_code"]): one.count
        for of, one in measured.histograms()
    }
    assert told == {
        ("GET", "/points/{name}", "200"): 1, ("GET", "/points/{name}", "503"): 1, ("_OTHER", None, "404"): 1,
    }  # fmt: skip


def test_an_application_that_breaks_is_an_error() -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError

    tracing = Tracing(Sampler("always_off"))
    with pytest.raises(RuntimeError):
        asyncio.run(call(Traced(broken, tracing, Measured()), "GET", "/"))
    assert [span.error for span in tracing.take()] == ["RuntimeError"]
