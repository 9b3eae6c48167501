"""How the description of a plant's columns becomes text and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bessai.journal.errors import DamagedRecordError
from bessai.model import Layout


def layout_to_json(layout: Layout, device: Mapping[str, str]) -> str:
    """A layout and its device as JSON; equal layouts give equal texts."""
    return json.dumps(
        {
            "names": layout.names,
            "units": layout.units,
            "states": {name: dict(meanings) for name, meanings in layout.states.items()},
            "bits": {name: dict(meanings) for name, meanings in layout.bits.items()},
            "device": dict(device),
        },
        separators=(",", ":"),
    )


def layout_from_json(text: str) -> tuple[Layout, dict[str, str]]:
    """A layout and its device from `layout_to_json`. Raises DamagedRecordError."""
    try:
        body = json.loads(text)
        numbered = [
            {name: {int(k): v for k, v in meanings.items()} for name, meanings in body[key].items()}
            for key in ("states", "bits")
        ]
        return Layout(tuple(body["names"]), tuple(body["units"]), *numbered), body["device"]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DamagedRecordError(f"a layout is damaged ({error})") from error
