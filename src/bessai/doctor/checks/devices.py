"""The devices: asked over Modbus when no gateway runs, asked of the gateway when one does."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from bessai.doctor.checks.network import connected
from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn
from bessai.drivers.modbus import ConnectionFailed, DeviceException, identify, read
from bessai.drivers.probe import Bounds, gentle_client
from bessai.drivers.probe.fit import Answers, fit
from bessai.drivers.probe.gentle import GentleClient
from bessai.model import Endpoint
from bessai.site import Device

_MOST = 200
"""Devices that are asked one by one; of a larger plant the first ones."""
_AT_ONCE = 16
_PAGE = 200
_BOUNDS = Bounds(timeout=2.0, requests=60, seconds=12.0)
SECONDS = 45.0


def devices(look: Look) -> Iterator[Finding]:
    """Whether each answers, and as its profile says."""
    site = look.site
    if look.status is not None:
        yield from _of_gateway(look)
    elif look.trouble is not None:
        yield skipped("gateway_silent", why=look.trouble)
    elif site is None:
        yield skipped("no_site")
    else:
        yield from _asked(look, site.devices[:_MOST])
        if len(site.devices) > _MOST:
            yield skipped("more", asked=_MOST, devices=len(site.devices))


def _of_gateway(look: Look) -> Iterator[Finding]:
    """A running gateway knows; a second master could be the one connection too many for a device."""
    first, total, well = 0, 1, 0
    while first < total:
        answer = look.ask({"op": "devices", "from": first, "count": _PAGE})
        if answer is None or not answer.get("ok"):
            yield unknown("not_told")
            return
        total = int(answer["total"])
        for device in answer["devices"]:
            if device.get("problem") is None:
                well += 1
            else:
                yield bad("problem", device=device["name"] or "INVERTER_IP", problem=device["problem"])
        first += _PAGE
    if well:
        yield ok("gateway", well=well, devices=total)


def _asked(look: Look, wanted: Sequence[Device]) -> Iterator[Finding]:
    lines: dict[Endpoint, list[Device]] = defaultdict(list)
    for device in wanted:
        lines[device.endpoint].append(device)
    free: dict[Endpoint, list[Device]] = {}
    for endpoint, behind in lines.items():
        if endpoint.host and connected(look, endpoint.host, endpoint.port):
            yield skipped("in_use", endpoint=str(endpoint), devices=len(behind))
        else:
            free[endpoint] = behind
    yield from asyncio.run(_ask_all(free))


async def _ask_all(lines: dict[Endpoint, list[Device]]) -> list[Finding]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def line(endpoint: Endpoint, behind: list[Device]) -> list[Finding]:
        async with turns:
            return await _ask_line(endpoint, behind)

    found = await asyncio.gather(*(line(endpoint, behind) for endpoint, behind in lines.items()))
    return [finding for findings in found for finding in findings]


async def _ask_line(endpoint: Endpoint, behind: list[Device]) -> list[Finding]:
    client = gentle_client(endpoint, [device.compiled for device in behind], _BOUNDS)
    started = time.perf_counter()
    try:
        await client.connect()
    except ConnectionFailed as error:
        return [
            bad("unreachable", device=_name(device), endpoint=str(endpoint), why=str(error))
            for device in behind
        ]
    took = (time.perf_counter() - started) * 1e3
    try:
        return [await _ask_device(client, device, took) for device in behind]
    finally:
        client.close()


async def _ask_device(client: GentleClient, device: Device, took: float) -> Finding:
    """One read, or the profile's fingerprint where it has one. Never a write."""
    profile = device.compiled
    client.breath = profile.connection.pause
    facts = {
        "device": _name(device),
        "endpoint": str(device.endpoint),
        "unit": device.unit,
        "profile": profile.id,
        "ms": took,
    }
    if not profile.fingerprint:
        name = next((n for n, p in profile.points.items() if p.poll != "never"), None)
        if name is None:
            return ok("connected", **facts)
        point = profile.points[name]
        reply = await client.ask(device.unit, read(point.table, point.address, point.registers))
        answered = isinstance(reply, bytes | DeviceException)
        return ok("answers", **facts, point=name) if answered else bad("silent", **facts, why=str(reply))
    identity = None
    if any(check.object for check in profile.fingerprint):
        told = await identify(client, device.unit)
        identity = told if isinstance(told, dict) else None
    one = await fit(profile, Answers(client), device.unit, identity)
    standing = client.of(device.unit)
    if not standing.answered:
        return bad("silent", **facts, why=standing.why or client.exhausted or "-")
    if one is None:
        return bad("other", **facts, told="-")
    if one.missed:
        return (warn if one.sure else bad)("other", **facts, told=one.missed[0])
    return ok(**facts, told=one.held[0])


def _name(device: Device) -> str:
    return device.name or "INVERTER_IP"
