"""How wall time moves simulated time, for any number of devices at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from bessai.twin.connection_point import ConnectionPoint
from bessai.twin.device import TwinDevice

SPEED_MAX = 10_000.0


class TwinClock:
    """Simulated time is the event loop's time multiplied by `speed`.

    Every request moves it on; a slow tick does where nobody asks. A step is only made when one is due, so a
    thousand devices cost one step each in the time of a step, however many requests there are.

    Args:
        devices: everything that lives in this time. Devices of one plant, and plants of one point of
            connection, move together.
        speed: simulated seconds for each second.
        tick: wall seconds between two steps of the background.
    """

    def __init__(self, devices: Iterable[TwinDevice], speed: float = 1.0, tick: float = 0.1) -> None:
        if not 0 < speed <= SPEED_MAX:
            raise ValueError(f"speed must be above 0 and at most {SPEED_MAX:g}, not {speed:g}")
        self.speed = speed
        self.tick = tick
        self._worlds: dict[ConnectionPoint, list[TwinDevice]] = {}
        for device in devices:
            self._worlds.setdefault(device.plant.connection, []).append(device)
        self._moved_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Let time run."""
        if self._task is None:
            self._moved_at = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._run(), name="twin clock")

    async def stop(self) -> None:
        """Stop time."""
        if self._task is not None:
            task, self._task, self._moved_at = self._task, None, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def catch_up(self) -> None:
        """Move simulated time on to the present."""
        if self._moved_at is None:
            return
        now = asyncio.get_running_loop().time()
        elapsed, self._moved_at = now - self._moved_at, now
        self.advance(max(0.0, elapsed) * self.speed)

    def advance(self, seconds: float) -> None:
        """Move on by simulated seconds."""
        for point, devices in self._worlds.items():
            for _ in range(point.due(seconds)):
                point.step()
                for device in devices:
                    device.after_step()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.tick)
            self.catch_up()
