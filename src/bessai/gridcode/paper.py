"""The report as PDF, by reportlab. The same report gives the same bytes."""

from __future__ import annotations

import io
from html import escape
from typing import Any

from reportlab.graphics.shapes import Drawing, PolyLine, Rect, String  # type: ignore[import-untyped]
from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle  # type: ignore[import-untyped]

from bessai.gridcode.clauses import Language
from bessai.gridcode.plot import HEIGHT, WIDTH, Box, Label, Line, shapes
from bessai.gridcode.report import SCHEMA, Report
from bessai.gridcode.rows import Evidence, Row, Verdict
from bessai.gridcode.texts import TEXTS, facts_of
from bessai.gridcode.words import VERDICTS, details, main_finding, phrase, row_limit, word

_INK, _SOFT, _LINE = HexColor("#1c2430"), HexColor("#5c6775"), HexColor("#d9dee5")
_COLOURS = {"pass": "#1a7f4b", "fail": "#b3261e", "not tested": "#8a5a00"}
_STROKES: dict[str, tuple[str, float]] = {
    "main": ("#0b5fae", 1.4), "second": ("#7d8896", 0.8), "input": ("#8a5a00", 1.0), "grid": ("#e5e9ee", 0.5),
    "step": ("#b3261e", 0.6),
}  # fmt: skip
_ROOM = A4[0] - 30 * mm - 12  # the frame has its own padding
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=8, leading=10, textColor=_INK)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=6.5, leading=8, textColor=_SOFT)
_HEAD = ParagraphStyle(
    "head", parent=_BODY, fontName="Helvetica-Bold", fontSize=12, leading=15, spaceBefore=10, spaceAfter=4
)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=18, leading=22)
_GLYPHS = str.maketrans({"−": "-", "≤": "<=", "≥": ">=", "→": "->"})
"""What the standard fonts of PDF do not have."""


def write(report: Report, language: Language) -> bytes:
    """The document's bytes."""
    out = io.BytesIO()
    texts = TEXTS[language]
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=15 * mm, rightMargin=15 * mm, topMargin=14 * mm, bottomMargin=16 * mm,
        title=f"{texts['title']}: {report.site}", author=f"bessai {report.version}", invariant=1, lang=language,
    )  # fmt: skip
    tested = [row for row in report.rows if row.verdict is not Verdict.NOT_TESTED]
    untested = [row for row in report.rows if row.verdict is Verdict.NOT_TESTED]
    story: list[Any] = [
        Paragraph(_text(texts["title"]), _SMALL),
        Paragraph(_text(report.site), _TITLE),
        Paragraph(_text(texts[report.where]), _BODY),
        Spacer(1, 6),
        *_verdict(report, language),
        Paragraph(_text(texts["facts"]), _HEAD),
        _facts(report, language),
        Paragraph(_text(texts["rows"]), _HEAD),
        _tested(tested, report, language),
        *_figures(report, language),
        Paragraph(_text(texts["untested"]), _HEAD),
        Paragraph(_text(texts["untested_why"]), _BODY),
        _untested(untested, language),
        Paragraph(_text(texts["method"]), _HEAD),
        Paragraph(_text(texts["method_text"]), _BODY),
    ]
    foot = f"{SCHEMA} · {report.version} · {report.date}"

    def footer(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 6.5)
        canvas.setFillColor(_SOFT)
        canvas.drawString(15 * mm, 9 * mm, foot)
        canvas.drawRightString(A4[0] - 15 * mm, 9 * mm, str(page.page))

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _verdict(report: Report, language: Language) -> list[Any]:
    kind, texts = report.verdict.value, TEXTS[language]
    counts = ", ".join(f"{count} {word(VERDICTS[name], language)}" for name, count in report.counts.items())
    sabotage = f" {texts['sabotage']}: {report.sabotage}." if report.sabotage else ""
    text = (
        f'<font color="{_COLOURS[kind]}" size="12"><b>{_text(word(VERDICTS[kind], language))}</b></font>'
        f"&nbsp;&nbsp;{_text(counts)}. {_text(texts[kind] + sabotage)}"
    )
    return [Paragraph(text, _BODY)]


def _facts(report: Report, language: Language) -> Table:
    rows = [
        [Paragraph(_text(name), _SMALL), Paragraph(_text(text), _BODY)]
        for name, text in facts_of(report, language)
    ]
    return _table(rows, (0.3, 0.7), heads=False)


def _tested(rows: list[Row], report: Report, language: Language) -> Table:
    texts = TEXTS[language]
    numbers = {name: i for i, (_, names) in enumerate(report.figures(), 1) for name in names}
    heads = ("clause", "row", "limit", "measured", "verdict", "confidence")
    cells = [[Paragraph(_text(texts[head]), _SMALL) for head in heads]]
    for row in rows:
        figure = f" ({texts['figure']} {numbers[row.name]})" if row.name in numbers else ""
        seen = "; ".join(f"{name}: {text}" for name, text in details(row, language))
        found: list[Any] = [Paragraph(f"<b>{_text(main_finding(row, language))}</b>", _BODY)]
        found += [Paragraph(_text(text), _SMALL) for text in (seen, row.note.get(language, "")) if text]
        cells.append(
            [
                Paragraph(_text(phrase(row.clause.article, language)), _BODY),
                [
                    Paragraph(f"<b>{_text(row.name)}</b>{_text(figure)}", _BODY),
                    Paragraph(_text(row.clause.text(language)), _SMALL),
                ],
                Paragraph(_text(row_limit(row, language)), _BODY),
                found,
                Paragraph(_verdict_text(row.verdict, language), _BODY),
                Paragraph(_confidence(row, language), _BODY),
            ]
        )  # fmt: skip
    return _table(cells, (0.13, 0.27, 0.15, 0.25, 0.09, 0.11))


def _untested(rows: list[Row], language: Language) -> Table:
    texts = TEXTS[language]
    heads = ("clause", "asks", "limit", "why", "loop", "confidence")
    cells = [[Paragraph(_text(texts[head]), _SMALL) for head in heads]]
    for row in rows:
        words = (
            phrase(row.clause.article, language), row.clause.text(language), row_limit(row, language),
            row.note[language], texts[row.clause.closes_loop],
        )  # fmt: skip
        cells.append(
            [
                *(Paragraph(_text(text), _SMALL) for text in words),
                Paragraph(_confidence(row, language), _SMALL),
            ]
        )
    return _table(cells, (0.13, 0.31, 0.15, 0.22, 0.08, 0.11))


def _table(cells: list[Any], shares: tuple[float, ...], *, heads: bool = True) -> Table:
    table = Table(cells, colWidths=[share * _ROOM for share in shares], repeatRows=1 if heads else 0)
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 5),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ]
        )
    )
    return table


def _figures(report: Report, language: Language) -> list[Any]:
    texts = TEXTS[language]
    story: list[Any] = []
    for number, (evidence, names) in enumerate(report.figures(), 1):
        caption = f"{texts['figure']} {number}. {evidence.title[language]} ({', '.join(names)})"
        story.append(
            KeepTogether([_drawing(evidence, language), Paragraph(_text(caption), _SMALL), Spacer(1, 8)])
        )
    if story:
        story = [
            Paragraph(_text(texts["figures"]), _HEAD),
            Paragraph(_text(texts["figures_text"]), _BODY),
            *story,
        ]
    return story


def _drawing(evidence: Evidence, language: Language) -> Drawing:
    scale = _ROOM / WIDTH
    drawing = Drawing(_ROOM, HEIGHT * scale)
    for shape in shapes(evidence, language):
        match shape:
            case Line(kind, points):
                colour, width = _STROKES[kind]
                flat = [value for x, y in points for value in (x * scale, (HEIGHT - y) * scale)]
                drawing.add(
                    PolyLine(
                        flat,
                        strokeColor=HexColor(colour),
                        strokeWidth=width,
                        strokeDashArray=[2, 2] if kind == "step" else None,
                    )
                )
            case Label((x, y), text, anchor):
                drawing.add(
                    String(
                        x * scale, (HEIGHT - y) * scale, text.translate(_GLYPHS),
                        fontName="Helvetica", fontSize=6.5, fillColor=_SOFT, textAnchor=anchor,
                    )
                )  # fmt: skip
            case Box((x, y), width, height):
                drawing.add(
                    Rect(
                        x * scale, (HEIGHT - y - height) * scale, width * scale, height * scale,
                        fillColor=HexColor("#dff0e6"), strokeColor=None,
                    )
                )  # fmt: skip
    return drawing


def _verdict_text(verdict: Verdict, language: Language) -> str:
    text = _text(word(VERDICTS[verdict.value], language))
    return f'<font color="{_COLOURS[verdict.value]}"><b>{text}</b></font>'


def _confidence(row: Row, language: Language) -> str:
    letter = row.confidence
    return (
        letter
        if letter == "A"
        else f'{letter}, <font color="#8a5a00">{TEXTS[language]["provisional"]}</font>'
    )


def _text(text: str) -> str:
    return escape(text.translate(_GLYPHS))
