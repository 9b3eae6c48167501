"""Change control: every change of a grid parameter needs an authorisation (AT-IBR Art. 6-2)."""

from __future__ import annotations

from bessai.gridcode.clauses import clauses
from bessai.gridcode.lab import Lab, Setup
from bessai.gridcode.rows import Row, judged

_AUTHORITY = "SELFTEST-6-2"


def change_control(setup: Setup) -> list[Row]:
    """What is refused changes nothing and is told; what is authorised counts and is told with its whole story."""
    with Lab(setup, "change control", {}) as lab:
        return [
            _refused_row(lab, "unauthorised", name="frequency.droop", value=3.0),
            _refused_row(lab, "operator", name="frequency.droop", value=3.0, authorisation=_AUTHORITY, role="operator"),
            _refused_row(
                lab, "no_reason", name="frequency.dead_band", value=10.0, authorisation=_AUTHORITY, reason=""
            ),
            _refused_row(lab, "as_command", op="grid_command", name="frequency.droop", value=3.0),
            _recorded_row(lab),
        ]  # fmt: skip


def _refused_row(lab: Lab, case: str, op: str = "grid_set", **message: str | float) -> Row:
    name = str(message["name"])
    before = lab.functions.values[name]
    why = lab.refusal(op, **message)
    lab.bench.wait(1.0)
    after = lab.functions.values[name]
    return Row(
        name=f"change_control.{case}",
        clause=clauses()["change-control"],
        limit={"must": "refused, and nothing is changed"},
        measured={
            "found": "refused" if why is not None else "accepted",
            "parameter": name,
            "before": before,
            "after": after,
        },
        verdict=judged(why is not None and after == before),
    )


def _recorded_row(lab: Lab) -> Row:
    """An authorised change, and the event that tells of it."""
    name, value = "frequency.droop", 3.0
    old = lab.functions.values[name]
    lab.ask("grid_set", name=name, value=value, authorisation=_AUTHORITY)
    lab.bench.wait(1.0)
    told = [event for event in lab.bench.recorder.events if event.code == "grid_parameter_changed"]
    wanted = (name, f"{old:g}", f"{value:g}", _AUTHORITY, "selftest", "engineer")
    missing = [text for text in wanted if len(told) != 1 or text not in told[0].message]
    refusals = sum(event.code == "grid_parameter_refused" for event in lab.bench.recorder.events)
    return Row(
        name="change_control.recorded",
        clause=clauses()["change-control"],
        limit={"must": "in force, and recorded with old and new value, authorisation, user and role"},
        measured={
            "found": "recorded" if not missing else f"missing: {', '.join(missing)}",
            "before": old,
            "after": lab.functions.values[name],
            "refusals_recorded": refusals,
        },
        verdict=judged(not missing and lab.functions.values[name] == value and refusals >= 3),
    )
