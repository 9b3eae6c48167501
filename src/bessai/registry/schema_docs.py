"""JSON Schemas in words, and `docs/reference/profile.md`, which is made from that of a profile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bessai.registry.schema import profile_json_schema

_HEAD = """# The fields of a profile

Made from the code by `bessai reference profile`; edit `src/bessai/registry/schema.py`, not this page. Editors use the
same as JSON Schema, [`registry/profile.schema.json`](../../registry/profile.schema.json).
[Write a profile in 20 minutes](../profiles.md) walks through one. What is printed in bold is required.
"""
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
}
_UNTOLD = object()


def profile_markdown() -> str:
    """The page, ending with a line break."""
    schema = profile_json_schema()
    parts = {"Profile": schema, **schema["$defs"]}
    lines = [_HEAD]
    for name, part in parts.items():
        lines += [f"## {name}", "", *_paragraphs(part.get("description", "")), *_table(part), ""]
    return "\n".join(lines)


def allowed(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words; a part that has a name is a link to its section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            some = [allowed(one) for one in schema[word] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(some))
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {allowed(schema.get('items', {}))}"
    if kind == "object":
        return _keyed(schema)
    words = "file or directory" if schema.get("format") == "path" else _WORDS.get(kind, kind)
    bounds = [f"{sign} {schema[name]:g}" for name, sign in _BOUNDS.items() if name in schema]
    if pattern := schema.get("pattern"):
        words = _patterned(pattern)
    return f"{words} {', '.join(bounds)}".rstrip()


def default(schema: Mapping[str, Any]) -> str:
    """The default in a table; empty when there is none to tell."""
    value = schema.get("default", _UNTOLD)
    if value is _UNTOLD or value is None or isinstance(value, dict):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value).removesuffix('.0')}`"


def cell(text: str) -> str:
    """Text as it may stand in a table, `<words>` outside of code included."""
    return re.sub(r"(`[^`]*`)|<(?=\w)", lambda found: found[1] or "&lt;", " ".join(text.split())).replace(
        "|", r"\|"
    )


def _keyed(schema: Mapping[str, Any]) -> str:
    inner = [*schema.get("patternProperties", {}).values()]
    if isinstance(schema.get("additionalProperties"), dict):
        inner.append(schema["additionalProperties"])
    return f"names to {' or '.join(allowed(one) for one in inner)}" if inner else "object"


def _patterned(pattern: str) -> str:
    """A name is told as such; another pattern is shown."""
    plain = re.fullmatch(r"\^\[a-z\]\[a-z0-9_(-?)\]\*\$", pattern)
    return "name" if plain else f"text like `{pattern}`"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, text.split("\n\n")):
        yield " ".join(paragraph.split())
        yield ""


def _table(part: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | value | default | meaning |"
    yield "|---|---|---|---|"
    needed = set(part.get("required", ()))
    for name, field in part["properties"].items():
        shown = f"**`{name}`**" if name in needed else f"`{name}`"
        told = field.get("description", "")
        yield f"| {shown} | {cell(allowed(field))} | {cell(default(field))} | {cell(told)} |"
