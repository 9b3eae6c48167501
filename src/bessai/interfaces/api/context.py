"""What every route is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request

from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.settings import ApiSettings

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

    async def read(self, work: Callable[[], T]) -> T:
        """Run something that waits for the disk, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work)


def of(request: Request) -> Context:
    """The context of a request's application."""
    context: Context = request.app.state.context
    return context
