"""The profiles that the benchmarks read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bessai.registry import CompiledProfile, compile_profile, load_profile

GAIN = 0.1
_MIXED = ("u16", "i16", "u32", "i32", "f32")
_RACK = ("u16", "i16", "u16", "i16", "u32")


def mixed_profile(directory: Path, *, outstanding: int = 1) -> CompiledProfile:
    """100 points of mixed types, spread evenly over 300 registers: 3 reads."""
    points = {f"p{i:03}": _point(3 * i, _MIXED[i % len(_MIXED)]) for i in range(100)}
    path = directory / f"bench_{outstanding}.json"
    _write(path, "100 points in 300 registers", points, {"outstanding": outstanding})
    return compile_profile(load_profile(path))


def rack_profile(path: Path) -> CompiledProfile:
    """300 points, mostly u16 and i16 with some u32, one after the other in 360 registers: 3 reads."""
    points, address = {}, 0
    for i in range(300):
        kind = _RACK[i % len(_RACK)]
        points[f"p{i:03}"] = _point(address, kind)
        address += 2 if kind == "u32" else 1
    _write(path, "300 points in 3 reads", points, {})
    return compile_profile(load_profile(path))


def client_plan(profile: CompiledProfile) -> str:
    """The fast reads and points of a profile as `client.c` takes them."""
    lines = [f"block {block.address} {block.count}" for block in profile.plans["fast"].blocks]
    lines += [f"point {point.address} {point.type} {GAIN}" for point in profile.points.values()]
    return "\n".join(lines) + "\n"


def _point(address: int, kind: str) -> dict[str, Any]:
    return {"address": address, "type": kind, "gain": GAIN, "poll": "fast", "sources": ["b"]}


def _write(path: Path, model: str, points: dict[str, Any], connection: dict[str, Any]) -> None:
    profile = {
        "schema_version": 1, "id": path.stem, "manufacturer": "none", "model": model,
        "kinds": ["battery"], "status": "documented", "connection": connection, "points": points,
        "sources": {"b": {"title": "benchmark", "kind": "project", "where": "benchmarks/points.py"}},
    }  # fmt: skip
    path.write_text(json.dumps(profile), encoding="utf-8")
