"""The registry of device models that comes with the gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from bessai.interfaces.api.answers import Answer, errors
from bessai.interfaces.api.context import Context, of
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.roles import Role, needs
from bessai.registry import list_profiles

router = APIRouter(tags=["profiles"], dependencies=[Depends(needs(Role.VIEWER))])


class Summary(Answer):
    """One model in short."""

    id: str
    manufacturer: str
    model: str
    kinds: list[str]
    status: str
    """`documented`, `cross-checked` or `field-tested`."""
    points: int
    control: bool
    """The gateway can command it."""
    caveats: int


class Profiles(Answer):
    """All of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "profiles": [
                        {"id": "soltaro_rack", "manufacturer": "Soltaro", "model": "Single rack, hardware version C",
                         "kinds": ["bms", "battery"], "status": "cross-checked", "points": 290, "control": False,
                         "caveats": 2}
                    ]
                }
            ]
        }
    )  # fmt: skip

    profiles: list[Summary]


class Document(Answer):
    """A profile as its file says it, with all that this leaves out."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"manufacturer": "Soltaro", "model": "Single rack, hardware version C", "points": {}}
            ]
        },
    )

    manufacturer: str
    model: str


@router.get("/profiles")
async def profiles(context: Annotated[Context, Depends(of)]) -> Profiles:
    """The models that the registry knows."""
    return await context.read(lambda: Profiles(profiles=[_summary(_document(p)) for p in list_profiles()]))


@router.get("/profiles/{id}", responses=errors(404))
async def profile(id: str, context: Annotated[Context, Depends(of)]) -> Document:  # noqa: A002 - its name
    """The profile as its file says it; its JSON Schema is `registry/profile.schema.json`."""

    def work() -> Document:
        path = next((path for path in list_profiles() if path.stem == id), None)
        if path is None:
            raise Problem(404, "no_such_profile", f"the registry has no profile {id[:80]!r}")
        return Document(**_document(path))

    return await context.read(work)


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _summary(document: dict[str, Any]) -> Summary:
    return Summary(
        id=document["id"],
        manufacturer=document["manufacturer"],
        model=document["model"],
        kinds=document["kinds"],
        status=document["status"],
        points=len(document["points"]),
        control=document.get("control") is not None,
        caveats=len(document.get("caveats", [])),
    )
