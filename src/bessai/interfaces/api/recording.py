"""The audit log around everything that people change: who asks, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from bessai.interfaces.api.context import Context
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Principal

_log = logging.getLogger(__name__)


def address_of(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client else "local"


@asynccontextmanager
async def recorded(
    context: Context, request: Request, caller: Principal, action: str, target: str = "",
    detail: Mapping[str, Any] | None = None, *, reason: str = "", safe: bool = False,
) -> AsyncIterator[None]:  # fmt: skip
    """Record that something is asked, let it be done, record what came of it.

    Args:
        context: of the server.
        request: for the address.
        caller: who.
        action: what.
        target: of what.
        detail: more.
        reason: why.
        safe: True: it is done even where it cannot be recorded, and the gateway's own log says so. Only for what
            takes power away.

    Raises:
        Problem: of what is done; 503 when it may not be done because it cannot be recorded.
    """
    what: dict[str, Any] = {
        "user": caller.name, "role": caller.role.label, "address": address_of(request), "action": action,
        "target": target, "reason": reason,
    }  # fmt: skip
    try:
        await context.audit.note(**what, outcome="asked", detail=dict(detail or {}))
    except Exception as error:
        _log.error("the audit log cannot be written (%s): %s", error, what)
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
        _log.error("the audit log cannot be written (%s): %s %s", error, outcome, what)
