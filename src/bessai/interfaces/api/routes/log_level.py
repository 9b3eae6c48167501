"""How loud the gateway logs, for a time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from bessai.interfaces.api.acting import Parts, Reason, ask
from bessai.interfaces.api.answers import Answer, Body, errors, shown
from bessai.interfaces.api.recording import recorded
from bessai.interfaces.api.roles import Principal, Role, needs

router = APIRouter(tags=["system"])

_LONGEST = 24 * 3600


class NewLevel(Body):
    """How loud, and how long."""

    model_config = shown(
        {"level": "DEBUG", "logger": "bessai.link", "seconds": 900, "reason": "the meter drops out"}
    )

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = Field(
        description="Null: back to what is configured."
    )
    logger: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_.]*$")] = Field(
        "", description="Of one logger only; empty: of all.", examples=["bessai.link"]
    )
    seconds: int = Field(900, ge=1, le=_LONGEST, strict=True, description="Then it is as configured again.")
    reason: Reason


class Loudness(Answer):
    """What is in force now, in all processes within two seconds."""

    model_config = shown(
        {"configured": "INFO", "changed": {"bessai.link": "DEBUG"}, "seconds_left": {"bessai.link": 900.0}}
    )

    configured: str
    """LOG_LEVEL."""
    changed: dict[str, str]
    """Level by logger, the empty name being all of them."""
    seconds_left: dict[str, float]
    """Until it is as configured again."""


@router.put("/log-level", responses=errors(409))
async def change(
    body: NewLevel,
    request: Request,
    context: Parts,
    caller: Annotated[Principal, Depends(needs(Role.ADMINISTRATOR))],
) -> Loudness:
    """Log more, or less, for a time."""
    fields = {"level": body.level, "logger": body.logger, "for": body.seconds}
    async with recorded(
        context, request, caller, "log_level", body.logger, {"level": body.level, "seconds": body.seconds},
        reason=body.reason,
    ):  # fmt: skip
        answer = await ask(context, {"op": "log_level", **fields, "user": caller.name}, fields)
    return Loudness(**answer["log"])
