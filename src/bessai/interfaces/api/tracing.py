"""A span and a measured time for each request: method, route, status, never a query, a body or who asked."""

from __future__ import annotations

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bessai.interfaces.api.measured import Measured
from bessai.interfaces.tracing import Ids, Tracing, parent_of

PREFIX: Final = "/api/v1"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Traced:
    """The outermost middleware. What is measured ends with the beginning of the answer: a stream has no end."""

    def __init__(self, app: ASGIApp, tracing: Tracing, measured: Measured) -> None:
        self._app = app
        self._tracing = tracing
        self._measured = measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter_ns()
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        parent = _parent(scope)
        with self._tracing.span(method, "server", {"http.request.method": method}, parent=parent) as span:
            answered = False

            async def watched(message: Message) -> None:
                nonlocal answered
                if message["type"] == "http.response.start" and not answered:
                    answered = True
                    took = time.perf_counter_ns() - begun
                    span.end_ns = span.start_ns + took
                    route = _route(scope)
                    status = int(message["status"])
                    span.name = f"{method} {route}".strip()
                    span.attributes |= {
                        "url.scheme": scope.get("scheme", "http"),
                        "http.response.status_code": status,
                    }
                    if route:
                        span.attributes["http.route"] = route
                    if status >= 500:
                        span.error = span.attributes["error.type"] = str(status)
                    self._measured.add(
                        {
                            "http.request.method": method,
                            "http.route": route,
                            "http.response.status_code": str(status),
                        },
                        took / 1e9,
                        span.ids
                        if self._tracing.sampler.keeps(span.ids.trace, parent[1] if parent else None)
                        else None,
                    )
                await send(message)

            await self._app(scope, receive, watched)


def _route(scope: Scope) -> str:
    """The template of the path, with the prefix of the API, which its routers do not know of."""
    route = str(getattr(scope.get("route"), "path", ""))
    known = route and scope["path"].startswith(f"{PREFIX}/") and not route.startswith(PREFIX)
    return PREFIX + route if known else route


def _parent(scope: Scope) -> tuple[Ids, bool] | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return parent_of(value.decode("latin-1"))
    return None
