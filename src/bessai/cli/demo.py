"""`bessai demo`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import ask_gateway, fail

_PROGRAMME = ((12, 2.5, "peak"), (4, 0.0, "rest"), (12, -2.5, "valley"), (4, 0.0, "rest"))
"""Seconds, kW, reason: what the demo's schedule asks for, again and again."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    profile: str = typer.Option("huawei_sun2000", "--profile", "-p", help="Device to simulate."),
    seed: int = typer.Option(1, help="Seed of the simulated plant."),
    data_dir: Path = typer.Option(Path("data/demo"), "--data-dir", help="Journal and state of the demo."),
    seconds: float | None = typer.Option(None, "--for", min=1, help="End after so many seconds."),
    plain: bool = typer.Option(False, help="One line a second instead of a live page."),
) -> None:
    """Run a simulated plant and the gateway on it: no account, nothing to configure. Ctrl-C ends it.

    The plant is served on a real Modbus TCP socket of this machine. A schedule asks it to discharge and charge
    in turn; while it runs, look at it from another terminal with `bessai status --data-dir data/demo`, or ask
    for power yourself with `bessai request --data-dir data/demo --power 1 --reason "trying it"`.
    """
    os.environ.pop("DATA_DIR", None)
    children: list[subprocess.Popen[Any]] = []
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    started = time.monotonic()
    try:
        address = _start_twin(children, profile, seed)
        host, _, port = address.rpartition(":")
        environment = {
            "OTEL_SDK_DISABLED": "false" if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ else "true",
            **os.environ,
            "SITE_ID": "demo",
            "INVERTER_IP": host.strip("[]"),
            "INVERTER_PORT": port,
            "DRIVER_PROFILE_PATH": profile,
            "DATA_DIR": str(data_dir),
        }
        data_dir.mkdir(parents=True, exist_ok=True)
        log = (data_dir / "gateway.log").open("ab")
        gateway = subprocess.Popen(
            [sys.executable, "-m", "bessai.core"], env=environment, stderr=log, start_new_session=True
        )
        children.append(gateway)
        end = None if seconds is None else started + seconds
        code = _show(gateway, data_dir, address, end, plain=plain or not sys.stdout.isatty())
    except KeyboardInterrupt:
        code = 0
    finally:
        _end(children)
    if code:
        fail(f"the gateway ended with code {code}; see {data_dir / 'gateway.log'}", code=1)
    typer.echo(f"ended; the journal stays in {data_dir}: `bessai journal tail --data-dir {data_dir}`")


def _start_twin(children: list[subprocess.Popen[Any]], profile: str, seed: int) -> str:
    twin = subprocess.Popen(
        [sys.executable, "-m", "bessai.cli", "simulate", "--profile", profile, "--port", "0", "--seed", str(seed)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    children.append(twin)
    line = twin.stdout.readline() if twin.stdout is not None else ""
    words = line.split()
    if "on" not in words:
        fail("the simulated plant did not start", code=twin.wait() or 1)
    typer.echo(line.strip())
    return words[words.index("on") + 1]


def _show(
    gateway: subprocess.Popen[Any], data_dir: Path, address: str, end: float | None, *, plain: bool
) -> int:
    """Show the status until the end; returns the gateway's exit code when it ended by itself, else 0."""
    from rich.console import Console
    from rich.live import Live

    from bessai.cli.view import overview

    console = Console()
    live = None if plain else Live(console=console, screen=False, refresh_per_second=4, transient=True)
    began = time.monotonic()
    seen = -1
    try:
        if live is not None:
            live.start()
        while end is None or time.monotonic() < end:
            if gateway.poll() is not None:
                return gateway.returncode
            _ask_for_power(data_dir, time.monotonic() - began)
            answer = ask_gateway(data_dir, {"op": "status"}, timeout=0.5)
            state = answer.get("status") if answer else None
            if state and live is not None:
                live.update(overview(state))
            elif state and state["cycle"]["cycles"] != seen:
                seen = state["cycle"]["cycles"]
                typer.echo(_line(state))
            time.sleep(0.25)
    finally:
        if live is not None:
            live.stop()
    return 0


def _ask_for_power(data_dir: Path, elapsed: float) -> None:
    into = elapsed % sum(span for span, _, _ in _PROGRAMME)
    for span, power, reason in _PROGRAMME:
        if into < span:
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
