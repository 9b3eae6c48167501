"""Reads the YAML of a site file and of the files that go with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bessai.registry import Problem

_NUMBER = re.compile(r"\{n([+-]\d+)?(?::0(\d))?\}")


class SiteError(ValueError):
    """A site file, or one that goes with it, that cannot be used. `problems` lists all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StrictYamlLoader(yaml.SafeLoader):
    """YAML without repeated keys, which would hide what was meant."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is given twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, kind: str, needs: str) -> dict[Any, Any]:
    """The content of a YAML file.

    Args:
        path: the file.
        kind: what the file is, for messages.
        needs: what it must hold and where an example is, for messages.

    Raises:
        SiteError: it cannot be read, or is no YAML mapping.
    """

    def fail(mend: str, field: str = "") -> SiteError:
        return SiteError([Problem(str(path), field, "", mend)])

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise fail(f"there is no such file; give the path of a {kind}") from None
    except OSError as error:
        raise fail(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise fail("is not UTF-8 text") from None
    try:
        document = yaml.load(text, Loader=StrictYamlLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise fail(f"not YAML: {error.problem}", where) from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise fail(f"not YAML: {error}") from None
    if not isinstance(document, dict):
        raise fail(f"must be a mapping with {needs}")
    return document


def numbered(text: str, n: int) -> str:
    """A text with `{n}`, `{n+100}` and `{n:03}` replaced by the number."""
    return _NUMBER.sub(lambda m: f"{n + int(m[1] or 0):0{int(m[2] or 0)}d}", text)
