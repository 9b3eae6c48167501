"""Every test of the self-test, and how some of them are chosen."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bessai.gridcode import active, changes, frequency, modes, records, voltage
from bessai.gridcode.clauses import clauses
from bessai.gridcode.lab import Setup
from bessai.gridcode.rows import Row, untested_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One run of the bench."""

    rows: tuple[str, ...]
    """Names of its rows, `*` stands for anything."""
    run: Callable[[Setup], list[Row]]


EXPERIMENTS: Sequence[Experiment] = (
    *(
        Experiment(
            rows=(
                *(f"frequency_{what}.s{droop:g}_{way}" for what in ("reaction", "rise", "settling", "droop")
                  for way in ("down", "up")),
                f"frequency_symmetry.s{droop:g}",
            ),
            run=partial(frequency.droop_steps, droop=droop),
        )
        for droop in frequency.DROOPS
    ),
    Experiment(rows=("frequency_dead_band.inside", "frequency_dead_band.edge"), run=frequency.dead_band),
    Experiment(rows=("frequency_droop.range", "frequency_dead_band.range"), run=frequency.ranges),
    *(
        Experiment(
            rows=tuple(
                f"voltage_{what}.{where}_{way}"
                for way in ways
                for what in ("reaction", "rise", "settling", "overshoot")
            ),
            run=steps,
        )
        for where, ways, steps in (
            ("setpoint", ("up", "down"), voltage.setpoint_steps),
            ("grid", ("down", "up"), voltage.grid_steps),
        )
    ),
    Experiment(
        rows=(*(f"voltage_droop.s{droop:g}" for droop in voltage.DROOPS), "voltage_droop.range"), run=voltage.droop
    ),
    Experiment(
        rows=(
            *(f"power_factor_accuracy.{case}" for case in ("export", "absorb", "charging")),
            *(f"reactive_power_accuracy.{case}" for case in ("export", "absorb")),
        ),
        run=voltage.accuracy,
    ),
    Experiment(rows=("voltage_modes.bumpless", "voltage_modes.exclusive"), run=modes.modes),
    Experiment(rows=(*(f"active_ramp.r{ramp:g}" for ramp in active.RAMPS), "active_ramp.range"), run=active.ramps),
    Experiment(rows=("active_maximum.response",), run=active.maximum),
    Experiment(rows=("active_setpoint.refused", "active_setpoint.followed"), run=active.setpoint),
    Experiment(rows=("rocof_record.down", "rocof_record.up"), run=records.rocof),
    Experiment(
        rows=tuple(
            f"change_control.{case}" for case in ("unauthorised", "operator", "no_reason", "as_command", "recorded")
        ),
        run=changes.change_control,
    ),
)  # fmt: skip


def row_names() -> list[str]:
    """Every row that there is."""
    return [name for experiment in EXPERIMENTS for name in experiment.rows] + [
        clause.test for clause in clauses().values() if clause.not_tested
    ]


def chosen(patterns: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """The rows that `--only` names: a whole name, one up to its dot, or with `*`; none named: all.

    Args:
        patterns: what was given.
        more: names of rows besides those of this suite.

    Raises:
        ValueError: a pattern names no row.
    """
    names = [*more, *row_names()]
    if not patterns:
        return names
    found: dict[str, None] = {}
    for pattern in patterns:
        hits = [name for name in names if _matches(name, pattern)]
        if not hits:
            tests = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ValueError(f"--only {pattern}: there is no such row; use one of {tests}")
        found |= dict.fromkeys(hits)
    return [name for name in names if name in found]


def run(setup: Setup, only: Sequence[str] = (), told: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Run the chosen rows' experiments. Rows come in the order of the clauses.

    Args:
        setup: seed, sizes and, where it is wanted, a deliberate fault.
        only: see `chosen`.
        told: called before each experiment with its rows.
    """
    wanted = frozenset(chosen(only))
    rows = [row for row in untested_rows() if row.name in wanted]
    for experiment in EXPERIMENTS:
        if any(name in wanted for name in experiment.rows):
            told(", ".join(dict.fromkeys(name.partition(".")[0] for name in experiment.rows)))
            rows += [row for row in experiment.run(setup) if row.name in wanted]
    order: Mapping[str, int] = {clause: i for i, clause in enumerate(clauses())}
    return sorted(rows, key=lambda row: order[row.clause.id])


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.partition(".")[0] == pattern or fnmatch.fnmatchcase(name, pattern)
