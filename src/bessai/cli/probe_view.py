"""What `bessai probe` found, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bessai.registry import load_profile

if TYPE_CHECKING:
    from bessai.drivers.probe import Fit, Probed, Reading, UnitFound
    from bessai.model import Endpoint

_ROLES = {
    "pcs": "pcs",
    "inverter": "inverter",
    "battery": "battery",
    "bms": "battery",
    "meter": "meter",
    "weather": "weather",
}
"""Role in a site by what a profile says that a device is; the first that is among its kinds."""
_FITS = 4


def as_document(endpoint: Endpoint, probed: Probed, names: Mapping[str, str]) -> dict[str, Any]:
    """Everything as JSON. `names` says how the user called a profile, where it is not its id."""
    return {
        "endpoint": endpoint_text(endpoint),
        "requests": probed.requests,
        "ended_early": probed.exhausted,
        "units": [_unit(endpoint, found, names) for found in probed.units],
        "silent": {str(unit): why for unit, why in probed.silent.items()},
    }


def show(endpoint: Endpoint, probed: Probed, names: Mapping[str, str]) -> None:
    """Print a page for people. `names` as in `as_document`."""
    console = Console(soft_wrap=True, highlight=False)
    for found in probed.units:
        _show_unit(console, endpoint, found, names)
    if not probed.units:
        console.print(f"[red]no unit answers at {escape(str(endpoint))}[/]")
    if probed.silent:
        whys = dict.fromkeys(probed.silent.values())
        for why in whys:
            numbers = ", ".join(str(unit) for unit, reason in probed.silent.items() if reason == why)
            console.print(f"[dim]silent: unit {numbers} ({escape(why)})[/]")
    if not probed.units:
        console.print(
            "Is Modbus switched on in the device, and the port right (502, 1502, 6607, 802 with TLS)? On a serial line "
            "check baudrate, parity and the two wires. Other unit ids: --units 1-247. A device that ignores registers "
            "it does not have: --profile NAME."
        )
    if probed.exhausted:
        console.print(f"[yellow]ended early: {escape(probed.exhausted)}[/]")
    console.print(f"[dim]{probed.requests} requests; nothing was written[/]")


def endpoint_text(endpoint: Endpoint) -> str:
    """The endpoint as commands and site files take it."""
    if endpoint.serial:
        return (
            f"rtu://{endpoint.path}?baudrate={endpoint.baudrate}&parity={endpoint.parity}"
            f"&stopbits={endpoint.stopbits}&bytesize={endpoint.bytesize}"
        )
    if endpoint.transport == "tls":
        name = f"&server_name={endpoint.server_name}" if endpoint.server_name else ""
        return f"{endpoint}?ca={endpoint.ca}&cert={endpoint.cert}&key={endpoint.key}{name}"
    return str(endpoint)


def quoted(endpoint: Endpoint) -> str:
    """The endpoint as it is typed in a shell."""
    text = endpoint_text(endpoint)
    return f"'{text}'" if "?" in text or "[" in text else text


def next_steps(endpoint: Endpoint, found: UnitFound, names: Mapping[str, str]) -> list[str]:
    """What to type and to write next, for the best that fits."""
    where = endpoint_text(endpoint)
    shown = quoted(endpoint)
    if not found.fits:
        if found.sunspec is None:
            return [f"bessai probe {shown} --unit {found.unit} --draft my_device.json --registers 0-500"]
        return [
            f"bessai read {shown} --profile sunspec --unit {found.unit}",
            "# then, for a profile that the gateway can run on:",
            f"bessai probe {shown} --unit {found.unit} --draft my_device.json",
        ]
    profile = names.get(found.fits[0].profile.id, found.fits[0].profile.id)
    kinds = load_profile(profile).kinds
    role = next((role for kind, role in _ROLES.items() if kind in kinds), "inverter")
    site = [
        "# or in the site file, under `devices`:",
        f"  {role}_{found.unit}:",
        f"    profile: {profile}",
        f"    role: {role}",
        f"    endpoint: {where}",
        f"    unit: {found.unit}",
    ]
    env = [
        "# then in config/.env:",
        f"INVERTER_IP={endpoint.host}",
        f"INVERTER_PORT={endpoint.port}",
        f"INVERTER_UNIT={found.unit}",
        f"DRIVER_PROFILE_PATH={profile}",
    ]
    steps = [f"bessai read {shown} --profile {profile} --unit {found.unit}"]
    return [*steps, *(env if endpoint.transport == "tcp" else []), *site, "bessai config check"]


def _unit(endpoint: Endpoint, found: UnitFound, names: Mapping[str, str]) -> dict[str, Any]:
    sunspec = found.sunspec
    return {
        "unit": found.unit,
        "identification": found.identification,
        "sunspec": None
        if sunspec is None
        else {
            "models": [{"id": number, "name": name} for number, name in sunspec.models],
            "problem": sunspec.problem,
        },
        "profiles": [_fit(fit) for fit in found.fits],
        "near_misses": [_fit(fit) for fit in found.near],
        "reading": _reading(found.reading),
        "next": next_steps(endpoint, found, names),
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "profile": fit.profile.id,
        "manufacturer": fit.profile.manufacturer,
        "model": fit.profile.model,
        "score": fit.score,
        "sure": fit.sure,
        "held": list(fit.held),
        "missed": list(fit.missed),
    }


def _reading(reading: Reading | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {
        "classes": {
            poll: {"points": points, "reads": reads} for poll, (points, reads) in reading.classes.items()
        },
        "good": reading.good,
        "points": reading.points,
        "problem": reading.problem,
        "values": {
            name: {"value": one.value, "meaning": one.meaning, "unit": one.unit, "quality": one.quality}
            for name, one in reading.values.items()
        },
    }


def _show_unit(console: Console, endpoint: Endpoint, found: UnitFound, names: Mapping[str, str]) -> None:
    console.print(f"[bold green]unit {found.unit} answers[/] at {escape(str(endpoint))}")
    if found.identification:
        told = ", ".join(f"{name} {text!r}" for name, text in found.identification.items())
        console.print(f"  identification: {escape(told)}")
    else:
        console.print("  identification: none (function 43/14)")
    if (sunspec := found.sunspec) is not None:
        console.print(
            "  SunSpec: " + escape("; ".join(f"{number} {name}" for number, name in sunspec.models))
        )
        if sunspec.problem:
            console.print(f"  [yellow]SunSpec chain not whole: {escape(sunspec.problem)}[/]")
    for place, fit in enumerate(found.fits[:_FITS]):
        best = fit.score == found.fits[0].score
        word = "fits" if not place else "fits equally" if best else "fits as well"
        console.print(
            f"  [{'bold' if best else 'dim'}]{escape(fit.profile.id)}[/] {word} (weight {fit.score}): "
            f"{escape(fit.profile.manufacturer)}, {escape(fit.profile.model)}"
        )
        for line in fit.held:
            console.print(f"    [green]✓[/] {escape(line)}")
        if not fit.sure:
            console.print(
                "    [yellow]other devices could answer like this: compare the model on its plate[/]"
            )
    for fit in found.near:
        console.print(f"  [dim]{escape(fit.profile.id)} does not fit[/]")
        for mark, lines in (("[green]✓[/]", fit.held), ("[red]✗[/]", fit.missed)):
            for line in lines:
                console.print(f"    {mark} [dim]{escape(line)}[/]")
    if not found.known:
        console.print("  [yellow]no profile fits, and it has no SunSpec models[/]")
    if found.reading is not None:
        _show_reading(console, found.reading)
    console.print("  next:")
    for line in next_steps(endpoint, found, names):
        console.print(f"    {escape(line)}")


def _show_reading(console: Console, reading: Reading) -> None:
    parts = [f"{poll} {points} in {reads}" for poll, (points, reads) in reading.classes.items()]
    console.print(f"  points in reads: {', '.join(parts)}; {reading.good} of {reading.points} are good now")
    table = Table("point", "value", "", "quality", box=None, padding=(0, 2, 0, 2))
    for name, one in reading.values.items():
        if one.meaning is not None:
            text = one.meaning if isinstance(one.meaning, str) else ", ".join(one.meaning) or "none"
        else:
            text = "–" if one.value is None else f"{one.value:.6g}"
        colour = "green" if one.quality == "good" else "yellow"
        table.add_row(name, escape(text), one.unit or "", f"[{colour}]{one.quality}[/]")
    console.print(table)
    if reading.problem:
        console.print(f"  [yellow]{escape(reading.problem)}[/]")
