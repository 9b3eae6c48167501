"""The live stream: server-sent events, a cycle as it happens."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bessai.interfaces.api.answers import text_answer
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.limits import abort
from bessai.interfaces.api.live import MOST_POINTS, Viewer
from bessai.interfaces.api.problems import field_problem
from bessai.interfaces.api.roles import Principal, Role, needs
from bessai.interfaces.api.spoken import Tongue

router = APIRouter(tags=["live"])

_ALIVE = 1.0
_EXAMPLE = 'retry: 1000\n\nevent: lost\ndata: {"problem": "the control plane does not answer"}\n\n'
_CHECKED = 10.0
"""Seconds between looks whether the viewer may still look."""


class Stream(Response):
    """The events of one viewer, until it goes, is cut or may no longer look."""

    media_type = "text/event-stream"

    def __init__(self, context: Context, viewer: Viewer, principal: Principal) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._context, self._viewer, self._principal = context, viewer, principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: self._viewer.wake())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
            loop = asyncio.get_running_loop()
            checked = loop.time()
            while not gone.done():
                data = await self._viewer.take(_ALIVE) or b": alive\n\n"
                async with asyncio.timeout(self._context.live.cut):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                if loop.time() - checked > _CHECKED:
                    checked = loop.time()
                    if not await self._context.identity.alive(self._principal, touch=True):
                        break
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            abort(scope)
        finally:
            self._context.live.leave(self._viewer)
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get(
    "/stream", status_code=200, response_class=Stream, responses=text_answer("text/event-stream", _EXAMPLE)
)
async def stream(
    context: Annotated[Context, Depends(of)],
    principal: Annotated[Principal, Depends(needs(Role.VIEWER))],
    tongue: Tongue,
    channel: Annotated[
        Literal["main", "all"], Query(description="main: without the points of single cells.")
    ] = "main",
    points: Annotated[
        str | None, Query(description="These points only, with commas between.", max_length=65536)
    ] = None,
) -> Response:
    """Follow what every cycle knew and decided, as server-sent events."""
    names = [name for name in (points or "").split(",") if name]
    if len(names) > MOST_POINTS:
        raise field_problem("points", len(names), f"choose at most {MOST_POINTS}")
    return Stream(context, context.live.join(channel, names, tongue), principal)
