"""Two builds of one commit are the same bytes, so anybody can see that a release is made of these sources."""

import datetime
import tomllib
import zipfile
from pathlib import Path

import pytest
from release import reproduce
from release.lock import ROOT

BUILT = ROOT / reproduce.PAGE


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if not (BUILT / "index.html").exists():
        pytest.skip("the page is not built (make page)")
    return reproduce.two(tmp_path_factory.mktemp("reproduce"), BUILT)


def test_two_builds_are_the_same(built: tuple[Path, Path]) -> None:
    one, other = built
    assert len(list(one.iterdir())) == 2
    assert reproduce.differences(one, other) == []


def test_the_wheel_has_all_that_it_needs(built: tuple[Path, Path]) -> None:
    wheel = next(built[0].glob("*.whl"))
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"bessai/interfaces/api/page/index.html", "bessai/registry/profiles/huawei_sun2000.json"} <= names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for text in project["license-files"]:
        assert any(name.endswith(f"licenses/{text}") for name in names), text
    assert not [name for name in names if "test" in name.split("/")[0] or name.startswith(("release", "ui"))]


def test_files_carry_the_time_that_is_asked_for(
    built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = zipfile.ZipFile(next(built[0].glob("*.whl")))
    asked = datetime.datetime.fromtimestamp(int(reproduce.moment()), datetime.UTC)
    assert {datetime.datetime(*item.date_time[:5], tzinfo=datetime.UTC) for item in wheel.infolist()} == {
        asked.replace(second=0)
    }
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    assert reproduce.moment() == "1790000000"


def test_a_difference_is_found_and_named(tmp_path: Path) -> None:
    for place, word in (("one", "1"), ("other", "2")):
        (tmp_path / place).mkdir()
        with zipfile.ZipFile(tmp_path / place / "x.whl", "w") as archive:
            archive.writestr(zipfile.ZipInfo("same.py"), "0")
            archive.writestr(zipfile.ZipInfo("changed.py"), word)
    (tmp_path / "one" / "lonely.whl").write_bytes(b"")
    assert reproduce.differences(tmp_path / "one", tmp_path / "other") == [
        "lonely.whl: only one of the builds made it",
        "x.whl: differs in changed.py",
    ]


@pytest.mark.soak
def test_two_whole_builds_are_the_same(tmp_path: Path) -> None:
    """With Node: the page is built twice too. CI runs it as `python -m release.reproduce`."""
    one, other = reproduce.two(tmp_path)
    assert reproduce.differences(one, other) == []
