"""What the site makes of pages that are written to be read in the repository as well.

Links to files outside `docs/` become links to the repository, and a page with a Spanish sibling links to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.plugins import get_plugin_logger

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_log = get_plugin_logger("repository")
_FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(\.\.?/[^)\s#]+)(#[^)\s]*)?(?=\))")


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Called by MkDocs with each page."""
    here = Path(page.file.abs_src_path or "").parent

    def mend(text: str) -> str:
        return _LINK.sub(lambda found: repository_link(here, found[1], found[2] or "", config), text)

    return with_spanish(outside_fences(markdown, mend), page.file.src_uri, files)


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text, changed everywhere but in blocks of code."""
    parts, end = [], 0
    for fence in _FENCED.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join((*parts, change(text[end:])))


def repository_link(here: Path, link: str, anchor: str, config: MkDocsConfig) -> str:
    """The link as the site needs it; one that leads nowhere is a warning, which a strict build does not pass."""
    docs = Path(config.docs_dir).resolve()
    target = (here / link).resolve()
    if target.is_relative_to(docs):
        return link + anchor
    if not target.exists() or not target.is_relative_to(docs.parent):
        _log.warning("%s: %s is not in the repository", here, link)
        return link + anchor
    kind = "tree" if target.is_dir() else "blob"
    return f"{config.extra['repository']}/{kind}/main/{target.relative_to(docs.parent).as_posix()}{anchor}"


def with_spanish(markdown: str, path: str, files: Files) -> str:
    """With a line under the title that leads to the other language, unless the page has one."""
    stem, spanish = path.removesuffix(".md"), path.endswith(".es.md")
    other = f"{stem.removesuffix('.es')}.md" if spanish else f"{stem}.es.md"
    name = other.rpartition("/")[2]
    if files.get_file_from_path(other) is None or f"({name})" in markdown:
        return markdown
    title, _, rest = markdown.partition("\n")
    return f"{title}\n\n*[{'In English' if spanish else 'En español'}]({name})*\n{rest}"
