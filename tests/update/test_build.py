"""What a slot takes over from the other one, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessai.update import UpdateError, build
from bessai.update.slots import Slots


def _slot(path: Path, requires: str = "numpy>=2") -> Path:
    packages = path / "lib" / "python3.11" / "site-packages"
    own = packages / "open_bess_edge-1.0.dist-info"
    for directory in (packages / "bessai" / "old", packages / "numpy" / "__pycache__", own):
        directory.mkdir(parents=True)
    (packages / "bessai" / "old" / "gone.py").write_text("")
    (packages / "numpy" / "__init__.py").write_text("x = 1\n")
    (packages / "numpy" / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"names the other slot")
    (own / "METADATA").write_text(f"Name: open-bess-edge\nVersion: 1.0\nRequires-Dist: {requires}\n")
    (own / "RECORD").write_text(
        "bessai/old/gone.py,,\n../../../bin/bessai,,\nopen_bess_edge-1.0.dist-info/METADATA,,\n"
    )
    return path


def test_everything_but_the_gateway_itself_is_taken_over(tmp_path: Path) -> None:
    """A file of the old version that the new one lacks must not be found there."""
    source = build._packages(_slot(tmp_path / "a"))
    target = tmp_path / "b" / "lib" / "python3.11" / "site-packages"
    target.mkdir(parents=True)
    build._inherit(source, target)
    assert {str(path.relative_to(target)) for path in target.rglob("*.py")} == {"numpy/__init__.py"}
    compiled = [path.read_bytes() for path in target.rglob("*.pyc")]
    assert compiled
    assert b"names the other slot" not in compiled
    assert (source / "bessai" / "old" / "gone.py").exists()
    assert (target / "numpy" / "__init__.py").stat().st_ino != (
        source / "numpy" / "__init__.py"
    ).stat().st_ino


def test_another_python_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "b" / "lib" / "python3.13" / "site-packages"
    target.mkdir(parents=True)
    with pytest.raises(UpdateError, match="use a bundle"):
        build._inherit(build._packages(_slot(tmp_path / "a")), target)


def test_what_it_needs_is_read_from_the_metadata(tmp_path: Path) -> None:
    assert build._needs(_slot(tmp_path / "a")) == ["numpy>=2"]
    assert build._needs(_slot(tmp_path / "b", "numpy>=3")) == ["numpy>=3"]


def test_what_the_gateway_lacks_is_told_and_what_others_lack_is_not(tmp_path: Path) -> None:
    pip = tmp_path / "python"
    other = "reportlab 4.4 requires charset-normalizer, which is not installed."
    pip.write_text(f"#!/bin/sh\necho '{other}'\nexit 1\n")
    pip.chmod(0o755)
    build._check(pip)
    own = "open-bess-edge 2.0 has requirement numpy>=3, but you have numpy 2.4.6."
    pip.write_text(f"#!/bin/sh\necho '{other}'\necho '{own}'\nexit 1\n")
    with pytest.raises(UpdateError, match=r"numpy>=3.*offline bundle"):
        build._check(pip)


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="cannot make it: no such thing"):
        build._step(["/bin/sh", "-c", "echo no such thing >&2; exit 1"], "make it")
    with pytest.raises(UpdateError, match="none"):
        build._step([str(tmp_path / "none")], "make it")


def test_leftovers_of_an_update_that_was_cut_off_go(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("a")
    for name in (".staged-x", ".try", "a"):
        (tmp_path / name).mkdir()
    Slots(tmp_path).clean()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "current"]
