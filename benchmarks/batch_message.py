"""Size and CPU of a record: many in one message beside one message each, and what report rules leave.

    python -m benchmarks.batch_message [--quick] [--json]

60 points of a plant, a hundred records a second apart: three in ten values change from one to the next, in steps of
what the devices measure; ages differ by device. All encoders take the same records in turn in each round.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Row, machine, median, parser, report
from bessai.interfaces.batch_message import encode_batch
from bessai.interfaces.courier import Lane
from bessai.interfaces.envelope import encode, from_entry
from bessai.interfaces.reporting import Reporter
from bessai.journal.entry import Entry
from bessai.model import Layout
from bessai.site import ReportFile

_DEVICES, _POINTS = 6, 10
_RECORDS = 100
_RULES = {"rules": [{"points": ["*"], "dead_band": 0.005, "at_least_every": 60.0}]}
_DECISION = {
    "state": "normal", "setpoint": -1.5, "bounds": {"low": -5.0, "high": 5.0}, "asked": -2.0, "source": "operator",
    "request_id": "r-1", "limited_by": ["soc_max"], "reasons": [], "considered": [],
}  # fmt: skip


def records(count: int) -> list[Entry]:
    """Records of a plant, the same in every run."""
    rng = np.random.default_rng(1)
    names = tuple(f"rack_{d}.cell_voltage_{p}" for d in range(_DEVICES) for p in range(_POINTS))
    layout = Layout(names, ("V",) * len(names))
    values = rng.normal(3.3, 0.02, len(names)).round(3)
    found = []
    for n in range(count):
        moved = rng.random(len(names)) < 0.3
        values = np.where(moved, (values + rng.normal(0, 0.004, len(names))).round(3), values)
        found.append(
            Entry(
                sequence=n + 1, kind="cycle", wall_ns=1_767_225_600_000_000_000 + n * 10**9 + int(rng.integers(10**7)),
                layout=layout, values=values, quality=np.zeros(len(names), np.uint8),
                ages=np.repeat(rng.random(_DEVICES) * 0.2, _POINTS).astype(np.float32),
                device={"profile": "test_device"}, decision=_DECISION, verified=True,
            )
        )  # fmt: skip
    return found


def separate(entries: Sequence[Entry]) -> list[bytes]:
    """A message a record."""
    return [encode(from_entry(entry, "plant-1")) for entry in entries]


def batch(entries: Sequence[Entry]) -> list[bytes]:
    """All in one message."""
    return [message.data for message in encode_batch(entries, "plant-1", Lane.LIVE, 0)]


def reported(entries: Sequence[Entry]) -> list[Entry]:
    """What report rules leave."""
    reporter = Reporter(ReportFile.model_validate(_RULES), "pubsub")
    return [told for entry in entries if (told := reporter.choose(entry)) is not None]


def _micros(work: Callable[[Sequence[Entry]], Any], entries: Sequence[Entry]) -> float:
    start = time.process_time()
    work(entries)
    return 1e6 * (time.process_time() - start) / _RECORDS


def main() -> None:
    """Measure and report."""
    given = parser(__doc__ or "").parse_args()
    entries = records(_RECORDS)
    works = {"one message each": separate, "one batch": batch, "report rules": reported}
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(10 if given.quick else 100):
        for name, work in works.items():
            taken[name].append(_micros(work, entries))
    left = reported(entries)
    rows: list[Row] = [(f"{name}: CPU a record", median(times), "µs") for name, times in taken.items()]
    for name, messages in (
        ("one message each", separate(entries)),
        ("one batch", batch(entries)),
        ("after report rules, one message each", separate(left)),
        ("after report rules, one batch", batch(left)),
    ):
        rows.append((f"{name}: size", sum(map(len, messages)) / _RECORDS, "B a record"))
        rows.append(
            (f"{name}: gzip", sum(len(gzip.compress(m, 6)) for m in messages) / _RECORDS, "B a record")
        )
    report({"machine": machine("pydantic"), "records": _RECORDS, "rows": rows}, rows, as_json=given.json)


if __name__ == "__main__":
    main()
