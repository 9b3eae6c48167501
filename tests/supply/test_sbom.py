"""The list of parts names every locked requirement, is valid CycloneDX, and the same each time."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from release import sbom
from release.lock import ROOT, RUNTIME, page_packages, pins


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return sbom.document()


def test_every_locked_requirement_is_in_it(made: dict[str, Any]) -> None:
    named = {part["purl"] for part in made["components"]}
    assert named == {f"pkg:pypi/{pin.name}@{pin.version}" for pin in pins(ROOT / RUNTIME)} | {
        f"pkg:npm/{part.name}@{part.version}" for part in page_packages()
    }


def test_each_part_has_its_licence_and_hashes(made: dict[str, Any]) -> None:
    for part in made["components"]:
        assert part["licenses"], part["name"]
        assert part["externalReferences"][0]["hashes"], part["name"]


def test_each_part_is_needed_by_another(made: dict[str, Any]) -> None:
    needed = {below for entry in made["dependencies"] for below in entry["dependsOn"]}
    assert {part["bom-ref"] for part in made["components"]} == needed
    above = {entry["ref"]: entry["dependsOn"] for entry in made["dependencies"]}
    assert any(ref.startswith("pkg:pypi/starlette@") for ref in above[_ref(made, "fastapi")])


def _ref(made: dict[str, Any], name: str) -> str:
    return next(str(part["bom-ref"]) for part in made["components"] if part["name"] == name)


def test_it_is_valid(made: dict[str, Any]) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    judge = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    short = json.loads(json.dumps(made))
    for part in short["components"]:  # of each kind of thing one or two: the schema compares all with all
        del part["externalReferences"][0]["hashes"][2:]
    del short["components"][2:-2], short["dependencies"][3:]
    assert judge.validate_str(json.dumps(short)) is None
    del short["components"][0]["name"]
    assert judge.validate_str(json.dumps(short)) is not None


def test_it_is_the_same_each_time(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert sbom.document() == made
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    assert sbom.document()["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"


def test_another_program_finds_the_same_packages(made: dict[str, Any], tmp_path: Path) -> None:
    tool = shutil.which("cyclonedx-py", path=sysconfig.get_path("scripts"))
    if tool is None:
        pytest.skip("cyclonedx-py is not installed (cyclonedx-bom)")
    other = tmp_path / "other.json"
    command = [tool, "requirements", "--short-PURLs", "--no-validate", "-o", str(other), str(ROOT / RUNTIME)]
    subprocess.run(command, check=True)
    purls = {part["purl"] for part in json.loads(other.read_text("utf-8"))["components"]}
    assert purls == {part["purl"] for part in made["components"] if part["purl"].startswith("pkg:pypi/")}
