"""Drives the guard through random states and requests, and judges everything that it writes.

`World` is a battery with a device in front of it, `GuardUnderTest` the guard, `Oracle` the judge: the second
implementation of the envelope, plus what a device really does with the writes. `run(seed, …)` is one episode; a
violation names its seed and shows the last steps, and the same seed gives the same episode.
"""

from support.stateful.adapter import GuardUnderTest, PresentGuard
from support.stateful.driver import Episode, Mix, Violation, run
from support.stateful.oracle import CURVES, Expectations, Latch, Oracle
from support.stateful.world import World, profile

__all__ = [
    "CURVES", "Episode", "Expectations", "GuardUnderTest", "Latch", "Mix", "Oracle", "PresentGuard", "Violation",
    "World", "profile", "run",
]  # fmt: skip
