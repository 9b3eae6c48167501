"""What the change desk tells: the parameters with their limits and authority, and what is wrong with the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.drift import shown
from bessai.grid.parameters import PARAMETERS, Value
from bessai.grid.store import Change, GridStore, Plain
from bessai.model import Condition, Event, Severity

_CODES = {
    "start": "grid_parameters_begun",
    "set": "grid_parameter_changed",
    "adopt": "grid_parameter_changed",
    "command": "grid_command",
    "refused": "grid_parameter_refused",
    "test": "grid_test_begun",
    "test_end": "grid_test_ended",
}
_INFO = ("start", "command", "test_end")


def event_of(change: Change) -> Event:
    """What the journal gets: the old and the new value, who, by what right, and why."""
    through = f" through {change.source}" if change.source else ""
    who = f"{change.user or 'somebody without a name'} ({change.role or 'no role'}{through})"
    if change.authorisation:
        who += f", authorisation {change.authorisation}"
    if change.reason:
        who += f": {change.reason}"
    if change.what == "start":
        message = change.detail
    elif change.what == "refused":
        message = f"refused, {change.detail}; asked by {who}"
    elif change.name:
        unit = PARAMETERS[change.name].unit
        message = f"{change.name}: {shown(change.old)} → {shown(change.new)} {unit}".rstrip() + f", by {who}"
    elif change.what == "adopt":
        message = f"the values in force are confirmed, their record was lost; by {who}"
    else:
        message = f"test signal {change.detail or 'ended'}, by {who}"
    new = change.new
    return Event(
        code=_CODES[change.what],
        severity=Severity.INFO if change.what in _INFO else Severity.WARNING,
        message=message,
        wall_ns=change.wall_ns,
        value=new if isinstance(new, float) else None,
        user=change.user or None,
    )


def parameters_as_plain(
    config: GridConfig, values: Mapping[str, Value], set_by: Mapping[str, Plain]
) -> dict[str, dict[str, Any]]:
    """Every parameter: value, limits on this plant, the clause they come from, and who set it."""
    told = {}
    for name, parameter in PARAMETERS.items():
        limits, change = config.limits(name), set_by.get(name, {})
        told[name] = {
            "value": values[name],
            "unit": parameter.unit,
            "file": config.default(name),
            "kind": parameter.kind,
            "type": parameter.type,
            "low": None if limits is None else limits[0],
            "high": None if limits is None else limits[1],
            "choices": list(parameter.choices),
            "range": config.range_text(name),
            "clause": parameter.clause,
            "confidence": parameter.confidence,
            "provisional": parameter.provisional,
            "description_en": parameter.description_en,
            "description_es": parameter.description_es,
            "set_by": change.get("user"),
            "authorisation": change.get("authorisation"),
            "set_wall_ns": change.get("wall_ns"),
        }
    return told


def conditions_of_store(store: GridStore, differences: Mapping[str, tuple[Value, Value]]) -> list[Condition]:
    """What is wrong with the record, and with a file that says something else."""
    found = []
    if store.lost:
        found.append(
            Condition(
                code="grid_parameters_lost",
                severity=Severity.ALARM,
                message=f"the record of authorised grid parameters is lost ({store.lost}): the values of GRID_FILE "
                "are in force; check them, then `bessai grid adopt`",
            )
        )
    if (problem := store.problem) is not None:
        found.append(
            Condition(
                code="grid_parameters_not_kept",
                severity=Severity.WARNING,
                message=f"changes of grid parameters would not survive a power cut: {problem}",
            )
        )
    if differences:
        told = ", ".join(
            f"{name} (file {shown(file)}, in force {shown(here)})"
            for name, (file, here) in differences.items()
        )
        found.append(
            Condition(
                code="grid_file_differs",
                severity=Severity.WARNING,
                message=f"GRID_FILE differs from what is in force, which counts: {told}; correct the file, or "
                "`bessai grid adopt`",
            )
        )
    return found
