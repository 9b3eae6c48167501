"""`bessai probe`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import WRONG_INPUT, fail, print_json
from bessai.cli.probe_draft import Draft, check_file, document_of, write

if TYPE_CHECKING:
    from bessai.drivers.probe import Bounds, Probed
    from bessai.model import Endpoint
    from bessai.registry import CompiledProfile

_NO_ANSWER, _UNKNOWN = 1, 3
_SPANS = "0-199,30000-30049,40000-40049"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(probe)


def probe(
    where: str = typer.Argument(
        help="HOST[:PORT], tls://…, rtu+tcp://… or rtu:///dev/ttyUSB0?baudrate=9600&parity=N.",
        metavar="ENDPOINT",
    ),
    unit: int | None = typer.Option(None, min=0, max=255, help="Look at this unit id only."),
    units: str | None = typer.Option(
        None,
        help="Unit ids to look at, as 1-10,100. Unless given: 1 (most devices), 0 and 255 (the TCP device itself), "
        "247 (GoodWe, Fox ESS), 2 to 5 (the next on a bus; 3 is SMA), 71 (Kostal), 100 (Victron) and 126 (SMA's "
        "SunSpec); on a serial line without 0, which is everybody there, and 255.",
    ),
    profile: list[str] = typer.Option(
        [],
        "--profile",
        "-p",
        help="Try only this profile, a registry name or a file; may be given again. Unless given: the registry.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    draft: Path | None = typer.Option(
        None, help="Write the skeleton of a profile to this .json file when no profile fits."
    ),
    registers: str = typer.Option(
        _SPANS, help="With --draft: addresses, from 0, at which an unknown device is read."
    ),
    table: list[str] = typer.Option(
        ["holding", "input"], help="With --draft: holding or input; may be given again."
    ),
    scan_requests: int = typer.Option(
        200, min=1, max=5000, help="With --draft: most requests of that reading."
    ),
    force: bool = typer.Option(
        False, "--force", help="With --draft: overwrite the file, and draft although a profile fits."
    ),
    timeout: float | None = typer.Option(
        None,
        min=0.05,
        max=60,
        help="Seconds to wait for a reply; each silent unit costs that. Unless given: 3, on a serial line 1.",
    ),
    pause: float = typer.Option(
        0.05,
        min=0,
        max=5,
        help="Least seconds between requests; longer while a profile is tried that asks for it.",
    ),
    max_requests: int = typer.Option(1000, min=1, help="Requests after which the probe ends."),
    max_time: float = typer.Option(300, min=1, help="Seconds after which the probe ends."),
) -> None:
    """Find out what answers at an address, and which profile fits. Reads only; never writes.

    Unit ids are asked one after another over one connection: for the registers by which the profiles recognise
    their devices, for SunSpec models, for the device identification (function 43/14). A unit that does not answer the
    first request is left alone; an exception is an answer. Then the profile that fits best reads every point once.

    Try it: `bessai simulate --port 5020`, and in another terminal `bessai probe 127.0.0.1:5020`.

    A device that no profile knows: `bessai probe HOST --unit 1 --draft my_device.json --registers 0-500` writes a valid
    profile of the registers that can be read, as raw numbers without meaning, to be completed from the maker's
    document. A SunSpec device describes itself: its draft is complete.

    Gentle: a pause before each request, no register asked anew for each profile, a bound on requests and time.
    Devices that serve one connection at a time drop the others while they are probed: stop a gateway that runs on
    them first.

    Exit codes: 0 a profile or SunSpec fits, 3 something answers and nothing known fits, 1 no answer, 2 wrong arguments
    or a draft that is refused.
    """
    from bessai.drivers.probe import SERIAL_UNITS, TCP_UNITS, Bounds, parse_spans
    from bessai.model import parse_endpoint
    from bessai.registry import ProfileError

    try:
        profiles = _profiles(profile)
        port = profiles[0].connection.port if len(profile) == 1 else None
        endpoint = parse_endpoint(where, default_port=port)
        serial = endpoint.transport in {"rtu", "rtu+tcp"}
        asked = _units(unit, units, SERIAL_UNITS if serial else TCP_UNITS, serial=serial)
        if unknown := [name for name in table if name not in {"holding", "input"}]:
            raise ValueError(f"--table {unknown[0]}: write holding or input")
        job = None
        if draft is not None:
            check_file(draft, force=force)
            spans = parse_spans(registers, list(dict.fromkeys(table)))
            job = Draft(file=draft, force=force, spans=spans, requests=scan_requests)
    except ProfileError as error:
        fail(*error.problems)
    except ValueError as error:
        fail(error)
    seconds = timeout or (1.0 if endpoint.serial else 3.0)
    bounds = Bounds(timeout=seconds, pause=pause, requests=max_requests, seconds=max_time)
    typer.echo(
        f"probing {endpoint}: {len(asked)} unit ids, at most {max_requests} requests in {max_time:g} s; reads only",
        err=True,
    )
    probed, written, refusal = _run(endpoint, profiles, asked, bounds, job)
    from bessai.cli.probe_view import as_document, show

    names = {compiled.id: name for compiled, name in zip(profiles, profile, strict=False)}
    if as_json:
        print_json({**as_document(endpoint, probed, names), "draft": str(draft) if written else None})
    else:
        show(endpoint, probed, names)
        if written:
            typer.echo(f"\n{written}")
    if refusal is not None:
        fail(refusal, code=WRONG_INPUT)
    if not probed.units:
        raise typer.Exit(_NO_ANSWER)
    raise typer.Exit(0 if any(found.known for found in probed.units) else _UNKNOWN)


def _profiles(names: Sequence[str]) -> list[CompiledProfile]:
    from bessai.registry import compile_profile, list_profiles, load_profile

    loaded = [load_profile(name) for name in names or list_profiles()]
    for one in loaded:
        if names and not one.fingerprint:
            raise ValueError(
                f"profile {one.id} has no `fingerprint`, so nothing can be held against a device"
            )
    return [compile_profile(one) for one in loaded]


def _units(one: int | None, text: str | None, default: Sequence[int], *, serial: bool) -> list[int]:
    if one is not None and text is not None:
        raise ValueError("give --unit or --units, not both")
    chosen = list(default) if one is None else [one]
    if text is not None:
        chosen = []
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last <= 255:
                raise ValueError(
                    f"--units: {part!r} is no unit id from 0 to 255 or FIRST-LAST; write 1-10,100"
                )
            chosen += range(first, last + 1)
    if serial and 0 in chosen:
        raise ValueError("unit 0 is everybody on a serial line and answers nothing; leave it out")
    return list(dict.fromkeys(chosen))


def _run(
    endpoint: Endpoint,
    profiles: list[CompiledProfile],
    units: list[int],
    bounds: Bounds,
    job: Draft | None,
) -> tuple[Probed, str | None, str | None]:
    """What was found, what was written, and why nothing was written."""
    from bessai.drivers.modbus import ConnectionFailed

    with contextlib.ExitStack() as stack:
        progress: Callable[[str], None] = _quiet
        if sys.stderr.isatty():
            from rich.console import Console

            progress = stack.enter_context(Console(stderr=True).status("connecting …")).update
        try:
            probed, document, refusal = asyncio.run(_probe(endpoint, profiles, units, bounds, job, progress))
        except ConnectionFailed as error:
            fail(error, code=_NO_ANSWER)
    if job is None or document is None:
        return probed, None, refusal
    try:
        return probed, write(endpoint, job.file, document), None
    except OSError as error:
        return probed, None, f"--draft {job.file}: cannot be written: {error.strerror}"


def _quiet(_: str) -> None:
    """Where no terminal shows progress."""


async def _probe(
    endpoint: Endpoint,
    profiles: list[CompiledProfile],
    units: list[int],
    bounds: Bounds,
    job: Draft | None,
    progress: Callable[[str], None],
) -> tuple[Probed, dict[str, Any] | None, str | None]:
    from bessai.drivers.probe import gentle_client, probe

    client = gentle_client(endpoint, profiles, bounds)
    await client.connect()
    try:
        probed = await probe(client, profiles, units, progress=progress)
        if job is None or not probed.units:
            return probed, None, None
        try:
            return probed, await document_of(client, endpoint, job, probed.units, bounds.pause), None
        except ValueError as error:
            return probed, None, str(error)
    finally:
        client.close()
