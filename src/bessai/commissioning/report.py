"""The report: everything that was found, with its evidence, as one JSON document.

The same document makes the page for people (`page`), now or years later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from bessai.commissioning.device import Device
from bessai.commissioning.procedure import Plan
from bessai.commissioning.results import StepResult, Verdict, overall
from bessai.commissioning.samples import Value

SCHEMA: Literal["bessai.commissioning/1"] = "bessai.commissioning/1"


class ReportError(ValueError):
    """A file that is no report. `problems` names every field that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One commissioning of one unit."""

    schema: Literal["bessai.commissioning/1"]
    procedure: Literal["commission", "deadman"]
    """All steps, or the dead-man test alone."""
    id: str
    """Correlation id of every request of this commissioning, as in the journal."""
    verdict: Verdict
    site: str
    gateway_version: str
    tool_version: str
    user: str
    reason: str
    attended: bool
    """False when nobody answered questions."""
    started: str
    """ISO 8601 with the offset of the place where it was run."""
    ended: str
    zone: str
    """Name of that time zone."""
    device: Device
    power: float
    """kW of the tests."""
    units: int
    """Commanded units of the plant; they shared the power of the tests."""
    full_power: bool
    points: Mapping[str, Value]
    """Every point when it began."""
    steps: tuple[StepResult, ...]


_ADAPTER = TypeAdapter(Report)


def make_report(
    *,
    procedure: Literal["commission", "deadman"],
    status: Mapping[str, Any],
    points: Mapping[str, Value],
    plan: Plan,
    steps: Sequence[StepResult],
    attended: bool,
    run_id: str,
    tool_version: str,
    started_ns: int,
    ended_ns: int,
    zone: tzinfo | None = None,
) -> Report:
    """Put together what is known. Times are UTC ns; `zone` None is the machine's own."""
    return Report(
        schema=SCHEMA,
        procedure=procedure,
        id=run_id,
        verdict=overall(steps),
        site=str(status.get("site") or ""),
        gateway_version=str(status.get("version") or ""),
        tool_version=tool_version,
        user=plan.user,
        reason=plan.reason,
        attended=attended,
        started=_local(started_ns, zone).isoformat(timespec="seconds"),
        ended=_local(ended_ns, zone).isoformat(timespec="seconds"),
        zone=_local(started_ns, zone).tzname() or "",
        device=plan.device,
        power=plan.power,
        units=plan.units,
        full_power=plan.full_power,
        points=dict(points),
        steps=tuple(steps),
    )


def to_json(report: Report) -> bytes:
    """The document; the same report gives the same bytes."""
    return _ADAPTER.dump_json(report, indent=2) + b"\n"


def plain(report: Report) -> Any:
    """The document as plain data."""
    return _ADAPTER.dump_python(report, mode="json")


def from_json(text: bytes | str) -> Report:
    """Read a document.

    Raises:
        ReportError: it is no report of this schema.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise ReportError(problems) from None


def report_json_schema() -> dict[str, Any]:
    """The JSON Schema, as published in `docs/commissioning.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_ADAPTER.json_schema(mode="serialization"),
        "title": "BESSAI commissioning report",
    }


def save(report: Report, page: str, folder: Path) -> tuple[Path, Path]:
    """Write both files into `folder`, named by the time; an earlier report is never replaced.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = datetime.fromisoformat(report.started).strftime("%Y%m%dT%H%M%S")
    name, number = stem, 1
    while (folder / f"{name}.json").exists():
        number += 1
        name = f"{stem}-{number}"
    json_path, html_path = folder / f"{name}.json", folder / f"{name}.html"
    json_path.write_bytes(to_json(report))
    html_path.write_text(page, encoding="utf-8")
    return json_path, html_path


def _local(wall_ns: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, zone).astimezone(zone)


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(report_json_schema(), indent=2) + "\n")
