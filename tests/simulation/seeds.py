"""A new seed each run, and the same one again; longer runs where there is time."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable


def base_seed() -> int:
    """`BESSAI_SEED`, or a new one."""
    given = os.environ.get("BESSAI_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**9)


def scale() -> int:
    """How many times as long as in `.ci/run` the randomised runs are: `BESSAI_SCALE`, 1 by default, 10 on GitHub."""
    return int(os.environ.get("BESSAI_SCALE", "1"))


def replay(base: int, details: Iterable[str] = ()) -> str:
    """What a failing test says: how to see exactly this again."""
    return "\n".join([f"replay with BESSAI_SEED={base}", *details])
