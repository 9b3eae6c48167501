"""The official Pub/Sub emulator, where its jar and Java are installed.

    with PubSubEmulator.start_or_skip() as emulator:
        emulator.host

The jar is looked for where Google's package puts it, or named by PUBSUB_EMULATOR_JAR.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_USUAL_PLACE = Path("/usr/lib/google-cloud-sdk/platform/pubsub-emulator/lib")


class PubSubEmulator:
    """A running emulator process."""

    def __init__(self, java: str, jar: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [java, "-Xmx256m", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                self._log.seek(0)
                raise RuntimeError(f"the emulator did not start: {self._log.read().decode(errors='replace')}")
            time.sleep(0.1)

    @classmethod
    def start_or_skip(cls) -> PubSubEmulator:
        """A running emulator; skips the test, saying why, where it cannot run."""
        java = shutil.which("java")
        named = os.environ.get("PUBSUB_EMULATOR_JAR")
        jars = [Path(named)] if named else sorted(_USUAL_PLACE.glob("cloud-pubsub-emulator-*-all.jar"))
        if java is None or not jars or not jars[-1].is_file():
            pytest.skip("the official Pub/Sub emulator needs java and its jar (PUBSUB_EMULATOR_JAR)")
        return cls(java, jars[-1])

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> PubSubEmulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()
