"""The payload of Sparkplug B: protocol buffers, described here by the numbers of the specification (3.0, chapter 6.4).

Only what this gateway sends and reads is described; a reader skips what it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bessai.model import Quality

INT32: Final = 3
INT64: Final = 4
DOUBLE: Final = 10
BOOLEAN: Final = 11
STRING: Final = 12

_GOOD, _BAD, _STALE = 192, 0, 500
"""Sparkplug's quality codes."""

_FIELDS: Final = {
    "PropertyValue": [
        (1, "type", "uint32"), (2, "is_null", "bool"), (3, "int_value", "uint32"), (8, "string_value", "string"),
    ],
    "PropertySet": [(1, "keys", "string*"), (2, "values", "PropertyValue*")],
    "Metric": [
        (1, "name", "string"), (2, "alias", "uint64"), (3, "timestamp", "uint64"), (4, "datatype", "uint32"),
        (5, "is_historical", "bool"), (7, "is_null", "bool"), (9, "properties", "PropertySet"),
        (11, "long_value", "uint64"), (13, "double_value", "double"), (14, "boolean_value", "bool"),
        (15, "string_value", "string"),
    ],
    "Payload": [(1, "timestamp", "uint64"), (2, "metrics", "Metric*"), (3, "seq", "uint64")],
}  # fmt: skip
"""Message, field number, name and type; `*` marks a repeated field."""


def _build() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="bessai/sparkplug.proto", package="bessai", syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field, written in fields:
            kind = written.rstrip("*")
            added = message.field.add(
                name=field,
                number=number,
                label=kinds.LABEL_REPEATED if written.endswith("*") else kinds.LABEL_OPTIONAL,
                type=kinds.TYPE_MESSAGE if kind in _FIELDS else kinds.Type.Value(f"TYPE_{kind.upper()}"),
            )
            if kind in _FIELDS:
                added.type_name = f".bessai.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bessai.Payload"))


Payload: Final = _build()
"""The class of the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of a metric at one time."""

    value: float
    """NaN for none."""
    quality: int
    """A `Quality`."""
    ms: int
    """UTC milliseconds at which it was measured."""

    @property
    def code(self) -> int:
        """Sparkplug's quality code."""
        if self.quality == Quality.GOOD:
            return _GOOD
        return _STALE if self.quality == Quality.STALE else _BAD


NOTHING: Final = Reading(value=math.nan, quality=int(Quality.MISSING), ms=0)
"""A metric that has no value yet."""


def add_reading(payload: Any, reading: Reading, alias: int, *, historical: bool = False) -> Any:
    """Add a metric of a DATA message; returns it."""
    metric = payload.metrics.add(alias=alias, datatype=DOUBLE, timestamp=reading.ms)
    if historical:
        metric.is_historical = True
    if math.isfinite(reading.value):
        metric.double_value = reading.value
    else:
        metric.is_null = True
    if reading.code != _GOOD:  # a metric without the property is good
        _add_property(metric, "Quality", INT32, int_value=reading.code)
    return metric


def add_birth(payload: Any, name: str, unit: str | None, reading: Reading, alias: int, now_ms: int) -> None:
    """Add a metric of a BIRTH message."""
    metric = add_reading(payload, reading, alias)
    metric.name = name
    metric.timestamp = reading.ms or now_ms
    if unit is not None:
        _add_property(metric, "engUnit", STRING, string_value=unit)


def death(bd_seq: int, now_ms: int) -> bytes:
    """The payload of NDEATH."""
    payload = Payload(timestamp=now_ms)
    add_bd_seq(payload, bd_seq, now_ms)
    return bytes(payload.SerializeToString())


def add_bd_seq(payload: Any, bd_seq: int, now_ms: int) -> None:
    """Add the number that ties a birth to its death."""
    payload.metrics.add(name="bdSeq", datatype=INT64, timestamp=now_ms, long_value=bd_seq)


def wants_rebirth(data: bytes) -> bool:
    """True when an NCMD payload asks for a new birth."""
    try:
        metrics: Sequence[Any] = Payload.FromString(data).metrics
    except Exception:  # noqa: BLE001  whatever somebody sends
        return False
    return any(metric.name == "Node Control/Rebirth" and metric.boolean_value for metric in metrics)


def _add_property(metric: Any, key: str, kind: int, **value: Any) -> None:
    metric.properties.keys.append(key)
    metric.properties.values.add(type=kind, **value)
