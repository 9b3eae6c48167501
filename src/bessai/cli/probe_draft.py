"""`bessai probe --draft FILE`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessai.drivers.probe import GentleClient, Span, UnitFound
    from bessai.model import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is asked for."""

    file: Path
    force: bool
    spans: list[Span]
    requests: int
    """Most requests of the scan."""


def check_file(file: Path, *, force: bool) -> None:
    """Raise ValueError when a draft cannot be this file."""
    if file.suffix != ".json" or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", file.stem):
        raise ValueError(
            f"--draft {file}: the name becomes the profile's id; use lower-case letters, digits and _, and .json"
        )
    if file.exists() and not force:
        raise ValueError(
            f"--draft {file}: the file exists; choose another name, or overwrite it with --force"
        )
    if not file.absolute().parent.is_dir():
        raise ValueError(f"--draft {file}: there is no directory {file.parent}")


async def document_of(
    client: GentleClient, endpoint: Endpoint, job: Draft, units: Sequence[UnitFound], pause: float
) -> dict[str, Any]:
    """The draft of the one unit that answered.

    Raises:
        ValueError: several answered, a profile fits, or nothing can be read.
    """
    from bessai.drivers.probe import draft_document, scan, sunspec_document

    if len(units) > 1:
        numbers = ", ".join(str(found.unit) for found in units)
        raise ValueError(f"several units answer ({numbers}); say with --unit which one to draft")
    (found,) = units
    if found.fits and not job.force:
        raise ValueError(
            f"profile {found.fits[0].profile.id} fits, so no draft is needed; --force writes one all the same"
        )
    if found.sunspec is not None:
        return sunspec_document(job.file.stem, endpoint, found.unit, found.sunspec.profile)
    seen = await scan(client, found.unit, job.spans, requests=job.requests)
    return draft_document(
        job.file.stem,
        endpoint,
        found.unit,
        seen,
        date=datetime.now(UTC).date().isoformat(),
        pause=pause,
        identification=found.identification,
    )


def write(endpoint: Endpoint, file: Path, document: dict[str, Any]) -> str:
    """Write and check the draft. Returns what to tell.

    Raises:
        OSError: it cannot be written.
    """
    from bessai.cli.probe_view import quoted
    from bessai.registry import load_profile

    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    points = len(load_profile(file.absolute()).points)
    unit = document["connection"]["unit"]
    return (
        f"draft written to {file}: {points} points. Complete it, then:\n"
        f"  bessai profile check {file}\n  bessai read {quoted(endpoint)} --profile {file} --unit {unit}"
    )
