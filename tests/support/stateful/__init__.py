"""Drives the guard through random states, requests and people, and judges everything that it writes.

`Setup` is a plant, `World` a battery with a device in front of it, `GuardUnderTest` the guard, and `UnitJudge`,
`TripJudge` and `PlantJudge` the second implementation of what it must keep to, written from docs/limits.md,
docs/trips.md and docs/control.md. `run(seed, …)` is one episode; a violation names its seed and shows the last
steps, and the same seed gives the same episode.
"""

from support.stateful.adapter import GuardUnderTest, PresentGuard
from support.stateful.driver import QUIET, Driver, Episode, Mix, Violation, run
from support.stateful.judge import CURVES, TRIPS, UnitJudge
from support.stateful.plant import PlantJudge
from support.stateful.setup import Devices, Setup, UnitSetup
from support.stateful.trips import Kept, TripJudge
from support.stateful.world import World

__all__ = [
    "CURVES", "QUIET", "TRIPS", "Devices", "Driver", "Episode", "GuardUnderTest", "Kept", "Mix", "PlantJudge",
    "PresentGuard", "Setup", "TripJudge", "UnitJudge", "UnitSetup", "Violation", "World", "run",
]  # fmt: skip
