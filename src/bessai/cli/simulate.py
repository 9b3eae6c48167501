"""`bessai simulate`."""

from __future__ import annotations

import asyncio
import errno
import signal
from typing import TYPE_CHECKING

import typer

from bessai.cli.common import fail

if TYPE_CHECKING:
    from bessai.twin import TwinServer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    profile: str = typer.Option(
        "huawei_sun2000", "--profile", "-p", help="Device to simulate: a registry name or a profile's file."
    ),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 for every network."),
    port: int = typer.Option(5020, min=0, max=65535, help="TCP port; 0 takes any free one."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same plant."),
    speed: float = typer.Option(1.0, help="Simulated seconds for each second, above 0 and up to 1000."),
    unit: int | None = typer.Option(None, min=0, max=255, help="Unit id; the profile's unless given."),
    soc: float = typer.Option(50.0, min=0, max=100, help="State of charge at the start, in %."),
    dense: bool = typer.Option(
        False, "--dense", help="Answer 0 for addresses that the profile does not name, not exception 2."
    ),
) -> None:
    """Serve a simulated battery plant on Modbus TCP until Ctrl-C.

    The plant (LFP battery, converter, household load, grid) answers like the device of the profile: the same
    registers, "not available" where it has nothing, exceptions, refused writes, forced charge and its end when
    the master falls silent. The first line printed is the address that is served.

    Try it: `bessai simulate --port 5020`, and in another terminal
    `bessai read 127.0.0.1:5020 --profile huawei_sun2000`. With `--speed 60` a minute passes each second.

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 wrong arguments, profile or port in use.
    """
    from bessai.registry import ProfileError, load_profile

    if not 0 < speed <= 1000:
        fail(f"--speed {speed:g} must be above 0 and at most 1000")
    try:
        device = load_profile(profile)
    except ProfileError as error:
        fail(*error.problems)

    from bessai.twin import BatteryConfig, Plant, PlantConfig, TwinServer

    plant = Plant(PlantConfig(battery=BatteryConfig(initial_soc=soc)), seed=seed)
    server = TwinServer(device, plant, host, port, speed=speed, unit=unit, dense=dense)
    try:
        asyncio.run(_serve(server, f"unit {server.unit}, seed {seed}, speed {speed:g}"))
    except KeyboardInterrupt:  # where the event loop cannot take signals
        return
    except OSError as error:
        fail(_explain(error, host, port))


async def _serve(server: TwinServer, how: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with server:
        host, port = server.address
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {server.profile.id} on {shown}:{port} ({how})", flush=True)
        await ended.wait()


def _explain(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is in use; choose another with --port, or --port 0 for any free one"
            )
        case errno.EACCES:
            return f"port {port} needs rights that this user has not; choose one above 1023 with --port"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --host"
