"""The ledger of licences: whole, right about what is installed here, and nothing in it that may not be used so."""

import email.message
from importlib.metadata import Distribution
from typing import Any

import pytest
from release import licences
from release.lock import ROOT, page_packages
from release.spdx import allowed, licence_of


def test_there_are_no_findings() -> None:
    assert licences.findings() == []


def test_the_page_is_what_the_ledger_says() -> None:
    assert licences.PAGE.read_text("utf-8") == licences.page(), "run `python -m release.licences --write`"


def test_the_notice_has_the_text_of_everything_in_the_page() -> None:
    text = licences.NOTICE.read_text("utf-8")
    for part in page_packages():
        assert f"{part.name} ({part.licence})" in text
    if (ROOT / "ui" / "node_modules").is_dir():
        assert text == licences.notice(), "run `python -m release.licences --write`"


def test_copyleft_at_run_time_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    book = licences.ledger() | {"rich": "GPL-3.0-only", "c104": "AGPL-3.0-only"}
    monkeypatch.setattr(licences, "ledger", lambda: book)
    found = licences.findings()
    assert "rich: GPL-3.0-only is not allowed for runtime" in found
    assert "c104: AGPL-3.0-only is not allowed for development" in found
    assert any(line.startswith("rich: says MIT, the ledger says GPL-3.0-only") for line in found)


def test_a_package_that_nobody_wrote_down_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    book = {name: licence for name, licence in licences.ledger().items() if name != "rich"} | {"gone": "MIT"}
    monkeypatch.setattr(licences, "ledger", lambda: book)
    assert [line.partition(":")[0] for line in licences.findings()] == ["rich", "gone"]


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(EPL-2.0 OR BSD-3-Clause) AND MIT", True),
        ("MIT AND (GPL-2.0-only OR AGPL-3.0-only)", False),
        ("MIT OR GPL-3.0-only AND AGPL-3.0-only", True),
        ("", False),
        ("MIT MIT", False),
        ("(MIT", False),
    ],
)
def test_expressions(expression: str, good: bool) -> None:
    assert allowed(expression, {"MIT", "BSD-3-Clause"}) is good


class Told(Distribution):
    """A package that says this of itself."""

    def __init__(self, **said: Any) -> None:
        self._message = email.message.Message()
        for name, value in said.items():
            for one in value if isinstance(value, list) else [value]:
                self._message[name.replace("_", "-")] = one

    @property
    def metadata(self) -> Any:
        return self._message

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Any:
        return path


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"Classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"License": "BSD", "Classifier": ["License :: OSI Approved :: BSD License"]}, None),
        ({"License": "MIT OR WTFPL"}, None),
        (
            {
                "Classifier": [
                    f"License :: OSI Approved :: {one}" for one in ("MIT License", "Apache Software License")
                ]
            },
            None,
        ),
        ({}, None),
    ],
)
def test_what_leaves_doubt_is_not_guessed(said: dict[str, Any], licence: str | None) -> None:
    assert licence_of(Told(**said)) == licence
