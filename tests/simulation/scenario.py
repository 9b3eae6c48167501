"""What is simulated, and what comes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bessai.registry import Profile
from bessai.twin import PlantConfig
from simulation.assembly import Config
from simulation.device import STEP
from simulation.faults import FAULTS
from simulation.seat import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated. Equal scenarios run equally."""

    seed: int
    profile: Profile
    """Of the only device, where there are no `places`."""
    config: Config = field(default_factory=Config)
    plant: PlantConfig = field(default_factory=lambda: PlantConfig(step=STEP))
    places: tuple[Place, ...] = ()
    """Several devices; empty: one."""
    faults: tuple[str, ...] = tuple(FAULTS)
    """Kinds that may happen."""
    fault_every: float = 120.0
    """Mean seconds between the beginnings of two faults; infinite for none."""
    request_every: float = 40.0
    """Mean seconds between two requests; infinite for none."""
    people_every: float = 600.0
    """About how many seconds it takes until somebody looks after the plant again; infinite: nobody does."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a run."""

    seed: int
    simulated: float
    """Seconds."""
    wall: float
    """Seconds that it took."""
    cpu: float
    """Seconds of this process's time that it took: what counts on a machine that others use."""
    trace: str
    """Digest of every cycle, write, request and fault, with their times."""
    violations: list[str]
    """The first of them, in words."""
    broken: int
    """How many."""
    faults: Counter[str]
    writes: Counter[str]
    states: Counter[str]
    events: Counter[str]
    requests: int
    cycles: int
    verified: int
    fed: int
    powered: float
    """Seconds with a power commanded, of all devices."""
    fallbacks: int
    """How often a device's dead-man ended a command."""
    people: Counter[str]
    """Trips that stood anew, resets, tests, and what people were refused."""
