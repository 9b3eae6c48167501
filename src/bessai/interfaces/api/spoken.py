"""The control plane's sentences in the language of who asks: translated on their way out, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request

from bessai.interfaces.api import messages
from bessai.model.sentences import in_spanish, translated

T = TypeVar("T")


def _asked(request: Request) -> str:
    return messages.language_of(request.scope)


Tongue = Annotated[str, Depends(_asked)]
"""Of a request, as in `messages`."""


def spoken(answer: T, language: str) -> T:
    """An answer, or a part of one, in a language; in English it is the same object."""
    if language != "es":
        return answer
    return cast("T", in_spanish(answer) if isinstance(answer, str) else translated(answer))


def decided(decision: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A decision. The grid functions give reasons of their own for what they ask; everybody else's are a person's."""
    found: dict[str, Any] = dict(spoken(decision, language))
    if language == "es":
        for name in ("requests", "considered"):
            if name in found:
                found[name] = [_reason(one) for one in found[name]]
        found = _reason(found)
    return found


def _reason(one: Mapping[str, Any]) -> dict[str, Any]:
    ours = str(one.get("source") or "").startswith("grid.")
    return {**one, "reason": in_spanish(str(one.get("reason") or ""))} if ours else dict(one)
