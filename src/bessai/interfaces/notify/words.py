"""Messages in English and Spanish: a title that fits an SMS, and what a person needs to act. Texts in `texts.json`."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from bessai.interfaces.notify.queue import Line, Sending, most_severe
from bessai.interfaces.notify.standing import Alarm
from bessai.model import Severity
from bessai.model.catalogue import catalogue
from bessai.model.sentences import in_spanish

TITLE_MAX: Final = 120
"""Characters: with a service's own words around it, it fits the 160 of an SMS."""
LISTED: Final = 20
"""Lines that a message lists. Judgement: more are not read on a telephone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where messages come from."""

    site: str
    link: str | None = None
    """Of the page's alarm list; None: there is no page that others reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Ready to be sent."""

    title: str
    body: str
    kind: str
    """`info`, `success`, `warning` or `failure`, for services that show it by a colour."""


@functools.cache
def texts(language: str) -> Mapping[str, Any]:
    """The words of a language."""
    found: Mapping[str, Any] = json.loads(Path(__file__).with_name("texts.json").read_text(encoding="utf-8"))[
        language
    ]
    return found


def compose(
    sending: Sending,
    language: str,
    place: Place,
    zone: ZoneInfo,
    *,
    maintenance: Alarm | None,
    standing: Sequence[Alarm],
) -> Message:
    """The message that tells some lines.

    Args:
        sending: what is told, in its order.
        language: `en` or `es`.
        place: where it comes from.
        zone: of the times.
        maintenance: the plant is in maintenance.
        standing: what nobody has acknowledged, for the daily message.
    """
    words = texts(language)
    told = [line for line in sending.lines if line.kind != "daily"]
    daily = [line for line in sending.lines if line.kind == "daily"]
    alone = len(told) == 1 and not sending.unlisted
    if alone:
        body = _alone(told[0], words, language, place, zone, sending.began)
    else:
        body = _list(told, sending.unlisted, words, language, zone) if told else []
    if daily:
        body += [*([""] if body else []), *_daily(standing, sum(line.count for line in daily), words, zone)]
    if maintenance is not None and not (alone and told[0].code == "maintenance_on"):
        body.append(words["maintenance"].format(message=_said(maintenance.message, language)))
    if place.link is not None and not (alone and _open(told[0])):
        body.append(words["page"].format(link=place.link))
    if any(line.again for line in sending.lines):
        body.append(words["again"])
    body.append(words["ref"].format(ref=sending.ref))
    if alone:
        title = _title(told[0], words, place.site)
    elif told:
        title = words["several"].format(site=place.site, what=_what(told, words, sending.unlisted))
    else:
        title = _daily_title(standing, words, place.site)
    return Message(title=_short(title), body="\n".join(body), kind=_kind(told, standing))


def trial(language: str, place: Place, zone: ZoneInfo, now: float) -> Message:
    """What `bessai notify test` sends."""
    words = texts(language)
    body = [words["test_body"], words["happened"].format(time=_time(round(now * 1e9), zone))]
    body += [words["page"].format(link=place.link)] if place.link else []
    return Message(title=_short(words["test"].format(site=place.site)), body="\n".join(body), kind="info")


def name_of(line: Line | Alarm) -> str:
    """Code, point and value of a line, on as few characters as possible."""
    value = _value(line)
    parts = (line.code, line.about, line.point, value and f"= {value}")
    return " ".join(part for part in parts if part)


def duration(seconds: float, language: str) -> str:
    """A time that passed, in words."""
    units = texts(language)["units"]
    whole = max(0, round(seconds))
    if whole < 120:
        return str(units["s"].format(n=whole))
    minutes = whole // 60
    if minutes < 120:
        return str(units["min"].format(n=minutes))
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return str(units["h"].format(n=hours, m=rest))
    return str(units["d"].format(n=hours // 24, h=hours % 24))


def _said(message: str, language: str) -> str:
    """The gateway's own sentence."""
    return in_spanish(message) if language == "es" else message


def _title(line: Line, words: Mapping[str, Any], site: str) -> str:
    severity = words["severity"][str(line.severity)]
    head = words["ended"] if line.ended_ns is not None else severity
    if line.kind == "reminder" and line.ended_ns is None:
        head = f"{severity} {words['reminder']}"
    return f"{head} {site}: {name_of(line)}"


def _alone(
    line: Line, words: Mapping[str, Any], language: str, place: Place, zone: ZoneInfo, now: float
) -> list[str]:
    told = _explained(line.code, language)
    body = [told["meaning"]] if told else []
    body.append(words["detail"].format(message=_said(line.message, language)))
    if (value := _value(line)) is not None:
        body.append(words["value"].format(value=value))
    body.append(
        words["happened" if line.kind == "event" else "since"].format(time=_time(line.began_ns, zone))
    )
    if line.ended_ns is not None:
        lasted = duration((line.ended_ns - line.began_ns) / 1e9, language)
        body.append(words["lasted"].format(time=_time(line.ended_ns, zone), duration=lasted))
    if line.count > 1:
        body.append(words["count"].format(count=line.count))
    body += [words["first"]] if line.first_out and line.ended_ns is None else []
    body += [words[line.kind]] if line.kind in {"worse", "back"} else []
    if line.kind == "reminder":
        since_ns = line.began_ns if line.anew_ns is None else line.anew_ns
        body.append(words["unacknowledged"].format(duration=duration(now - since_ns / 1e9, language)))
    if told and line.ended_ns is None:
        body.append(words["action"].format(action=told["action"]))
    if place.link is not None and _open(line):
        point = f" --point {line.point}" if line.point else ""
        body.append(words["acknowledge"].format(link=place.link, code=line.code, point=point))
    return body


def _list(
    lines: Sequence[Line], unlisted: int, words: Mapping[str, Any], language: str, zone: ZoneInfo
) -> list[str]:
    body = []
    for line in lines[:LISTED]:
        text = words["line"].format(
            severity=words["severity"][str(line.severity)],
            time=_time(line.began_ns, zone),
            what=name_of(line),
        )
        text += f" ×{line.count}" if line.count > 1 else ""
        if line.ended_ns is not None:
            lasted = duration((line.ended_ns - line.began_ns) / 1e9, language)
            text += words["line_ended"].format(duration=lasted)
        body.append(text)
    if rest := lines[LISTED:]:
        body.append(words["more"].format(count=len(rest), what=_what(rest, words, 0)))
    if unlisted:
        body.append(words["unlisted"].format(count=unlisted))
    first = next((line for line in lines if _open(line)), None)
    if first is not None and (told := _explained(first.code, language)):
        body += ["", words["action_of"].format(code=first.code, action=told["action"])]
    return body


def _daily(standing: Sequence[Alarm], begun: int, words: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    body = [words["daily_stands" if standing else "daily_well"]]
    for alarm in standing[:LISTED]:
        severity = words["severity"][str(alarm.severity)]
        body.append(
            words["line"].format(severity=severity, time=_time(alarm.began_ns, zone), what=name_of(alarm))
        )
    if rest := standing[LISTED:]:
        body.append(words["more"].format(count=len(rest), what=_counts(rest, words)))
    return [*body, words["daily_begun"].format(count=begun)]


def _daily_title(standing: Sequence[Alarm], words: Mapping[str, Any], site: str) -> str:
    if not standing:
        return str(words["well"].format(site=site))
    return str(words["stands"].format(site=site, what=_counts(standing, words)))


def _what(lines: Sequence[Line], words: Mapping[str, Any], unlisted: int) -> str:
    """How many of what, and how many of them are over."""
    over = sum(line.ended_ns is not None for line in lines)
    parts = [_counts(lines, words)] + ([words["over"].format(count=over)] if over else [])
    return ", ".join(parts) + (f" (+{unlisted})" if unlisted else "")


def _counts(lines: Iterable[Line | Alarm], words: Mapping[str, Any]) -> str:
    counts = Counter(line.severity for line in lines)
    return ", ".join(
        f"{counts[severity]} {words['severities'][str(severity)][counts[severity] != 1]}"
        for severity in sorted(counts, reverse=True)
    )


def _kind(lines: Sequence[Line], standing: Sequence[Alarm]) -> str:
    if not lines:
        return "warning" if standing else "success"
    if all(line.ended_ns is not None for line in lines):
        return "success"
    open_ = most_severe(line for line in lines if line.ended_ns is None)
    return {int(Severity.ALARM): "failure", int(Severity.WARNING): "warning"}.get(open_, "info")


def _open(line: Line) -> bool:
    """It stands, as far as is known, and somebody may acknowledge it."""
    entry = catalogue().get(line.code)
    return line.ended_ns is None and line.kind != "event" and entry is not None and line.about is None


def _explained(code: str, language: str) -> Mapping[str, str] | None:
    entry = catalogue().get(code)
    if entry is None:
        return None
    told = entry.texts[language]
    return {"meaning": told.meaning, "action": told.action}


def _value(line: Line | Alarm) -> str | None:
    return None if line.value is None else f"{line.value:.5g}" + (f" {line.unit}" if line.unit else "")


def _time(wall_ns: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _short(title: str) -> str:
    return title if len(title) <= TITLE_MAX else title[: TITLE_MAX - 1] + "…"
