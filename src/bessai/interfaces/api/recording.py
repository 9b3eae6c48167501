"""How the routes about people write the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from bessai.interfaces.api.audit import AuditError
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Principal


def address_of(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client else "local"


async def note(context: Context, **what: Any) -> None:
    """`Audit.note`, whose failure is an answer.

    Raises:
        Problem: 503: nothing may be done that is not recorded.
    """
    try:
        await context.audit.note(**what)
    except AuditError as error:
        raise Problem(503, "audit_unwritable", f"the audit log takes no entry: {error}") from error


@asynccontextmanager
async def recorded(
    context: Context, request: Request, caller: Principal, action: str, target: str = "",
    detail: Mapping[str, Any] | None = None,
) -> AsyncIterator[None]:  # fmt: skip
    """Record that something is asked, let it be done, record what came of it.

    Raises:
        Problem: of what is done; 503 when it cannot be recorded: then it is not done.
    """
    what: dict[str, Any] = {
        "user": caller.name, "role": caller.role.label, "address": address_of(request), "action": action,
        "target": target,
    }  # fmt: skip
    await note(context, **what, outcome="asked", detail=detail)
    try:
        yield
    except Problem as problem:
        await note(context, **what, outcome="refused", detail={"code": problem.code})
        raise
    except BaseException as error:
        await note(context, **what, outcome="failed", detail={"error": type(error).__name__})
        raise
    await note(context, **what, outcome="done")
