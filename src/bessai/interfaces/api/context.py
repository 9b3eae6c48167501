"""What every route is given."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request

from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.measured import Measured
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.settings import ApiSettings
from bessai.interfaces.certificates import Certificates
from bessai.interfaces.metrics.collecting import assembled, device_pages
from bessai.interfaces.metrics.figures import Figures, PageFigures
from bessai.interfaces.tracing import Tracing

if TYPE_CHECKING:
    from bessai.interfaces.api.audit import Audit
    from bessai.interfaces.api.identity import Identity
    from bessai.interfaces.api.live import Live

T = TypeVar("T")


@dataclass(kw_only=True)
class Context:
    """The parts of one server. A route takes it with `context: Annotated[Context, Depends(of)]`."""

    settings: ApiSettings
    gateway: Gateway
    identity: Identity
    audit: Audit
    live: Live
    readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="read")
    )
    """Threads for what reads the disk: the journal and the history."""

    tracing: Tracing = field(default_factory=lambda: Tracing(exports=False))
    """Opens a span for each request."""
    measured: Measured = field(default_factory=Measured)
    """How long answers took."""

    async def figures(self) -> Figures:
        """What the metrics are read from, all of it."""
        control, devices = None, []
        try:
            control = (await self.gateway.ask({"op": "figures"}))["figures"]
            for message in device_pages(control):
                devices += (await self.gateway.ask(message))["devices"]
        except Problem:  # silent, or ending in between
            pass
        page = self.page_figures()
        return await self.read(
            lambda: assembled(
                control, devices, self.settings.data_dir,
                pids={"page": os.getpid()}, page=page, certificates=self.certificates,
            )
        )  # fmt: skip

    @cached_property
    def certificates(self) -> Certificates:
        """What the gateway uses, as it told this process."""
        return Certificates(os.environ, self.settings.data_dir)

    def page_figures(self) -> PageFigures:
        """What this process counts itself."""
        live = self.live
        return PageFigures(
            viewers=live.viewers,
            cycles=live.frames,
            missed=live.missed,
            requests=self.measured.histograms(),
        )

    async def read(self, work: Callable[[], T]) -> T:
        """Run something that waits for the disk, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work)


def of(request: Request) -> Context:
    """The context of a request's application."""
    context: Context = request.app.state.context
    return context
