"""The header of a run against the simulated plant: everything that its results depend on."""

from __future__ import annotations

from collections.abc import Sequence

from bessai import __version__
from bessai.gridcode.bench_plant import STEP
from bessai.gridcode.lab import Setup
from bessai.gridcode.report import Report
from bessai.gridcode.rows import Row


def twin_report(setup: Setup, rows: Sequence[Row], date: str) -> Report:
    """The report of these rows.

    Args:
        setup: of the run.
        rows: what it found.
        date: ISO 8601.
    """
    sizes, fault = setup.sizes, setup.sabotage
    return Report(
        site="gridcode-bench",
        where="twin",
        version=__version__,
        seed=setup.seed,
        date=date,
        facts={
            "rated power": f"{sizes.rated_power:g} kW",
            "apparent power": f"{sizes.rated_apparent_power:g} kVA",
            "energy": f"{sizes.energy:g} kWh",
            "nominal voltage": f"{sizes.nominal_voltage:g} V",
            "short-circuit ratio of the grid": f"{sizes.short_circuit_ratio:g}",
            "converter": "SunSpec 701, 702, 704, 713",
            "lag of active power": f"{sizes.power_lag:g} s",
            "lag of reactive power": f"{sizes.reactive_lag:g} s",
            "meter": "janitza_umg",
            "meter read every": f"{sizes.meter_period:g} s",
            "control cycle": f"{sizes.cycle:g} s",
            "answer of a device after": f"{1000 * sizes.latency:g} ms",
            "samples of the witness every": f"{1000 * STEP:g} ms",
        },
        sabotage="" if fault is None else f"{fault.kind}={fault.amount:g}",
        rows=rows,
    )
