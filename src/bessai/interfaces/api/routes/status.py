"""What the gateway says of itself, and the words for it."""

from __future__ import annotations

import gzip
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from bessai.interfaces.api.answers import Answer
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.page import accepted
from bessai.interfaces.api.roles import Role, needs
from bessai.interfaces.api.spoken import Tongue, decided, spoken
from bessai.model import GuardState, Priority, Quality, Severity
from bessai.model.catalogue import LANGUAGES, catalogue
from bessai.model.wording import limit_words

router = APIRouter(tags=["status"], dependencies=[Depends(needs(Role.VIEWER))])


class Text(Answer):
    """One text in the languages of the page."""

    en: str
    es: str


class Status(Answer):
    """The gateway's status, as it is: what follows is always there, and there is more."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "site": "demo", "version": "0.1.0", "pid": 13334, "uptime": 17.0, "healthy": True, "problems": [],
                    "devices": {"total": 1, "well": 1, "problems": {}, "links": 1, "oldest_value": 0.956},
                    "control": {"state": "normal", "setpoint": -2.5, "bounds": [-10.0, 10.0], "asked": -2.5,
                                "source": "demo schedule", "limited_by": []},
                    "points": {"soc": {"value": 50.0, "unit": "%", "quality": "good", "age": 0.4}},
                    "units": {}, "cycle": {"cycles": 17, "missed": 0}, "conditions": [], "trips": [],
                }
            ]
        },
    )  # fmt: skip

    site: str
    version: str
    healthy: bool
    problems: list[str]
    """Why it is not healthy."""
    devices: dict[str, Any]
    control: dict[str, Any]
    """The last decision."""
    units: dict[str, Any]
    points: dict[str, Any]
    """By name: value, unit, quality, age in seconds, and the meaning of a state."""


class QualityWord(Answer):
    """One quality."""

    code: int
    name: str
    good: bool
    """Only a good value is evidence."""


class PriorityWord(Answer):
    """One priority; a higher rank narrows what a lower one may have."""

    name: str
    rank: int


class CodeText(Answer):
    """What a person should know of a code."""

    title: str
    """The first sentence of the meaning."""
    meaning: str
    cause: str
    action: str


class CodeWord(Answer):
    """One code of events and alarms."""

    severity: str
    condition: bool
    """True when it begins and ends; False when it happens once."""
    en: CodeText
    es: CodeText


class Vocabulary(Answer):
    """Every name that a page must put into words."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "qualities": [{"code": 0, "name": "good", "good": True}],
                    "priorities": [{"name": "operator", "rank": 50}],
                    "severities": ["info", "warning", "alarm"],
                    "guard_states": ["starting", "normal"],
                    "limits": {
                        "plant": {
                            "en": "more than the plant's rated power",
                            "es": "más que la potencia nominal de la planta",
                        }
                    },
                    "roles": ["viewer", "operator", "engineer", "administrator"],
                    "languages": ["en", "es"],
                    "event_codes": {},
                }
            ]
        }
    )

    qualities: list[QualityWord]
    priorities: list[PriorityWord]
    severities: list[str]
    guard_states: list[str]
    limits: dict[str, Text]
    """Names of `limited_by`; of `request:NAME` and others, `/decisions` has the words."""
    roles: list[str]
    languages: list[str]
    event_codes: dict[str, CodeWord] = Field(default_factory=dict)


@router.get("/status", response_model=Status)
async def status(context: Annotated[Context, Depends(of)], tongue: Tongue) -> dict[str, Any]:
    """The gateway's status, at most 0.3 s old. Its sentences are in the language of who asks, if there is one."""
    told = await context.gateway.status()
    if tongue == "en":
        return told
    rest = spoken({name: part for name, part in told.items() if name != "points"}, tongue)
    return {**rest, "control": decided(told["control"], tongue), "points": told["points"]}


@router.get("/vocabulary", response_model=Vocabulary)
async def vocabulary(request: Request) -> Response:
    """Names and their words, constant until the gateway is updated."""
    plain, packed = _vocabulary()
    headers = {"vary": "accept-encoding"}
    if "gzip" not in accepted(request.headers.get("accept-encoding", "")):
        return Response(plain, headers=headers, media_type="application/json")
    return Response(packed, headers={**headers, "content-encoding": "gzip"}, media_type="application/json")


@cache
def _vocabulary() -> tuple[bytes, bytes]:
    """JSON, and the same with gzip: made once, because the first view waits for it."""
    codes = {
        code: CodeWord(
            severity=entry.severity.label,
            condition=entry.condition,
            **{language: code_text(code, language) for language in LANGUAGES},
        )
        for code, entry in catalogue().items()
    }
    words = Vocabulary(
        qualities=[QualityWord(code=q, name=q.label, good=q is Quality.GOOD) for q in Quality],
        priorities=[PriorityWord(name=p.name.lower(), rank=p) for p in Priority],
        severities=[severity.label for severity in Severity],
        guard_states=[state.value for state in GuardState],
        limits={name: Text(**texts) for name, texts in limit_words().items()},
        roles=[role.label for role in Role],
        languages=list(LANGUAGES),
        event_codes=codes,
    )
    plain = words.model_dump_json().encode()
    return plain, gzip.compress(plain, mtime=0)


def code_text(code: str, language: str) -> CodeText:
    """The catalogue's texts of a code that it has."""
    told = catalogue()[code].texts[language]
    title = told.meaning.split(". ")[0].rstrip(".")
    return CodeText(title=title, meaning=told.meaning, cause=told.cause, action=told.action)
