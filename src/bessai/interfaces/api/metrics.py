"""The gateway's status as Prometheus text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bessai.interfaces.api.processes import rss
from bessai.model import GuardState, Severity

_STATES = tuple(state.value for state in GuardState)


def page(status: Mapping[str, Any] | None, *, viewers: int, frames: int, missed: int, cpu: float) -> str:
    """The whole page; `status` None: the control plane is silent."""
    lines: list[str] = []
    for name, kind, text, samples in _metrics(status, viewers, frames, missed, cpu):
        known = [(labels, value) for labels, value in samples if value is not None and math.isfinite(value)]
        if known:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {value:.10g}" for labels, value in known]
    return "\n".join(lines) + "\n"


_Samples = list[tuple[Mapping[str, str], float | None]]


def _metrics(
    status: Mapping[str, Any] | None, viewers: int, frames: int, missed: int, cpu: float
) -> Iterator[tuple[str, str, str, _Samples]]:
    def one(value: Any) -> _Samples:
        number = isinstance(value, int | float)
        return [({}, float(value) if number else None)]

    yield "bessai_up", "gauge", "The control plane answers.", one(status is not None)
    yield "bessai_page_viewers", "gauge", "Live streams that are open.", one(viewers)
    yield "bessai_page_cycles_total", "counter", "Cycles that the page has been told of.", one(frames)
    yield "bessai_page_missed_total", "counter", "Cycles lost by viewers that read slowly.", one(missed)
    yield "bessai_page_cpu_seconds_total", "counter", "CPU time of the page's process.", one(cpu)
    yield "bessai_page_memory_bytes", "gauge", "Resident memory of the page's process.", one(rss())
    if status is None:
        return
    yield "bessai_healthy", "gauge", "Nothing is wrong.", one(bool(status["healthy"]))
    yield "bessai_uptime_seconds", "gauge", "Since the gateway started.", one(status["uptime"])
    info = {"site": str(status["site"]), "version": str(status["version"])}
    yield "bessai_info", "gauge", "Which gateway this is.", [(info, 1.0)]
    cycle = status["cycle"]
    yield "bessai_cycles_total", "counter", "Control cycles.", one(cycle.get("cycles"))
    yield "bessai_cycles_missed_total", "counter", "Control cycles left out.", one(cycle.get("missed"))
    late: _Samples = [
        ({"percentile": share}, cycle.get(name)) for share, name in (("50", "late_p50"), ("99", "late_p99"))
    ]
    yield "bessai_cycle_lateness_seconds", "gauge", "How late recent cycles began.", late
    yield "bessai_cycle_lateness_max_seconds", "gauge", "The latest of all.", one(cycle.get("late_max"))
    devices = status["devices"]
    yield "bessai_devices", "gauge", "Devices of the site.", one(devices.get("total"))
    yield "bessai_devices_delivering", "gauge", "Devices whose values arrive.", one(devices.get("well"))
    yield "bessai_oldest_value_seconds", "gauge", "Oldest fast value.", one(devices.get("oldest_value"))
    control = status["control"]
    yield "bessai_setpoint_kilowatts", "gauge", "Commanded power; discharge is positive.", one(
        control.get("setpoint")
    )  # fmt: skip
    state = str(control.get("state"))
    yield "bessai_guard_state", "gauge", "1 for the state that the guard is in.", [
        ({"state": name}, float(name == state)) for name in dict.fromkeys((*_STATES, state))
    ]  # fmt: skip
    counts = {severity.label: 0 for severity in Severity}
    for condition in status["conditions"]:
        counts[str(condition["severity"])] = counts.get(str(condition["severity"]), 0) + 1
    yield "bessai_conditions", "gauge", "Conditions that stand, by severity.", [
        ({"severity": severity}, float(count)) for severity, count in counts.items()
    ]  # fmt: skip
    yield "bessai_trips", "gauge", "Trips that stand.", one(len(status["trips"]))
    journal = status["journal"]
    yield "bessai_journal_committed_total", "counter", "Records on disk.", one(journal.get("committed"))
    dropped: _Samples = [({"why": why}, journal.get(f"dropped_{why}")) for why in ("queue", "space")]
    yield "bessai_journal_dropped_total", "counter", "Records that were never written, or made room.", dropped
    yield (
        "bessai_journal_lost_total",
        "counter",
        "Records damaged or missing on disk.",
        one(journal.get("lost")),
    )
    for name in ("service_plane", "page"):
        said = status.get(name) or {}
        yield f"bessai_{name}_restarts_total", "counter", "Times it was started again.", one(
            said.get("restarts")
        )  # fmt: skip


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
