"""`bessai demo`."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import typer

from bessai.cli.common import GatewayError, ask_gateway, fail
from bessai.orphan import VARIABLE

_PROGRAMME = ((12, 2.5, "peak"), (4, 0.0, "rest"), (12, -2.5, "valley"), (4, 0.0, "rest"))
"""Seconds, kW, reason: what the demo's schedule asks for, again and again."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    profile: str = typer.Option("huawei_sun2000", "--profile", "-p", help="Device to simulate."),
    seed: int = typer.Option(1, min=0, help="Seed of the simulated plant."),
    data_dir: Path = typer.Option(Path("data/demo"), "--data-dir", help="Journal and state of the demo."),
    seconds: float | None = typer.Option(None, "--for", min=1, help="End after so many seconds."),
    plain: bool = typer.Option(False, help="One line a cycle instead of a live page."),
) -> None:
    """Run a simulated plant and the gateway on it: no account, nothing to configure. Ctrl-C ends it.

    The plant is served on a real Modbus TCP socket of this machine. A schedule asks it to discharge and charge
    in turn; while it runs, look at it from another terminal with `bessai status --data-dir data/demo`, or ask
    for power yourself with `bessai request --data-dir data/demo --power 1 --reason "trying it"`. Settings of
    the environment and of `config/.env` do not reach it, but for OTEL_*.
    """
    from bessai.core.fitting import data_directory_problem
    from bessai.registry import ProfileError, find_profile

    data_dir = data_dir.absolute()
    try:
        file = find_profile(profile).absolute()
    except ProfileError as error:
        fail(*error.problems)
    if (problem := data_directory_problem(data_dir)) is not None:
        fail(problem.replace("DATA_DIR=", "--data-dir "))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    children: list[subprocess.Popen[Any]] = []
    end = None if seconds is None else time.monotonic() + seconds
    log_path = data_dir / "gateway.log"
    log_start = log_path.stat().st_size if log_path.exists() else 0
    try:
        port = _free_port()
        with log_path.open("ab") as log:
            twin = _start(
                ["simulate", "--profile", str(file), "--port", port, "--seed", str(seed)], data_dir, children
            )
            page = _page_port()
            gateway = _start_gateway(file, port, page, data_dir, log, children)
        typer.echo(
            (twin.stdout.readline() if twin.stdout else "").strip() or "the simulated plant did not start"
        )
        code = _show(
            gateway, twin, data_dir, end, _Log(log_path, log_start), plain=plain or not sys.stdout.isatty()
        )
    except KeyboardInterrupt:
        code = 0
    finally:
        _end(children)
    if code:
        lines = _Log(log_path, log_start).text().splitlines()
        said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        said = [line.replace("set DATA_DIR to", "give --data-dir") for line in said]  # it hears no setting
        fail(*(said or [f"the gateway ended with code {code}; see {log_path}"]), code=1)
    typer.echo(f"ended; the journal stays: bessai journal tail --data-dir {data_dir}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _page_port() -> str:
    """8080, or the next port that is free."""
    for port in range(8080, 8180):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return str(port)
    return _free_port()


class _Log:
    """What this run's gateway writes to its log."""

    def __init__(self, path: Path, start: int) -> None:
        self._path, self._start = path, start

    def text(self) -> str:
        with self._path.open("rb") as log:
            log.seek(self._start)
            return log.read().decode(errors="replace")

    def page(self) -> str | None:
        """Where the page is, with the one-time link as long as nobody has set it up; None before it serves."""
        said = self.text()
        if (link := re.search(r"http\S+/#/setup\?token=\S+", said)) is not None:
            return f"the page, which you set up with this link: {link[0]}"
        address = re.search(r"bessai\.page the page: (http\S+)", said)
        return None if address is None else f"the page: {address[1]}"


def _start_gateway(
    profile: Path, port: str, page: str, data_dir: Path, log: IO[bytes], children: list[subprocess.Popen[Any]]
) -> subprocess.Popen[Any]:
    from bessai.core.settings import Settings

    ours = {name.upper() for name in Settings.model_fields}
    environment = {k: v for k, v in os.environ.items() if k not in ours or k.startswith("OTEL_")}
    if "OTEL_EXPORTER_OTLP_ENDPOINT" not in environment:
        environment["OTEL_SDK_DISABLED"] = "true"
    environment |= {
        "SITE_ID": "demo",
        "INVERTER_IP": "127.0.0.1",
        "INVERTER_PORT": port,
        "DRIVER_PROFILE_PATH": str(profile),
        "DATA_DIR": str(data_dir),
        "HTTP_PORT": page,
        "LOG_FORMAT": "text",
        VARIABLE: str(os.getpid()),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "bessai.core"],
        env=environment, stderr=log, cwd=data_dir, start_new_session=True,
    )  # fmt: skip
    children.append(child)
    return child


def _start(arguments: list[str], cwd: Path, children: list[subprocess.Popen[Any]]) -> subprocess.Popen[Any]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bessai.cli", *arguments],
        stdout=subprocess.PIPE, text=True, cwd=cwd, start_new_session=True,
        env={**os.environ, VARIABLE: str(os.getpid())},
    )  # fmt: skip
    children.append(child)
    return child


def _show(
    gateway: subprocess.Popen[Any],
    twin: subprocess.Popen[Any],
    data_dir: Path,
    end: float | None,
    log: _Log,
    *,
    plain: bool,
) -> int:
    """Show the page's link and the status; returns an exit code when gateway or plant ended by itself, else 0."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from bessai.cli.view import overview

    console = Console()
    plain = plain or console.is_dumb_terminal
    live = None if plain else Live(console=console, screen=False, refresh_per_second=4, transient=True)
    began = time.monotonic()
    seen = -1
    page: str | None = None
    try:
        if live is not None:
            live.start()
        while end is None or time.monotonic() < end:
            if gateway.poll() is not None:
                return gateway.returncode
            if twin.poll() is not None:
                return twin.returncode or 1
            if page is None and (page := log.page()) is not None:
                console.print(page, highlight=False, soft_wrap=True)
            state = _status(gateway.pid, data_dir)
            if state:
                _ask_for_power(data_dir, time.monotonic() - began)
            if state and live is not None:
                live.update(Group(overview(state), Text("Ctrl-C ends the demo", style="dim")))
            elif state and state["cycle"]["cycles"] != seen:
                seen = state["cycle"]["cycles"]
                typer.echo(_line(state))
            time.sleep(0.25)
    finally:
        if live is not None:
            live.stop()
    return 0


def _status(pid: int, data_dir: Path) -> dict[str, Any] | None:
    """The status of our own gateway; None before it answers, and when another one serves this directory."""
    try:
        answer = ask_gateway(data_dir, {"op": "status"}, timeout=0.5)
    except GatewayError:
        return None
    state = answer.get("status") if answer else None
    return state if state and state["pid"] == pid else None


def _ask_for_power(data_dir: Path, elapsed: float) -> None:
    into = elapsed % sum(span for span, _, _ in _PROGRAMME)
    for span, power, reason in _PROGRAMME:
        if into < span:
            with suppress(GatewayError):
                ask_gateway(
                data_dir,
                {"op": "request", "source": "demo schedule", "priority": "schedule", "power": power,
                 "for": 3, "reason": reason},
                timeout=0.5,
            )  # fmt: skip
            return
        into -= span


def _line(state: dict[str, Any]) -> str:
    def value(name: str) -> str:
        point = state["points"].get(name, {})
        number = point.get("value")
        return "–" if number is None else f"{number:.2f} {point['unit'] or ''}".strip()

    control = state["control"]
    setpoint = control.get("setpoint")
    return (
        f"cycle {state['cycle']['cycles']:>5}  {control['state']:<8}"
        f" setpoint {'–' if setpoint is None else f'{setpoint:+.2f} kW'}"
        f"  battery {value('battery_power')}  soc {value('soc')}  temperature {value('battery_temperature')}"
        f"  journal {state['journal']['committed']}"
        + ("" if state["healthy"] else f"  NOT HEALTHY: {'; '.join(state['problems'])}")
    )


def _end(children: list[subprocess.Popen[Any]]) -> None:
    """End the gateway first, so that it can hand control back, then the plant."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for child in reversed(children):
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            child.wait(2.5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
