"""`docs/reference/settings.md`, made from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from bessai.core.destinations import Destinations
from bessai.core.settings import Settings
from bessai.registry.schema_docs import allowed, cell, default

_HEAD = """# Settings

Made from the code by `bessai reference settings`; edit `src/bessai/core/settings.py`, not this page.

Environment variables, or the same names in `config/.env` (the environment wins; an empty value counts as unset). All
problems are reported at the start, together, with exit code 2; `bessai config check` reports them without a start.
`SITE_ID` is required, and one of `INVERTER_IP` and `SITE_FILE`.
"""
_ELSEWHERE = """## Other places that records go to

Each group is off until its first variable is set, except the history. A password, a token or a key is better in a file.
"""


def settings_markdown() -> str:
    """The page, ending with a line break."""
    fields = Settings.model_json_schema()["properties"]
    own = [name for name in fields if name not in Destinations.model_fields]
    others = [name for name in fields if name in Destinations.model_fields]
    lines = [_HEAD, "## The gateway", "", *_table(own, fields), "", _ELSEWHERE]
    for group, names in groupby(others, lambda name: name.partition("_")[0]):
        lines += [f"### {group.upper()}", "", *_table(names, fields), ""]
    return "\n".join(lines)


def _table(names: Iterable[str], fields: dict[str, Any]) -> Iterator[str]:
    yield "| variable | value | default | meaning |"
    yield "|---|---|---|---|"
    for name in names:
        field = fields[name]
        yield f"| `{name.upper()}` | {cell(allowed(field))} | {cell(default(field))} | {cell(field['description'])} |"
