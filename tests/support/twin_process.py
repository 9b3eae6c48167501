"""A twin in a process of its own, seen and told from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("twin_server_process.py")


class TwinProcess:
    """Use as a context manager.

    Args:
        profile: a registry name, or a profile's file.
        speed: simulated seconds for each second.
        port: where it is served; 0 takes any free one.
    """

    def __init__(self, profile: str | Path, speed: float = 1.0, port: int = 0) -> None:
        self._command = [sys.executable, str(_SCRIPT), str(profile), str(speed), str(port)]
        self.port = port

    def __enter__(self) -> TwinProcess:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = self._line()["port"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def kill(self) -> None:
        """Pull the device: what it was told is forgotten. Entering again starts a new one, on the same port."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def tell(self, do: str = "state", **more: Any) -> dict[str, Any]:
        """Tell it something; what it does now."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._line()

    def until(self, check: Callable[[dict[str, Any]], bool], within: float = 60.0) -> dict[str, Any]:
        """The first state that passes."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            state = self.tell()
            if check(state):
                return state
            time.sleep(0.05)
        state["log"] = state["log"][-12:]
        raise AssertionError(f"not reached within {within:g} s: {state}")

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
