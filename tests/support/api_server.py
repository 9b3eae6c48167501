"""The API on a port of this machine, for tests: a real server, real users, and a token for each role."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from bessai.interfaces.api.app import create_app
from bessai.interfaces.api.audit import Audit
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.identity import Hasher, Identity
from bessai.interfaces.api.live import Live
from bessai.interfaces.api.roles import Role
from bessai.interfaces.api.settings import ApiSettings


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
    tokens: dict[str, str]
    """The secret of a token for each role."""

    def headers(self, role: str = "viewer") -> dict[str, str]:
        """What a caller in a role sends."""
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def get(
        self, path: str, role: str | None = "viewer", accept: str = "*/*", tongue: str = "", **query: object
    ) -> Answered:
        """GET a path below `/api/v1`."""
        text = urllib.parse.urlencode({name: str(value) for name, value in query.items()})
        request = urllib.request.Request(f"{self.url}/api/v1{path}{'?' + text if text else ''}")
        request.add_header("Accept", accept)
        if tongue:
            request.add_header("Accept-Language", tongue)
        if role is not None:
            request.add_header("Authorization", self.headers(role)["Authorization"])
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answered(answer.status, answer.read(), _lower(answer.headers))
        except urllib.error.HTTPError as error:
            return Answered(error.code, error.read(), _lower(error.headers))


def plain_context(data: Path, gateway_socket: Path) -> Context:
    """A context whose live feed is not started, with one user for each role."""
    gateway = Gateway(gateway_socket)
    return Context(
        settings=ApiSettings(site="site-1", data_dir=data, socket=gateway_socket),
        gateway=gateway,
        identity=Identity(data / "identity.db", Hasher((1, 8))),
        audit=Audit(data / "audit"),
        live=Live(gateway_socket, "site-1", gateway),
    )


async def _tokens(identity: Identity) -> dict[str, str]:
    made = {}
    for role in Role:
        await identity.add_user(role.label, role, "correct battery staple")
        scopes = ["read", "control", "admin"] if role is Role.ADMINISTRATOR else ["read", "control"]
        made[role.label] = (await identity.make_token(role.label, "test-" + role.label, role, scopes, 1))[1]
    return made


@contextmanager
def served(context: Context, *, live: bool = False) -> Iterator[Api]:
    """Serve an application until the end of the block, with the live feed of its gateway or without."""
    app = create_app(context)
    tokens = asyncio.run(_tokens(context.identity))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))

    async def serve() -> None:
        feed = asyncio.create_task(context.live.run()) if live else None
        await server.serve()
        if feed is not None:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Api(f"http://127.0.0.1:{port}", app, tokens)
    finally:
        server.should_exit = True
        thread.join()
        context.audit.close()
        context.identity.close()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
