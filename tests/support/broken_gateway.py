"""The control plane with a bug that breaks out at SIGUSR1 and is gone at SIGUSR2: `python broken_gateway.py BUG`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from bessai.core.gateway import Gateway
from bessai.core.start import main
from bessai.orphan import end_with_parent

BLOCKED = 15.0


def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


async def _hang(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


def _places(gateway: Gateway, bug: str) -> tuple[list[tuple[Any, str]], Callable[..., Any]]:
    """What the bug replaces, and by what."""
    driver = next(iter(gateway.plant.units.values()))
    match bug:
        case "decide" | "command" | "wrote" | "feed":
            return [(gateway.guard, bug)], _raise
        case "alarms":
            return [(gateway.cycle._alarms, "update")], _raise
        case "reading":
            return [(driver, "read_fast")], _raise
        case "reading hangs":
            return [(driver, "read_fast")], _hang
        case "writing hangs":
            return [(driver, "write")], _hang
    raise ValueError(bug)


def _break_at_signals(gateway: Gateway, bug: str) -> None:
    loop = asyncio.get_running_loop()
    if bug == "blocked loop":
        loop.add_signal_handler(signal.SIGUSR1, time.sleep, BLOCKED)
        return
    places, instead = _places(gateway, bug)

    def begin() -> None:
        for where, name in places:
            setattr(where, name, instead)

    def end() -> None:
        for where, name in places:
            delattr(where, name)

    loop.add_signal_handler(signal.SIGUSR1, begin)
    loop.add_signal_handler(signal.SIGUSR2, end)


if __name__ == "__main__":
    end_with_parent()
    run = Gateway.run

    async def _run(self: Gateway) -> None:
        _break_at_signals(self, sys.argv[1])
        await run(self)

    Gateway.run = _run  # type: ignore[method-assign]
    sys.exit(main())
