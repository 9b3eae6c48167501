"""Reading profiles: every problem at once, each with its file, field, value and mend."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bessai.registry.checks import cross_check
from bessai.registry.schema import (
    Alive,
    Caveat,
    Connection,
    Control,
    DurationDeadMan,
    FieldTest,
    Fingerprint,
    Point,
    Profile,
    Source,
    WriteStep,
)

_MODELS = (
    Profile, Connection, Point, Control, WriteStep, Source, Caveat, DurationDeadMan, Alive, Fingerprint, FieldTest,
)  # fmt: skip

_FIELDS = sorted(
    {
        alias
        for model in _MODELS
        for name, field in model.model_fields.items()
        for alias in (field.alias or name,)
    }
)


@dataclass(frozen=True, slots=True)
class ProfileProblem:
    """One thing that is wrong with a profile."""

    file: str
    field: str
    """Path of the field, for example `points.soc.gain`."""
    value: str
    """The offending value as it stands in the file, shortened."""
    mend: str
    """What is wrong and what to write instead."""

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        return f"{where} = {self.value}: {self.mend}" if self.value else f"{where}: {self.mend}"


class ProfileError(ValueError):
    """A profile that cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[ProfileProblem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def profile_directory() -> Path:
    """The registry that comes with the gateway: the checkout's, or the one packed into the wheel."""
    packed = Path(__file__).parent / "profiles"
    return packed if packed.is_dir() else Path(__file__).parents[3] / "registry"


def list_profiles() -> list[Path]:
    """The files of the registry's profiles, by name."""
    return sorted(
        path for path in profile_directory().glob("*.json") if not path.name.endswith(".schema.json")
    )


def find_profile(name: str | Path) -> Path:
    """The file that a path or a registry name (with or without `registry/` and `.json`) stands for.

    Raises:
        ProfileError: when there is no such file; suggests the nearest name.
    """
    path = Path(name)
    directory = profile_directory()
    packed = directory / (path.name if path.suffix == ".json" else f"{path.name}.json")
    named = len(path.parts) == 1 or path.parts[:-1] == ("registry",)
    for candidate in (path, packed) if named else (path,):
        if candidate.is_file():
            return candidate
    known = [profile.stem for profile in list_profiles()]
    near = difflib.get_close_matches(path.stem, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"the registry has: {', '.join(known) or 'none'}"
    raise ProfileError([ProfileProblem(str(name), "", "", f"no such profile; {hint}")])


def load_profile(name: str | Path) -> Profile:
    """Read and check one profile.

    Raises:
        ProfileError: with all problems, when the file is missing, is not JSON, or is not a valid profile.
    """
    path = find_profile(name)
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise ProfileError([ProfileProblem(str(path), "", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ProfileError([ProfileProblem(str(path), "", "", "is not UTF-8 text")]) from None
    except RecursionError:
        raise ProfileError([ProfileProblem(str(path), "", "", "is nested too deeply")]) from None
    except json.JSONDecodeError as error:
        problem = ProfileProblem(
            str(path), f"line {error.lineno} column {error.colno}", "", f"not JSON: {error.msg}"
        )
        raise ProfileError([problem]) from None
    except _DuplicateKeyError as error:
        raise ProfileError([ProfileProblem(str(path), str(error), "", "given twice; keep one")]) from None
    try:
        profile = Profile.model_validate(document)
    except ValidationError as error:
        raise ProfileError(_explain(error, str(path), document)) from None
    problems = [
        ProfileProblem(str(path), field, _shorten(_at(document, field.split("."))), mend)
        for field, mend in cross_check(profile, path.stem)
    ]
    if problems:
        raise ProfileError(problems)
    return profile


class _DuplicateKeyError(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(key)
        result[key] = value
    return result


def _explain(error: ValidationError, file: str, document: Any) -> list[ProfileProblem]:
    found: dict[str, ProfileProblem] = {}
    for item in error.errors(include_url=False):
        path = _path(item["loc"], document)
        mend = item["msg"].removeprefix("Value error, ")
        value = _shorten(_at(document, path))
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(path[-1], _FIELDS, 1)
            mend = f"unknown field; did you mean `{near[0]}`?" if near else "unknown field; remove it"
        elif item["type"] == "missing":
            mend, value = "required field is missing; add it", ""
        elif item["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            path.append("kind")
            value = _shorten(_at(document, path))
            mend = "must be duration, timeout, heartbeat, rewrite or none"
        elif item["type"] == "string_pattern_mismatch":
            mend = "use lower-case letters, digits and _, beginning with a letter"
        field = ".".join(path)
        # one field may fail once for each type that it may have
        if field in found and found[field].value == value:
            mend = f"{found[field].mend}, or: {mend}"
        found[field] = ProfileProblem(file, field, value, mend)
    return list(found.values())


_TAGS = {"duration", "timeout", "heartbeat", "rewrite", "none", "[key]", "int", "list[int]"}
"""Path parts that pydantic adds and that do not stand in the file (unless they are real keys)."""


def _path(loc: tuple[str | int, ...], document: Any) -> list[str]:
    path: list[str] = []
    for part in loc:
        here = _at(document, path)
        if part not in _TAGS or (isinstance(here, dict) and part in here):
            path.append(str(part))
    return path


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, BaseModel):
            document = getattr(document, part, None)
        else:
            return None
    return document


def _shorten(value: Any) -> str:
    if value is None or (isinstance(value, dict | list) and len(value) > 4):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
