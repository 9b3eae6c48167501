"""What Terraform makes takes what the gateway publishes."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from bessai.interfaces.batch_message import encode_batch
from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.envelope import SCHEMA_ID
from bessai.interfaces.messages import RecordEncoder
from support.entries import cycle_entry, event_entry
from support.hcl import read_directory
from support.terraform import MODULES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "telemetry.schema.json").read_text())
TABLE = json.loads((MODULES / "ingest" / "tables" / "messages.json").read_text(encoding="utf-8"))
VIEWS = {
    path.name.partition(".")[0]: path.read_text(encoding="utf-8")
    for path in (MODULES / "ingest" / "views").iterdir()
}
ODD = np.array([0.1 + 0.2, -1e-7, 1e300 / 3, np.nan, 512.0, 9.0])
ENTRIES = [cycle_entry(1), cycle_entry(2, values=ODD, verified=False), event_entry(3)]
RECORDS = RecordEncoder("calama-1")(ENTRIES, lane=Lane.LIVE, previous=0)
BATCHES = encode_batch(ENTRIES, "calama-1", Lane.BACKLOG, 0)
MESSAGES = [*RECORDS, *BATCHES]


def test_the_table_has_the_columns_that_pubsub_writes_with_metadata() -> None:
    """Names and types as in the documentation of BigQuery subscriptions."""
    columns = {column["name"]: column["type"] for column in TABLE}
    assert columns == {
        "subscription_name": "STRING",
        "message_id": "STRING",
        "publish_time": "TIMESTAMP",
        "data": "JSON",
        "attributes": "JSON",
    }
    (subscription,) = (
        block for block in read_directory(MODULES / "site").all("resource") if block.labels[1] == "bigquery"
    )
    (config,) = subscription.all("bigquery_config")
    assert config.arguments["write_metadata"] == "true"
    assert not set(config.arguments) & {"use_topic_schema", "use_table_schema"}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.id)
def test_every_message_fits_the_columns(message: Message) -> None:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    def number(text: str) -> float:
        assert Decimal(text) == Decimal(repr(float(text))), (
            f"BigQuery refuses {text}: no FLOAT64 is exactly that"
        )
        return float(text)

    content = json.loads(message.data, parse_constant=refuse, parse_float=number)
    assert isinstance(content, dict)
    assert all(isinstance(value, str) for value in message.attributes.values())
    column = next(column for column in TABLE if column["name"] == "attributes")
    assert set(message.attributes) <= set(re.findall(r"\w+", column["description"]))
    assert content["schema"] == message.attributes["schema"]
    assert content["schema"] in next(c for c in TABLE if c["name"] == "data")["description"]


def test_the_views_read_what_the_schema_has_and_as_what_it_is() -> None:
    for message in RECORDS:
        jsonschema.validate(json.loads(message.data), SCHEMA)
    roots: dict[str, Any] = {
        "data": SCHEMA,
        "event": SCHEMA["$defs"]["EventPart"],
        "record.points[TRIM(key, '\"')]": SCHEMA["$defs"]["Point"],
    }
    call = re.compile(
        r"(SAFE_CAST\()?(JSON_\w+)\((data|event|attributes|record\.points\[.*?\]), '\$\.([\w.]+)'\)(?: AS (\w+)\))?"
    )
    seen = 0
    for name, query in VIEWS.items():
        for cast, function, column, path, kind in call.findall(query):
            seen += 1
            if column == "attributes":
                assert path in RECORDS[0].attributes, f"{name}: {path}"
                continue
            found = _resolve(roots[column], path)
            assert found is not None, f"{name}: {column} has no {path}"
            assert bool(cast) == bool(kind)
            assert _fits(function, kind, found), f"{name}: {path} is {found}, read with {function} {kind}"
    assert seen == sum(query.count("'$.") for query in VIEWS.values()) > 30
    assert f"= '{SCHEMA_ID}'" in VIEWS["records"]
    for name in ("points", "events"):
        for column in re.findall(r"\brecord\.(\w+)", VIEWS[name]):
            assert re.search(rf"(AS |^\s+){column},?$", VIEWS["records"], re.MULTILINE), (
                f"{name}: record has no {column}"
            )


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _choices(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return [inner for choice in schema["anyOf"] for inner in _choices(choice)]
    return [schema]


def _resolve(schema: dict[str, Any], path: str) -> list[dict[str, Any]] | None:
    choices = _choices(schema)
    for part in path.split("."):
        inner = [choice["properties"][part] for choice in choices if part in choice.get("properties", {})]
        if not inner:
            return None
        choices = [choice for found in inner for choice in _choices(found)]
    return choices


def _fits(function: str, kind: str, choices: list[dict[str, Any]]) -> bool:
    types = {choice["type"] for choice in choices} - {"null"}
    if function == "JSON_QUERY":
        return bool(types & {"object", "array"})
    if function == "JSON_VALUE_ARRAY":
        return types == {"array"}
    if kind == "TIMESTAMP":
        return types == {"string"} and any(choice.get("format") == "date-time" for choice in choices)
    return types == {{"INT64": "integer", "FLOAT64": "number", "BOOL": "boolean", "": "string"}[kind]}


def test_the_live_subscription_takes_the_lane_that_is_called_so_in_order() -> None:
    (live,) = (
        block
        for block in read_directory(MODULES / "site").all("resource", "google_pubsub_subscription")
        if block.labels[1] == "live"
    )
    (lane,) = re.findall(r'attributes\.lane = \\"(\w+)\\"', live.arguments["filter"])
    assert lane == Lane.LIVE.value == RECORDS[0].attributes["lane"] != BATCHES[0].attributes["lane"]
    assert live.arguments["enable_message_ordering"] == "true"
    assert all(message.ordering_key for message in MESSAGES)


def test_no_schema_of_pubsub_describes_what_is_published() -> None:
    """So none is attached. Protocol Buffers, without imports as Pub/Sub wants them; Avro marks every choice."""
    points = json.loads(RECORDS[0].data)["points"]
    state, bits = points["device_status"], points["alarms"]
    assert isinstance(state["meaning"], str)
    assert isinstance(bits["meaning"], list)
    one, many = _point(repeated=False), _point(repeated=True)
    json_format.ParseDict(state, one())
    json_format.ParseDict(bits, many())
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(bits, one())
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(state, many())
    with pytest.raises(json_format.ParseError, match="no field named"):
        json_format.ParseDict(state | {"added_in_a_later_version": 1}, one())
    variables = {block.labels[0]: block for block in read_directory(MODULES / "ingest").all("variable")}
    assert variables["topic_schema"].arguments["default"] == "null"


def _point(*, repeated: bool) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"point_{repeated}.proto", syntax="proto3", package=f"p{repeated}"
    )
    message = file.message_type.add(name="Point")
    kinds = descriptor_pb2.FieldDescriptorProto
    for number, name in enumerate(("value", "unit", "quality", "time", "meaning"), 1):
        message.field.add(
            name=name,
            number=number,
            type=kinds.TYPE_DOUBLE if name == "value" else kinds.TYPE_STRING,
            label=kinds.LABEL_REPEATED if repeated and name == "meaning" else kinds.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p{repeated}.Point"))
