"""Writes a report's files."""

from __future__ import annotations

from pathlib import Path

from bessai.gridcode.clauses import LANGUAGES
from bessai.gridcode.page import render
from bessai.gridcode.report import Report, report_json


def save(report: Report, folder: Path) -> tuple[list[Path], str]:
    """Write `report.json`, and `report.{en,es}.html` and `.pdf`.

    Returns:
        The files, and why there is no PDF; empty when there is one.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, bytes] = {"report.json": report_json(report).encode()}
    contents |= {f"report.{language}.html": render(report, language).encode() for language in LANGUAGES}
    try:
        from bessai.gridcode.paper import write  # noqa: PLC0415 - an extra
    except ImportError:
        problem = "no PDF: reportlab is not installed (the extra `gridcode`)"
    else:
        problem = ""
        contents |= {f"report.{language}.pdf": write(report, language) for language in LANGUAGES}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents], problem
