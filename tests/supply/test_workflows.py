"""The workflows: every action bound to a commit, no right that a job does not need, nothing that runs for ever."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from release.lock import ROOT

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
ACTIONS = sorted((FOLDER / "actions").glob("*/action.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OURS = "$/.github/actions/"


def loaded(path: Path) -> dict[str, Any]:
    read: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return {("on" if key is True else str(key)): value for key, value in read.items()}


def jobs() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{path.stem}/{name}", job) for path in WORKFLOWS for name, job in loaded(path)["jobs"].items()]


def unpinned(text: str) -> list[str]:
    """The actions that are not bound to a commit, with the version that the commit is."""
    uses = [line.strip() for line in re.findall(r"uses:\s*(.+)", text)]
    return [name for name in uses if not (name.startswith(OURS) or PINNED.fullmatch(name))]


def test_there_are_workflows() -> None:
    assert {path.stem for path in WORKFLOWS} >= {"ci", "image", "release", "docs"}


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_action_is_bound_to_a_commit(path: Path) -> None:
    assert unpinned(path.read_text("utf-8")) == []


def test_an_action_by_its_tag_is_found() -> None:
    short = (
        "uses: actions/checkout@v7\nuses: actions/checkout@3d3c42e # v7.0.1\nuses: ./.github/actions/prepare"
    )
    assert len(unpinned(short)) == 3
    assert unpinned("uses: actions/checkout@" + "3" * 40) == ["actions/checkout@" + "3" * 40]


def test_one_version_of_each_action() -> None:
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS + ACTIONS)
    seen: dict[str, set[str]] = {}
    for name, commit in re.findall(r"uses:\s*([\w.-]+/[\w.-]+)[\w./-]*@([0-9a-f]{40} # \S+)", text):
        seen.setdefault(name, set()).add(commit)
    assert {name: found for name, found in seen.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read(path: Path) -> None:
    assert loaded(path)["permissions"] in ({}, {"contents": "read"})
    assert "pull_request_target" not in loaded(path)["on"]
    assert loaded(path)["concurrency"]["group"]


@pytest.mark.parametrize(("name", "job"), jobs(), ids=[name for name, _ in jobs()])
def test_a_job_ends_and_keeps_no_credentials(name: str, job: dict[str, Any]) -> None:
    assert 0 < job["timeout-minutes"] <= 60
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name


def test_what_may_write_does_so_for_a_tag_or_main_alone() -> None:
    writers = {name for name, job in jobs() if "write" in job.get("permissions", {}).values()}
    assert writers == {
        *("codeql/analyse", "scorecard/score", "docs/deploy", "image/build", "image/publish"),
        *("release/attest", "release/index", "release/publish"),
    }
    assert loaded(FOLDER / "workflows" / "release.yml")["on"] == {"push": {"tags": ["v*"]}}


def test_every_supported_python_is_tested_on_both_architectures() -> None:
    matrix = loaded(FOLDER / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix == {"os": ["ubuntu-24.04", "ubuntu-24.04-arm"], "python": ["3.11", "3.12", "3.13", "3.14"]}


def test_what_a_workflow_runs_exists() -> None:
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    for module in re.findall(r"-m ((?:release|benchmarks)\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


@pytest.mark.parametrize(
    "command",
    [
        ["actionlint"],
        ["zizmor", "--offline", "--no-progress", "--quiet", "."],
    ],
    ids=lambda command: command[0],
)
def test_a_checker_has_no_complaint(command: list[str]) -> None:
    tool = shutil.which(command[0], path=sysconfig.get_path("scripts")) or shutil.which(command[0])
    if tool is None:
        pytest.skip(f"{command[0]} is not installed (make .venv/.development)")
    place = FOLDER if command[0] == "zizmor" else ROOT
    done = subprocess.run([tool, *command[1:]], cwd=place, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
