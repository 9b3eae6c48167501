"""The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from bessai.gridcode.clauses import Language
from bessai.gridcode.plot import HEIGHT, WIDTH, Box, Label, Line, shapes
from bessai.gridcode.report import SCHEMA, Report
from bessai.gridcode.rows import Evidence, Row, Verdict
from bessai.gridcode.texts import TEXTS, facts_of
from bessai.gridcode.words import VERDICTS, details, main_finding, phrase, row_limit, word


def render(report: Report, language: Language) -> str:
    """The page; the same report gives the same text."""
    texts = TEXTS[language]
    style = files("bessai.gridcode").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{texts['title']}: {report.site}"
    numbers = {name: i for i, (_, names) in enumerate(report.figures(), 1) for name in names}
    body = [
        f'<header><p class="kind">{texts["title"]}</p><h1>{escape(report.site)}</h1>',
        f'<p class="sub">{escape(texts[report.where])}</p></header>',
        _verdict(report, language),
        *_facts(report, language),
        f"<section><h2>{texts['rows']}</h2>",
        *_table([row for row in report.rows if row.verdict is not Verdict.NOT_TESTED], numbers, language),
        "</section>",
        *_figures(report, language),
        f"<section><h2>{texts['untested']}</h2><p>{texts['untested_why']}</p>",
        *_untested([row for row in report.rows if row.verdict is Verdict.NOT_TESTED], language),
        "</section>",
        f'<section class="method"><h2>{texts["method"]}</h2><p>{texts["method_text"]}</p></section>',
        f"<footer>{SCHEMA} · {escape(report.version)} · {escape(report.date)}</footer>",
    ]
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _verdict(report: Report, language: Language) -> str:
    texts, kind = TEXTS[language], report.verdict.value
    counts = ", ".join(f"{count} {word(VERDICTS[name], language)}" for name, count in report.counts.items())
    sabotage = f" {texts['sabotage']}: {escape(report.sabotage)}." if report.sabotage else ""
    return (
        f'<section class="verdict {_class(kind)}"><strong>{word(VERDICTS[kind], language)}</strong>'
        f"<span>{counts}. {texts[kind]}{sabotage}</span></section>"
    )


def _facts(report: Report, language: Language) -> Iterator[str]:
    yield f"<section><h2>{TEXTS[language]['facts']}</h2><dl>"
    yield from (
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts_of(report, language)
    )
    yield "</dl></section>"


def _table(rows: list[Row], numbers: dict[str, int], language: Language) -> Iterator[str]:
    texts = TEXTS[language]
    heads = ("clause", "row", "limit", "measured", "verdict", "confidence")
    yield "<table><thead><tr>" + "".join(f"<th>{texts[head]}" for head in heads) + "</tr></thead>"
    for row in rows:
        seen = "; ".join(f"{name}: {text}" for name, text in details(row, language))
        note = f'<p class="small">{escape(row.note[language])}</p>' if row.note else ""
        figure = numbers.get(row.name)
        link = f' <a href="#figure-{figure}">{texts["figure"]} {figure}</a>' if figure else ""
        yield (
            f"<tr><td>{escape(phrase(row.clause.article, language))}"
            f'<td><b>{escape(row.name)}</b>{link}<p class="small">{escape(row.clause.text(language))}</p>'
            f"<td>{escape(row_limit(row, language))}"
            f'<td><b>{escape(main_finding(row, language))}</b><p class="small">{escape(seen)}</p>{note}'
            f"<td>{_badge(row.verdict.value, language)}<td>{_confidence(row, language)}</tr>"
        )
    yield "</table>"


def _untested(rows: list[Row], language: Language) -> Iterator[str]:
    texts = TEXTS[language]
    heads = ("clause", "asks", "limit", "why", "loop", "confidence")
    yield "<table><thead><tr>" + "".join(f"<th>{texts[head]}" for head in heads) + "</tr></thead>"
    for row in rows:
        yield (
            f"<tr><td>{escape(phrase(row.clause.article, language))}<td>{escape(row.clause.text(language))}"
            f"<td>{escape(row_limit(row, language))}<td>{escape(row.note[language])}"
            f"<td>{texts[row.clause.closes_loop]}<td>{_confidence(row, language)}</tr>"
        )
    yield "</table>"


def _figures(report: Report, language: Language) -> Iterator[str]:
    figures = report.figures()
    if not figures:
        return
    texts = TEXTS[language]
    yield f"<section><h2>{texts['figures']}</h2><p>{texts['figures_text']}</p>"
    for number, (evidence, names) in enumerate(figures, 1):
        yield f'<figure id="figure-{number}">{svg(evidence, language)}<figcaption>{texts["figure"]} {number}. '
        yield f"{escape(evidence.title[language])} ({escape(', '.join(names))})</figcaption></figure>"
    yield "</section>"


def svg(evidence: Evidence, language: Language) -> str:
    """One plot."""
    title = escape(evidence.title[language])
    parts = [
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{title}" class="chart"><title>{title}</title>'
    ]
    for shape in shapes(evidence, language):
        match shape:
            case Line(kind, points):
                path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
                parts.append(f'<path class="{kind}" d="M{path}"/>')
            case Label((x, y), text, anchor):
                parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')
            case Box((x, y), width, height):
                parts.append(
                    f'<rect class="band" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
                )
    return "".join(parts) + "</svg>"


def _badge(verdict: str, language: Language) -> str:
    return f'<span class="badge {_class(verdict)}">{word(VERDICTS[verdict], language)}</span>'


def _confidence(row: Row, language: Language) -> str:
    letter = row.confidence
    return letter if not row.provisional else f"{letter}, <em>{TEXTS[language]['provisional']}</em>"


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-")
