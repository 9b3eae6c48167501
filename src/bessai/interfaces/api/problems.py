"""Errors in one form, `application/problem+json` (RFC 9457), with the fields that a form shows beside its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA = "application/problem+json"


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
    return Problem(
        422, code, f"{field}: {message}", [FieldProblem(field=field, value=value, message=message)]
    )


def answer(problem: Problem) -> JSONResponse:
    """The response."""
    body = ProblemBody(
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        errors=problem.errors,
    )
    return JSONResponse(
        body.model_dump(mode="json"), problem.status, headers=problem.headers, media_type=MEDIA
    )


def install(app: FastAPI) -> None:
    """Answer every kind of error in this form."""

    async def ours(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101  registered for it alone
        return answer(error)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101  as above
        errors = [_field(found) for found in error.errors()]
        detail = "; ".join(f"{found.field}: {found.message}" for found in errors[:5])
        return answer(Problem(422, "bad_input", detail, errors))

    async def plain(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101  as above
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
        return answer(Problem(error.status_code, code, str(error.detail), headers=error.headers))

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _field(found: Mapping[str, Any]) -> FieldProblem:
    place = [str(part) for part in found["loc"] if part not in {"body", "query", "path", "header"}]
    name = ".".join(place) or "body"
    secret = any(word in name for word in ("password", "secret", "token"))
    value = found.get("input")
    shown = value if isinstance(value, str | int | bool) and not secret else None
    return FieldProblem(
        field=name, value=str(shown)[:200] if isinstance(shown, str) else shown, message=str(found["msg"])
    )


_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    423: "Locked", 429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
