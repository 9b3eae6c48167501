"""Messages of the local socket that become an `Operation`: who acts, in which role, and why.

{"op": "reset", "code": "cell_voltage_high", "unit": "", "user": "ana", "role": "engineer", "reason": "…"}
{"op": "maintenance", "on": true, "user": "ana", "role": "operator", "reason": "…"}
{"op": "deadman_test", "unit": "", "user": "ana", "role": "engineer", "reason": "…", "seconds": 120}
{"op": "deadman_test_end", "unit": "", "result": "passed", "user": …, "role": …, "reason": …,
 "seconds": 61.5, "evidence": {"fell_to_kw": 0.0}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bessai.model import Operation, Role

OPERATIONS = ("reset", "maintenance", "deadman_test", "deadman_test_end")
"""The values of `op` that this module understands."""

TEXT = 128
"""Characters that a name or a reason may have."""

EVIDENCE = 64
"""Values that the evidence of one test may have."""

EVIDENCE_TEXT = 1024
"""Characters of a text among them: a profile describes its fall-back in a sentence or two."""

_FIELDS = {
    "reset": {"code", "unit"},
    "maintenance": {"on"},
    "deadman_test": {"unit", "seconds"},
    "deadman_test_end": {"unit", "seconds", "result", "evidence"},
}
_ALWAYS = {"op", "user", "role", "reason"}
_RESULTS = {"passed": True, "failed": False}


class OperationError(ValueError):
    """A message is not an operation.

    Args:
        problems: each names a field, what is wrong with it, and what to give.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def operation_from(message: Mapping[str, Any]) -> Operation:
    """The operation that a message asks for.

    Raises:
        OperationError: with everything that is wrong.
    """
    op = message.get("op")
    if not isinstance(op, str) or op not in _FIELDS:
        raise OperationError([f"op={op!r} is unknown: use {', '.join(OPERATIONS)}"])
    problems = [
        f"{name}: {op} has no such field" for name in sorted(set(message) - _ALWAYS - _FIELDS[op], key=str)
    ]
    user, reason = (_text(message, name, problems, needed=True) for name in ("user", "reason"))
    role = _role(message.get("role"), problems)
    kind, code, passed = op, "", None
    evidence: dict[str, str | float | bool | None] = {}
    if op == "reset":
        code = _text(message, "code", problems, needed=True)
    elif op == "maintenance":
        on = message.get("on")
        if not isinstance(on, bool):
            problems.append(f"on={on!r}: give true or false")
        kind = "maintenance_on" if on else "maintenance_off"
    elif op == "deadman_test_end":
        result = message.get("result")
        if not isinstance(result, str) or result not in _RESULTS:
            problems.append(f"result={result!r}: give 'passed' or 'failed'")
        else:
            passed = _RESULTS[result]
        evidence = _evidence(message.get("evidence"), problems)
    unit = _text(message, "unit", problems, needed=False)
    seconds = _seconds(message.get("seconds"), problems)
    if problems or role is None:
        raise OperationError(problems)
    return Operation(
        kind=kind, user=user, role=role, reason=reason, code=code, unit=unit, passed=passed, seconds=seconds,
        evidence=evidence,
    )  # fmt: skip


def _text(message: Mapping[str, Any], name: str, problems: list[str], *, needed: bool) -> str:
    value = message.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str):
        problems.append(f"{name}={value!r}: give a text of at most {TEXT} characters")
        return ""
    text = value.strip()
    if needed and not text:
        problems.append(f"{name} is empty: it is recorded, say it")
    elif len(text) > TEXT:
        problems.append(f"{name}: {len(text)} characters are too many, at most {TEXT}")
    elif not text.isprintable():
        problems.append(f"{name}={text!r}: only printable characters")
    return text


def _role(value: object, problems: list[str]) -> Role | None:
    roles = {role.label: role for role in Role}
    if isinstance(value, str) and value in roles:
        return roles[value]
    problems.append(f"role={value!r}: use one of {', '.join(roles)}")
    return None


def _seconds(value: object, problems: list[str]) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        problems.append(f"seconds={value!r}: give a number of seconds, not negative")
        return None
    return float(value)


def _evidence(value: object, problems: list[str]) -> dict[str, str | float | bool | None]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > EVIDENCE:
        problems.append(f"evidence: give an object of at most {EVIDENCE} names and values")
        return {}
    wrong = [
        name
        for name, item in value.items()
        if not isinstance(name, str)
        or len(name) > TEXT
        or not (item is None or isinstance(item, str | bool | int | float))
        or (isinstance(item, str) and len(item) > EVIDENCE_TEXT)
        or (isinstance(item, float) and not math.isfinite(item))
    ]
    if wrong:
        problems.append(
            f"evidence.{str(wrong[0])[:TEXT]}: give a number, true, false, null "
            f"or a text of at most {EVIDENCE_TEXT} characters"
        )
        return {}
    return dict(value)
