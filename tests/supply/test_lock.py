"""What is installed is what was tested: one version of everything, bound by hashes, in step with pyproject.toml."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from release.lock import BUILD, CHECKOV, DEVELOPMENT, ROOT, RUNTIME, LockError, normalised, pins

FILES = (RUNTIME, DEVELOPMENT, BUILD, CHECKOV)
GROUPS = {DEVELOPMENT: ("dev", "checks", "docs"), BUILD: ("build",), CHECKOV: ("checkov",)}


def asked(file: str) -> list[Requirement]:
    """What pyproject.toml asks for in a file."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [line for name in GROUPS.get(file, ()) for line in project["dependency-groups"][name]]
    if file in {BUILD, CHECKOV}:
        return [Requirement(line) for line in groups]
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in (*project["project"]["dependencies"], *extras, *groups)]


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_bound_by_hashes(file: str) -> None:
    found = pins(ROOT / file)
    assert found
    assert [pin.name for pin in found if not pin.hashes] == []


@pytest.mark.parametrize("file", FILES)
def test_it_names_no_index(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert not re.search(r"^\s*--(?:index|extra|find|trusted)|https?://|\bgit\+", text, re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_it_is_in_step_with_pyproject(file: str) -> None:
    locked: dict[str, list[str]] = {}
    for pin in pins(ROOT / file):
        locked.setdefault(pin.name, []).append(pin.version)
    for wish in asked(file):
        versions = locked.get(normalised(wish.name), [])
        assert versions, f"{wish} is not locked in {file}: run `make lock`"
        assert all(wish.specifier.contains(version) for version in versions), f"{wish}, but locked {versions}"


def test_what_is_tested_is_what_runs() -> None:
    tested = {(pin.name, pin.version) for pin in pins(ROOT / DEVELOPMENT)}
    assert {(pin.name, pin.version) for pin in pins(ROOT / RUNTIME)} <= tested


@pytest.mark.parametrize(
    "line", ["rich>=14", "rich", "git+https://example.org/rich", "rich==15.0.0 --hash=md5:00"]
)
def test_a_line_that_pins_nothing_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    with pytest.raises(LockError, match="not a pinned requirement"):
        pins(tmp_path / "requirements.txt")


def test_every_package_of_the_page_is_bound_by_a_hash() -> None:
    locked = json.loads((ROOT / "ui" / "package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, entry in locked.items() if name and "integrity" not in entry] == []
    assert [name for name, entry in locked.items() if "resolved" in entry] == []
