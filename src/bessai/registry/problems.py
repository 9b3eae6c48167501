"""Problems of the files that people write: each names its file, field, value and mend."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file."""

    file: str
    field: str
    """Path of the field, for example `points.soc.gain`."""
    value: str
    """The offending value as it stands in the file, shortened."""
    mend: str
    """What is wrong and what to write instead."""

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        text = f"{where} = {self.value}: {self.mend}" if self.value else f"{where}: {self.mend}"
        return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair cannot be printed


def explain(error: ValidationError, file: str, document: Any, fields: Sequence[str]) -> list[Problem]:
    """What pydantic found, a problem a field. `fields` are the names that a misspelt one may have meant."""
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        path = _path(item["loc"], document)
        mend = item["msg"].removeprefix("Value error, ")
        value = shorten(at(document, path))
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(path[-1], fields, 1)
            mend = f"unknown field; did you mean `{near[0]}`?" if near else "unknown field; remove it"
        elif item["type"] == "missing":
            mend, value = "required field is missing; add it", ""
        elif item["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            path.append("kind")
            value = shorten(at(document, path))
            mend = "must be duration, timeout, heartbeat, rewrite or none"
        elif item["type"] == "string_pattern_mismatch":
            mend = "use lower-case letters, digits and _, beginning with a letter"
        field = ".".join(part or '""' for part in path)
        # one field may fail once for each type that it may have
        if field in found and found[field].value == value:
            mend = f"{found[field].mend}, or: {mend}"
        found[field] = Problem(file, field, value, mend)
    return list(found.values())


_TAGS = {"duration", "timeout", "heartbeat", "rewrite", "none", "[key]", "int", "list[int]"}
"""Path parts that pydantic adds and that do not stand in the file (unless they are real keys)."""


def _path(loc: tuple[str | int, ...], document: Any) -> list[str]:
    path: list[str] = []
    for part in loc:
        here = at(document, path)
        if part not in _TAGS or (isinstance(here, dict) and part in here):
            path.append(str(part))
    return path


def at(document: Any, path: list[str]) -> Any:
    """What stands at a path of a document; None where nothing does."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, BaseModel):
            document = getattr(document, part, None)
        else:
            return None
    return document


def shorten(value: Any) -> str:
    """A value as it stands in the file, cut to a readable length; empty for nothing and for large ones."""
    if value is None or (isinstance(value, dict | list) and len(value) > 4):
        return ""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):  # YAML can name a value inside itself, or by a list
        return ""
    return text if len(text) <= 60 else text[:57] + "…"
