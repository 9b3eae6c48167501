"""How a process that the gateway started learns that it has to end."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket

_HARD_LIMIT = 1.2
"""Seconds after which the process ends, whatever a library is doing."""


class Ending:
    """Waits for SIGTERM, SIGINT or the end of standard input, and limits how long the process lives on."""

    def __init__(self) -> None:
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def wait(self) -> str:
        """Returns the reason as soon as there is one."""
        while True:
            ready, _, _ = select.select([0, self._woken.fileno()], [], [])
            if self._woken.fileno() in ready:
                return signal.Signals(self._woken.recv(1)[0]).name
            if not os.read(0, 4096):
                self._limit()
                return "standard input has ended"

    def close(self) -> None:
        """Let go of the sockets; the time limit stays."""
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._wake.close()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._limit()

    @staticmethod
    def _limit() -> None:
        # A thread in C, which ends the process even when the interpreter is stuck in a library's clean-up.
        faulthandler.dump_traceback_later(_HARD_LIMIT, exit=True)
