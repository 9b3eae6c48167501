"""The control plane's part of the metrics, as plain numbers; made when a scrape or a collector's turn asks for it.

{"op": "figures"}
{"op": "device_figures", "from": 0, "count": 50}      # in pages, so that no answer holds a cycle up

`bessai.interfaces.metrics` says what each number means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessai.core.cycle_stats import PHASES, CycleStats
from bessai.model import ProcessImage, Quality, Severity

if TYPE_CHECKING:
    from bessai.core.gateway import Gateway

POINTS = (
    *("active_power", "battery_power", "grid_power", "frequency", "soc", "soh"),
    *("battery_temperature", "cell_temperature_max", "cell_temperature_min", "internal_temperature"),
    *("cell_voltage_max", "cell_voltage_min"),
)
"""Whose good values are told."""

PAGE = 50
"""Devices in one answer: about 3 ms of the loop."""


def figures(gateway: Gateway) -> dict[str, Any]:
    """Plain data. Powers in kW, times in seconds, sizes in bytes; what is not known is None or missing."""
    status = gateway.status(points=False)
    control, journal = status["control"], status["journal"]
    written, _ = gateway.journal.written
    syncs = gateway.journal.sync_times
    return {
        "site": status["site"],
        "version": status["version"],
        "uptime": status["uptime"],
        "healthy": status["healthy"],
        "problems": len(status["problems"]),
        "maintenance": status["maintenance"] is not None,
        "pids": {
            "control": status["pid"],
            "service": status["service_plane"].get("pid"),
            "page": status["page"].get("pid"),
        },
        "restarts": {
            "service": gateway.supervisor.restarts if gateway.supervisor else None,
            "page": gateway.page.restarts if gateway.page else None,
        },
        "heartbeat": {name: status["heartbeat"][name] for name in ("sent", "withheld")},
        "cycle": _cycle(gateway.cycle.stats),
        "events": {severity.label: gateway.cycle.stats.events[severity] for severity in Severity},
        "control": {
            "state": control["state"],
            "setpoint": control.get("setpoint"),
            "requests": len(control.get("requests") or ()),
            "trips": len(status["trips"]),
        },
        "points": _points(gateway.cycle.view),
        "quality": _quality(gateway.cycle.whole),
        "alarms": dict.fromkeys((severity.label for severity in Severity), 0)
        | Counter(condition.severity.label for condition in gateway.cycle.active),
        "units": {
            name or gateway.plant.role(name): {
                "setpoint": unit["setpoint"],
                "measured": unit["measured"],
                "dead_man": {key: unit["dead_man"][key] for key in ("armed", "fed_age", "time")},
            }
            for name, unit in status["units"].items()
        },
        "devices": {name: status["devices"][name] for name in ("total", "well", "oldest_value")},
        "journal": {name: value for name, value in journal.items() if name not in {"last_error", "epoch"}}
        | {"written_bytes": written},
        "sync": None if syncs is None else {"p50": syncs.p50, "p99": syncs.p99},
        "sinks": status["service_plane"].get("sinks"),
    }


def device_figures(gateway: Gateway, message: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the devices, and how many there are.

    Raises:
        ValueError: `from` or `count` is no number of devices.
    """
    first, count = message.get("from", 0), message.get("count", PAGE)
    for name, value in (("from", first), ("count", count)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name}={value!r:.40}: give a whole number, 0 or more")
    return {
        "devices": gateway.plant.figures(first, min(count, PAGE)),
        "total": len(gateway.site.devices),
    }


def _cycle(stats: CycleStats) -> dict[str, Any]:
    told = stats.as_dict()
    seen = stats.cycles > 0
    return {
        "cycles": stats.cycles,
        "missed": stats.missed,
        "unverified": stats.cycles - stats.verified,
        "late_max": told["late_max"] if seen else None,
        "late_p50": told["late_p50"] if seen else None,
        "late_p99": told["late_p99"] if seen else None,
        "lateness": stats.lateness.as_dict(),
        "durations": stats.duration.as_dict(),
        "phases": dict(zip(PHASES, stats.phases, strict=True)),
    }


def _points(image: ProcessImage | None) -> dict[str, float | None]:
    return {} if image is None else {name: image.good(name) for name in POINTS}


def _quality(image: ProcessImage | None) -> dict[str, int]:
    if image is None:
        return {}
    counts = np.bincount(image.quality, minlength=len(Quality))
    return {quality.label: int(counts[quality]) for quality in Quality}
