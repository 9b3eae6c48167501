"""Acknowledging and shelving alarms."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field

from bessai.interfaces.api.acting import (
    LONGEST_SHELF,
    RESPONSES,
    Operator,
    Parts,
    Reason,
    Text,
    ask,
)
from bessai.interfaces.api.answers import Body, shown
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.recording import recorded
from bessai.interfaces.api.roles import Principal

router = APIRouter(tags=["alarms"], responses=RESPONSES)

Code = Annotated[str, Path(max_length=128, description="As in the alarm list.", examples=["soc_low"])]


class About(Body):
    """Which of the alarms of one code, and why."""

    model_config = shown({"point": "meter", "reason": "the technician is on the way"})

    point: Text | None = Field(None, description="Where the code stands at several points.")
    reason: Reason


class Shelf(About):
    """For how long, too."""

    model_config = shown({"for": 3600, "reason": "the meter is replaced today"})

    seconds: float = Field(
        alias="for", ge=1, le=LONGEST_SHELF, strict=True, allow_inf_nan=False, examples=[3600],
        description="Seconds until it is back by itself, at most 12 h.",
    )  # fmt: skip


@router.post("/alarms/{code}/acknowledge", status_code=204)
async def acknowledge(code: Code, body: About, request: Request, context: Parts, caller: Operator) -> None:
    """Note that somebody knows of it. It stays until its cause is gone."""
    await _do("alarm_ack", code, body, request, context, caller)


@router.post("/alarms/{code}/shelve", status_code=204)
async def shelve(code: Code, body: Shelf, request: Request, context: Parts, caller: Operator) -> None:
    """Put a warning aside for a time. An alarm cannot be; the record is not muted."""
    await _do("alarm_shelve", code, body, request, context, caller, {"for": body.seconds})


@router.post("/alarms/{code}/unshelve", status_code=204)
async def unshelve(code: Code, body: About, request: Request, context: Parts, caller: Operator) -> None:
    """Bring a shelved warning back."""
    await _do("alarm_unshelve", code, body, request, context, caller)


async def _do(
    op: str, code: str, body: About, request: Request, context: Context, caller: Principal,
    more: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    fields = {"code": code, "point": body.point, **(more or {})}
    target = code if body.point is None else f"{code} {body.point}"
    async with recorded(context, request, caller, op, reason=body.reason, target=target, detail=more):
        await ask(context, {"op": op, "user": caller.name, "reason": body.reason, **fields}, fields)
