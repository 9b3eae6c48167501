"""What all routes share that do something to the plant: who, why, the audit log around it, refusals in form."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import FieldProblem, Problem, ProblemBody
from bessai.interfaces.api.recording import address_of
from bessai.interfaces.api.roles import Principal, Role, needs

log = logging.getLogger(__name__)

LONGEST_LEASE = 3600.0
"""Seconds; the control plane's own: nobody's wish outlives an hour of silence."""
LONGEST_SHELF = 12 * 3600.0
"""Seconds; the control plane's own."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters, in one line")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_printable)
]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=128),
    AfterValidator(_printable),
    Field(description="Why, in your words: 3 to 128 printable characters. It is recorded."),
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Parts = Annotated[Context, Depends(of)]
Viewer = Annotated[Principal, Depends(needs(Role.VIEWER))]
Operator = Annotated[Principal, Depends(needs(Role.OPERATOR))]
Engineer = Annotated[Principal, Depends(needs(Role.ENGINEER))]

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": text}
    for status, text in {
        401: "Nobody is signed in.",
        403: "The role is too low, or it is somebody else's.",
        404: "There is no such thing.",
        409: "The control plane refuses, and says why.",
        422: "A field is wrong; `errors` says which and how to mend it.",
        503: "The control plane is silent, or the audit log cannot be written: nothing was done.",
    }.items()
}
"""What any acting route may answer besides success."""


class Body(BaseModel):
    """Of a request: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Why(Body):
    """Only a reason."""

    reason: Reason


def label_of(caller: Principal) -> str:
    """The role as the control plane knows it: an administrator acts as an engineer."""
    return "engineer" if caller.role >= Role.ENGINEER else "operator"


def who(caller: Principal, reason: str) -> dict[str, str]:
    """Who asks, for a message to the control plane, which records it."""
    return {"user": caller.name, "role": label_of(caller), "reason": reason}


@asynccontextmanager
async def acting(
    context: Context,
    request: Request,
    caller: Principal,
    action: str,
    *,
    reason: str,
    target: str = "",
    detail: Mapping[str, Any] | None = None,
    safe: bool = False,
) -> AsyncIterator[None]:
    """The audit log says that something is asked, it is done inside, the log says what came of it.

    Args:
        context: of the server.
        request: for the address.
        caller: who.
        action: what.
        reason: why.
        target: of what.
        detail: more.
        safe: True: it is done even where it cannot be recorded, and the gateway's own log says so. Only for what
            takes power away.

    Raises:
        Problem: of what is done; 503 when nothing may be done because it cannot be recorded.
    """
    what: dict[str, Any] = {
        "user": caller.name, "role": caller.role.label, "address": address_of(request), "action": action,
        "target": target, "reason": reason,
    }  # fmt: skip
    try:
        await context.audit.note(**what, outcome="asked", detail=dict(detail or {}))
    except Exception as error:
        log.error("the audit log cannot be written (%s): %s", error, what)
        if not safe:
            raise Problem(
                503, "audit_unavailable", f"nothing was done: the audit log cannot be written: {error}"
            ) from error
    try:
        yield
    except Problem as problem:
        found = {"code": problem.code, "why": problem.detail}
        await _outcome(context, what, "refused" if problem.status < 500 else "failed", found)
        raise
    except BaseException as error:
        await _outcome(context, what, "failed", {"error": type(error).__name__})
        raise
    await _outcome(context, what, "done", {})


async def _outcome(
    context: Context, what: Mapping[str, Any], outcome: str, detail: Mapping[str, Any]
) -> None:
    """It is done, or not: that no longer depends on the log, so the answer stays true."""
    try:
        await context.audit.note(**what, outcome=outcome, detail=detail)
    except Exception as error:  # noqa: BLE001 - told in our own log
        log.error("the audit log cannot be written (%s): %s %s", error, outcome, what)


async def ask(context: Context, message: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The control plane's answer to one message.

    Args:
        context: of the server.
        message: to it.
        fields: the values that a person gave, by name: a refusal that begins with one of them names it.

    Raises:
        Problem: as `Gateway.ask`, with the fields that a refusal names.
    """
    try:
        return await context.gateway.ask(message)
    except Problem as problem:
        if problem.code != "refused":
            raise
        raise Problem(409, "refused", problem.detail, errors_of(problem.detail, fields)) from problem


def errors_of(refusal: str, fields: Mapping[str, Any]) -> list[FieldProblem]:
    """Which fields the words of a refusal are about."""
    found = []
    for part in refusal.split("; "):
        match = re.match(r"([a-z][a-z0-9_.]*)(?= ?=|:| is | [-+\d])", part)
        if match is not None and match[1] in fields:
            value = fields[match[1]]
            shown = value if isinstance(value, str | int | float | bool) else None
            found.append(FieldProblem(field=match[1], value=shown, message=part))
    return found
