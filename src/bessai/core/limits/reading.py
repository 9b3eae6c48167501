"""Reads the YAML of a limits file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from bessai.registry.problems import Problem
from bessai.site.reading import StrictYamlLoader


class LimitsError(ValueError):
    """A limits file that cannot be used. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def read_document(path: Path) -> dict[str, Any]:
    """The content of a limits file, dates as text.

    Raises:
        LimitsError: it cannot be read, or is no YAML mapping.
    """

    def fail(mend: str, field: str = "") -> LimitsError:
        return LimitsError([Problem(str(path), field, "", mend)])

    try:
        document = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=StrictYamlLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise fail("there is no such file; give the path of a limits file") from None
    except OSError as error:
        raise fail(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise fail("is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise fail(f"not YAML: {error.problem}", where) from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise fail(f"not YAML: {error}") from None
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise fail("must be a mapping with `chemistry`; see config/limits.example.yaml")
    try:
        return {key: _plain(value, 1) for key, value in document.items()}
    except ValueError as error:
        raise fail(str(error)) from None


def _plain(value: Any, depth: int) -> Any:
    if depth > 20:
        raise ValueError("is nested too deeply")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return value.isoformat() if isinstance(value, date) else value
