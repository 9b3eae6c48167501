"""Two builds of one commit are the same bytes, so anybody can see that a release is made of these sources."""

import datetime
import tomllib
import zipfile
from pathlib import Path

import pytest
from release import reproduce
from release.lock import ROOT

BUILT = ROOT / reproduce.PAGE


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """One test, for each build costs seconds: equal, whole, and of the commit's time."""
    if not (BUILT / "index.html").exists():
        pytest.skip("the page is not built (make page)")
    one, other = reproduce.two(tmp_path, BUILT)
    assert len(list(one.iterdir())) == 2
    assert reproduce.differences(one, other) == []
    wheel = zipfile.ZipFile(next(one.glob("*.whl")))
    whole(set(wheel.namelist()))
    asked = datetime.datetime.fromtimestamp(int(reproduce.moment()), datetime.UTC).replace(second=0)
    assert {datetime.datetime(*item.date_time[:5], tzinfo=datetime.UTC) for item in wheel.infolist()} == {
        asked
    }


def whole(names: set[str]) -> None:
    """The wheel has all that it needs, and nothing else."""
    assert {"bessai/interfaces/api/page/index.html", "bessai/registry/profiles/huawei_sun2000.json"} <= names
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for text in project["license-files"]:
        assert any(name.endswith(f"licenses/{text}") for name in names), text
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"bessai"}


def test_the_time_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
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
