"""The documentation as a site: a strict build, every page in the navigation, nothing loaded from elsewhere."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.pages import ROOT, prose

pytest.importorskip("mkdocs", reason="mkdocs-material is not installed (the group docs of pyproject.toml)")


class Warned(logging.Handler):
    """What MkDocs complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def cut(markdown: str) -> str:
    """A page without what costs most of the time and can lead nowhere: code, and rows of tables without a link."""
    lines = prose(markdown).splitlines()
    return "\n".join(line for line in lines if not line.startswith("|") or "](" in line)


def rendered(folder: Path, **overrides: Any) -> list[str]:
    """The warnings of a build into `folder`; what only adorns a page, theme and search, is left out."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    (folder / "theme").mkdir()
    (folder / "theme" / "main.html").write_text("{{ page.content }}")
    warned = Warned()
    log = logging.getLogger("mkdocs")
    log.addHandler(warned)
    try:
        theme = {"name": None, "custom_dir": str(folder / "theme")}
        config = load_config(
            str(ROOT / "mkdocs.yml"),
            theme=theme,
            plugins=[],
            strict=False,
            site_dir=str(folder / "site"),
            **overrides,
        )
        config.plugins.events["page_markdown"].append(lambda markdown, **_: cut(markdown))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
        config.plugins.on_shutdown()
    finally:
        log.removeHandler(warned)
    return warned.lines


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    warnings = rendered(tmp_path)
    assert not warnings, "\n".join(warnings)
    page = (tmp_path / "site" / "gcp" / "index.html").read_text(encoding="utf-8")
    assert "/blob/main/infrastructure/terraform/README.md#state-and-lock-file" in page
    assert 'href="../grid-functions.es/"' in (tmp_path / "site" / "grid-functions" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("[x](../nothing.md)", "is not in the repository"),
        ("[x](nothing.md)", "nothing.md"),
        ("[x](#nowhere)", "nowhere"),
        ("[x](other.md#nowhere)", "nowhere"),
        ("![x](nothing.png)", "nothing.png"),
    ],
)
def test_what_leads_nowhere_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# A\n\n{text}\n")
    (docs / "other.md").write_text("# B\n")
    nav = [{"A": "index.md"}, {"B": "other.md"}]
    assert warning in " ".join(rendered(tmp_path, docs_dir=str(docs), nav=nav))


def test_a_page_outside_the_navigation_is_a_warning(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n")
    (docs / "lost.md").write_text("# B\n")
    (line,) = rendered(tmp_path, docs_dir=str(docs), nav=[{"A": "index.md"}])
    assert "lost.md" in line


def test_the_real_theme_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "how-to").mkdir(parents=True)
    for name in ("index.md", "index.es.md", "how-to/README.md"):
        (docs / name).write_text(
            "# A page\n\n```sh\nbessai status\n```\n\n| a | b |\n|---|---|\n| `c` | d |\n"
        )
    told = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    told = told[: told.index("\nnav:")].replace("docs_dir: docs", f"docs_dir: {docs}")
    told = told.replace("site_dir: build/site", f"site_dir: {tmp_path / 'site'}")
    told = told.replace("infrastructure/site/hook.py", str(ROOT / "infrastructure" / "site" / "hook.py"))
    (tmp_path / "mkdocs.yml").write_text(told)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", str(tmp_path / "mkdocs.yml")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)", page)
    assert len(loaded) > 4
    assert [url for url in loaded if re.match(r"(https?:)?//", url)] == []
    styles = "".join(file.read_text() for file in (tmp_path / "site").rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*\)", styles) == []
    assert "api.github.com" not in page
    assert 'href="index.es/"' in page
