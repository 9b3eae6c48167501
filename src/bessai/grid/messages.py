"""Messages of the local socket that change a grid parameter, give a command or run a test: who, in which role, why.

{"op": "grid_set", "name": "frequency.droop", "value": 3, "authorisation": "CEN-2026-123", WHO}
{"op": "grid_command", "name": "voltage.mode", "value": "reactive_power", WHO}
{"op": "grid_command", "name": "active.maximum", "value": 4000, "source": "iec104", WHO}
{"op": "grid_adopt", "names": ["frequency.droop"], "authorisation": "CEN-2026-123", WHO}
{"op": "grid_test", "signal": "frequency", "kind": "step", "change": -0.2, "seconds": 20, WHO}
{"op": "grid_test_end", WHO}

WHO is `"user": "ana", "role": "engineer", "reason": "as instructed"`. A `source` may leave the role out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bessai.grid.functions import REMOTE
from bessai.grid.parameters import PARAMETERS
from bessai.grid.signals import TestSignal

TEXT = 128
"""Characters that a name, a reason or a reference may have."""

ENGINEER: Final = ("engineer",)
ANYBODY: Final = ("operator", "engineer", "grid_operator")
"""Roles that may give a command. The grid operator's has no place in `Role`: it operates nothing else here."""

_FIELDS: Final = {
    "grid_set": {"name", "value", "authorisation"},
    "grid_command": {"name", "value", "source"},
    "grid_adopt": {"names", "authorisation"},
    "grid_test": {"signal", "kind", "change", "seconds", "authorisation"},
    "grid_test_end": set[str](),
}
_ALWAYS: Final = {"op", "user", "role", "reason"}
_AUTHORISED: Final = ("grid_set", "grid_adopt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and by what right."""

    user: str = ""
    """A person, or the address of the system."""
    role: str = ""
    reason: str = ""
    """Why, in their own words."""
    authorisation: str = ""
    """Reference of the Coordinator's authorisation, for example the number of its letter."""
    source: str = ""
    """The system that passed it on, empty for a person at the gateway."""

    def __str__(self) -> str:
        through = f" through {self.source}" if self.source else ""
        right = f", authorisation {self.authorisation}" if self.authorisation else ""
        return f"{self.user} ({self.role}{through}){right}: {self.reason}"


def asker_of(message: Mapping[str, Any], problems: list[str]) -> Asker:
    """Who sends a message; whatever is wrong with that is added to `problems`."""
    op = str(message["op"])
    extra = set(message) - _ALWAYS - _FIELDS[op]
    problems += [f"{name}: {op} has no such field" for name in sorted(extra, key=str)]
    source = text_of(message, "source", problems) if op == "grid_command" else ""
    if source and source not in REMOTE:
        problems.append(f"source={source!r}: use {' or '.join(sorted(REMOTE))}, or leave it out")
    allowed = ANYBODY if op == "grid_command" else ENGINEER
    role = message.get("role") or ("grid_operator" if source else None)
    if role not in allowed:
        problems.append(f"role={role!r}: {op} takes the role {' or '.join(allowed)}")
    return Asker(
        user=text_of(message, "user", problems, "it is recorded, say it"),
        role=role if role in ANYBODY else "",
        reason=text_of(message, "reason", problems, "it is recorded, say it"),
        authorisation=text_of(
            message,
            "authorisation",
            problems,
            "give the reference of the Coordinator's authorisation (AT-IBR Art. 6-2)"
            if op in _AUTHORISED
            else "",
        ),
        source=source,
    )


def name_of(message: Mapping[str, Any], problems: list[str]) -> str | None:
    """The parameter that a message is about, when its op may change it."""
    name, op = message.get("name"), message["op"]
    if not isinstance(name, str) or name not in PARAMETERS:
        problems.append(f"name={name!r:.60}: there is no such parameter; `bessai grid status` lists them")
        return None
    kind = PARAMETERS[name].kind
    if kind == "parameter" and op == "grid_command":
        problems.append(f"{name} changes only with an authorisation (AT-IBR Art. 6-2): use grid_set")
        return None
    if kind == "command" and op == "grid_set":
        problems.append(f"{name} is a command of daily operation: use grid_command")
        return None
    return name


def text_of(message: Mapping[str, Any], name: str, problems: list[str], needed: str = "") -> str:
    """A text of a message; `needed` says what to do when there is none."""
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        problems.append(f"{name}={value!r:.40}: give a text of at most {TEXT} characters")
        return ""
    text = (value or "").strip()
    if needed and not text:
        problems.append(f"{name} is empty: {needed}")
    elif len(text) > TEXT:
        problems.append(f"{name}: {len(text)} characters are too many, at most {TEXT}")
        return ""
    elif not text.isprintable():
        problems.append(f"{name}={text!r}: only printable characters")
        return ""
    return text


def signal_of(message: Mapping[str, Any], problems: list[str]) -> TestSignal | None:
    """The test signal that a message asks for."""
    change, seconds = (_number(message, name, problems) for name in ("change", "seconds"))
    if change is None or seconds is None:
        return None
    try:
        return TestSignal(
            quantity=message.get("signal"),  # type: ignore[arg-type]  # it checks
            kind=message.get("kind"),  # type: ignore[arg-type]
            change=change,
            seconds=seconds,
        )
    except (ValueError, TypeError) as error:
        problems.append(str(error))
        return None


def _number(message: Mapping[str, Any], name: str, problems: list[str]) -> float | None:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.append(f"{name}={value!r:.40}: give a number")
        return None
    return float(value)
