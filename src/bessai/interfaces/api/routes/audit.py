"""The audit log, for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from bessai.interfaces.api.answers import shown
from bessai.interfaces.api.context import Context, of
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

    model_config = shown(
        {
            "entries": [
                {"sequence": 41, "time": "2026-11-29T06:41:39.402Z", "user": "ana", "role": "operator",
                 "address": "10.0.0.7", "action": "maintenance", "target": "on", "reason": "filters are changed",
                 "outcome": "done", "detail": {}, "hash": "9f86d081884c7d65…"}
            ],
            "verified": True, "next": 41,
        }
    )  # fmt: skip

    entries: list[EntryBody]
    verified: bool = Field(description="The whole chain holds.")
    next: int | None = Field(description="`before` of the next page.")


class Checked(BaseModel):
    """What a check of every line found."""

    model_config = shown({"ok": True, "entries": 41, "first_bad": None, "problem": None})

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
    entries, following, sound = await context.audit.page(before=before, limit=limit, user=user, action=action)
    told = [
        EntryBody(**{key: value for key, value in asdict(entry).items() if key != "previous"})
        for entry in entries
    ]
    return AuditPage(entries=told, verified=sound, next=following)


@router.get("/audit/verify")
async def verify(context: Parts, _caller: Administrator) -> Checked:
    """Check every line of the log."""
    found = await context.audit.verify()
    return Checked(ok=found.ok, entries=found.entries, first_bad=found.first_bad, problem=found.problem)
