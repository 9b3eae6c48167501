"""Maintenance, resets of trips, tests of dead-men."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from bessai.interfaces.api.acting import (
    RESPONSES,
    Engineer,
    Operator,
    Parts,
    Reason,
    Text,
    ask,
    who,
)
from bessai.interfaces.api.answers import Body, shown
from bessai.interfaces.api.recording import recorded

router = APIRouter(prefix="/operations", tags=["operations"], responses=RESPONSES)


class Maintenance(Body):
    """On or off."""

    model_config = shown({"on": True, "reason": "filters are changed"})

    on: bool = Field(strict=True, description="true: zero power, whoever asks. Alarms go on.")
    reason: Reason


class Reset(Body):
    """Which trip."""

    model_config = shown({"code": "cell_voltage_high", "reason": "cell 17 was replaced and measured"})

    code: Text = Field(description="Of the trip, or `all`.", examples=["cell_voltage_high"])
    unit: Text | None = Field(None, description="The device that it stops, where there are several.")
    reason: Reason


class DeadManTest(Body):
    """Of which device."""

    model_config = shown({"reason": "yearly test"})

    unit: Text | None = Field(None, description="The device, where there are several.")
    reason: Reason


@router.post("/maintenance", status_code=204)
async def maintenance(body: Maintenance, request: Request, context: Parts, caller: Operator) -> None:
    """Begin or end maintenance."""
    on = {"on": body.on}
    async with recorded(
        context, request, caller, "maintenance", reason=body.reason, target="on" if body.on else "off",
        safe=body.on,
    ):  # fmt: skip
        await ask(context, {"op": "maintenance", **on, **who(caller, body.reason)}, on)


@router.post("/reset", status_code=204)
async def reset(body: Reset, request: Request, context: Parts, caller: Engineer) -> None:
    """Reset a trip whose cause is gone."""
    fields = {"code": body.code, "unit": body.unit or ""}
    async with recorded(
        context, request, caller, "reset", reason=body.reason, target=f"{body.code} {body.unit or ''}".strip()
    ):
        await ask(context, {"op": "reset", **fields, **who(caller, body.reason)}, fields)


@router.post("/deadman-test", status_code=204)
async def deadman_test(body: DeadManTest, request: Request, context: Parts, caller: Engineer) -> None:
    """Stop feeding a device that runs at power: it has to fall back by itself. Ends by itself."""
    fields = {"unit": body.unit or ""}
    async with recorded(context, request, caller, "deadman_test", reason=body.reason, target=body.unit or ""):
        await ask(context, {"op": "deadman_test", **fields, **who(caller, body.reason)}, fields)
