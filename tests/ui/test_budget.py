"""The built page weighs no more than it may, and lies compressed beside itself."""

import gzip
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "src" / "bessai" / "interfaces" / "api" / "page"

ALL_SCRIPTS = 150_000
"""Bytes of all pages' scripts together, with gzip."""
FIRST_VIEW = 75_000
"""Bytes that come before anything can be seen, with gzip: scripts, styles and texts that `index.html` names."""


def _weight(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


@pytest.fixture(scope="module")
def files() -> list[Path]:
    found = sorted(path for path in PAGE.rglob("*") if path.is_file())
    assert found, "the page is not built: `make page`"
    return found


def test_all_scripts_together_are_light(files: list[Path]) -> None:
    weights = {path.name: _weight(path) for path in files if path.suffix == ".js"}
    assert len(weights) > 3
    assert sum(weights.values()) <= ALL_SCRIPTS, f"find what grew, or share what is said twice: {weights}"


def test_the_first_view_waits_for_little(files: list[Path]) -> None:
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    wanted = re.findall(r'(?:src|href)="/(assets/[^"]+)"', index)
    assert any(name.endswith(".js") for name in wanted)
    assert any(name.endswith(".css") for name in wanted)
    texts = re.findall(r'data-(?:en|es)="/(assets/[^"]+)"', index)
    assert len(texts) == 2, "one file a language, of which one is loaded"
    assert (
        sum(_weight(PAGE / name) for name in wanted) + max(_weight(PAGE / name) for name in texts)
        <= FIRST_VIEW
    )
    assert "http" not in re.sub(r"\s", "", index), "the page asks nobody else for anything"


def test_what_is_worth_it_lies_compressed_beside_itself(files: list[Path]) -> None:
    plain = [path for path in files if path.suffix in {".js", ".css"} and path.stat().st_size >= 1000]
    assert plain
    for path in plain:
        packed, stronger = path.with_name(f"{path.name}.gz"), path.with_name(f"{path.name}.br")
        assert gzip.decompress(packed.read_bytes()) == path.read_bytes()
        assert stronger.stat().st_size < packed.stat().st_size < path.stat().st_size


def test_names_that_are_kept_for_ever_change_with_their_content(files: list[Path]) -> None:
    for path in files:
        if path.parent.name == "assets" and path.suffix in {".js", ".css"}:
            assert re.search(r"-[\w-]{8}\.(?:js|css)$", path.name), path.name
