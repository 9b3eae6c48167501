"""Asks an ASGI application in this process, as a browser or a program would, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass
class Browser:
    """Keeps cookies and the CSRF word, as the page does; `ask` takes everything by hand."""

    app: Any
    runner: asyncio.Runner
    scheme: str = "http"
    host: str = "127.0.0.1:8080"
    address: str = "10.0.0.7"
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str | None = None

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, head: bool = False
    ) -> Answer:  # fmt: skip
        """One request. `head`: leave when the answer begins, unless it is a refusal."""
        sent = {"host": self.host, **(headers or {})}
        if self.cookies:
            sent.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if self.csrf is not None:
            sent.setdefault("x-csrf-token", self.csrf)
        if body is not None:
            sent.setdefault("content-type", "application/json")
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.runner.run(self._exchange(method, path, data, sent, head))
        for name, value in answer.headers:
            if name == "set-cookie":
                for key, morsel in SimpleCookie(value).items():
                    if morsel.value:
                        self.cookies[key] = morsel.value
                    else:
                        self.cookies.pop(key, None)
        return answer

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], head: bool
    ) -> Answer:
        place, _, query = path.partition("?")
        begun, gone = asyncio.Event(), asyncio.Event()
        start: dict[str, Any] = {}
        parts: list[bytes] = []
        bodies = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if bodies:
                return bodies.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                if head and message["status"] not in {401, 403}:
                    begun.set()
            else:
                parts.append(message.get("body", b""))

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": place,
            "raw_path": place.encode(), "query_string": query.encode(), "root_path": "", "scheme": self.scheme,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self.address, 50000), "server": ("127.0.0.1", 8080), "state": {},
        }  # fmt: skip
        answering = asyncio.ensure_future(self.app(scope, receive, send))
        waiting = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({answering, waiting}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.set()
            waiting.cancel()
            if not answering.done():
                answering.cancel()
        await asyncio.gather(answering, return_exceptions=begun.is_set())
        return Answer(
            status=start["status"],
            headers=[(name.decode().lower(), value.decode()) for name, value in start["headers"]],
            body=b"".join(parts),
        )
