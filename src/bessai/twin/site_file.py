"""The site file of a simulation: the real one with the endpoints of the simulated buses in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bessai.model import Endpoint, parse_endpoint

_NUMBER = re.compile(r"\{n([+-]\d+)?(?::0(\d))?\}")
_HEAD = (
    "# Made by `bessai simulate --write` from {name}: the same plant, with the endpoints of its simulation.\n"
)


def simulated_file(source: Path, target: Path, endpoints: Mapping[Endpoint, str]) -> None:
    """Write the site file of a simulation.

    Args:
        source: the checked file of the real plant.
        target: what to write; replaced when it is there.
        endpoints: text of the simulated endpoint for each real one.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the endpoints of a device with `count` cannot be told in one line.
    """
    document = yaml.safe_load(source.read_text(encoding="utf-8-sig"))
    folder = source.parent

    def simulated(text: str) -> str:
        return endpoints[parse_endpoint(text, folder=folder)]

    for name, text in (document.get("buses") or {}).items():
        document["buses"][name] = _unless_unused(text, simulated)
    for key, entry in document["devices"].items():
        beside = folder / str(entry["profile"])
        if beside.is_file():
            entry["profile"] = str(beside.resolve())
        if (text := entry.get("endpoint")) is not None:
            texts = [simulated(_numbered(text, n)) for n in range(1, (entry.get("count") or 1) + 1)]
            entry["endpoint"] = _joined(f"devices.{key}.endpoint", texts)
    target.write_text(
        _HEAD.format(name=source.name) + yaml.safe_dump(document, sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )


def _unless_unused(text: str, simulated: Any) -> str:
    try:
        return str(simulated(text))
    except KeyError:  # a bus that no device is on is not simulated either
        return text


def _joined(field: str, texts: list[str]) -> str:
    """One text, with `{n+5019}` where the endpoints count up with the device's number."""
    if len(set(texts)) == 1:
        return texts[0]
    stem, colon, first = texts[0].rpartition(":")
    if first.isdigit() and texts == [f"{stem}:{int(first) + i}" for i in range(len(texts))]:
        return f"{stem}{colon}{{n+{int(first) - 1}}}"
    raise ValueError(
        f"{field}: the simulated endpoints do not count up; give a --port above 0, or name the buses one by one"
    )


def _numbered(text: str, n: int) -> str:
    return _NUMBER.sub(lambda m: f"{n + int(m[1] or 0):0{int(m[2] or 0)}d}", text)
