"""The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from bessai.commissioning.chart import power_chart, timer_chart
from bessai.commissioning.report import Report
from bessai.commissioning.results import Check, Plain, StepResult, Verdict

_HEADLINE = {
    Verdict.PASSED: "Every step passed.",
    Verdict.FAILED: "At least one step failed. Do not operate this unit before it is mended and tested again.",
    Verdict.INCOMPLETE: "Nothing that was tried failed, and not every step was tried or possible.",
}
_DISPLAY = "display: "
"""How checks begin that compare a value with the device's display."""
_OPEN = (Verdict.NOT_POSSIBLE, Verdict.SKIPPED, Verdict.INCOMPLETE)


def render(report: Report) -> str:
    """The page; the same report gives the same text."""
    what = "Dead-man test" if report.procedure == "deadman" else "Commissioning report"
    style = files("bessai.commissioning").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{what}: {report.site}" + (f", {report.device.unit}" if report.device.unit else "")
    body = [
        f'<header><p class="kind">{what}</p><h1>{escape(report.site or "Site without a name")}</h1>',
        f'<p class="sub">{escape(_device_name(report))}</p></header>',
        _verdict(report.verdict),
        *_facts(report),
        *_summary(report),
        *_open_ends(report),
        *(part for step in report.steps for part in _step(step)),
        *_method(report),
        *_signature(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _verdict(verdict: Verdict) -> str:
    head = f'<section class="verdict {_class(verdict)}"><strong>{verdict.value}</strong>'
    return f"{head}<span>{_HEADLINE.get(verdict, '')}</span></section>"


def _facts(report: Report) -> Iterator[str]:
    device = report.device
    unit = f"one of {report.units} commanded units" if report.units > 1 else "the only commanded unit"
    rows = [
        ("Unit", f"{device.unit or report.site} ({unit})"),
        ("Device profile", device.profile),
        ("Model", device.model),
        ("Address", device.address),
        *((name.replace("_", " "), text) for name, text in sorted(device.texts.items())),
        ("Rated power", f"{device.rated:g} kW ({device.rated_from})"),
        ("Accepted difference", f"{device.tolerance:g} kW"),
        ("Response time wanted", f"{device.response_time:g} s"),
        ("Limits from", device.facts_from),
        ("Dead-man", f"{device.dead_man_kind}, {device.dead_man_time:g} s"),
        ("Fallback", device.fallback),
    ]
    run = [
        ("Engineer", report.user),
        ("Reason", report.reason),
        ("Begin", _time(report.started)),
        ("End", _time(report.ended)),
        ("Time zone", report.zone),
        ("Test power", f"{report.power:g} kW"),
        ("Full power", "agreed to" if report.full_power else "not agreed to beforehand"),
        ("Questions", "answered by a person" if report.attended else "not answered: nobody was there"),
        ("Gateway", report.gateway_version),
        ("Tool", report.tool_version),
        ("Id in the journal", report.id),
    ]
    yield '<section class="facts">'
    for title, entries in (("Device", rows), ("This run", run)):
        yield f"<div><h2>{title}</h2><dl>"
        yield from (f"<dt>{escape(k)}</dt><dd>{escape(v) or '–'}</dd>" for k, v in entries)
        yield "</dl></div>"
    yield "</section>"


def _summary(report: Report) -> Iterator[str]:
    yield "<section><h2>Steps</h2><table class=summary><thead><tr><th>Step<th>Result<th>Checks<th>In short</tr></thead>"
    for step in report.steps:
        counted = [
            f"{sum(c.verdict is v for c in step.checks)} {v.value}"
            for v in (Verdict.PASSED, Verdict.FAILED, Verdict.NOT_POSSIBLE, Verdict.NOTED)
            if any(c.verdict is v for c in step.checks)
        ]
        why = f"by {step.by}: {step.why}" if step.by else step.why
        yield (
            f'<tr><td><a href="#{escape(step.key)}">{escape(step.title)}</a><td>{_badge(step.verdict)}'
            f"<td>{', '.join(counted) or '–'}<td>{escape(why or _short(step))}</tr>"
        )
    yield "</table></section>"


_TELLING = ("the device falls back by itself", "a small charge reads negative", "step to discharge")


def _short(step: StepResult) -> str:
    return next((c.text for c in step.checks if c.name in _TELLING), "")


def _open_ends(report: Report) -> Iterator[str]:
    """What this report does not show: nobody should read more into it than was measured."""
    entries = [(s.title, "", f"{s.verdict.value}: {s.why}") for s in report.steps if s.verdict in _OPEN]
    entries += [(s.title, c.name, c.text) for s in report.steps for c in s.checks if c.verdict in _OPEN]
    unseen = [
        c.name.removeprefix(_DISPLAY)
        for s in report.steps
        for c in s.checks
        if c.verdict is Verdict.NOTED and "not confirmed by a person" in c.text
    ]
    if unseen:
        entries.append(("Values", "not confirmed by a person", ", ".join(unseen)))
    if not entries:
        return
    yield '<section class="open"><h2>What this report does not show</h2><ul>'
    for title, name, text in entries:
        yield f"<li><b>{escape(title)}{': ' + escape(name) if name else ''}.</b> {escape(text)}</li>"
    yield "</ul></section>"


def _step(step: StepResult) -> Iterator[str]:
    yield f'<section class="step" id="{escape(step.key)}"><h2>{escape(step.title)} {_badge(step.verdict)}</h2>'
    if step.why:
        yield f'<p class="why">{escape(f"by {step.by}: " if step.by else "")}{escape(step.why)}</p>'
    if step.key != "points":
        for chart in (
            power_chart(step.rows, step.marks, f"{step.title}: measured power and setpoint"),
            timer_chart(step.rows, "Time left that the device shows") if step.key == "deadman" else "",
        ):
            if chart:
                yield f"<figure>{chart}</figure>"
    if step.checks:
        yield "<table><thead><tr><th>Result<th>Check<th>Found<th>Judged by</tr></thead>"
        yield from (_check(check) for check in step.checks if not _compared(check))
        yield "</table>"
        yield from _comparisons([check for check in step.checks if _compared(check)])
    if step.rows:
        yield f"<details><summary>{len(step.rows)} samples</summary>"
        yield from _samples(step)
        yield "</details>"
    yield "</section>"


def _check(check: Check) -> str:
    limits = "; ".join(f"{_words(name)} {_plain(value)}" for name, value in check.limits.items())
    return f"<tr><td>{_badge(check.verdict)}<td>{escape(check.name)}<td>{escape(check.text)}<td>{escape(limits)}</tr>"


def _compared(check: Check) -> bool:
    return check.name.startswith(_DISPLAY)


def _comparisons(checks: Sequence[Check]) -> Iterator[str]:
    """What a person compared with the device's own display, in short."""
    if not checks:
        return
    said = {Verdict.PASSED: "the same", Verdict.FAILED: "something else", Verdict.NOTED: "nobody looked"}
    yield "<h3>Compared with the device's own display</h3><table class=compared>"
    yield "<thead><tr><th>Point<th>Gateway<th>Display</tr></thead>"
    for check in checks:
        shown = escape(str(check.values.get("shown", "")))
        yield (
            f"<tr><td>{escape(check.name.removeprefix(_DISPLAY))}<td>{shown}"
            f'<td><span class="badge {_class(check.verdict)}">{said[check.verdict]}</span></tr>'
        )
    yield "</table>"


def _samples(step: StepResult) -> Iterator[str]:
    yield (
        "<table class=samples><thead><tr><th>s<th>setpoint kW<th>measured kW<th>quality<th>current A<th>SOC %"
        "<th>time left s<th>phase</tr></thead>"
    )
    for row in step.rows:
        numbers = (row.setpoint, row.measured)
        more = (row.current, row.soc, row.remaining)
        yield (
            f"<tr><td>{row.time:.1f}"
            + "".join(f"<td>{_number(v, 3)}" for v in numbers)
            + f"<td>{escape(row.quality)}"
            + "".join(f"<td>{_number(v, 2)}" for v in more)
            + f"<td>{escape(row.phase)}</tr>"
        )
    yield "</table>"


def _method(report: Report) -> Iterator[str]:
    yield (
        "<section class=method><h2>How it was measured</h2><p>Every value is the gateway's own reading of the device, "
        "sampled twice a second; a time is therefore known to about one cycle of the gateway. Power is positive when "
        "the battery discharges and negative when it charges. The gateway stayed in control: power was asked for in "
        "leases of five seconds, inside its limits. The gateway is not the safety function of the plant; battery "
        "management, relays and fire systems are, and this report does not test them.</p>"
    )
    if report.points:
        yield f"<details><summary>{len(report.points)} points at the beginning</summary><table class=samples>"
        yield "<thead><tr><th>point<th>value<th>quality</tr></thead>"
        for name, point in sorted(report.points.items()):
            shown = "–" if point.value is None else point.text
            yield f"<tr><td>{escape(name)}<td>{escape(shown)}<td>{escape(point.quality)}</tr>"
        yield "</table></details>"
    yield "</section>"


def _signature(report: Report) -> Iterator[str]:
    yield "<section class=signature>"
    for role, name in (("Commissioned by", report.user), ("Accepted by", "")):
        yield f"<div><p class=line></p><p>{role}: {escape(name)}</p><p class=small>Place, date, signature</p></div>"
    yield "</section>"
    yield f"<footer>{escape(report.schema)} · {escape(report.id)}</footer>"


def _device_name(report: Report) -> str:
    parts: Iterable[str] = (
        report.device.unit,
        report.device.model or report.device.profile,
        _time(report.started),
    )
    return " · ".join(part for part in parts if part)


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {_class(verdict)}">{verdict.value}</span>'


def _class(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def _time(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M:%S %z")


_UNITS = {"kw": "kW", "s": "s", "v": "V", "a": "A", "percent": "%"}


def _words(name: str) -> str:
    *words, last = name.split("_")
    return (
        f"{' '.join(words)} ({_UNITS[last]}):" if words and last in _UNITS else f"{name.replace('_', ' ')}:"
    )


def _plain(value: Plain) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
