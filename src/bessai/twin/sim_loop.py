"""An event loop without system calls: time stands still while there is something to do, and then jumps."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, TypeVar

Connect = Callable[[Callable[[], asyncio.Protocol], str, int], Coroutine[Any, Any, asyncio.Transport]]
"""Opens a connection of the simulated network."""

_T = TypeVar("_T")
_TASKS = 100
"""Tasks that the list may hold before it is swept."""
_CANCELLED = 500
"""Cancelled timers that the heap may hold before it is swept."""


class NothingWillEverHappenError(RuntimeError):
    """Everything waits, and no timer is set: a hang."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order in which they were asked for, timers in that of their times.

    Everything that would reach outside is refused: threads, signals, real sockets.
    """

    _ready: Any
    _scheduled: Any
    _timer_cancelled_count: int
    _stopping: bool

    def __init__(self, connect: Connect | None = None, *, start: float = 1000.0) -> None:
        super().__init__()
        self.now = start
        self.connect = connect
        self._number = 0
        self._tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        """Simulated seconds."""
        return self.now

    def stall(self, seconds: float) -> None:
        """Let time pass while this loop runs nothing, as after SIGSTOP or in a blocking call."""
        self.now += seconds

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, without its checks."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, without its checks. Timers of one time run in the order in which they were set."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._scheduled, (when, self._number, timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, _T], *, name: object = None, context: Context | None = None
    ) -> asyncio.Task[_T]:
        """As asyncio's; remembers the order."""
        task: asyncio.Task[_T] = asyncio.Task(coro, loop=self, name=name, context=context)  # type: ignore[arg-type]
        self._tasks.append(task)
        if len(self._tasks) > _TASKS:
            self._tasks = [task for task in self._tasks if not task.done()]
        return task

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that have not ended, in the order in which they began."""
        return [task for task in self._tasks if not task.done()]

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: object
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """A connection of the simulated network."""
        if self.connect is None:
            raise OSError("this loop has no network")
        made: list[asyncio.Protocol] = []

        def factory() -> asyncio.Protocol:
            made.append(protocol_factory())
            return made[0]

        transport = await self.connect(factory, host, port)
        return transport, made[0]

    def call_soon_threadsafe(self, *_: object, **__: object) -> NoReturn:
        """Refused: there is one thread."""
        raise RuntimeError("simulated time has one thread")

    def run_in_executor(self, *_: object, **__: object) -> NoReturn:
        """Refused: there is one thread."""
        raise RuntimeError("simulated time has one thread")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Nothing to shut down."""

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        if self._timer_cancelled_count > _CANCELLED:
            self._sweep()
        if not ready:
            while scheduled and scheduled[0][2]._cancelled:
                heapq.heappop(scheduled)[2]._scheduled = False
                self._timer_cancelled_count -= 1
            if not scheduled:
                raise NothingWillEverHappenError("everything waits, and nothing will ever happen")
            self.now = max(self.now, scheduled[0][0])
        now = self.now
        while scheduled and scheduled[0][0] <= now:
            timer = heapq.heappop(scheduled)[2]
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _sweep(self) -> None:
        for _, _, timer in self._scheduled:
            timer._scheduled = not timer._cancelled
        self._scheduled[:] = [item for item in self._scheduled if not item[2]._cancelled]
        heapq.heapify(self._scheduled)
        self._timer_cancelled_count = 0
