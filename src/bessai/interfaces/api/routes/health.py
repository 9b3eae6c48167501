"""Whether it is well, for load balancers, containers and Prometheus."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from bessai.interfaces.api.answers import Answer, shown, text_answer
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Principal, Role, needs
from bessai.interfaces.metrics import text

router = APIRouter()
root = APIRouter(tags=["health"])

Parts = Annotated[Context, Depends(of)]


class Health(Answer):
    """Whether it is well."""

    model_config = shown({"ok": False, "count": 1, "problems": ["meter: no answer"]})

    ok: bool
    count: int
    """Of problems."""
    problems: list[str]
    """Told to who has signed in; else empty."""


class Ready(Answer):
    """Whether it answers."""

    model_config = shown({"ok": True}, {"ok": False, "code": "gateway_silent"})

    ok: bool
    code: str | None = None
    """Why not."""


_FRESH = 1.0
"""Seconds for which an answer about the health counts: anybody may ask, and the control plane is asked for it."""


@root.head("/healthz", include_in_schema=False)
@root.get(
    "/healthz", response_model=Health, responses={503: {"model": Health, "description": "It is not well."}}
)
async def healthz(request: Request, context: Parts) -> JSONResponse:
    """200 when the control plane answers, runs its cycles, and every device delivers; else 503.

    Without a role, only how many problems there are.
    """
    problems = await _problems(request.app.state, context)
    known = getattr(request.state, "principal", None) is not None
    body: dict[str, Any] = {
        "ok": not problems, "count": len(problems), "problems": problems if known else []
    }  # fmt: skip
    return JSONResponse(body, 200 if not problems else 503)


@root.head("/readyz", include_in_schema=False)
@root.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "It is not."}})
async def readyz(context: Parts) -> JSONResponse:
    """200 when requests can be answered: the control plane's socket and the users are there; else 503."""
    try:
        await context.gateway.summary()
        await context.read(lambda: context.identity.setup_needed)
    except Problem as problem:
        return JSONResponse({"ok": False, "code": problem.code}, 503)
    return JSONResponse({"ok": True})


@root.get("/metrics", response_class=PlainTextResponse, responses=text_answer("text/plain", "bessai_up 1\n"))
async def metrics_page(
    request: Request, context: Parts, _principal: Annotated[Principal, Depends(needs(Role.VIEWER))]
) -> Response:
    """Figures for Prometheus; when the control plane is silent, `bessai_up` is 0 and its figures are left out.

    With `Accept: application/openmetrics-text` in that form, with the traces of slow cycles as exemplars.
    """
    figures = await context.figures()
    openmetrics = text.wants_open(request.headers.get("accept", ""))
    body = text.page(figures, openmetrics=openmetrics)
    return Response(body, media_type=text.OPEN if openmetrics else text.PLAIN)


async def _problems(state: Any, context: Context) -> list[str]:
    held: tuple[float, list[str]] | None = getattr(state, "health", None)
    if held is None or time.monotonic() - held[0] > _FRESH:
        try:
            found = _wrong(await context.gateway.summary())
        except Problem as problem:
            found = [problem.detail]
        held = state.health = (time.monotonic(), found)
    return held[1]


def _wrong(status: dict[str, Any]) -> list[str]:
    found = [str(problem) for problem in status["problems"]]
    devices = status.get("devices") or {}
    dead = int(devices.get("total") or 0) - int(devices.get("well") or 0)
    if dead > 0 and not any(str(name) in text for name in devices.get("problems") or () for text in found):
        found.append(f"{dead} of {devices['total']} devices do not deliver")
    return found
