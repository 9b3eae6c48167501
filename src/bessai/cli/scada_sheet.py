"""The point list as a workbook: a sheet to sign, one of the points, one of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from bessai.cli.scada_list import COLUMNS, COMMAND_COLUMNS, Cell, PointList

_WIDTHS = {"description": 44, "descripción": 44, "type": 34, "tipo": 34, "source": 30, "origen": 30}


def write_xlsx(content: PointList, path: Path) -> None:
    """Write the workbook.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
            book.set_properties(
                {"title": content.word("title"), "created": content.made.replace(tzinfo=None)}
            )
            styles = {
                "title": book.add_format({"bold": True, "font_size": 16}),
                "bold": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
                "text": book.add_format({"text_wrap": True, "valign": "top"}),
                "box": book.add_format({"border": 1, "text_wrap": True, "valign": "top"}),
            }
            _sign_off(book, content, styles)
            _table(book, content.word("points"), COLUMNS[content.language], content.points(), styles)
            _table(
                book, content.word("commands"), COMMAND_COLUMNS[content.language], content.commands(), styles
            )
    except xlsxwriter.exceptions.FileCreateError as error:
        raise error.args[0] if isinstance(error.args[0], OSError) else OSError(str(error)) from None


def _sign_off(book: Any, content: PointList, styles: dict[str, Any]) -> None:
    sheet = book.add_worksheet(content.word("sign_off"))
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 3, 34)
    sheet.write_string(0, 0, content.word("title"), styles["title"])
    row = 2
    for label, value in content.header():
        sheet.write_string(row, 0, label, styles["text"])
        sheet.merge_range(row, 1, row, 3, value, styles["text"])
        row += 1
    for note in content.notes():
        row += 1
        sheet.set_row(row, 48)
        sheet.merge_range(row, 0, row, 3, note, styles["text"])
    row += 2
    for column, name in enumerate(("role", "name", "date", "signature")):
        sheet.write_string(row, column, content.word(name), styles["bold"])
    for role in ("owner", "operator"):
        row += 1
        sheet.set_row(row, 40)
        sheet.write_string(row, 0, content.word(role), styles["box"])
        for column in (1, 2, 3):
            sheet.write_blank(row, column, None, styles["box"])
    _printed(sheet)


def _table(
    book: Any, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], styles: dict[str, Any]
) -> None:
    sheet = book.add_worksheet(title)
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.autofilter(0, 0, max(len(rows), 1), len(columns) - 1)
    for column, name in enumerate(columns):
        sheet.set_column(column, column, _WIDTHS.get(name, max(10, len(name) + 4)))
        sheet.write_string(0, column, name, styles["bold"])
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(number, column, cell, styles["text"])
            elif cell is not None:
                sheet.write_number(number, column, cell, styles["text"])
    _printed(sheet)


def _printed(sheet: Any) -> None:
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&F&C&A&R&P / &N")
