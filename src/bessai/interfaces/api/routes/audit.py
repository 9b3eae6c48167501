"""The audit log, for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from bessai.interfaces.api.audit import AuditError
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Principal, Role, needs

router = APIRouter(tags=["audit"])

Parts = Annotated[Context, Depends(of)]
Administrator = Annotated[Principal, Depends(needs(Role.ADMINISTRATOR))]


class EntryBody(BaseModel):
    """One entry."""

    sequence: int
    time: str = Field(description="ISO 8601.")
    user: str
    role: str
    address: str
    action: str
    target: str
    reason: str
    outcome: str = Field(description="asked, then done, refused or failed.")
    detail: Mapping[str, Any]
    hash: str = Field(description="SHA-256 of the entry, which holds that of the one before.")


class AuditPage(BaseModel):
    """Entries, newest first."""

    entries: list[EntryBody]
    verified: bool = Field(description="The whole chain holds.")
    next: int | None = Field(description="`before` of the next page.")


class Checked(BaseModel):
    """What a check of every line found."""

    ok: bool
    entries: int = Field(description="Good ones, before the first bad one.")
    first_bad: int | None
    problem: str | None


@router.get("/audit")
async def page(
    context: Parts, _caller: Administrator,
    before: Annotated[int | None, Query(ge=1, le=1 << 53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    user: Annotated[str | None, Query(max_length=128)] = None,
    action: Annotated[str | None, Query(max_length=128)] = None,
) -> AuditPage:  # fmt: skip
    """Entries, newest first."""
    try:
        entries, following, sound = await context.audit.page(
            before=before, limit=limit, user=user, action=action
        )
    except AuditError as error:
        raise _unreadable(error) from error
    told = [
        EntryBody(**{key: value for key, value in asdict(entry).items() if key != "previous"})
        for entry in entries
    ]
    return AuditPage(entries=told, verified=sound, next=following)


@router.get("/audit/verify")
async def verify(context: Parts, _caller: Administrator) -> Checked:
    """Check every line of the log."""
    try:
        found = await context.audit.verify()
    except AuditError as error:
        raise _unreadable(error) from error
    return Checked(ok=found.ok, entries=found.entries, first_bad=found.first_bad, problem=found.problem)


def _unreadable(error: AuditError) -> Problem:
    return Problem(503, "audit_unreadable", str(error))
