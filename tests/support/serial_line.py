"""Serial lines without hardware: pseudo terminals, and a scripted RTU device on one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import tty
from collections.abc import Callable, Iterator

from bessai.drivers.modbus.rtu import frame

Script = Callable[[bytes], list[tuple[float, bytes]]]
"""Request frame -> what to send, each after so many seconds."""


@contextlib.contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two terminals whose bytes cross over, as on two ends of one cable."""
    first, first_name = _terminal()
    second, second_name = _terminal()
    stop_read, stop_write = os.pipe()

    def carry() -> None:
        while True:
            ready, _, _ = select.select([first, second, stop_read], [], [])
            if stop_read in ready:
                return
            for source, target in ((first, second), (second, first)):
                if source in ready:
                    with contextlib.suppress(OSError):
                        os.write(target, os.read(source, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield first_name, second_name
    finally:
        os.write(stop_write, b"x")
        thread.join()
        for fd in (first, second, stop_read, stop_write, *_KEPT.pop(first), *_KEPT.pop(second)):
            os.close(fd)


_KEPT: dict[int, list[int]] = {}
"""Slave ends held open, so that a master survives its user's coming and going."""


def _terminal() -> tuple[int, str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    _KEPT[master] = [slave]
    return master, os.ttyname(slave)


class ScriptedLine:
    """An RTU device on a pseudo terminal, `path`. Registers hold ten times their address, unless scripted."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.times: list[float] = []
        self._master, self.path = _terminal()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedLine:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._asked)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self.unplug()

    def unplug(self) -> None:
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            os.close(self._master)
            for fd in _KEPT.pop(self._master):
                os.close(fd)
            self._master = -1

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def _asked(self) -> None:
        request = os.read(self._master, 512)
        self.requests.append(request)
        self.times.append(self._loop.time())
        task = self._loop.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: bytes) -> None:
        for delay, data in self.script(request) if self.script else [(0.0, answer(request))]:
            await asyncio.sleep(delay)
            self.send(data)


def answer(request: bytes) -> bytes:
    """The reply frame of an honest device."""
    unit, code = request[:2]
    address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    if code != 3:
        return frame(unit, request[1:6])
    values = b"".join((10 * (address + i)).to_bytes(2, "big") for i in range(count))
    return frame(unit, bytes((3, 2 * count)) + values)
