"""The record of the rate of change of frequency, made of the gateway's own samples (AT-IBR Art. 6-1)."""

from __future__ import annotations

import numpy as np

from bessai.gridcode.clauses import clauses
from bessai.gridcode.judging import traces
from bessai.gridcode.lab import Lab, Setup
from bessai.gridcode.rows import Row, judged, number
from bessai.performance.rocof import slopes

SLOPE = 0.5
"""Hz/s of the grid's ramps."""
WINDOW = 0.5
"""Seconds over which the slope is taken."""
_RAMP, _WITHIN = 1.0, 0.05
"""Seconds of a ramp, and the share of its slope by which the record may differ."""


def rocof(setup: Setup) -> list[Row]:
    """Ramps of the frequency down and up, as the gateway's record tells them."""
    rows = []
    with Lab(setup, "records", {}) as lab:
        lab.bench.wait(2.0)
        for way, sign in (("down", -1.0), ("up", 1.0)):
            at = lab.bench.disturb(frequency=sign * SLOPE * _RAMP, seconds=4.0, ramp=_RAMP)
            lab.bench.wait(at + 2.0 - lab.bench.now)
            times, frequency = lab.records("grid_frequency", at, lab.bench.now)
            found = slopes((times * 1e9).astype(np.int64), frequency, WINDOW)
            seen = found[np.isfinite(found)]
            steepest = float(seen[np.abs(seen).argmax()]) if len(seen) else None
            lab.bench.wait(4.0)
            rows.append(
                Row(
                    name=f"rocof_record.{way}",
                    clause=clauses()["records-rocof"],
                    limit={"expected": sign * SLOPE, "unit": "Hz/s", "within_percent": 100 * _WITHIN},
                    measured={"value": number(steepest, 3), "unit": "Hz/s", "window": WINDOW},
                    verdict=judged(
                        steepest is not None and abs(steepest - sign * SLOPE) <= _WITHIN * SLOPE
                    ),
                    ours=True,
                    evidence=traces(
                        {"en": f"Frequency ramp of {sign * SLOPE:+g} Hz/s",
                         "es": f"Rampa de frecuencia de {sign * SLOPE:+g} Hz/s"},
                        at, None,
                        ({"en": "frequency, gateway's records", "es": "frecuencia, registros del gateway"}, "Hz",
                         (times, frequency), False),
                    ),
                )
            )  # fmt: skip
    return rows
