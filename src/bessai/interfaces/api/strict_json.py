"""Bodies that can be read in one way only: UTF-8, each key once, text that can be written again.

Python's own reader takes the last of two equal keys, and UTF-16. Two programs that read one request differently are a
way around a check, and whoever sends such a body is better told. So is who names a parameter of the query twice.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bessai.interfaces.api import problems
from bessai.interfaces.api.problems import Problem, field_problem

_DEEPEST = 20
"""Levels of objects and lists; the API's own bodies have three."""


class StrictJson:
    """The middleware: refuses a body of JSON that is not strict, and hands on the others as they came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _once(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        except Problem as problem:
            await problems.respond(problem, scope, receive, send)
            return
        if not _is_json(Headers(scope=scope).get("content-type", "")):
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        message: Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
        body = b"".join(parts)
        try:
            if body:
                read(body)
        except Problem as problem:
            await problems.respond(problem, scope, receive, send)
            return
        held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return held.pop() if held else await receive()

        await self._app(scope, again, send)


def read(body: bytes) -> Any:
    """What a body says.

    Raises:
        Problem: 422 with the field, or `body`.
    """
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise field_problem("body", None, "is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise field_problem("body", None, f"is not JSON at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise field_problem("body", None, "holds a number of thousands of digits") from None
    _look(found, "", _DEEPEST)
    return found


def _is_json(kind: str) -> bool:
    kind = kind.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise field_problem(problems.readable(key), None, "is given twice: keep one")
        found[key] = value
    return found


def _look(value: Any, name: str, deeper: int) -> None:
    if isinstance(value, str):
        _check_text(value, name)
    elif isinstance(value, dict | list):
        if not deeper:
            raise _too_deep()
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            _check_text(str(key), name)
            _look(inner, f"{name}.{key}" if name else str(key), deeper - 1)


def _check_text(text: str, name: str) -> None:
    """Half a surrogate pair can come in as an escape, and can be neither written nor hashed."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise field_problem(
            problems.readable(name or "body"), None, "holds a character that is none: \\ud800 to \\udfff"
        )


def _too_deep() -> Problem:
    return field_problem("body", None, f"is nested too deeply: at most {_DEEPEST} levels")
