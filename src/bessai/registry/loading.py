"""Reading profiles: every problem at once, each with its file, field, value and mend."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bessai.registry.checks import cross_check
from bessai.registry.commands import Control, DurationDeadMan, WriteStep
from bessai.registry.problems import Problem, at, explain, shorten
from bessai.registry.schema import Alive, Caveat, Connection, FieldTest, Fingerprint, Point, Profile, Source

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


class ProfileError(ValueError):
    """A profile that cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
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
        if is_file(candidate):
            return candidate
    known = [profile.stem for profile in list_profiles()]
    near = difflib.get_close_matches(path.stem, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"the registry has: {', '.join(known) or 'none'}"
    if path.stem == "sunspec":
        hint = "save what the SunSpec device says of itself, and name that: bessai probe HOST:PORT --draft FILE.json"
    raise ProfileError([Problem(str(name), "", "", f"no such profile; {hint}")])


def is_file(path: Path) -> bool:
    """Whether there is such a file; no for what cannot be the name of one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def load_profile(name: str | Path) -> Profile:
    """Read and check one profile.

    Raises:
        ProfileError: with all problems, when the file is missing, is not JSON, or is not a valid profile.
    """
    path = find_profile(name)
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise ProfileError([Problem(str(path), "", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ProfileError([Problem(str(path), "", "", "is not UTF-8 text")]) from None
    except RecursionError:
        raise ProfileError([Problem(str(path), "", "", "is nested too deeply")]) from None
    except json.JSONDecodeError as error:
        problem = Problem(
            str(path), f"line {error.lineno} column {error.colno}", "", f"not JSON: {error.msg}"
        )
        raise ProfileError([problem]) from None
    except _DuplicateKeyError as error:
        raise ProfileError([Problem(str(path), str(error), "", "given twice; keep one")]) from None
    except ValueError:
        raise ProfileError([Problem(str(path), "", "", "holds a number of thousands of digits")]) from None
    try:
        profile = Profile.model_validate(document)
    except ValidationError as error:
        raise ProfileError(explain(error, str(path), document, _FIELDS)) from None
    problems = [
        Problem(str(path), field, shorten(at(document, field.split("."))), mend)
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
