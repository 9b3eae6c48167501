"""`bessai simulate`."""

from __future__ import annotations

import asyncio
import errno
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import fail

if TYPE_CHECKING:
    from bessai.twin import TwinSite

_SHOWN = 40  # devices that get a line each; more are told bus by bus


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    profile: str = typer.Option(
        "huawei_sun2000", "--profile", "-p", help="Device to simulate: a registry name or a profile's file."
    ),
    site: Path | None = typer.Option(
        None, "--site", help="Simulate the plant of a site file instead of one device."
    ),
    write: Path | None = typer.Option(
        None, "--write", help="With --site: write the site file of the simulation, for `bessai run`."
    ),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; 0.0.0.0 for every network."),
    port: int = typer.Option(
        5020, min=0, max=65535, help="TCP port, of a site's first bus; 0 takes any free ones."
    ),
    rtu: bool = typer.Option(False, "--rtu", help="Serve on a serial line (a pty) instead of a TCP port."),
    link: Path | None = typer.Option(None, "--link", help="With --rtu: symbolic link to the line."),
    fault: list[str] = typer.Option(
        [],
        "--fault",
        "-f",
        help="Misbehave: name[=value][@device]; may be given again. See `bessai fault -h`.",
    ),
    control: Path | None = typer.Option(
        None, "--control", help="Control socket for `bessai fault`; follows from the port unless given."
    ),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same plant."),
    speed: float = typer.Option(1.0, help="Simulated seconds for each second, above 0 and up to 1000."),
    unit: int | None = typer.Option(None, min=0, max=255, help="Unit id; the profile's unless given."),
    soc: list[str] = typer.Option(
        [],
        help="State of charge at the start, in % (default: 50). With --site also of one device, as rack_1=80; "
        "may be given again.",
    ),
    short_circuit_power: float | None = typer.Option(
        None,
        "--short-circuit-power",
        help="kVA of the grid at the point of connection, so that the plant moves its voltage; a stiff grid "
        "unless given.",
    ),
    x_over_r: float = typer.Option(
        5.0, "--x-over-r", help="With --short-circuit-power: reactance of the grid divided by its resistance."
    ),
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

    A whole plant: `bessai simulate --site config/site.yaml --write sim.yaml` serves each bus on a port of its
    own, counting from --port (serial lines on ptys), and writes the site file that reads them.

    Make it fail: `--fault delay=0.5 --fault busy=10%`, or at any time `bessai fault 5020 silence`.

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 wrong arguments, profile, site or fault, or a port in use.
    """
    if not 0 < speed <= 1000:
        fail(f"--speed {speed:g} must be above 0 and at most 1000")
    for given, needs, message in (
        (write, site, "--write goes with --site FILE"),
        (link, rtu, "--link goes with --rtu"),
    ):
        if given is not None and not needs:
            fail(message)
    if site is not None and (rtu or unit is not None):
        fail("--site decides lines and units; leave out --rtu and --unit")

    from bessai.twin import BatteryConfig, GridConfig, PlantConfig

    whole, socs = _socs(soc)
    if socs and site is None:
        fail("--soc DEVICE=PERCENT goes with --site FILE")
    try:
        grid = GridConfig(short_circuit_power=short_circuit_power, x_over_r=x_over_r)
    except ValueError as error:
        fail(f"--{str(error).replace('_', '-')}")
    options: dict[str, Any] = {
        "config": PlantConfig(battery=BatteryConfig(initial_soc=whole), grid=grid),
        "seed": seed,
        "speed": speed,
        "dense": dense,
    }
    try:
        if site is None:
            simulation = _one(profile, unit, host, port, link, rtu=rtu, options=options)
            job = _serve(simulation, fault, control, f"seed {seed}, speed {speed:g}")
        else:
            job = _serve_site(site, write, host, port, fault, control, options | {"soc": socs})
        asyncio.run(job)
    except KeyboardInterrupt:  # where the event loop cannot take signals
        return
    except OSError as error:
        fail(_explain(error, host, port))
    except ValueError as error:
        fail(error)


def _socs(texts: list[str]) -> tuple[float, dict[str, float]]:
    """The plant's state of charge, and those of single devices."""
    whole, socs = 50.0, {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 100:
            fail(f"--soc {text!r}: give 0 ... 100, or DEVICE=0 ... 100, for example rack_1=80")
        if name:
            socs[name] = value
        else:
            whole = value
    return whole, socs


def _one(
    profile: str,
    unit: int | None,
    host: str,
    port: int,
    link: Path | None,
    *,
    rtu: bool,
    options: dict[str, Any],
) -> TwinSite:
    from bessai.model import Endpoint
    from bessai.registry import ProfileError, load_profile
    from bessai.twin.site import TwinBus, TwinSite, TwinUnit

    try:
        device = load_profile(profile)
    except ProfileError as error:
        fail(*error.problems)
    endpoint = Endpoint(host=host, port=port)
    if rtu:
        endpoint = Endpoint(transport="rtu", path=str(link.absolute()) if link else "")
    own = TwinUnit(name=device.id, profile=device, unit=device.connection.unit if unit is None else unit)
    return TwinSite([TwinBus(endpoint, [own])], **options)


async def _serve_site(
    file: Path,
    write: Path | None,
    host: str,
    port: int,
    faults: list[str],
    control: Path | None,
    options: dict[str, Any],
) -> None:
    from bessai.site import SiteError, load_site
    from bessai.twin.site import from_site
    from bessai.twin.site_file import simulated_file

    try:
        site = load_site(file)
    except SiteError as error:
        fail(*error.problems)
    simulation, buses = from_site(site.devices, host_override=host, port=port, **options)

    def written() -> None:
        if write is not None:
            simulated_file(file, write, {endpoint: bus.endpoint for endpoint, bus in buses.items()})
            print(f"site file of the simulation: {write}", flush=True)
        if any(endpoint.transport == "tls" for endpoint in buses):
            print("TLS endpoints are simulated without TLS: their certificates are the plant's", flush=True)

    await _serve(simulation, faults, control, f"seed {options['seed']}, speed {options['speed']:g}", written)


async def _serve(
    simulation: TwinSite, faults: list[str], control: Path | None, how: str, written: Any = None
) -> None:
    """Serve until SIGINT or SIGTERM."""
    from bessai.twin.control_socket import ControlSocket, control_path
    from bessai.twin.fault_panel import FaultPanel

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with simulation:
        panel = FaultPanel(simulation.members, {bus.endpoint: bus for bus in simulation.buses})
        on = panel.apply(faults)
        first = simulation.buses[0].endpoint
        path = control or control_path(first.removeprefix("rtu://"))
        socket = ControlSocket(path, panel)
        await socket.start()
        try:
            for line in _lines(simulation, how):
                print(line, flush=True)
            if written is not None:
                written()
            for text in on:
                print(f"fault {text}", flush=True)
            await ended.wait()
        finally:
            await socket.stop()


def _lines(simulation: TwinSite, how: str) -> list[str]:
    members = simulation.members
    if len(members) == 1:
        ((name, (bus, device)),) = members.items()
        return [f"serving {name} on {bus.endpoint.removeprefix('rtu://')} (unit {device.unit}, {how})"]
    if len(members) <= _SHOWN:
        return [
            f"serving {name} on {bus.endpoint} unit {device.unit}" for name, (bus, device) in members.items()
        ]
    lines: list[str] = []
    for bus in simulation.buses:
        names = [name for name, (other, _) in members.items() if other is bus]
        shown = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)} devices)"
        units = list(bus.devices)
        lines.append(
            f"serving {shown} on {bus.endpoint} "
            + (f"unit {units[0]}" if len(units) == 1 else f"units {min(units)} … {max(units)}")
        )
    return lines


def _explain(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is in use; choose another with --port, or --port 0 for any free one"
            )
        case errno.EACCES:
            return f"port {port} needs rights that this user has not; choose one above 1023 with --port"
        case None:  # our own sentences
            return str(error)
        case _ if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --host"
