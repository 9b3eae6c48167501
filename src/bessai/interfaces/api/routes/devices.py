"""The devices of the plant: how they are, and what each of them tells."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, errors, finite, time_text
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.spoken import Tongue, spoken
from bessai.interfaces.api.values import Values

router = APIRouter(tags=["devices"], dependencies=[Depends(needs(Role.VIEWER))])

_AT_ONCE = 100
_POINTS_AT_ONCE = 300
_SOURCE = ("address", "function", "table", "type", "gain", "raw", "raw_age")
_ONLY = "-"
"""Stands in an address for the only device of a site without a site file, whose name is empty."""
_EXAMPLE: dict[str, Any] = {
    "name": "", "role": "inverter", "manufacturer": "Huawei", "profile": "huawei_sun2000",
    "model": "SUN2000 hybrid inverters with LUNA2000 batteries", "address": "127.0.0.1:43505", "unit": 1,
    "control": True, "connected": True, "problem": None, "texts": {"serial_number": "TWIN000001"}, "requests": 268,
    "replies": 268, "timeouts": 0, "exceptions": 24,
    "latency": {"p50": 0.0012, "p99": 0.0041, "max": 0.0093, "count": 256}, "oldest": 8.721, "period": 1.0,
    "capacity": None, "points": 71, "absent_points": [], "spikes": 0, "connects": 1, "disconnects": 0,
    "bad_replies": 0, "crc_errors": 0, "strays": 0,
    "own": {"replies": 268, "timeouts": 0, "bad_replies": 0,
            "exceptions": [{"code": 2, "name": "illegal data address", "count": 24}]},
    "last_error": {"message": "device answered exception 2 (illegal data address)",
                   "time": "2026-11-29T06:41:39.402Z"},
}  # fmt: skip


class Latency(Answer):
    """Seconds between request and reply; what timed out had none and is not in it."""

    p50: float
    p99: float
    max: float
    count: int
    """Replies that it was measured on: the newest ones, 256 at most for each unit of the device."""


class Kind(Answer):
    """Exceptions of one kind."""

    code: int
    """As the protocol numbers them."""
    name: str
    count: int


class Own(Answer):
    """Counters of the device alone, since the start of the gateway."""

    replies: int
    timeouts: int
    bad_replies: int
    """That do not fit the question."""
    exceptions: list[Kind]


class LastError(Answer):
    """The newest error."""

    message: str
    time: str


class Summary(Answer):
    """How a device is."""

    name: str
    """Empty: the only device of a site without a site file."""
    role: str
    manufacturer: str
    profile: str
    model: str
    address: str
    unit: int
    control: bool
    """The gateway may command it."""
    connected: bool
    problem: str | None
    texts: dict[str, str]
    """What it says of itself: serial number, software."""
    requests: int
    """Since the start of the gateway, as the other counters; of the connection, which several devices may share."""
    replies: int
    timeouts: int
    exceptions: int
    bad_replies: int
    connects: int
    disconnects: int
    spikes: int
    """Values that changed faster than is possible."""
    crc_errors: int
    """Replies that were damaged on a serial line."""
    strays: int
    """Frames that nobody waits for any more: late replies, or another unit's."""
    own: Own
    latency: Latency | None
    """Null: before its first reply."""
    last_error: LastError | None
    """Of the device, or of its connection; null: there was none since the start."""
    oldest: float | None
    """Age in seconds of its oldest good value; what is read once does not count."""
    period: float | None
    """Seconds between two readings."""
    capacity: float | None
    """kWh, where the site file tells it."""
    absent_points: list[str]
    """Points that this model does not have."""


class Device(Summary):
    """How a device is, with the number of its points."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    points: int


class Devices(Answer):
    """All devices."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"devices": [_EXAMPLE]}]})

    devices: list[Device]


class Value(Answer):
    """One value of a device."""

    name: str
    value: float | None
    unit: str | None
    quality: str
    age: float | None
    meaning: str | list[str] | None
    address: int | None
    """Register of the device, counted from 0; null: computed by the gateway."""
    function: int | None
    """Function code that reads it."""
    table: str | None
    type: str | None
    gain: float | None
    raw: list[str] | None
    """Its registers as they last came, in the order of the wire; null: they never did."""
    raw_age: float | None
    """Seconds since they were asked for."""


class DeviceInDetail(Summary):
    """One device and all of its points."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "points": [
                        {"name": "soc", "value": 50.0, "unit": "%", "quality": "good", "age": 0.4, "meaning": None,
                         "address": 37760, "function": 3, "table": "holding", "type": "u16", "gain": 0.1,
                         "raw": ["0x01F4"], "raw_age": 0.4}
                    ],
                    "writes": {"forced_mode": 4},
                    "caveats": [],
                }
            ]
        }
    )  # fmt: skip

    points: list[Value]
    writes: dict[str, int]
    """How often each point was written since the start."""
    caveats: list[str]
    """Known surprises of this model, from its profile."""


@router.get("/devices")
async def devices(context: Annotated[Context, Depends(of)], tongue: Tongue) -> Devices:
    """All devices of the plant."""
    status = await context.gateway.status()
    found: list[Mapping[str, Any]] = []
    total = 1
    while len(found) < total:
        answer = await context.gateway.ask({"op": "devices", "from": len(found), "count": _AT_ONCE})
        total = answer["total"]
        if not answer["devices"]:
            break
        found += spoken(answer["devices"], tongue)
    once = {point for one in found for point in one["read_once"]}
    oldest = Values(status, context.live).oldest(once)
    return Devices(
        devices=[Device(**_summary(one, oldest.get(one["name"])), points=one["points"]) for one in found]
    )


@router.get("/devices/{name}", responses=errors(404))
async def device(name: str, context: Annotated[Context, Depends(of)], tongue: Tongue) -> DeviceInDetail:
    """One device; `-` is the only one of a site without a site file."""
    name = "" if name == _ONLY else name
    status = await context.gateway.status()
    first, found = 0, None
    while found is None:
        answer = await context.gateway.ask({"op": "devices", "from": first, "count": _AT_ONCE})
        found = next((one for one in answer["devices"] if one["name"] == name), None)
        first += _AT_ONCE
        if found is None and first >= answer["total"]:
            raise Problem(404, "no_such_device", f"there is no device {name[:80]!r}")
    registers = await _registers(context, name)
    values = Values(status, context.live)
    return DeviceInDetail(
        **_summary(spoken(found, tongue), values.oldest(found["read_once"]).get(name)),
        points=[
            Value(
                name=point,
                value=finite(told["value"]),
                unit=told["unit"],
                quality=told["quality"],
                age=finite(told["age"]),
                meaning=told.get("meaning"),
                **{field: registers.get(point, {}).get(field) for field in _SOURCE},
            )
            for point in values
            if point.rpartition(".")[0] == name and (told := values[point])
        ],
        writes=found["writes"],
        caveats=found["caveats"],
    )


async def _registers(context: Context, name: str) -> dict[str, Any]:
    """Where the points of a device are read and what came, by name."""
    found: dict[str, Any] = {}
    total, first = 1, 0
    while first < total:
        answer = await context.gateway.ask(
            {"op": "registers", "device": name, "from": first, "count": _POINTS_AT_ONCE}
        )
        found |= answer["points"]
        total, first = answer["total"], first + _POINTS_AT_ONCE
    return found


def _summary(one: Mapping[str, Any], oldest: float | None) -> dict[str, Any]:
    fields = (
        "name", "role", "manufacturer", "profile", "model", "address", "unit", "control", "connected", "problem",
        "texts", "requests", "replies", "timeouts", "exceptions", "bad_replies", "connects", "disconnects", "spikes",
        "period", "capacity", "absent_points", "crc_errors", "strays",
    )  # fmt: skip
    talk = one["talk"]
    last = talk["last_error"]
    return {
        **{field: one[field] for field in fields},
        "own": {name: talk[name] for name in ("replies", "timeouts", "bad_replies", "exceptions")},
        "latency": talk["latency"],
        "last_error": last
        and {"message": last["message"], "time": time_text(time.time_ns() - round(last["age"] * 1e9))},
        "oldest": oldest,
    }
