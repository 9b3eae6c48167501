"""Asking the plant for power: a lease, its preview, its renewal and its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bessai.interfaces.api.acting import (
    LONGEST_LEASE,
    RESPONSES,
    Number,
    Operator,
    Parts,
    Reason,
    Text,
    Viewer,
    ask,
)
from bessai.interfaces.api.answers import Body, shown
from bessai.interfaces.api.context import Context
from bessai.interfaces.api.idempotency import answers_of
from bessai.interfaces.api.problems import Problem, field_problem, readable
from bessai.interfaces.api.recording import recorded
from bessai.interfaces.api.roles import Principal, Role
from bessai.interfaces.api.spoken import Tongue, decided, spoken
from bessai.model.wording import in_words

router = APIRouter(tags=["requests"], responses=RESPONSES)

Lease = Annotated[
    float,
    Field(alias="for", ge=1, le=LONGEST_LEASE, strict=True, allow_inf_nan=False, examples=[900],
          description="Seconds until it ends by itself. Renew it to keep it."),
]  # fmt: skip


_REQUEST: dict[str, Any] = {"power": -5.0, "for": 900, "reason": "charge for the evening"}
_PREVIEW: dict[str, Any] = {
    "state": "normal", "setpoint": -5.0, "target": -5.0, "reactive": None, "bounds": [-10.0, 10.0], "clipped": False,
    "limited_by": [], "winner": "operator:ana", "role": "won", "words": ["the plant is commanded to -5 kW"],
    "valid_for_cycle": 1711,
}  # fmt: skip


class PowerRequest(Body):
    """A wish for power, bounds for everybody below, or both. Positive power discharges."""

    model_config = shown(_REQUEST)

    power: Number | None = Field(None, description="kW; with soc_target the highest power on the way.")
    soc_target: Annotated[Number, Field(ge=0, le=100)] | None = Field(
        None, description="State of charge in % to arrive at."
    )
    low: Number | None = Field(None, description="kW: lower priorities keep above.")
    high: Number | None = Field(None, description="kW: lower priorities keep below.")
    reactive: Number | None = Field(None, description="kvar, positive exports.")
    firm: bool = Field(False, strict=True, description="No lower priority may prefer another power.")
    lease: Lease
    reason: Reason
    source: Text | None = Field(None, description="Default operator:<user>; another one needs an engineer.")
    priority: Literal["optimiser", "schedule", "power_plant", "grid_support", "operator", "grid_operator"] = (
        Field("operator", description="Another one than operator needs an engineer.")
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        wishes = (self.power, self.soc_target, self.low, self.high, self.reactive)
        if all(wish is None for wish in wishes):
            raise ValueError("nothing is asked for: give power, soc_target, low, high or reactive")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low={self.low:g} is above high={self.high:g}: no power is between them")
        return self

    @property
    def lowers(self) -> bool:
        """True when it asks for zero power and nothing else."""
        return self.power == 0 and self.soc_target is self.low is self.high is None and not self.reactive

    def message(self, caller: Principal) -> dict[str, Any]:
        """For the control plane, in the caller's name."""
        asked = self.model_dump(exclude={"lease"}, exclude_none=True)
        return asked | {"for": self.lease, "source": self.source or own_source(caller)}


class Limit(BaseModel):
    """What narrows the result."""

    name: str = Field(examples=["soc_high"])
    low: float | None = Field(description="kW, where it is known.")
    high: float | None
    text: dict[str, str] = Field(description="In words, by language.")


class Preview(BaseModel):
    """What the plant would be asked to do if the request stood now."""

    model_config = shown(_PREVIEW)

    state: str = Field(description="Of the guard.", examples=["normal"])
    setpoint: float | None = Field(description="kW, ramps and dwell times over; null without control.")
    target: float | None = Field(description="kW without what answers the grid's frequency.")
    reactive: float | None = Field(description="kvar.")
    bounds: list[float | None] = Field(description="kW that are left, low and high.")
    clipped: bool = Field(description="The request does not get all that it wishes.")
    limited_by: list[Limit]
    winner: str | None = Field(description="The source that decides.")
    role: str | None = Field(description="What would become of this request.", examples=["won"])
    words: list[str] = Field(description="The same in sentences, in the language of who asks.")
    valid_for_cycle: int = Field(description="The cycle whose image it looked at.")


class Made(BaseModel):
    """A request that stands."""

    model_config = shown(
        {
            "source": "operator:ana", "expires": "2026-11-29T06:15:00.000Z", "preview": _PREVIEW,
            "request": {**_REQUEST, "firm": False, "priority": "operator", "source": "operator:ana"},
        }
    )  # fmt: skip

    source: str
    expires: str = Field(description="ISO 8601.")
    request: dict[str, Any] = Field(description="As it was passed on.")
    preview: Preview | None = Field(description="What it comes to; null when that could not be foretold.")


class RequestList(BaseModel):
    """The live requests, highest priority first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "requests": [
                        {
                            "source": "operator:ana",
                            "priority": "operator",
                            "power": -5.0,
                            "bounds": [None, None],
                            "seconds_left": 812.4,
                            "role": "won",
                            "reason": "charge for the evening",
                            "mine": True,
                        }
                    ]
                }
            ]
        }
    )
    requests: list[dict[str, Any]] = Field(description="As in the decision, with `mine`.")


class Renewal(Body):
    """How long from now."""

    model_config = shown({"for": 900, "reason": "it takes longer"})

    lease: Lease
    reason: Reason | None = None


class Renewed(BaseModel):
    """A lease that goes on."""

    model_config = shown({"source": "operator:ana", "expires": "2026-11-29T06:30:00.000Z"})

    source: str
    expires: str = Field(description="ISO 8601.")


def own_source(caller: Principal) -> str:
    """Under which name a person asks."""
    return f"operator:{caller.name}"


def is_own(caller: Principal, source: str) -> bool:
    """A person may have several, `operator:ana/…`."""
    return source == own_source(caller) or source.startswith(f"{own_source(caller)}/")


@router.post("/requests", status_code=201)
async def make(
    body: PowerRequest,
    request: Request,
    context: Parts,
    caller: Operator,
    tongue: Tongue,
    key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> Made:
    """Ask for power. The guard decides in each cycle what becomes of it; a newer request replaces one's own."""
    _may(caller, body)
    message = body.message(caller)
    # somebody else's bounds must not go unrecorded
    safe = body.lowers and body.priority == "operator" and is_own(caller, message["source"])

    async def work() -> Made:
        async with recorded(
            context, request, caller, "request", reason=body.reason, target=message["source"],
            detail=message, safe=safe,
        ):  # fmt: skip
            foretold = await _foretold(context, message, tongue, needed=not safe)
            await ask(context, {"op": "request", **message}, message)
        return Made(
            source=message["source"], expires=_in(body.lease), request=message, preview=foretold
        )  # fmt: skip

    made: Made = await answers_of(request).once(
        f"{caller.kind}:{caller.name}", key, body.model_dump_json(), work
    )
    return made


@router.post("/requests/preview")
async def foretell(body: PowerRequest, context: Parts, caller: Operator, tongue: Tongue) -> Preview:
    """What the plant would be asked to do if this request stood now. Nothing is asked for."""
    _may(caller, body)
    found = await _foretold(context, body.message(caller), tongue, needed=True)
    assert found is not None  # noqa: S101  needed
    return found


@router.get("/requests")
async def listed(context: Parts, caller: Viewer, tongue: Tongue) -> RequestList:
    """The live requests, and what became of each in the last cycle."""
    status = await context.gateway.status()
    found = decided(status["control"], tongue).get("requests") or []
    return RequestList(requests=[one | {"mine": is_own(caller, one["source"])} for one in found])


@router.put("/requests/{source:path}")
async def renew(source: str, body: Renewal, request: Request, context: Parts, caller: Operator) -> Renewed:
    """Let a request stand for some seconds from now."""
    _owns(caller, source)
    detail, reason = {"for": body.lease}, body.reason or "renewed"
    async with recorded(
        context, request, caller, "request_renew", reason=reason, target=source, detail=detail
    ):
        done = await ask(context, {"op": "renew", "source": source, "for": body.lease}, detail)
        if not done["renewed"]:
            raise Problem(404, "no_such_request", f"{source} has no live request: ask anew")
    return Renewed(source=source, expires=_in(body.lease))


@router.delete("/requests/{source:path}", status_code=204)
async def cancel(
    source: str,
    request: Request,
    context: Parts,
    caller: Operator,
    reason: Annotated[str, Query(max_length=128, description="Why it ends before its time.")] = "",
) -> None:
    """End a request before its lease does."""
    _owns(caller, source)
    if not reason.isprintable():
        raise field_problem("reason", readable(reason), "only printable characters, in one line")
    async with recorded(
        context, request, caller, "request_cancel", reason=reason, target=source, safe=is_own(caller, source)
    ):
        done = await ask(context, {"op": "cancel", "source": source}, {"source": source})
        if not done["cancelled"]:
            raise Problem(404, "no_such_request", f"{source} has no live request: it may be over already")


async def _foretold(
    context: Context, message: Mapping[str, Any], tongue: str, *, needed: bool
) -> Preview | None:
    try:
        found = (await ask(context, {"op": "preview", **message}, message))["preview"]
    except Problem:
        if needed:
            raise
        return None
    limits = [Limit(**one, text=dict(in_words(one["name"]))) for one in found["limited_by"]]
    told = {name: found[name] for name in Preview.model_fields if name in found and name != "limited_by"}
    told["words"] = spoken(told["words"], tongue)
    return Preview(**told, limited_by=limits, valid_for_cycle=found["cycle"])


def _may(caller: Principal, body: PowerRequest) -> None:
    if caller.role >= Role.ENGINEER:
        return
    if body.priority != "operator":
        raise Problem(
            403, "role_too_low", f"priority={body.priority}: another one than operator needs an engineer"
        )
    if body.source is not None:
        _owns(caller, body.source)


def _owns(caller: Principal, source: str) -> None:
    if caller.role < Role.ENGINEER and not is_own(caller, source):
        raise Problem(
            403,
            "not_yours",
            f"source={source[:128]}: it is not yours, which is {own_source(caller)}; ask an engineer",
        )


def _in(seconds: float) -> str:
    until = datetime.fromtimestamp(time.time() + seconds, UTC)
    return until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
