"""Runs seeds and adds up what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from simulation.assembly import Config
from simulation.profiles import PROFILES, three
from simulation.scenario import Result, Scenario
from simulation.world import World

DAY = 86_400.0
PLANTS = (*PROFILES, "three")
"""What can be simulated: one device of a profile, or three packs."""


@dataclass(slots=True)
class Tally:
    """The sum of runs."""

    simulated: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    runs: int = 0
    cycles: int = 0
    verified: int = 0
    requests: int = 0
    powered: float = 0.0
    fallbacks: int = 0
    broken: int = 0
    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Add one run."""
        self.runs += 1
        for name in (
            "simulated", "wall", "cpu", "cycles", "verified", "requests", "powered", "fallbacks", "broken",
            "violations", "faults", "writes", "states", "people",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(result, name))

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"simulated {self.simulated / DAY:.3f} days in {self.runs} runs: {self.cycles} cycles, "
            f"{self.verified} complete and verified"
        )
        yield (
            f"speed {self.simulated / self.wall:.0f} x real time on the wall, {self.simulated / self.cpu:.0f} x by the "
            f"process's own time ({1e6 * self.cpu / self.simulated:.0f} µs a simulated second)"
        )
        yield f"requests {self.requests}, seconds with power commanded {self.powered:.0f}"
        yield f"writes {_counted(self.writes)}; the device's dead-man ended {self.fallbacks} commands"
        yield f"people: {_counted(self.people)}"
        yield f"states {_counted(self.states)}"
        yield f"faults {sum(self.faults.values())}: {_counted(self.faults)}"
        yield f"violations {self.broken}"
        yield from self.violations


def run(
    profile: str, seed: int, seconds: float, *, fault_every: float = 120.0, box: Path | None = None
) -> Result:
    """One run of one seed with every fault on."""
    config = config_of(seed, box)
    places = three() if profile == "three" else ()
    kind = PROFILES["pack" if places else profile]()
    return World(
        Scenario(seed=seed, profile=kind, places=places, config=config, fault_every=fault_every)
    ).run(seconds)


def config_of(seed: int, box: Path | None = None) -> Config:
    """What the operator of this seed's plant has set."""
    rng = Random(f"{seed}/config")
    return Config(
        ramp=rng.choice([None, None, 100.0, 300.0, 1000.0]),
        min_on=rng.choice([0.0, 0.0, 30.0]),
        min_off=rng.choice([0.0, 0.0, 20.0]),
        box=box,
    )


def replay(result: Result, profile: str) -> str:
    """What shows exactly this run again."""
    hours = result.simulated / 3600
    command = f"python -m tests.simulation --profile {profile} --seed {result.seed} --hours {hours:g}"
    return "\n".join([command, *result.violations])


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def total(results: Iterable[Result]) -> Tally:
    """The sum of several."""
    tally = Tally()
    for result in results:
        tally.add(result)
    return tally
