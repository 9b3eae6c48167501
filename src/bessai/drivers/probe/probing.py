"""Finding out what is at an endpoint: who answers, what it says of itself, and which profile fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bessai.drivers.modbus import Manners, ModbusError, identify
from bessai.drivers.probe.fit import Answers, Fit, fit, ranked
from bessai.drivers.probe.gentle import GentleClient
from bessai.drivers.probe.reading import Reading, read_once
from bessai.drivers.probe.sunspec import SunSpecFound, find_sunspec
from bessai.model import Endpoint
from bessai.registry import CompiledProfile, compile_profile

TCP_UNITS = (1, 0, 255, 247, 2, 3, 4, 5, 71, 100, 126)
"""1 is the most common; 0 and 255 address the TCP device itself; 247 is the last of a serial line and of GoodWe and
Fox ESS; 2 to 5 are the next ones on a bus, 3 is SMA's; 71 Kostal's, 100 Victron's, 126 SMA's SunSpec."""
SERIAL_UNITS = (1, 2, 3, 4, 5, 10, 100, 126, 247)
"""The same without 0, which is everybody on a serial line, and without those that only TCP devices use."""


_SELF_TOLD = "it describes itself by SunSpec, and nothing sure speaks for this profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How gently to ask. Times in seconds."""

    timeout: float = 3.0
    """For each reply; also the price of each silent unit."""
    pause: float = 0.05
    """Between requests at least; a profile that is asked for may want more."""
    requests: int = 1000
    seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFound:
    """One unit that answers."""

    unit: int
    identification: dict[str, str]
    """Objects of function 43/14; empty when it has none."""
    sunspec: SunSpecFound | None
    fits: tuple[Fit, ...]
    """Profiles that fit, best first."""
    near: tuple[Fit, ...]
    """Profiles of which much fitted and something did not."""
    reading: Reading | None
    """What the best profile, or the SunSpec models, read."""

    @property
    def known(self) -> bool:
        """Whether a profile or SunSpec fits."""
        return bool(self.fits) or self.sunspec is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What was found at an endpoint."""

    units: tuple[UnitFound, ...]
    silent: dict[int, str]
    """Why each other unit counts as absent."""
    requests: int
    """Sent in all."""
    exhausted: str | None
    """Which bound ended the probe early, if one did."""


def gentle_client(endpoint: Endpoint, profiles: Sequence[CompiledProfile], bounds: Bounds) -> GentleClient:
    """A client as careful as the most careful of the profiles wants after connecting."""
    settle = max((profile.connection.settle for profile in profiles), default=0.0)
    manners = Manners(timeout=bounds.timeout, settle=settle, pause=bounds.pause)
    return GentleClient(endpoint, manners, requests=bounds.requests, seconds=bounds.seconds)


async def probe(
    client: GentleClient,
    profiles: Sequence[CompiledProfile],
    units: Sequence[int],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Probed:
    """Look at units one by one. Never writes.

    Args:
        client: connected; stays open.
        profiles: those to try.
        units: unit ids, in the order in which they are asked.
        progress: told what is being done.
    """
    answers = Answers(client)
    found: list[UnitFound] = []
    silent: dict[int, str] = {}
    for unit in units:
        client.notice = lambda n, unit=unit: progress(f"unit {unit}, request {n + 1}")  # type: ignore[misc]
        one = await _look(client, answers, profiles, unit)
        if one is not None:
            found.append(one)
        else:
            silent[unit] = client.of(unit).why or "not asked"
        if client.exhausted:
            break
    return Probed(
        units=tuple(found), silent=silent, requests=client.stats.requests, exhausted=client.exhausted
    )


async def _look(
    client: GentleClient, answers: Answers, profiles: Sequence[CompiledProfile], unit: int
) -> UnitFound | None:
    """Everything about one unit, None when it does not answer."""
    order = sorted(
        (profile for profile in profiles if profile.fingerprint),
        key=lambda p: (p.connection.unit != unit, -p.connection.pause, p.id),
    )
    by_identity = [p for p in order if any(check.object for check in p.fingerprint)]
    fits: list[Fit] = []
    standing = client.of(unit)
    for i, profile in enumerate(order):
        client.breath = max(p.connection.pause for p in (*order[i:], *(f.profile for f in fits)))
        if profile not in by_identity and (one := await fit(profile, answers, unit)) is not None:
            fits.append(one)
        if standing.given_up or client.exhausted:
            break
    if standing.given_up and not standing.answered:
        return None
    client.breath = max((f.profile.connection.pause for f in fits), default=0.0)
    sunspec = await find_sunspec(client, unit)
    told = await identify(client, unit)
    identification = {} if isinstance(told, ModbusError) else told
    if not standing.answered:
        return None
    fits += [
        one
        for profile in by_identity
        if (one := await fit(profile, answers, unit, identification)) is not None
    ]
    if sunspec is not None:
        fits = [one if one.sure or not one.complete else replace(one, missed=(_SELF_TOLD,)) for one in fits]
    complete, near = ranked(fits)
    best = complete[0].profile if complete else compile_profile(sunspec.profile) if sunspec else None
    return UnitFound(
        unit=unit,
        identification=identification,
        sunspec=sunspec,
        fits=tuple(complete),
        near=tuple(near),
        reading=await read_once(client, best, unit) if best is not None else None,
    )
