"""Starts the independent Modbus servers and finds the independent tools of the conformance tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.foreign_map import HOLE, SIZE

_TESTS = Path(__file__).parents[1]
_MODBUS_SERIAL = "modbus-serial@8.0.25"


@contextmanager
def serving(command: Sequence[str], *, missing: str = "") -> Iterator[int]:
    """The port of a server that prints it, and ends when its standard input does.

    Its exit code 77 skips the test, because of what is `missing`.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_TESTS), *sys.path])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        line = server.stdout.readline()
        if not line and server.wait() == 77:
            pytest.skip(missing)
        try:
            yield int(line)
        finally:
            server.stdin.close()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


@contextmanager
def pymodbus_server(*arguments: str) -> Iterator[int]:
    with serving([sys.executable, "-m", "support.foreign_pymodbus", *arguments]) as port:
        yield port


@contextmanager
def modbus_tk_server() -> Iterator[int]:
    with serving([sys.executable, "-m", "support.foreign_modbus_tk"]) as port:
        yield port


@contextmanager
def modbus_serial_server(cache: Path) -> Iterator[int]:
    """npm's modbus-serial, installed in `cache`; skips the test where that is not possible."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed (Debian packages nodejs, npm)")
    modules = cache / _MODBUS_SERIAL / "node_modules"
    if not modules.is_dir():
        _install(npm, cache)
    script = str(Path(__file__).with_name("foreign_modbus_serial.js"))
    with serving([node, script, str(modules), str(SIZE), str(HOLE.start), str(HOLE.stop)]) as port:
        yield port


def _install(npm: str, cache: Path) -> None:
    """Install aside, then move there at once: tests may run in several processes."""
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            aside,
            _MODBUS_SERIAL,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm could not install {_MODBUS_SERIAL} within a minute")
        if done.returncode:
            pytest.skip(f"npm cannot install {_MODBUS_SERIAL}: {done.stderr.strip().splitlines()[-1:]}")
        target = cache / _MODBUS_SERIAL
        target.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # another process was quicker
            (Path(aside) / "node_modules").rename(target / "node_modules")
