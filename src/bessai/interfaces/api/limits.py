"""What one caller can cost: requests a second, bytes of a request, seconds of an answer.

How many connections there are, and how slowly they may speak, is `connections`' matter.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bessai.interfaces.api import problems
from bessai.interfaces.api.addresses import neighbourhood
from bessai.interfaces.api.problems import Problem

BODY = 64 << 10
"""Bytes of a request's body."""
HEADERS = 16 << 10
"""Bytes of its headers, however they come: h11 counts only those that come in pieces."""
ANSWER = 15.0
"""Seconds until an answer begins, and between its parts."""
STREAM = "/api/v1/stream"
SIGN_IN = frozenset({"/api/v1/session", "/api/v1/setup", "/api/v1/session/password"})
ADDRESS, CALLER, SIGN_INS = (200, 600), (40, 120), (0.5, 10)
"""Requests a second, and at once: of an address, of a session or token, and sign-ins of an address."""
_KEPT = 4096
"""Callers that are remembered."""


class Rate:
    """A bucket of tokens for each key.

    Args:
        each_second: tokens that come back a second.
        burst: tokens of a full bucket.
        clock: monotonic seconds.
    """

    def __init__(self, each_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = each_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = self._clock()
        held, then = self._buckets.pop(key, (self._burst, now))
        held = min(self._burst, held + (now - then) * self._rate)
        wait = 0.0 if held >= 1 else (1 - held) / self._rate
        self._buckets[key] = (held if wait else held - 1, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return wait


class Limits:
    """The outermost middleware.

    Behind a reverse proxy all people have one address, so what an address may ask is generous, and what one session
    or token may ask is less.
    """

    def __init__(self, app: ASGIApp, answer: float = ANSWER) -> None:
        self._app = app
        self._answer = answer
        self._address = Rate(*ADDRESS)
        self._caller = Rate(*CALLER)
        self._sign_in = Rate(*SIGN_INS)
        self.refused = 0
        """Requests that came too fast."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Problem as problem:
            await self._refuse(problem, scope, receive, send)
            return
        begun = False
        stream = scope["path"] == STREAM
        loop = asyncio.get_running_loop()

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)
            limit.reschedule(None if stream else loop.time() + self._answer)

        late: Problem | None = None
        try:
            async with asyncio.timeout(self._answer) as limit:
                await self._app(scope, _counted(receive), watched)
        except _TooLarge:
            late = _too_large()
        except TimeoutError:
            if not limit.expired():
                raise
            late = Problem(504, "timeout", f"no answer within {self._answer:g} s: ask for less, or later")
        if late is None:
            return
        if begun:
            abort(scope)
        else:
            await self._refuse(late, scope, receive, send)

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._answer):
                await problems.respond(problem, scope, receive, send)
        except TimeoutError:  # it has not even read the answer before this one
            abort(scope)

    def _check(self, scope: Scope) -> None:
        _check_form(scope)
        headers = dict(scope["headers"])
        address = neighbourhood((scope.get("client") or ("",))[0])
        wait = self._address.take(address)
        credential = headers.get(b"authorization") or headers.get(b"cookie")
        if not wait and credential:
            wait = self._caller.take(hashlib.sha256(credential).hexdigest())
        if not wait and scope["method"] == "POST" and scope["path"] in SIGN_IN:
            wait = self._sign_in.take(address)
        if wait:
            self.refused += 1
            raise Problem(
                429, "too_many_requests", f"too many requests: wait {math.ceil(wait)} s",
                headers={"Retry-After": str(math.ceil(wait))},
            )  # fmt: skip
        size = headers.get(b"content-length", b"0")
        if size.isdigit() and int(size) > BODY:
            raise _too_large()


def _check_form(scope: Scope) -> None:
    """What the parser takes, and we do not. The connection ends: what comes after it may be no request."""
    end = {"Connection": "close"}
    if scope["http_version"] not in {"1.0", "1.1"}:
        raise Problem(505, "http_version", "speak HTTP/1.1", headers=end)
    names = [name for name, _ in scope["headers"]]
    if b"content-length" in names and b"transfer-encoding" in names:
        # A proxy in front may see another end of this request, and the rest as one of somebody else.
        raise Problem(400, "two_lengths", "send Content-Length or Transfer-Encoding, not both", headers=end)
    size = len(scope["raw_path"]) + len(scope["query_string"])
    if size + sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS:
        raise Problem(431, "headers_too_large", f"headers have at most {HEADERS >> 10} kB", headers=end)


class _TooLarge(Exception):  # noqa: N818  it ends the reading
    pass


def _too_large() -> Problem:
    return Problem(
        413, "too_large", f"a request has at most {BODY >> 10} kB", headers={"Connection": "close"}
    )


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY:
            raise _TooLarge
        return message

    return counted


def abort(scope: Scope) -> None:
    """End a request's connection at once, with what waits to be sent."""
    connection = scope.get("state", {}).get("connection")
    if connection is not None:
        connection.abort()
