"""Maintenance, resets of trips, tests of dead-men."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

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
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.fallback import Silence, judge
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.recording import address_of, recorded
from bessai.interfaces.api.roles import Principal

router = APIRouter(prefix="/operations", tags=["operations"], responses=RESPONSES)
_log = logging.getLogger(__name__)
_WATCHES: set[asyncio.Task[None]] = set()
"""The loop itself holds tasks weakly."""


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
    """Stop feeding a device that runs at power, and watch: it has to fall back by itself.

    The answer comes when the silence begins. What came of it stands in the status (`dead_man.tested` of the unit), in
    the journal and in the audit log; a device that did not fall back is tripped.
    """
    name = body.unit or ""
    fields = {"unit": name}
    units = (await context.gateway.summary())["units"]
    if not name and len(units) == 1:
        (name,) = units
    async with recorded(context, request, caller, "deadman_test", reason=body.reason, target=name):
        person = who(caller, body.reason)
        silence = _silence(units, name)
        await ask(context, {"op": "deadman_test", "unit": name, **person}, fields)
    if silence is not None:
        task = asyncio.create_task(_watch(context, request, caller, name, silence, body.reason))
        _WATCHES.add(task)
        task.add_done_callback(_WATCHES.discard)


def _silence(units: Mapping[str, Any], name: str) -> Silence | None:
    """What watches the unit; None where the control plane itself has to say what is wrong."""
    unit = units.get(name)
    if unit is None or unit["dead_man"]["withheld"] or not unit["standing"]:
        return None
    try:
        return Silence(unit)
    except ValueError as error:
        raise Problem(409, "refused", f"a dead-man test: {error}") from error


async def _watch(
    context: Context, request: Request, caller: Principal, name: str, silence: Silence, reason: str
) -> None:
    """Watch to the end, and note it."""
    verdict = await judge(context.gateway.ask, name, silence, who(caller, reason))
    try:
        await context.audit.note(
            user=caller.name, role=caller.role.label, address=address_of(request), action="deadman_test_end",
            target=name, reason=reason, outcome="done" if verdict.passed else "failed", detail=verdict.evidence,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - the journal has it as well
        _log.error("the audit log cannot be written (%s): %s", error, verdict)
