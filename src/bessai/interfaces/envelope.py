"""The published message, `bessai.telemetry/1`: one journal record for people and clouds.

Stable: within `/1` members may be added, and so may names in open lists (quality, state, severity, codes).
Nothing is removed, renamed or given another meaning or unit. A reader ignores what it does not know and
treats every quality other than `good` as "not evidence". See `docs/message.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from bessai import __version__
from bessai.journal.entry import Entry
from bessai.model import Event, Layout, Quality, Severity

SCHEMA_ID: Final = "bessai.telemetry/1"

LABELS: Final = tuple(quality.label for quality in Quality)
"""Name of each quality, by its number."""

Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
        description="RFC 3339, UTC, microseconds.",
        json_schema_extra={"format": "date-time"},
    ),
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    # The schema describes what is published, so members with a default still count as required there.
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Gateway(_Part):
    """The gateway that measured and decided."""

    version: str = Field(description="Version of the gateway's software.")


class Device(_Part):
    """The device behind the record, as far as it was known when the record was written."""

    profile: str | None = Field(None, description="Identity of the device profile.")
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = Field(None, description="Serial number, when the device told it.")


class Point(_Part):
    """One value with everything that is needed to trust it or not."""

    value: FiniteFloat | None = Field(description="In `unit`; null when there is none.")
    unit: str | None = Field(description="kW, kvar, V, A, Hz, %, °C, kWh …; null for states and numbers.")
    quality: Name = Field(
        description="How far the value can be trusted. Only `good` is evidence.",
        json_schema_extra={"examples": list(LABELS)},
    )
    time: Time | None = Field(description="When it was measured; null when it never was.")
    meaning: str | list[str] | None = Field(
        None,
        description="Name of the state, or names of the set bits, behind `value`. Absent when unknown.",
        exclude_if=lambda meaning: meaning is None,
    )


class Limits(_Part):
    """Active power in kW, + = discharge. Null is unbounded."""

    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


_STATES: list[JsonValue] = ["starting", "normal", "derated", "hold", "tripped", "maintenance", "monitor"]


class TripPart(_Part):
    """A latched trip: it stands until somebody resets it."""

    code: str = Field(description="The limit that was violated.")
    unit: str = Field(description="The commanded device that it stops; empty: the only one, or all of them.")
    point: str | None = Field(None, description="The point that violated it.")


class UnitPart(_Part):
    """What one commanded device was told."""

    unit: str = Field(description="Name of the device; empty for the only one of a site without a site file.")
    state: Name = Field(description="What the guard allowed it.", json_schema_extra={"examples": _STATES})
    setpoint: FiniteFloat | None = Field(
        None, description="Active power in kW, + = discharge; null: not controlled."
    )
    reactive: FiniteFloat | None = Field(
        None, description="Reactive power in kvar, + = export; null: it cannot be told any."
    )
    limited_by: list[str] = Field(default_factory=list, description="What narrowed its part.")


class DecisionPart(_Part):
    """What was decided in this cycle, and why."""

    state: Name = Field(
        description="What the guard allowed.",
        json_schema_extra={"examples": _STATES},
    )
    setpoint: FiniteFloat | None = Field(
        None, description="Active power in kW commanded to the device, + = discharge; null: not controlled."
    )
    bounds: Limits = Field(default_factory=Limits, description="What the guard and the live requests left.")
    asked: FiniteFloat | None = Field(None, description="Power in kW that the winning request preferred.")
    source: str | None = Field(None, description="Who won; null when nobody asked.")
    request_id: str | None = Field(None, description="Correlation id that the winner chose.")
    limited_by: list[str] = Field(default_factory=list, description="What narrowed the result.")
    reasons: list[str] = Field(default_factory=list, description="Why the guard did not allow more.")
    target: FiniteFloat | None = Field(
        None, description="kW that the setpoint is on its way to, before ramps and dwell times."
    )
    offset: FiniteFloat | None = Field(
        None, description="kW of the setpoint that answer the grid's frequency; null when nothing offers any."
    )
    reason: str = Field("", description="Why the winner asked, in its own words.")
    reactive: FiniteFloat | None = Field(
        None,
        description="Reactive power in kvar commanded to the plant, + = export; null: no way to be told.",
    )
    reactive_asked: FiniteFloat | None = Field(
        None, description="Reactive power in kvar that was asked for; null when nobody asked."
    )
    trips: list[TripPart] = Field(default_factory=list, description="The latched trips that stand.")
    units: list[UnitPart] = Field(default_factory=list, description="One a commanded device.")


class EventPart(_Part):
    """One thing that happened."""

    code: str = Field(description="Stable identifier, for example `evidence_lost`.")
    severity: Name = Field(json_schema_extra={"examples": ["info", "warning", "alarm"]})
    message: str = Field(description="One sentence for people.")
    time: Time
    active: bool = Field(description="True when the condition begins or is momentary, false when it ends.")
    point: str | None = Field(None, description="The point that it is about.")
    value: FiniteFloat | None = Field(None, description="The value that caused it.")
    first_out: bool = Field(
        False, description="True for the alarm that began while no other was active: most likely the cause."
    )
    about: str | None = Field(
        None, description="Code of the alarm that this event is about, when somebody did something to it."
    )
    user: str | None = Field(None, description="Who did it.")


class Envelope(_Part):
    """One record of a site's journal. `site`, `epoch` and `sequence` identify it, also when it comes twice."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True, title=SCHEMA_ID)

    schema_id: Literal["bessai.telemetry/1"] = Field(SCHEMA_ID, alias="schema")
    site: str = Field(min_length=1, description="Unique id of the site.")
    epoch: int = Field(
        0, ge=0, description="Life of the journal: another one begins when a backup of it is restored."
    )
    sequence: int = Field(
        ge=0, description="Grows by one per record of a site, never used twice in an epoch."
    )
    kind: Name = Field(
        description="`cycle`: one control cycle; `event`: something that happened outside of one.",
        json_schema_extra={"examples": ["cycle", "event"]},
    )
    time: Time = Field(description="The tick of the cycle, or the time of the event.")
    gateway: Gateway
    device: Device
    points: dict[str, Point] = Field(description="By point name; empty for an event.")
    texts: dict[str, str] = Field(default_factory=dict, description="Points that are text.")
    decision: DecisionPart | None = Field(None, description="Null for an event.")
    verified: bool | None = Field(
        None,
        description="True when the cycle was complete: fresh evidence, a decision, every due write read "
        "back. Null for an event.",
    )
    events: list[EventPart] = Field(default_factory=list)
    complete: bool = Field(
        True,
        description="False when points, texts or the decision were left out because they did not change.",
    )


def timestamp(wall_ns: int) -> str:
    """RFC 3339 in UTC with microseconds, from nanoseconds since 1970."""
    return f"{np.datetime64(wall_ns // 1000, 'us')}Z"


def from_entry(entry: Entry, site: str, publish: Sequence[str] | None = None) -> Envelope:
    """The message of one journal record. NaN and infinity become null.

    `publish` names the devices whose points go with the plant's own; None stands for every point.
    """
    cycle = entry.kind == "cycle"
    decision = entry.decision
    return Envelope.model_validate(
        {
            "site": site,
            "epoch": entry.epoch,
            "sequence": entry.sequence,
            "kind": entry.kind,
            "time": timestamp(entry.wall_ns),
            "gateway": {"version": __version__},
            "device": device_part(entry.device, entry.texts),
            "points": _points(entry, publish),
            "texts": dict(entry.texts),
            "decision": decision_part(decision) if cycle and decision else None,
            "verified": entry.verified if cycle else None,
            "events": [event_part(event) for event in entry.events],
            "complete": entry.complete,
        }
    )


def published(name: str, publish: Sequence[str] | None) -> bool:
    """True for a point of the plant, and of a device in `publish`; None stands for every device."""
    return publish is None or "." not in name or name.partition(".")[0] in publish


def unreadable(entry: Entry, site: str, error: Exception) -> Envelope:
    """Stands in for a record that `from_entry` cannot express, so that the sequence stays complete."""
    return from_entry(stand_in(entry, error), site)


def stand_in(entry: Entry, error: Exception) -> Entry:
    """An event in the place of a record that cannot be expressed."""
    event = Event(
        code="record_unreadable",
        severity=Severity.WARNING,
        message=f"Record {entry.sequence} of the journal cannot be published ({type(error).__name__}).",
        wall_ns=entry.wall_ns,
    )
    return replace(
        entry, kind="event", layout=Layout(names=(), units=()), values=entry.values[:0],
        quality=entry.quality[:0], ages=entry.ages[:0], texts={}, device={}, events=(event,),
    )  # fmt: skip


def encode(envelope: Envelope) -> bytes:
    """UTF-8 JSON, the same bytes for the same record. Decode with `Envelope.model_validate_json`."""
    return envelope.model_dump_json(by_alias=True).encode()


def telemetry_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what is published."""
    schema = Envelope.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{SCHEMA_ID}"} | schema


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def device_part(device: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str | None]:
    """The member `device`."""
    known: dict[str, str | None] = {name: device.get(name) for name in ("profile", "manufacturer", "model")}
    known["serial"] = device.get("serial") or texts.get("serial_number")
    return known


def _points(entry: Entry, publish: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    layout = entry.layout
    if not len(layout):
        return {}
    measured = np.isfinite(entry.ages)
    ages_us = np.where(measured, np.rint(entry.ages.astype(np.float64) * 1e6), 0.0).astype(np.int64)
    times = np.datetime_as_string(
        (entry.wall_ns // 1000 - ages_us).astype("datetime64[us]"), unit="us"
    ).tolist()
    points = {}
    for i, (name, value) in enumerate(zip(layout.names, entry.values.tolist(), strict=True)):
        if not published(name, publish):
            continue
        point = points[name] = {
            "value": value if math.isfinite(value) else None,
            "unit": layout.units[i],
            "quality": LABELS[entry.quality[i]],
            "time": f"{times[i]}Z" if measured[i] else None,
        }
        if name in layout.states or name in layout.bits:
            point["meaning"] = layout.meaning(name, value) if point["value"] is not None else None
    return points


def decision_part(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The member `decision`."""
    bounds = decision.get("bounds") or {}
    return {
        "state": decision["state"],
        "setpoint": _finite(decision.get("setpoint")),
        "bounds": {"low": _finite(bounds.get("low")), "high": _finite(bounds.get("high"))},
        "asked": _finite(decision.get("asked")),
        "source": decision.get("source"),
        "request_id": decision.get("request_id"),
        "limited_by": _names(decision.get("limited_by")),
        "reasons": _names(decision.get("reasons")),
        "target": _finite(decision.get("target")),
        "offset": _finite(decision.get("offset")),
        "reason": decision.get("reason") or "",
        "reactive": _finite(decision.get("reactive")),
        "reactive_asked": _finite(decision.get("reactive_asked")),
        "trips": [
            {
                "code": trip["code"],
                "unit": "" if trip.get("plant_wide") else trip.get("unit") or "",
                "point": trip.get("point"),
            }
            for trip in decision.get("trips") or ()
        ],
        "units": [
            {
                "unit": unit["unit"],
                "state": unit["state"],
                "setpoint": _finite(unit.get("setpoint")),
                "reactive": _finite(unit.get("reactive")),
                "limited_by": _names(unit.get("limited_by")),
            }
            for unit in decision.get("units") or ()
        ],
    }


def _names(names: Sequence[str] | None) -> list[str]:
    return list(names or ())


def event_part(event: Event) -> dict[str, Any]:
    """One of the member `events`."""
    return {
        "code": event.code,
        "severity": event.severity.label,
        "message": event.message,
        "time": timestamp(event.wall_ns),
        "active": event.active,
        "point": event.point,
        "value": _finite(event.value),
        "first_out": event.first_out,
        "about": event.about,
        "user": event.user,
    }
