"""The API on a port of this machine, for tests: a real server, and callers whose role a header says."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
from fastapi import FastAPI, Request, Response

from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.roles import Principal, Role
from bessai.interfaces.api.settings import ApiSettings

ROLE = "x-test-role"
"""Header: the label of a role. Without it nobody is signed in."""


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Api:
    """A running server."""

    url: str
    app: FastAPI

    def get(self, path: str, role: str | None = "viewer", accept: str = "*/*", **query: object) -> Answered:
        """GET a path below `/api/v1`."""
        text = urllib.parse.urlencode({name: str(value) for name, value in query.items()})
        request = urllib.request.Request(f"{self.url}/api/v1{path}{'?' + text if text else ''}")
        request.add_header("Accept", accept)
        if role is not None:
            request.add_header(ROLE, role)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answered(answer.status, answer.read(), _lower(answer.headers))
        except urllib.error.HTTPError as error:
            return Answered(error.code, error.read(), _lower(error.headers))


def plain_context(data: Path, gateway_socket: Path) -> Context:
    """A context whose identity, audit log and live feed are doubles: reading routes use none of them."""
    nothing = cast("Any", SimpleNamespace())
    return Context(
        settings=ApiSettings(site="site-1", data_dir=data, socket=gateway_socket),
        gateway=Gateway(gateway_socket),
        identity=nothing,
        audit=nothing,
        live=nothing,
    )


@contextmanager
def served(context: Context) -> Iterator[Api]:
    """Serve an application until the end of the block."""
    app = create_app(context)

    @app.middleware("http")
    async def who(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        label = request.headers.get(ROLE)
        request.state.principal = (
            None
            if label is None
            else Principal(name=label, role=Role.named(label), kind="session", user=label)
        )
        return await go_on(request)

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Api(f"http://127.0.0.1:{port}", app)
    finally:
        server.should_exit = True
        thread.join()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
