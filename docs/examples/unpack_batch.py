"""Rebuilds the records of a `bessai.batch/1`, each as the `bessai.telemetry/1` that it would have been.

For subscribers: standard library only, copy it. Run as `python unpack_batch.py < batch.json`: a record a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any


def records(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of a batch, in order."""
    count = batch["count"]
    start = datetime.fromisoformat(batch["start"])
    times = [start + timedelta(microseconds=micros) for micros in batch["time"]]
    kinds = each(batch["kind"], count)
    cycles = [i for i, kind in enumerate(kinds) if kind == "cycle"]
    points: list[dict[str, Any]] = [{} for _ in range(count)]
    for block in batch["points"]:
        unpack(block, cycles, times, points)
    sequence, verified, complete = (each(batch[name], count) for name in ("sequence", "verified", "complete"))
    device, texts, decisions, events = (
        dict(batch[name]) for name in ("device", "texts", "decisions", "events")
    )
    last_device, last_texts, last_decision = None, {}, None
    for i, kind in enumerate(kinds):
        last_device = device.get(i, last_device)
        last_texts = texts.get(i, last_texts)
        last_decision = decisions.get(i, last_decision)
        yield {
            "schema": "bessai.telemetry/1",
            "site": batch["site"],
            "epoch": batch["epoch"],
            "sequence": batch["first"] + (i if sequence[i] is None else sequence[i]),
            "kind": kind,
            "time": text(times[i]),
            "gateway": batch["gateway"],
            "device": last_device,
            "points": points[i],
            "texts": last_texts,
            "decision": last_decision if kind == "cycle" else None,
            "verified": verified[i],
            "events": events.get(i, []),
            "complete": complete[i],
        }


def unpack(
    block: dict[str, Any], cycles: list[int], times: list[datetime], points: list[dict[str, Any]]
) -> None:
    """Put the points of a block into the records that they are in."""
    where = block.get("records") or cycles
    ages = [each(age, len(where)) for age in block["ages"]]
    age_of = each(block["age"], len(block["names"]))
    for n, name in enumerate(block["names"]):
        values = each(block["values"][n], len(where))
        quality = each(block["quality"].get(name, "good"), len(where))
        meanings = (block.get("meanings") or {}).get(name, {})
        for i, value, trust, age in zip(where, values, quality, ages[age_of[n]], strict=True):
            point = points[i][name] = {
                "value": value,
                "unit": block["units"][n],
                "quality": trust,
                "time": None if age is None else text(times[i] - timedelta(microseconds=age)),
            }
            if value is not None and str(int(value)) in meanings:
                point["meaning"] = meanings[str(int(value))]


def each(item: Any, count: int) -> list[Any]:
    """A list with an item for each; what is no list stands for all."""
    return item if isinstance(item, list) else [item] * count


def text(time: datetime) -> str:
    """RFC 3339, UTC, microseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


if __name__ == "__main__":
    for record in records(json.load(sys.stdin)):
        print(json.dumps(record, ensure_ascii=False))
