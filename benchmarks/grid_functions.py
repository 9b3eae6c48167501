"""What the grid functions cost a control cycle.

    python -m benchmarks.gridcode --only functions

CPU time of one `propose` and `conditions`, with nothing switched on, with the frequency response, and with everything.
"""

from __future__ import annotations

import math
import statistics
import time

import numpy as np

from bessai.grid import GridConfig, GridFunctions, Value
from bessai.model import Layout, ProcessImage

_LAYOUT = Layout(
    ("grid_frequency", "grid_voltage", "grid_power", "grid_reactive_power", "soc"),
    ("Hz", "V", "kW", "kvar", "%"),
)
_ALL: dict[str, Value] = {
    "frequency.enabled": True,
    "frequency.recovery": 2.0,
    "voltage.mode": "voltage_droop",
    "active.setpoint": 10_000.0,
    "active.maximum": 40_000.0,
    "active.ramp": 20.0,
    "active.volt_watt": True,
}
_SETS: dict[str, dict[str, Value]] = {
    "nothing on": {},
    "frequency response": {"frequency.enabled": True},
    "everything": _ALL,
}


def _image(number: int) -> ProcessImage:
    now = 10 + number * 0.1
    values = np.array(
        [50 + 0.1 * math.sin(number), 220_000 * (1 + 0.01 * math.sin(number / 7)), 9_000.0, 0.0, 50.0]
    )
    return ProcessImage(
        layout=_LAYOUT,
        cycle=number,
        monotonic=now,
        wall_ns=int(now * 1e9),
        values=values,
        quality=np.zeros(5, dtype=np.uint8),
        times=np.full(5, now),
    )


def measure(*, quick: bool) -> dict[str, float]:
    """Microseconds of CPU a cycle, medians of five."""
    images = [_image(number) for number in range(500 if quick else 5_000)]
    config = GridConfig(
        rated_power=50_000.0,
        rated_apparent_power=55_000.0,
        nominal_voltage=220_000.0,
        short_circuit_power=550_000.0,
    )
    found: dict[str, float] = {}
    for name, values in _SETS.items():
        costs = []
        for _ in range(5):
            functions = GridFunctions(config, values=values, cycle=0.1)
            start = time.process_time()
            for image in images:
                functions.propose(image)
                functions.conditions()
            costs.append(1e6 * (time.process_time() - start) / len(images))
        found[f"grid functions, {name}"] = statistics.median(costs)
    return found
