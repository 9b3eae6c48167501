"""The draft of a report, in Markdown: what the gateway knows, and what a person has to add."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from bessai import __version__
from bessai.incident.deadlines import Deadline, deadlines
from bessai.incident.evidence import Evidence
from bessai.incident.incident import Incident
from bessai.incident.texts import texts
from bessai.model import Event
from bessai.model.catalogue import catalogue

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def draft(incident: Incident, evidence: Evidence, language: str, *, wall_ns: int, site: str = "") -> str:
    """A report to be completed and sent by a person.

    Args:
        incident: what was entered.
        evidence: what the journal holds of the time around it.
        language: `es` or `en`.
        wall_ns: now.
        site: the site's id.

    Raises:
        ValueError: unknown language.
    """
    words = texts(language)
    say = words.say
    parts = [
        f"# {say['banner']}",
        f"## {say['title'].format(id=incident.id)}",
        say["made"].format(now=moment_text(wall_ns)),
        say["provisional"],
        f"## {say['incident']}",
        _table(("", ""), _facts(incident, say, site)),
        f"## {say['deadlines']}",
        _table(
            (say["report"], say["due"], say["state"]),
            (
                (say[one.report], moment_text(one.due_ns), _state(one, incident, say, wall_ns))
                for one in deadlines(incident)
            ),
        ),
        f"## {say['person']}",
        "\n".join(f"- **{field}:** ______" for field in words.fields),
        f"## {say['evidence']}",
        say["span"].format(
            first=moment_text(evidence.first_ns), last=moment_text(evidence.last_ns), records=evidence.records
        ),
        "\n".join(f"- {say['gap.' + gap]}" for gap in evidence.gaps) or say["complete"],
        f"### {say['alarms']}",
        _alarms(evidence, language),
        f"### {say['acts']}",
        _events(evidence.acts, say),
        f"### {say['timeline']}",
        _events(evidence.events, say),
    ]
    if evidence.omitted:
        parts.append(say["omitted"].format(count=evidence.omitted))
    return "\n\n".join(parts) + "\n"


def moment_text(wall_ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def time_left_text(seconds: float) -> str:
    """A length of time for people, for example `2 d 3 h` or `14 min`."""
    minutes = int(abs(seconds) // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _facts(incident: Incident, say: Mapping[str, str], site: str) -> Iterable[Sequence[str]]:
    yield say["what"], escaped(incident.title)
    yield say["known"], _who(incident.known_ns, incident.known_by, say)
    yield say["entered"], _who(incident.opened_ns, incident.opened_by, say)
    yield say["essential"], say["yes"] if incident.essential else say["no"]
    if site:
        yield say["site"], escaped(site)
    yield say["gateway"], f"BESSAI Edge Gateway {__version__}"
    if incident.closed_ns is not None:
        by = _who(incident.closed_ns, incident.closed_by, say)
        yield say["closed"], f"{by}: {escaped(incident.closing)}"


def _who(wall_ns: int, who: str, say: Mapping[str, str]) -> str:
    return f"{moment_text(wall_ns)}, {say['by'].format(who=escaped(who))}"


def _state(one: Deadline, incident: Incident, say: Mapping[str, str], wall_ns: int) -> str:
    left = one.seconds_left(wall_ns)
    if left is not None:
        return say["late" if left < 0 else "left"].format(time=time_left_text(left))
    for sent in incident.sent:
        if sent.report == one.report:
            return say["sent_late" if one.sent_late else "sent"].format(
                when=moment_text(sent.wall_ns), who=escaped(sent.by), reference=escaped(sent.reference)
            )
    return say["stopped"]


def _alarms(evidence: Evidence, language: str) -> str:
    say, known = texts(language).say, catalogue()
    rows = [
        (
            f"`{alarm.code}`",
            say[alarm.severity.label],
            str(alarm.count),
            moment_text(alarm.first_ns),
            moment_text(alarm.last_ns),
            escaped(known[alarm.code].texts[language].meaning) if alarm.code in known else "",
        )
        for alarm in evidence.alarms.values()
    ]
    heads = [say[name] for name in ("code", "severity", "count", "first", "last", "meaning")]
    return _table(heads, rows) if rows else say["none"]


def _events(events: Sequence[Event], say: Mapping[str, str]) -> str:
    rows = [
        (
            moment_text(event.wall_ns),
            say[event.severity.label],
            f"`{event.code}`" + ("" if event.active else f" {say['ended']}"),
            escaped(event.message),
            escaped(event.user or ""),
        )
        for event in events
    ]
    heads = [say[name] for name in ("time", "severity", "code", "message", "user")]
    return _table(heads, rows) if rows else say["none"]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """A text that somebody typed, so that it stays text and stays in its cell."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
