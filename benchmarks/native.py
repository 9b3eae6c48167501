"""The compiled parts: the fast server and the libmodbus client, built when a C compiler is there."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).parent


class NotAvailableError(Exception):
    """A part cannot be built or run here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """One listening port of a server and how it behaves: good, dead, refuse, babble or slow."""

    number: int
    kind: str


def build(name: str, directory: Path) -> Path:
    """Compile `NAME.c` (`server` or `client`) into `directory`; returns the program.

    Raises:
        NotAvailableError: no compiler, no library, or the compiler refuses.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotAvailableError("no C compiler (cc or gcc)")
    flags = _libmodbus() if name == "client" else []
    program = directory / name
    command: list[str | Path] = [
        compiler,
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-o",
        program,
        _SOURCES / f"{name}.c",
        *flags,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAvailableError(f"{name}.c does not compile: {done.stderr.strip()[:300]}")
    return program


def _libmodbus() -> list[str]:
    if shutil.which("pkg-config") is None:
        raise NotAvailableError("no pkg-config to find libmodbus with")
    command = ["pkg-config", "--cflags", "--libs", "libmodbus"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAvailableError("no libmodbus with headers (Debian: libmodbus-dev)")
    return done.stdout.split()


@contextlib.contextmanager
def serving(command: Sequence[str | Path]) -> Iterator[list[Port]]:
    """Run a server that prints `PORT KIND` lines and `ready`, and ends with its standard input.

    Raises:
        NotAvailableError: it ends before it is ready, for example because a port is taken.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ports, line = [], ""
        for line in process.stdout:
            if line.strip() == "ready":
                break
            number, kind = line.split()
            ports.append(Port(number=int(number), kind=kind))
        else:
            raise NotAvailableError(f"{Path(command[0]).name} ended before it was ready")
        try:
            yield ports
        finally:
            process.stdin.close()


@contextlib.contextmanager
def one_device(directory: Path) -> Iterator[tuple[int, str | None]]:
    """One good device: its port, and why it is the Python server when it is (None: the C server)."""
    try:
        command: list[str | Path] = [build("server", directory)]
        note = None
    except NotAvailableError as error:
        command = [sys.executable, "-m", "benchmarks.device"]
        note = f"the device is the Python server: {error}"
    with serving(command) as ports:
        yield ports[0].number, note


def libmodbus_round(client: Path, port: int, plan: str, times: int) -> tuple[float, float]:
    """One run of the libmodbus client: CPU µs a point, and the sum of the decoded values.

    Raises:
        NotAvailableError: it failed.
    """
    command: list[str | Path] = [client, "127.0.0.1", str(port), str(times)]
    done = subprocess.run(command, input=plan, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAvailableError(f"the libmodbus client failed: {done.stderr.strip()}")
    words = done.stdout.split()
    found = dict(zip(words[::2], words[1::2], strict=True))
    return float(found["cpu_us_per_point"]), float(found["sum"])
