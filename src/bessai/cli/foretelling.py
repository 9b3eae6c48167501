"""What a request would come to, in lines for people: the sentences of the gateway and the page's words for limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bessai.model.wording import in_words


def foretold(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines about one answer of the op `preview`."""
    yield from found["words"]
    for limit in found["limited_by"]:
        known = limit["low"] is not None or limit["high"] is not None
        left = f" ({_kw(limit['low'])} … {_kw(limit['high'])})" if known else ""
        yield f"  {limit['name']}: {in_words(limit['name'])['en']}{left}"
    if found.get("reactive") is not None:
        yield f"reactive power: {found['reactive']:g} kvar"
    low, high = found["bounds"]
    yield f"allowed now: {_kw(low)} … {_kw(high)}"
    yield "clipped" if found["clipped"] else "not clipped"


def _kw(power: float | None) -> str:
    return "open" if power is None else f"{power:g} kW"
