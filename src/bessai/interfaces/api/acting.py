"""What all routes share that do something to the plant: who, why, refusals in form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends
from pydantic import AfterValidator, Field, StringConstraints

from bessai.interfaces.api.answers import Body, errors
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import FieldProblem, Problem
from bessai.interfaces.api.roles import Principal, Role, needs

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

RESPONSES = errors(404, 409)
"""What any acting route may answer besides what every route may."""


class Why(Body):
    """Only a reason."""

    reason: Reason


def label_of(caller: Principal) -> str:
    """The role as the control plane knows it: an administrator acts as an engineer."""
    return "engineer" if caller.role >= Role.ENGINEER else "operator"


def who(caller: Principal, reason: str) -> dict[str, str]:
    """Who asks, for a message to the control plane, which records it."""
    return {"user": caller.name, "role": label_of(caller), "reason": reason}


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
