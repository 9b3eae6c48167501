"""Errors in one form, `application/problem+json` (RFC 9457), with the fields that a form shows beside its inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from bessai.interfaces.api import messages

MEDIA = "application/problem+json"
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})
_SECRETS = frozenset({"password", "old", "new", "token", "secret"})
"""Fields whose values are never shown again."""


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Name of the field, dotted within objects.", examples=["power"])
    value: Any = Field(default=None, description="What was sent; left out of secrets.", examples=["abc"])
    message: str = Field(description="What is wrong and how to mend it.", examples=["give a number"])


class ProblemBody(BaseModel):
    """What every error looks like."""

    type: str = Field(default="about:blank", description="Always about:blank.")
    title: str = Field(description="The status in words.", examples=["Unprocessable Content"])
    status: int = Field(description="HTTP status.", examples=[422])
    code: str = Field(description="A name for programs and translations.", examples=["bad_input"])
    detail: str = Field(description="One sentence with the mend.")
    errors: list[FieldProblem] = Field(default_factory=list, description="Per field, when there are any.")


class Problem(Exception):  # noqa: N818  the RFC's word
    """Ends a request.

    Args:
        status: HTTP status.
        code: snake_case name; the page has a translation for each.
        detail: one sentence that names field, value and mend.
        errors: per field.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def field_problem(field: str, value: Any, message: str, code: str = "bad_input") -> Problem:
    """A problem with a single field."""
    errors = [FieldProblem(field=field, value=value, message=message)]
    return Problem(422, code, _joined(errors), errors)


def answer(problem: Problem, language: str) -> JSONResponse:
    """The response, in a language of `messages`."""
    errors = [
        error.model_copy(update={"message": messages.said(error.message, language)})
        for error in problem.errors
    ]
    detail = problem.detail
    if errors and detail == _joined(problem.errors):
        detail = _joined(errors)
    body = ProblemBody(
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        code=problem.code,
        detail=messages.said(detail, language),
        errors=errors,
    )
    headers = {**problem.headers, "Content-Language": language}
    return JSONResponse(body.model_dump(mode="json"), problem.status, headers=headers, media_type=MEDIA)


async def respond(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, from a middleware."""
    await answer(problem, messages.language_of(scope))(scope, receive, send)


def _joined(errors: Sequence[FieldProblem]) -> str:
    return "; ".join(f"{error.field}: {error.message}" for error in errors[:5])


def install(app: FastAPI) -> None:
    """Answer every kind of error in this form."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101  registered for it alone
        return answer(error, messages.language_of(request.scope))

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101  as above
        errors = [_field(found) for found in error.errors()]
        return answer(Problem(422, "bad_input", _joined(errors), errors), messages.language_of(request.scope))

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101  as above
        if error.status_code == 405:
            return answer(_not_allowed(request), messages.language_of(request.scope))
        code = {404: "not_found"}.get(error.status_code, "error")
        return answer(
            Problem(error.status_code, code, str(error.detail), headers=error.headers),
            messages.language_of(request.scope),
        )

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _not_allowed(request: Request) -> Problem:
    """The framework knows the methods of the first route with this path; a path may have several."""
    scope = dict(request.scope)
    found = sorted(
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.routes)
    )
    return Problem(
        405, "method_not_allowed", f"{request.method} is not for this address: use {', '.join(found)}",
        headers={"Allow": ", ".join(found)},
    )  # fmt: skip


def readable(text: str) -> str:
    """A name or value of a request as it may be written into an answer."""
    return text[:200].encode("utf-8", "replace").decode()


def _field(found: Mapping[str, Any]) -> FieldProblem:
    place = [str(part) for part in found["loc"]]
    name = readable(".".join(place[1:] if place[0] in _PLACES else place) or "body")
    # an unknown field may be a password with a slip in its name
    hidden = found["type"] == "extra_forbidden" or _is_secret(name)
    value = None if hidden else _shown(found.get("input"))
    own = found.get("ctx", {}).get("error") if found["type"] == "value_error" else None
    return FieldProblem(field=name, value=value, message=str(found["msg"] if own is None else own))


def _is_secret(name: str) -> bool:
    return name == "body" or any(part in _SECRETS for part in name.split("."))


def _shown(value: object) -> Any:
    """A value that JSON can say; of what has parts only what it is, for it may hold anything."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)[:40]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return "{…}" if isinstance(value, dict) else "[…]" if isinstance(value, list) else None


_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 413: "Content Too Large", 415: "Unsupported Media Type", 421: "Misdirected Request",
    422: "Unprocessable Content", 423: "Locked", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}  # fmt: skip
