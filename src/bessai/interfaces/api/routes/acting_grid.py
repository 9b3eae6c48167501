"""Changing what answers the grid, and testing it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from bessai.interfaces.api.acting import (
    RESPONSES,
    Engineer,
    Number,
    Parts,
    Reason,
    Text,
    ask,
    who,
)
from bessai.interfaces.api.answers import Body, shown
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.problems import Problem, field_problem
from bessai.interfaces.api.recording import recorded

router = APIRouter(prefix="/grid", tags=["grid"], responses=RESPONSES)

Value = Number | Annotated[bool, Field(strict=True)] | Text


class Changes(Body):
    """One parameter or command, and its value."""

    model_config = shown(
        {
            "changes": {"frequency.droop": 4.0},
            "authorisation": "CEN-2026-17",
            "reason": "as the operator asks",
        }
    )

    changes: dict[str, Value] = Field(
        min_length=1, max_length=1, examples=[{"frequency.droop": 4.0}],
        description="One a call: each is decided and recorded alone, so that nothing is applied in part.",
    )  # fmt: skip
    authorisation: Text | None = Field(
        None, description="Reference of the authorisation; parameters need one, commands none."
    )
    reason: Reason


class Changed(BaseModel):
    """What is in force from the next cycle on."""

    model_config = shown({"name": "frequency.droop", "old": 5.0, "value": 4.0, "revision": 2})

    name: str
    old: Any
    value: Any
    revision: int = Field(description="It survives a power cut once `durable` of GET /grid has reached this.")


class Signal(Body):
    """A test signal on what the functions measure; the plant really answers it."""

    model_config = shown(
        {"signal": "frequency", "change": -0.2, "seconds": 20.0, "reason": "test before the acceptance"}
    )

    signal: Literal["frequency", "voltage"]
    kind: Literal["step", "ramp"] = "step"
    change: Number = Field(description="Hz, or % of the nominal voltage.", examples=[-0.2])
    seconds: Annotated[Number, Field(gt=0)] = Field(20.0, description="How long.")
    authorisation: Text | None = None
    reason: Reason


class Begun(BaseModel):
    """The change control's revision."""

    model_config = shown({"revision": 3})

    revision: int


class Ended(BaseModel):
    """Whether there was one."""

    model_config = shown({"was_running": True, "revision": 4})

    was_running: bool
    revision: int


@router.post("/parameters")
async def change(body: Changes, request: Request, context: Parts, caller: Engineer) -> Changed:
    """Change a parameter of the grid functions, or give a command of daily operation."""
    ((name, value),) = body.changes.items()
    known = await _parameters(context)
    if name not in known:
        raise field_problem(f"changes.{name[:64]}", None, "there is no such parameter: GET /grid lists them")
    message: dict[str, Any] = {"name": name, "value": value, **who(caller, body.reason)}
    if known[name]["kind"] == "command":
        message["op"] = "grid_command"
        if body.authorisation is not None:
            raise field_problem("authorisation", body.authorisation, f"{name} is a command, which takes none")
    else:
        message |= {"op": "grid_set", "authorisation": body.authorisation or ""}
    detail = {"name": name, "value": value, "authorisation": body.authorisation}
    async with recorded(
        context, request, caller, message["op"], reason=body.reason, target=name, detail=detail
    ):
        fields = {name: value, "authorisation": body.authorisation}
        done = await ask(context, message, fields)
    return Changed(name=name, old=done["old"], value=done["value"], revision=done["revision"])


@router.post("/test", status_code=201)
async def begin(body: Signal, request: Request, context: Parts, caller: Engineer) -> Begun:
    """Begin a test signal."""
    await _parameters(context)
    signal = body.model_dump(exclude={"reason", "authorisation"})
    message = signal | ({"authorisation": body.authorisation} if body.authorisation else {})
    async with recorded(
        context, request, caller, "grid_test", reason=body.reason, target=body.signal, detail=signal
    ):
        done = await ask(context, {"op": "grid_test", **message, **who(caller, body.reason)}, signal)
    return Begun(revision=done["revision"])


@router.delete("/test")
async def end(
    request: Request, context: Parts, caller: Engineer, reason: Annotated[Reason, Query()] = "ended by hand"
) -> Ended:
    """End the test signal that runs."""
    await _parameters(context)
    async with recorded(context, request, caller, "grid_test_end", reason=reason, safe=True):
        done = await ask(context, {"op": "grid_test_end", **who(caller, reason)}, {})
    return Ended(was_running=done["was_running"], revision=done["revision"])


async def _parameters(context: Context) -> dict[str, Any]:
    """What can be changed.

    Raises:
        Problem: 404 where the site has no grid functions.
    """
    try:
        found: dict[str, Any] = (await context.gateway.ask({"op": "grid"}))["grid"]["parameters"]
    except Problem as problem:
        if "is unknown" not in problem.detail:
            raise
        raise Problem(404, "no_grid_functions", "this site has none: set GRID_FILE to have them") from problem
    return found
