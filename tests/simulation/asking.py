"""Everybody who asks for power."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

from bessai.model import Bounds, Priority, Request


def random_request(rng: Random, now: float, size: float = 12.0, kvar: float = 0.0) -> Request:
    """A request; powers up to `size` kW and `kvar` kvar, a little more than the plant can do.

    One in ten answers the grid.
    """
    if rng.random() < 0.1:
        return Request(
            source="grid.frequency",
            priority=Priority.GRID_SUPPORT,
            power=None,
            offset=rng.uniform(-size, size),
            expires=now + rng.uniform(1.0, 30.0),
        )
    source, priority = rng.choice(
        [
            ("grid_operator", Priority.GRID_OPERATOR),
            ("operator", Priority.OPERATOR),
            ("power_plant", Priority.POWER_PLANT),
            ("schedule", Priority.SCHEDULE),
            ("optimiser", Priority.OPTIMISER),
        ]
    )
    bounds = Bounds()
    if rng.random() < 0.4:
        low = rng.uniform(-size, size * 2 / 3)
        bounds = Bounds(low, low + rng.uniform(0, size))
    small = rng.uniform(-size, size) / 12
    power = None if rng.random() < 0.2 else rng.choice([0.0, rng.uniform(-size, size), small])
    lease = math.exp(rng.uniform(math.log(1.0), math.log(400.0)))
    target = rng.uniform(5, 100) if rng.random() < 0.15 else None
    request = Request(
        source=source, priority=priority, power=power, bounds=bounds, soc_target=target, expires=now + lease
    )
    if kvar and rng.random() < 0.5:
        request = replace(request, reactive=rng.choice([-kvar, kvar, rng.uniform(-kvar, kvar)]))
    return request
