"""The whole house for a browser: a simulated plant, the gateway, its page, and Debian's Chromium."""

from __future__ import annotations

import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from bessai.cli.common import ask_gateway
from support.gateway import GatewayProcess
from support.processes import free_port
from support.twin_process import TwinProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LINK = re.compile(r"https?://\S+/#/setup\?token=\S+")
ADMINISTRATOR = ("ana", "una frase larga y buena")


class House:
    """A plant in a process of its own, the gateway and its page.

    Args:
        folder: of its data and its log.
        profile: a registry name, or a profile's file.
        environment: settings of the gateway.
    """

    def __init__(self, folder: Path, profile: str | Path = "huawei_sun2000", **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.modbus = free_port()
        self.plant = TwinProcess(profile, port=self.modbus)
        self.gateway = GatewayProcess(
            folder / "data",
            INVERTER_PORT=str(self.modbus),
            DRIVER_PROFILE_PATH=str(profile),
            HTTP_PORT=str(self.port),
            **environment,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self._runs = False

    def __enter__(self) -> Self:
        try:
            self.start_plant()
            self.gateway.__enter__()
            self.until_ready()
        except BaseException:  # nobody calls `__exit__` then
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.__exit__()
        self.stop_plant()

    def start_plant(self) -> None:
        """Serve the simulated plant."""
        self.plant.__enter__()
        self._runs = True

    def stop_plant(self) -> None:
        """Pull the device."""
        if self._runs:
            self.plant.kill()
            self._runs = False

    def force(self, point: str, value: float) -> None:
        """Let the device tell a value that is not its own, until `release`."""
        self.plant.tell("force", point=point, to=value)

    def release(self, point: str) -> None:
        """Let the device tell the truth again."""
        self.plant.tell("release", point=point)

    def until_ready(self, seconds: float = 150.0) -> None:
        """Until the page answers."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError(f"the page does not answer; log:\n{self.gateway.log.read_text()}")

    def setup_link(self) -> str:
        """What the gateway printed."""
        found = LINK.findall(self.gateway.log.read_text())
        assert found, self.gateway.log.read_text()
        return str(found[-1])

    def ask(self, **message: Any) -> dict[str, Any]:
        """The answer of the control plane."""
        answer = ask_gateway(self.gateway.data, message)
        assert answer is not None
        return answer

    @property
    def status(self) -> dict[str, Any]:
        """Of the gateway."""
        return self.gateway.status()

    def page_pid(self) -> int:
        """The process that serves the page."""
        return int(self.status["page"]["pid"])


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def axe(page: Any) -> list[str]:
    """What axe finds serious or critical on a page: `rule: selector`."""
    source = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(source.read_text())  # not a script element, which the content policy forbids
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['target'][0]}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
