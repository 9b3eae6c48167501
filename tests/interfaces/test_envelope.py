"""The published message: content, null for what is no number, and the contract that others rely on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bessai import __version__
from bessai.interfaces.envelope import (
    Envelope,
    encode,
    from_entry,
    telemetry_json_schema,
    timestamp,
    unreadable,
)
from bessai.journal.block import pack, unpack
from bessai.journal.row import row_of
from bessai.model import Bounds, Decision, Event, GuardState, Quality, Severity, Trip, UnitDecision
from support.entries import LAYOUT, cycle_entry, cycle_record, event_entry

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = telemetry_json_schema()


def published(**changes: Any) -> dict[str, Any]:
    """A cycle as a subscriber sees it, checked against the published schema."""
    document: dict[str, Any] = json.loads(encode(from_entry(cycle_entry(7, **changes), "plant-1")))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_a_cycle_says_what_was_measured_and_decided() -> None:
    message = published()
    assert list(message) == [
        "schema", "site", "epoch", "sequence", "kind", "time", "gateway", "device", "points", "texts", "decision",
        "verified", "events", "complete",
    ]  # fmt: skip
    assert message["schema"] == "bessai.telemetry/1"
    assert (message["site"], message["sequence"], message["kind"]) == ("plant-1", 7, "cycle")
    assert message["time"] == "2026-01-01T00:00:07.000000Z"
    assert message["gateway"] == {"version": __version__}
    assert message["device"] == {
        "profile": "test_device", "manufacturer": "Test", "model": "T1", "serial": "HV0001",
    }  # fmt: skip
    assert list(message["points"]) == list(LAYOUT.names)
    assert message["points"]["soc"] == {
        "value": 57.0, "unit": "%", "quality": "good", "time": "2026-01-01T00:00:06.750000Z",
    }  # fmt: skip
    assert message["points"]["device_status"]["meaning"] == "on_grid"
    assert message["points"]["alarms"]["meaning"] == ["fan", "insulation"]
    assert message["decision"] == {
        "state": "normal", "setpoint": -1.5, "bounds": {"low": -5.0, "high": None}, "asked": -2.0,
        "source": "operator", "request_id": "r-1", "limited_by": ["soc_max"], "reasons": [],
        "target": None, "offset": None, "reason": "", "reactive": None, "reactive_asked": None, "trips": [],
        "units": [],
    }  # fmt: skip
    assert message["verified"] is True
    assert message["events"] == []


def test_an_event_stands_alone() -> None:
    message = json.loads(encode(from_entry(event_entry(8), "plant-1")))
    jsonschema.Draft202012Validator(SCHEMA).validate(message)
    assert (message["kind"], message["points"], message["decision"], message["verified"]) == (
        "event", {}, None, None,
    )  # fmt: skip
    assert message["events"] == [
        {
            "code": "evidence_lost", "severity": "alarm", "message": "No fresh value of soc.",
            "time": "2026-01-01T00:00:08.000000Z", "active": True, "point": None, "value": None,
            "first_out": False, "about": None, "user": None,
        }
    ]  # fmt: skip


def test_units_trips_and_reactive_power_of_a_recorded_cycle() -> None:
    decision = Decision(
        state=GuardState.NORMAL, setpoint=4.0, bounds=Bounds(-10.0, 10.0), asked=6.0, source="ana", target=6.0,
        reason="peak", reactive=1.5, reactive_asked=2.0, limited_by=("ramp_up",),
        trips=(
            Trip(code="cell_voltage_high", unit="pcs_2", point="cell_voltage_max", value=math.inf, wall_ns=1),
            Trip(code="fire_alarm", unit="pcs_1", plant_wide=True),
        ),
        units=(
            UnitDecision(unit="pcs_1", state=GuardState.NORMAL, setpoint=4.0, bounds=Bounds(-10.0, 10.0), reactive=1.5),
            UnitDecision(
                unit="pcs_2", state=GuardState.TRIPPED, setpoint=0.0, bounds=Bounds(0.0, 0.0),
                limited_by=("cell_voltage_high",),
            ),
        ),
    )  # fmt: skip
    event = Event(
        code="alarm_acknowledged", severity=Severity.INFO, message="m", wall_ns=0, about="soc_low", user="ana",
        first_out=True,
    )  # fmt: skip
    record = replace(cycle_record(1, (event,)), decision=decision)
    entry = unpack(pack([row_of(record)]), first_sequence=1, epoch=1, layout=LAYOUT, device={}).entries()[0]
    message = json.loads(encode(from_entry(entry, "plant-1")))
    jsonschema.Draft202012Validator(SCHEMA).validate(message)
    told = message["decision"]
    assert (told["target"], told["reason"], told["reactive"], told["reactive_asked"]) == (
        6.0,
        "peak",
        1.5,
        2.0,
    )
    assert told["trips"] == [
        {"code": "cell_voltage_high", "unit": "pcs_2", "point": "cell_voltage_max"},
        {"code": "fire_alarm", "unit": "", "point": None},
    ]
    assert told["units"] == [
        {"unit": "pcs_1", "state": "normal", "setpoint": 4.0, "reactive": 1.5, "limited_by": []},
        {"unit": "pcs_2", "state": "tripped", "setpoint": 0.0, "reactive": None, "limited_by": ["cell_voltage_high"]},
    ]  # fmt: skip
    seen = message["events"][0]
    assert (seen["first_out"], seen["about"], seen["user"]) == (True, "soc_low", "ana")


def test_what_was_never_measured_has_neither_value_nor_time() -> None:
    values = np.array([math.nan, math.inf, -math.inf, 25.5, math.nan, 9.0])
    quality = np.array(list(Quality)[:6], np.uint8)
    ages = np.array([math.nan, 0.25, 0.25, 3.0, math.nan, 0.25], np.float32)
    points = published(values=values, quality=quality, ages=ages)["points"]
    assert points["soc"] == {"value": None, "unit": "%", "quality": "good", "time": None}
    assert points["active_power"]["value"] is points["battery_power"]["value"] is None
    assert points["cell_temperature_max"]["time"] == "2026-01-01T00:00:04.000000Z"
    assert "meaning" not in points["device_status"]
    assert [point["quality"] for point in points.values()] == [quality.label for quality in list(Quality)[:6]]


def test_infinite_and_absent_decisions_become_null() -> None:
    decision = {"state": "hold", "setpoint": math.nan, "bounds": {"low": -math.inf, "high": math.inf}}
    event = Event(code="x", severity=Severity.INFO, message="m", wall_ns=0, value=math.nan)
    message = published(decision=decision, events=(event,))
    assert message["decision"]["setpoint"] is None
    assert message["decision"]["bounds"] == {"low": None, "high": None}
    assert message["events"][0]["value"] is None
    assert published(decision={})["decision"] is None


numbers = st.floats(width=64)


@given(
    values=st.lists(numbers, min_size=len(LAYOUT), max_size=len(LAYOUT)),
    quality=st.lists(st.sampled_from(list(Quality)), min_size=len(LAYOUT), max_size=len(LAYOUT)),
    ages=st.lists(
        st.floats(0, 1e6, width=32) | st.just(math.nan), min_size=len(LAYOUT), max_size=len(LAYOUT)
    ),
)
def test_every_record_round_trips_and_is_deterministic(
    values: list[float], quality: list[Quality], ages: list[float]
) -> None:
    entry = cycle_entry(
        3, values=np.array(values), quality=np.array(quality, np.uint8), ages=np.array(ages, np.float32)
    )
    data = encode(from_entry(entry, "plant-1"))
    envelope = Envelope.model_validate_json(data)
    assert encode(envelope) == data == encode(from_entry(entry, "plant-1"))
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(data))
    for value, age, point in zip(values, ages, envelope.points.values(), strict=True):
        assert point.value == (value if math.isfinite(value) else None)
        assert (point.time is None) == math.isnan(age)


@given(st.integers(0, 4_102_444_800_000_000_000))
def test_time_is_rounded_down_to_microseconds(wall_ns: int) -> None:
    text = timestamp(wall_ns)
    assert len(text) == 27
    assert np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64) == wall_ns // 1000 * 1000


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"schema": "bessai.telemetry/2"}, "schema"),
        ({"sequence": -1}, "sequence"),
        ({"time": "yesterday"}, "time"),
        ({"site": ""}, "site"),
        ({"points": {"soc": {"value": "fifty", "unit": "%", "quality": "good", "time": None}}}, "points"),
    ],
)
def test_decoding_refuses_what_is_no_message(change: dict[str, Any], member: str) -> None:
    text = json.dumps(published() | change)
    with pytest.raises(ValidationError) as refused:
        Envelope.model_validate_json(text)
    assert {error["loc"][0] for error in refused.value.errors()} == {member}


def test_members_that_a_later_gateway_adds_are_ignored() -> None:
    message = published()
    message["tomorrow"] = 1
    message["points"]["soc"]["tomorrow"] = 1
    message["points"]["soc"]["quality"] = "a_new_one"
    jsonschema.Draft202012Validator(SCHEMA).validate(message)
    assert Envelope.model_validate_json(json.dumps(message)).points["soc"].quality == "a_new_one"


def test_a_record_that_cannot_be_expressed_leaves_its_place_in_the_sequence() -> None:
    envelope = unreadable(cycle_entry(7), "plant-1", ValueError("odd"))
    assert (envelope.sequence, envelope.kind, envelope.points) == (7, "event", {})
    assert envelope.events[0].code == "record_unreadable"


def test_the_schema_in_the_documentation_is_the_one_in_the_code() -> None:
    text = (DOCS / "schemas" / "telemetry.schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == SCHEMA, "run: bessai schema telemetry > docs/schemas/telemetry.schema.json"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_example_in_the_documentation_is_a_message() -> None:
    text = (DOCS / "message.md").read_text(encoding="utf-8")
    example = text.split("```json\n")[1].split("```")[0]
    document = json.loads(example)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert json.loads(encode(Envelope.model_validate_json(example))) == document


def test_the_table_in_the_documentation_names_every_member() -> None:
    text = (DOCS / "message.md").read_text(encoding="utf-8")
    definitions = {"": SCHEMA} | SCHEMA["$defs"]
    for definition in definitions.values():
        for member in definition["properties"]:
            assert f"`{member}`" in text, f"docs/message.md says nothing about {member}"
