"""The devices of the plant: how they are, and what each of them tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, errors, finite
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Role, needs

router = APIRouter(tags=["devices"], dependencies=[Depends(needs(Role.VIEWER))])

_AT_ONCE = 100
_ONLY = "-"
"""Stands in an address for the only device of a site without a site file, whose name is empty."""
_EXAMPLE: dict[str, Any] = {
    "name": "", "role": "inverter", "manufacturer": "Huawei", "profile": "huawei_sun2000",
    "model": "SUN2000 hybrid inverters with LUNA2000 batteries", "address": "127.0.0.1:43505", "unit": 1,
    "control": True, "connected": True, "problem": None, "texts": {"serial_number": "TWIN000001"}, "requests": 268,
    "replies": 268, "timeouts": 0, "exceptions": 24, "latency": None, "oldest": 8.721, "period": 1.0,
    "capacity": None, "points": 71, "absent_points": [], "spikes": 0, "connects": 1, "disconnects": 0,
    "bad_replies": 0,
}  # fmt: skip


class Latency(Answer):
    """Seconds between request and reply."""

    p50: float
    p99: float


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
    latency: Latency | None
    """Always null: the gateway does not keep a distribution."""
    oldest: float | None
    """Age in seconds of its oldest good value."""
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
    """Null here; `/points/{name}` has it."""
    raw: str | None
    """Always null: the control plane does not keep registers."""


class DeviceInDetail(Summary):
    """One device and all of its points."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "points": [
                        {"name": "soc", "value": 50.0, "unit": "%", "quality": "good", "age": 0.4, "meaning": None,
                         "address": None, "raw": None}
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
async def devices(context: Annotated[Context, Depends(of)]) -> Devices:
    """All devices of the plant."""
    status = await context.gateway.status()
    found: list[Mapping[str, Any]] = []
    total = 1
    while len(found) < total:
        answer = await context.gateway.ask({"op": "devices", "from": len(found), "count": _AT_ONCE})
        total = answer["total"]
        if not answer["devices"]:
            break
        found += answer["devices"]
    oldest = _oldest(status)
    return Devices(
        devices=[Device(**_summary(one, oldest.get(one["name"])), points=one["points"]) for one in found]
    )


@router.get("/devices/{name}", responses=errors(404))
async def device(name: str, context: Annotated[Context, Depends(of)]) -> DeviceInDetail:
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
    return DeviceInDetail(
        **_summary(found, _oldest(status).get(name)),
        points=[
            Value(
                name=point,
                value=finite(told["value"]),
                unit=told["unit"],
                quality=told["quality"],
                age=finite(told["age"]),
                meaning=told.get("meaning"),
                address=None,
                raw=None,
            )
            for point, told in status["points"].items()
            if point.rpartition(".")[0] == name
        ],
        writes=found["writes"],
        caveats=found["caveats"],
    )


def _summary(one: Mapping[str, Any], oldest: float | None) -> dict[str, Any]:
    fields = (
        "name", "role", "manufacturer", "profile", "model", "address", "unit", "control", "connected", "problem",
        "texts", "requests", "replies", "timeouts", "exceptions", "bad_replies", "connects", "disconnects", "spikes",
        "period", "capacity", "absent_points",
    )  # fmt: skip
    return {**{field: one[field] for field in fields}, "latency": None, "oldest": oldest}


def _oldest(status: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by device."""
    found: dict[str, float] = {}
    for name, told in status["points"].items():
        if told["quality"] == "good" and (age := finite(told["age"])) is not None:
            device = name.rpartition(".")[0]
            found[device] = max(age, found.get(device, 0.0))
    return found
