"""`bessai performance`: indices by the hour, availability, and energy by the quarter hour."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bessai.cli.common import DATA_DIR, fail, moment
from bessai.cli.export import time_text
from bessai.cli.performance_open import GridFile, Since, Until, opened, rounded, span
from bessai.cli.tables import AsCsv, AsJson, Out, give


def register(app: typer.Typer) -> None:
    """Add the commands to `bessai performance`."""
    for command in (fecf, primary, availability, energy):
        app.command()(command)


def fecf(
    since: Since = "-7d", until: Until = "now",
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the hourly index of frequency control, computed from the local frequency."""
    from bessai.performance.fecf import CLAUSE, MINIMUM

    first_ns, end_ns = span(since, until)
    with opened(grid_file, data_dir) as (performance, _, plant):
        found = performance.fecf(first_ns, end_ns)
    rows = [
        {
            "hour": time_text(one.start_ns),
            "coverage": round(one.coverage, 4),
            "deviation_hz": rounded(one.deviation, 6),
            "fecf": rounded(one.index, 6),
            "enough": one.enough,
            "reason": one.reason,
        }
        for one in found
    ]
    known = [one.index for one in found if one.index is not None]
    notes = [
        f"{CLAUSE}: at least {MINIMUM}; the ratio is reconstructed from the definition in words",
        "it is an index of the system, here from the local frequency: the Coordinator's own counts",
    ]
    if known:
        low = sum(index < MINIMUM for index in known)
        notes.append(
            f"{len(known)} hours with an index, mean {sum(known) / len(known):.4f}, {low} below {MINIMUM}"
        )
    head = {"clause": CLAUSE, "minimum": MINIMUM, "reserve_deviation_hz": plant.settings.reserve_deviation}
    give(rows, title="FECF", notes=notes, as_json=as_json, as_csv=as_csv, out=out, head=head)


def primary(
    since: Since = "-7d", until: Until = "now",
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the hourly performance of the response to frequency: expected against delivered."""
    first_ns, end_ns = span(since, until)
    with opened(grid_file, data_dir) as (performance, _, _plant):
        found = performance.primary(first_ns, end_ns)
    rows = [
        {
            "hour": time_text(one.start_ns),
            "coverage": round(one.coverage, 4),
            "outside_s": round(one.outside, 1),
            "expected_kwh": rounded(one.expected, 3),
            "delivered_kwh": rounded(one.delivered, 3),
            "ratio": rounded(one.ratio, 4),
            "correlation": rounded(one.correlation, 4),
            "error_kw": rounded(one.error, 3),
            "bias_kw": rounded(one.bias, 3),
            **{f"law_{name}": (one.law or {}).get(name) for name in ("curve", "droop", "dead_band", "shape")},
        }
        for one in found
    ]
    notes = [
        "our own definition, provisional (docs/performance-records.md): the Coordinator's was not available"
    ]
    shown = [name for name in (rows[0] if rows else ()) if not name.startswith("law_")]
    give(rows, title="primary control", notes=notes, as_json=as_json, as_csv=as_csv, out=out, shown=shown)


def availability(
    until: Until = "now",
    gaps: Annotated[int, typer.Option(min=0, help="How many gaps are listed of each source, the longest.")] = 5,
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the share of minutes with good data of each source, over the 12 months before --until."""
    with opened(grid_file, data_dir) as (performance, _, _plant):
        found = performance.availability(moment("--until", until, time.time_ns()), most_gaps=gaps)
    rows = [
        {
            "source": one.source,
            "from": time_text(one.start_ns),
            "to": time_text(one.end_ns),
            "minutes": one.minutes,
            "good": one.good,
            "percent": rounded(one.percent, 4),
            "target": one.target,
            "reached": None if one.percent is None else one.percent >= one.target,
            "confidence": one.confidence,
            "gaps": one.gap_count,
        }
        for one in found
    ]
    listed = {
        one.source: [
            {"from": time_text(gap.start_ns), "to": time_text(gap.end_ns), "minutes": gap.minutes}
            for gap in one.gaps
        ]
        for one in found
    }
    notes = [
        f"{source}: {gap['minutes']} minutes without good data from {gap['from']} to {gap['to']}"
        for source, some in listed.items()
        for gap in some
    ]
    notes += [
        "97 % of metering data is asked for by company (A); 99.5 % of real-time data is provisional (B)",
    ]
    give(
        rows,
        title="availability",
        notes=notes,
        as_json=as_json,
        as_csv=as_csv,
        out=out,
        head={"gaps": listed},
    )


def energy(
    since: Since = "-1d", until: Until = "now",
    zone: Annotated[str, typer.Option(help="Whose local time stands beside UTC.")] = "America/Santiago",
    as_json: AsJson = False, as_csv: AsCsv = False, out: Out = None,
    grid_file: GridFile = None, data_dir: Path = DATA_DIR,
) -> None:  # fmt: skip
    """Give the energy of each quarter hour at the point of connection, and where it is known from."""
    from zoneinfo import ZoneInfo

    try:
        local = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        fail(f"--zone {zone}: there is no such zone; write it like America/Santiago")
    first_ns, end_ns = span(since, until)
    with opened(grid_file, data_dir) as (performance, _, _plant):
        found = performance.energy(first_ns, end_ns)
    rows = [
        {
            "start": time_text(one.start_ns),
            "local": datetime.fromtimestamp(one.start_ns // 10**9, local).isoformat(timespec="minutes"),
            "exported_kwh": rounded(one.exported, 4),
            "exported_from": one.basis_exported,
            "imported_kwh": rounded(one.imported, 4),
            "imported_from": one.basis_imported,
            "coverage": round(one.coverage, 4),
            "integrated_exported_kwh": rounded(one.integrated_exported, 4),
            "integrated_imported_kwh": rounded(one.integrated_imported, 4),
        }
        for one in found
    ]
    out_kwh, in_kwh = (
        sum(kwh for one in found if (kwh := getattr(one, name)) is not None)
        for name in ("exported", "imported")
    )
    notes = [f"{out_kwh:.3f} kWh exported, {in_kwh:.3f} kWh imported, as far as they are known"]
    shown = [name for name in (rows[0] if rows else ()) if not name.startswith("integrated_")]
    give(rows, title="energy", notes=notes, as_json=as_json, as_csv=as_csv, out=out, shown=shown)
