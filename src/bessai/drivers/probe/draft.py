"""A profile's skeleton for a device that no profile fits: what it has, and nothing that would be guessed."""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bessai.drivers.modbus import DeviceException, read
from bessai.drivers.probe.gentle import GentleClient
from bessai.model import Endpoint
from bessai.registry import Profile

_WIDEST = 32
"""Registers of the first reads; refused ones are halved."""
_PORT = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Registers of a table, to be looked at."""

    table: str
    address: int
    count: int

    def __str__(self) -> str:
        return f"{self.table} {self.address}-{self.address + self.count - 1}"


@dataclass(slots=True)
class Scan:
    """What a look at spans of registers brought."""

    words: dict[tuple[str, int], int] = field(default_factory=dict)
    """Raw value by table and address, of the registers that can be read."""
    widest: int = 1
    """Registers of the largest read that was answered."""
    left: list[Span] = field(default_factory=list)
    """What was not looked at, because the bound was reached or the device fell silent."""
    requests: int = 0


def parse_spans(text: str, tables: Sequence[str]) -> list[Span]:
    """Spans of `0-200,30000-30100`, for each table. Addresses count from 0.

    Raises:
        ValueError: says what to write instead.
    """
    spans: list[Span] = []
    for table in tables:
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last <= 65535:
                raise ValueError(f"{part!r} is no span of registers; write FIRST-LAST, for example 0-200")
            spans.append(Span(table=table, address=first, count=last - first + 1))
    return spans


async def scan(client: GentleClient, unit: int, spans: Sequence[Span], *, requests: int) -> Scan:
    """Read spans, wide reads first; a refused one is halved until single registers are told apart."""
    result = Scan()
    waiting = deque(
        Span(table=span.table, address=at, count=min(_WIDEST, span.address + span.count - at))
        for span in spans
        for at in range(span.address, span.address + span.count, _WIDEST)
    )
    absent: set[str] = set()
    while waiting:
        if result.requests >= requests or client.exhausted or client.of(unit).given_up:
            result.left = list(waiting)
            break
        span = waiting.popleft()
        if span.table in absent:
            continue
        reply = await client.ask(unit, read(span.table, span.address, span.count))
        result.requests += 1
        if isinstance(reply, bytes):
            words = struct.unpack(f">{span.count}H", reply)
            result.words |= {(span.table, span.address + i): word for i, word in enumerate(words)}
            result.widest = max(result.widest, span.count)
        elif isinstance(reply, DeviceException) and reply.code == 1:
            absent.add(span.table)
        elif span.count > 1:
            half = span.count // 2
            waiting.append(Span(table=span.table, address=span.address, count=half))
            waiting.append(Span(table=span.table, address=span.address + half, count=span.count - half))
    return result


def draft_document(
    profile_id: str,
    endpoint: Endpoint,
    unit: int,
    found: Scan,
    *,
    date: str,
    pause: float,
    identification: Mapping[str, str],
) -> dict[str, Any]:
    """The document of a profile that reads what was found, as raw numbers without meaning.

    Raises:
        ValueError: nothing could be read.
    """
    if not found.words:
        raise ValueError("no register of the spans can be read; give others with --registers and --table")
    points = {
        f"{table}_{address}": {
            "address": address,
            "table": table,
            "type": "u16",
            "sentinel": [],
            "poll": "slow",
            "description": f"Meaning unknown; held {word} (0x{word:04x}) on {date}",
            "sources": ["probe"],
        }
        for (table, address), word in sorted(found.words.items())
    }
    caveats = [
        (
            "A draft made by a probe, not a profile yet: replace these raw numbers by points with name, type, gain and "
            "unit from the maker's document, name that document in `sources`, and remove what nobody can show."
        ),
        "`kinds` says meter only because a profile must say something; what the device is, a probe cannot see.",
    ]
    if found.left:
        spans = ", ".join(str(span) for span in found.left[:8]) + (" …" if len(found.left) > 8 else "")
        caveats.append(f"Not looked at, because the bound of the scan was reached: {spans}.")
    return {
        "schema_version": 1,
        "id": profile_id,
        "manufacturer": identification.get("vendor") or "unknown",
        "model": _model(identification),
        "kinds": ["meter"],
        "status": "documented",
        "connection": _connection(endpoint, unit)
        | {"pause": pause, "max_registers": found.widest, "max_gap": 0},
        "points": points,
        "caveats": [{"text": text, "source": "probe"} for text in caveats],
        "sources": {
            "probe": {
                "title": f"bessai probe on {date}",
                "kind": "project",
                "where": f"registers read from the device itself, unit {unit} at {endpoint}",
            }
        },
    }


def sunspec_document(profile_id: str, endpoint: Endpoint, unit: int, profile: Profile) -> dict[str, Any]:
    """The generated profile of a SunSpec device, under a name of its own."""
    document = profile.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document["connection"] = document.get("connection", {}) | _connection(endpoint, unit)
    return {"schema_version": 1, **document, "id": profile_id}


def _connection(endpoint: Endpoint, unit: int) -> dict[str, Any]:
    return {"port": _PORT if endpoint.serial else endpoint.port, "unit": unit}


def _model(identification: Mapping[str, str]) -> str:
    told = [identification.get(name) for name in ("model", "product_name", "product", "revision")]
    return " ".join(dict.fromkeys(text for text in told if text)) or "unknown"
