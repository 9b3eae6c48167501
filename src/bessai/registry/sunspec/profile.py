"""A device's chain of models as an ordinary profile.

Names: a point that means the same as a shared name has it (the first model that offers it); any other is
`m<model>_<point>`, with the groups between (`m803_string_2_str_soc`) and `m<model>_<n>_…` for the n-th model of
the same id. Official definitions decide; unknown and vendor models are skipped and named in the caveats.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from bessai.registry.schema import Profile
from bessai.registry.sunspec.control import TIMER, control_sections
from bessai.registry.sunspec.discovery import END, Chain, ModelAt
from bessai.registry.sunspec.layout import Placed, place
from bessai.registry.sunspec.models import GroupDef, load_model
from bessai.registry.sunspec.shared import FAST, RATING_OF, SHARED
from bessai.registry.sunspec.types import TYPES, snake, unit_of

SOURCE = "sunspec_models"
_ONCE = frozenset({1, 120, 702})
_KINDS = (
    ("inverter", range(101, 114)),
    ("inverter", range(701, 702)),
    ("meter", range(201, 221)),
    ("battery", range(124, 125)),
    ("battery", range(713, 714)),
    ("battery", range(801, 810)),
    ("weather", range(302, 309)),
)
_POLLS = ("fast", "normal", "slow", "once")


def sunspec_profile(
    chain: Chain,
    memory: Mapping[int, int] | None = None,
    *,
    profile_id: str = "sunspec",
    max_registers: int = 125,
) -> Profile:
    """The profile of a device with this chain.

    Args:
        chain: as discovered.
        memory: words read from the device, by address. They tell the texts of model 1, how often groups
            repeat, and which optional points the device does not implement; those are left out. Without
            memory, every point counts as implemented.
        profile_id: name of the profile.
        max_registers: registers that one request may read.

    Raises:
        ValueError: the chain has no model with an official definition.
    """
    assumed = memory is None
    memory = memory or {}
    points: dict[str, dict[str, Any]] = {}
    fingerprint: list[dict[str, Any]] = []
    skipped: list[str] = []
    texts: dict[str, str] = {}
    seen: dict[int, int] = {}
    _mark(points, fingerprint, "sunspec_marker", chain.base, "u32", 0x53756E53)
    for at in chain.models:
        seen[at.id] = seen.get(at.id, 0) + 1
        prefix = f"m{at.id}" if seen[at.id] == 1 else f"m{at.id}_{seen[at.id]}"
        _mark(points, fingerprint, f"{prefix}_id", at.address, "u16", at.id)
        _mark(points, fingerprint, f"{prefix}_l", at.address + 1, "u16", at.length)
        if load_model(at.id) is None:
            skipped.append(f"{at.id} at address {at.address}")
        else:
            for name, number in _model(at, prefix, memory, points, texts).items():
                points[name]["poll"] = "once"
                fingerprint.append({"point": name, "equals": [float(number)], "identity": True})
    if not any(load_model(at.id) for at in chain.models):
        raise ValueError("the SunSpec chain has no model with an official definition")
    if chain.problem is None and chain.models:
        _mark(points, fingerprint, "sunspec_end", chain.models[-1].end, "u16", END)
    _align_scales(points)
    kinds = [kind for kind, ids in _KINDS if any(at.id in ids for at in chain.models)]
    problems = [f"Models without official definition are not read: {', '.join(skipped)}."] if skipped else []
    problems += [f"The chain is not whole: {chain.problem}."] if chain.problem else []
    # a timer that was never read proves nothing
    provable = {
        name: doc for name, doc in points.items() if assumed or name != TIMER or doc["address"] in memory
    }
    document: dict[str, Any] = {
        "schema_version": 1,
        "id": profile_id,
        "manufacturer": texts.get("manufacturer") or "SunSpec",
        "model": texts.get("model_name")
        or "device with models " + ", ".join(str(at.id) for at in chain.models),
        "kinds": list(dict.fromkeys(kinds)) or ["pcs"],
        "status": "documented",
        "connection": {"max_registers": max_registers},
        "points": points,
        "fingerprint": fingerprint,
        "caveats": [{"text": text, "source": SOURCE} for text in problems],
        "sources": {
            SOURCE: {
                "title": "SunSpec Alliance model definitions, as packaged with pysunspec2",
                "kind": "standard",
                "where": "https://github.com/sunspec/models, json/model_<id>.json",
            }
        },
        **control_sections(seen, provable, SOURCE),
    }
    return Profile.model_validate(document)


def _mark(
    points: dict[str, dict[str, Any]],
    fingerprint: list[dict[str, Any]],
    name: str,
    address: int,
    kind: str,
    value: int,
) -> None:
    """A register that must hold one number, or the device is another one than was discovered."""
    points[name] = {"address": address, "type": kind, "sentinel": [], "poll": "once", "sources": [SOURCE]}
    fingerprint.append({"point": name, "equals": [float(value)], "identity": True})


def _model(
    at: ModelAt,
    prefix: str,
    memory: Mapping[int, int],
    points: dict[str, dict[str, Any]],
    texts: dict[str, str],
) -> dict[str, int]:
    """Add the model's points. Returns the count points by name, with the numbers that the layout rests on."""
    model = load_model(at.id)
    if model is None:
        return {}
    all_placed = place(model, at, memory)[2:]
    shared = dict(SHARED.get(at.id, {}))
    for item in all_placed:
        if not item.path and item.point.name in RATING_OF and not _implemented(item, _raw(item, memory)):
            shared[RATING_OF[item.point.name]] = shared.pop(item.point.name, "")
    names: dict[tuple[tuple[str, ...], str], str] = {}
    kept: list[Placed] = []
    for item in all_placed:
        key = shared.get(item.point.name, "") if not item.path else ""
        raw = _raw(item, memory)
        if not key and not item.point.mandatory and not _implemented(item, raw):
            continue
        name = key if key and key not in points else f"{prefix}_{item.local_name}"
        while name in points or name in names.values():
            name += "_2"
        names[item.path, item.point.name] = name
        kept.append(item)
        if item.point.type == "string" and raw:
            texts.setdefault(name, raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip())
    for item in kept:
        document = _point(at.id, item, names)
        if document is not None:
            points[names[item.path, item.point.name]] = document
    counts: dict[str, int] = {}
    for counter, number in _repetitions(model.group, all_placed).items():
        name = names.get(((), counter), "")
        address = points[name]["address"] if name in points else None
        if address is not None and memory.get(address) != 0xFFFF:
            counts[name] = memory.get(address, number)
    return counts


def _repetitions(group: GroupDef, placed: list[Placed]) -> dict[str, int]:
    """Count points of the model's top level, with how often their groups are placed."""
    paths = {item.path for item in placed}
    found: dict[str, int] = {}

    def walk(group: GroupDef, depth: int) -> None:
        for inner in group.groups:
            name, single = snake(inner.name), inner.count == 1
            if isinstance(inner.count, str):
                numbers = [int(p[depth + 1]) for p in paths if len(p) > depth + 1 and p[depth] == name]
                found[inner.count] = max([found.get(inner.count, 0), *numbers])
            walk(inner, depth + (1 if single else 2))

    walk(group, 0)
    return found


def _point(
    model: int, item: Placed, names: Mapping[tuple[tuple[str, ...], str], str]
) -> dict[str, Any] | None:
    """The point's document; None when it cannot be read or lacks its scale factor, so that it means nothing."""
    point = item.point
    kind, sentinel = TYPES[point.type]
    unit, gain = unit_of(point.unit)
    name = names[item.path, point.name]
    document: dict[str, Any] = {"address": item.address, "type": kind, "sources": [SOURCE]}
    document["description"] = point.description
    document["poll"] = _poll(model, name, writable=point.writable, deep=bool(item.path))
    if kind == "text":
        if point.size > 125:
            return None  # longer than any request may read
        return document | {"count": point.size}
    document["sentinel"] = [] if sentinel is None else sentinel
    if isinstance(point.scale, int):
        gain *= 10.0**point.scale
    elif point.scale is not None and not kind.startswith("f"):
        scale = next(
            (names[path, point.scale] for path in _outwards(item.path) if (path, point.scale) in names), None
        )
        if scale is None:
            return None
        document["scale"] = scale
    document |= {"gain": gain, "unit": unit}
    if point.type == "sunssf":
        document["valid"] = [-10.0, 10.0]
    if point.writable:
        document["access"] = "rw"
    limit = 16 * item.point.size
    if point.type.startswith("bitfield"):
        bits = {str(bit): text.lower() for bit, text in point.symbols.items() if 0 <= bit < limit}
        document |= {"bits": bits} if bits else {}
    elif point.symbols:
        document["enum"] = {str(raw): text.lower().replace("_", " ") for raw, text in point.symbols.items()}
    return document


def _outwards(path: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [path[:i] for i in range(len(path), -1, -1)]


def _poll(model: int, name: str, *, writable: bool, deep: bool) -> str:
    if name in FAST or name == TIMER:
        return "fast"
    if name.endswith("_power_max"):
        return "normal"
    if model in _ONCE:
        return "once"
    return "slow" if writable or deep else "normal"


def _align_scales(points: dict[str, dict[str, Any]]) -> None:
    """Read each scale factor with the value that needs it most often: it may change."""
    used: dict[str, str] = {}
    for point in points.values():
        scale = point.get("scale")
        if scale is not None:
            used[scale] = min(used.get(scale, points[scale]["poll"]), point["poll"], key=_POLLS.index)
    for scale, poll in used.items():
        points[scale]["poll"] = poll


def _raw(item: Placed, memory: Mapping[int, int]) -> bytes | None:
    words = [memory.get(item.address + i) for i in range(item.point.size)]
    if any(word is None for word in words):
        return None
    return struct.pack(f">{len(words)}H", *(word or 0 for word in words))


def _implemented(item: Placed, raw: bytes | None) -> bool:
    """False when the device says of the point that it does not have it. A counter at 0 may yet count."""
    kind, sentinel = TYPES[item.point.type]
    if raw is None or item.point.type.startswith("acc"):
        return True
    if kind == "text":
        return raw.strip(b"\0") != b""
    if kind in {"f32", "f64"}:
        return not math.isnan(struct.unpack(">f" if kind == "f32" else ">d", raw)[0])
    return sentinel is None or int.from_bytes(raw, "big", signed=kind.startswith("i")) != sentinel
