"""What the control plane counts: cycles, power, guard, alarms, devices, journal. Values in kW become watts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from bessai.interfaces.metrics.figures import Figures, Histogram
from bessai.interfaces.metrics.metric import Origin, Sample
from bessai.interfaces.metrics.reading import (
    Read,
    control,
    counted,
    counter,
    dig,
    each,
    gauge,
    histogram,
    number,
    state_of,
)
from bessai.model import GuardState

_gauge = partial(gauge, origin=Origin.CONTROL)
_counter = partial(counter, origin=Origin.CONTROL)
_histogram = partial(histogram, origin=Origin.CONTROL)

_KILO: Final = 1000.0
_STATES: Final = tuple(state.value for state in GuardState)
_POWERS: Final = ("active_power", "battery_power", "grid_power")
_REACTIVE: Final = ("reactive_power", "grid_reactive_power")
_TEMPERATURES: Final = (
    "battery_temperature", "cell_temperature_max", "cell_temperature_min", "internal_temperature",
)  # fmt: skip
_CELLS: Final = ("cell_voltage_max", "cell_voltage_min")
_ERRORS: Final = {
    "timeout": "timeouts", "exception": "exceptions", "bad_reply": "bad_replies",
}  # fmt: skip
_RECENT: Final = {"50": "p50", "99": "p99"}


def _up(figures: Figures) -> Iterator[Sample]:
    if figures.asked:
        yield {}, float(figures.control is not None)


def _info(figures: Figures) -> Iterator[Sample]:
    if figures.control is not None:
        yield {"site": str(figures.control["site"]), "version": str(figures.control["version"])}, 1.0


def _good(name: str, scale: float = 1.0) -> Read:
    return control("points", name, scale=scale)


def _points(names: tuple[str, ...], scale: float = 1.0) -> Read:
    return each("point", {name: ("points", name) for name in names}, scale)


def _cycle_histogram(name: str, key: str) -> Read:
    def read(figures: Figures) -> Iterator[Sample]:
        told = dig(figures.control, "cycle", key)
        if told:
            yield (
                {},
                Histogram(
                    edges=told["edges"], counts=told["counts"], sum=told["sum"],
                    exemplars=figures.exemplars.get(name, {}),
                ),
            )  # fmt: skip

    return read


def _guard(figures: Figures) -> Iterator[Sample]:
    yield from state_of(dig(figures.control, "control", "state"), _STATES, {})


def _units(value: Callable[[Any], Any], scale: float = 1.0) -> Read:
    """One number of each commanded device."""

    def read(figures: Figures) -> Iterator[Sample]:
        for name, unit in (dig(figures.control, "units") or {}).items():
            yield {"device": name}, number(value(unit), scale)

    return read


def _devices(value: Callable[[Any], Any]) -> Read:
    """One number of each device."""

    def read(figures: Figures) -> Iterator[Sample]:
        for device in figures.devices:
            yield {"device": device["name"]}, number(value(device))

    return read


def _connected(figures: Figures) -> Iterator[Sample]:
    for device in figures.devices:
        yield {"device": device["name"], "role": device["role"]}, number(device["connected"])


def _errors(figures: Figures) -> Iterator[Sample]:
    for device in figures.devices:
        for kind, key in _ERRORS.items():
            yield {"device": device["name"], "error.type": kind}, number(device.get(key))


def _latency(figures: Figures) -> Iterator[Sample]:
    for device in figures.devices:
        for share, key in _RECENT.items():
            yield {"device": device["name"], "percentile": share}, number(dig(device, "latency", key))


GATEWAY = (
    _gauge("bessai.up", "{gateway}", "1: the control plane answers; 0: it is silent.", _up),
    _gauge("bessai.info", "{gateway}", "Always 1: which gateway this is.", _info, "site", "version"),
    _gauge("bessai.healthy", "{gateway}", "1: nothing is wrong, as `bessai status` sees it.", control("healthy")),
    _gauge("bessai.problems", "{problem}", "What is wrong, as `bessai status` counts it.", control("problems")),
    _gauge("bessai.uptime", "s", "Time since the control plane started.", control("uptime")),
    _gauge("bessai.maintenance", "{gateway}", "1: people work on the plant, zero power.", control("maintenance")),
    _counter(
        "bessai.process.restarts", "{restart}", "Times that a process was started again after it died.",
        each("process", {"service": ("restarts", "service"), "page": ("restarts", "page")}), "process",
    ),
    _counter(
        "bessai.heartbeats", "{heartbeat}", "Cycles that earned the service manager's heartbeat.",
        control("heartbeat", "sent"),
    ),
    _counter(
        "bessai.heartbeats.withheld", "{heartbeat}", "Cycles that earned none.", control("heartbeat", "withheld")
    ),
)  # fmt: skip

CYCLE = (
    _counter("bessai.cycles", "{cycle}", "Control cycles.", control("cycle", "cycles")),
    _counter("bessai.cycles.missed", "{cycle}", "Control cycles left out.", control("cycle", "missed")),
    _counter(
        "bessai.cycles.unverified", "{cycle}", "Cycles without complete evidence or read-back.",
        control("cycle", "unverified"),
    ),
    _histogram(
        "bessai.cycle.duration", "s", "Start of a cycle to its record.",
        _cycle_histogram("bessai.cycle.duration", "durations"),
    ),
    _histogram(
        "bessai.cycle.lateness", "s", "How late a cycle began.",
        _cycle_histogram("bessai.cycle.lateness", "lateness"),
    ),
    _gauge(
        "bessai.cycle.lateness.recent", "s", "How late the newest 6,000 cycles began.",
        each("percentile", {"50": ("cycle", "late_p50"), "99": ("cycle", "late_p99")}), "percentile",
    ),
    _gauge("bessai.cycle.lateness.max", "s", "How late the latest of all cycles began.", control("cycle", "late_max")),
    _counter(
        "bessai.cycle.phase.time", "s",
        "Time spent in each phase of all cycles: read, decide, guard, write, record.",
        counted("phase", "cycle", "phases"), "phase",
    ),
)  # fmt: skip

CONTROL = (
    _gauge(
        "bessai.setpoint", "W", "Commanded active power of the plant; discharge is positive.",
        control("control", "setpoint", scale=_KILO),
    ),
    _gauge(
        "bessai.power", "W", "Measured active power while its value is good; discharge and export are positive.",
        _points(_POWERS, _KILO), "point",
    ),
    _gauge("bessai.soc", "%", "State of charge, while its value is good.", _good("soc")),
    _gauge("bessai.soh", "%", "State of health, while its value is good.", _good("soh")),
    _gauge("bessai.temperature", "Cel", "Temperatures whose value is good.", _points(_TEMPERATURES), "point"),
    _gauge("bessai.cell.voltage", "V", "Highest and lowest cell, while the value is good.", _points(_CELLS), "point"),
    _gauge("bessai.frequency", "Hz", "Grid frequency, while its value is good.", _good("frequency")),
    _gauge(
        "bessai.points", "{point}", "Points of the plant by quality.", counted("quality", "quality"), "quality"
    ),
    _gauge("bessai.guard.state", "{state}", "1 for the state that the guard is in.", _guard, "state"),
    _gauge(
        "bessai.requests", "{request}", "Requests for power that stand.", control("control", "requests")
    ),
    _gauge(
        "bessai.alarms", "{alarm}", "Conditions that stand, by severity.", counted("severity", "alarms"), "severity"
    ),
    _gauge("bessai.trips", "{trip}", "Trips that stand until a person resets them.", control("control", "trips")),
    _counter("bessai.events", "{event}", "Events by severity.", counted("severity", "events"), "severity"),
    _gauge(
        "bessai.device.setpoint", "W", "Power that a device is commanded; discharge is positive.",
        _units(lambda unit: unit["setpoint"], _KILO), "device",
    ),
    _gauge(
        "bessai.device.power", "W", "Power that a commanded device measures, while the value is good.",
        _units(lambda unit: unit["measured"], _KILO), "device",
    ),
    _gauge(
        "bessai.deadman.armed", "{device}", "1: the device's dead-man is proved and counts; 0: it is not.",
        _units(lambda unit: unit["dead_man"]["armed"]), "device",
    ),
    _gauge(
        "bessai.deadman.age", "s", "Time since the device's dead-man was fed last.",
        _units(lambda unit: unit["dead_man"]["fed_age"]), "device",
    ),
    _gauge(
        "bessai.deadman.limit", "s", "Silence after which the device falls back by itself.",
        _units(lambda unit: unit["dead_man"]["time"]), "device",
    ),
)  # fmt: skip

DEVICES = (
    _gauge("bessai.devices", "{device}", "Devices of the site.", control("devices", "total")),
    _gauge("bessai.devices.delivering", "{device}", "Devices whose values arrive.", control("devices", "well")),
    _gauge(
        "bessai.devices.value.age", "s", "Oldest fast value of the devices that deliver.",
        control("devices", "oldest_value"),
    ),
    _gauge("bessai.device.connected", "{device}", "1: there is a connection to it.", _connected, "device", "role"),
    _gauge(
        "bessai.device.delivering", "{device}", "1: the device's values arrive.",
        _devices(lambda device: device["delivering"]), "device",
    ),
    _gauge(
        "bessai.device.latency", "s", "From request to reply, of the newest 256 replies.", _latency,
        "device", "percentile",
    ),
    _counter(
        "bessai.device.replies", "{reply}", "Replies of the device.",
        _devices(lambda device: device.get("replies")), "device",
    ),
    _counter(
        "bessai.device.errors", "{error}", "Requests that came to nothing, by what went wrong.", _errors,
        "device", "error.type",
    ),
    _counter(
        "bessai.device.connects", "{connection}", "Connections made to the device; those on one line share them.",
        _devices(lambda device: device.get("connects")), "device",
    ),
    _counter(
        "bessai.device.writes", "{write}", "Registers and sequences written to the device.",
        _devices(lambda device: device.get("writes")), "device",
    ),
)  # fmt: skip

JOURNAL = (
    _gauge("bessai.journal.records", "{record}", "Records in the journal.", control("journal", "records")),
    _gauge("bessai.journal.size", "By", "Bytes of the journal on disk.", control("journal", "size_bytes")),
    _gauge("bessai.journal.queued", "{record}", "Records that wait for the disk.", control("journal", "queued")),
    _gauge(
        "bessai.journal.commit.age", "s", "Time since records were made durable last.",
        control("journal", "last_commit_age"),
    ),
    _gauge(
        "bessai.journal.sync", "s", "How long the disk took to say that records are durable, newest ones.",
        each("percentile", {"50": ("sync", "p50"), "99": ("sync", "p99")}), "percentile",
    ),
    _counter("bessai.journal.committed", "{record}", "Records on disk.", control("journal", "committed")),
    _counter(
        "bessai.journal.dropped", "{record}", "Records never written (queue), or gone to keep the size bound (space).",
        each("reason", {"queue": ("journal", "dropped_queue"), "space": ("journal", "dropped_space")}), "reason",
    ),
    _counter("bessai.journal.lost", "{record}", "Records damaged or missing on disk.", control("journal", "lost")),
    _counter("bessai.journal.errors", "{attempt}", "Failed attempts to write.", control("journal", "errors")),
    _counter("bessai.journal.written", "By", "Bytes handed to the file system.", control("journal", "written_bytes")),
)  # fmt: skip
