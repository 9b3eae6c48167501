"""The one place where the probe meets SunSpec discovery."""

from __future__ import annotations

from dataclasses import dataclass

from bessai.drivers.probe.gentle import GentleClient
from bessai.drivers.sunspec import NotSunSpecError, discover
from bessai.registry import Profile
from bessai.registry.sunspec import load_model

_MAX_REGISTERS = 100
"""Registers a read; some SunSpec devices refuse more than 110."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpecFound:
    """What a SunSpec device says of itself."""

    profile: Profile
    models: tuple[tuple[int, str], ...]
    """Id and name of each model, in the order of the device; the name of an unofficial one is `unknown`."""
    problem: str | None
    """Why the chain ended early, if it did."""


async def find_sunspec(client: GentleClient, unit: int) -> SunSpecFound | None:
    """The models of a unit, None when it has none (or stopped answering)."""
    try:
        found = await discover(client, unit, max_registers=_MAX_REGISTERS)
    except NotSunSpecError:
        return None
    models = []
    for at in found.chain.models:
        model = load_model(at.id)
        models.append((at.id, model.label if model is not None else "unknown"))
    return SunSpecFound(profile=found.profile, models=tuple(models), problem=found.chain.problem)
