"""Messages that become operations, and what is wrong with those that do not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessai.core.operations import TEXT, OperationError, operation_from
from bessai.model import Operation, Role

WHO = {"user": "ana", "role": "engineer", "reason": "cells balanced"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"op": "reset", "code": "soc_high"}, {"kind": "reset", "code": "soc_high"}),
        (
            {"op": "reset", "code": "all", "unit": "rack_1"},
            {"kind": "reset", "code": "all", "unit": "rack_1"},
        ),
        ({"op": "maintenance", "on": True}, {"kind": "maintenance_on"}),
        ({"op": "maintenance", "on": False}, {"kind": "maintenance_off"}),
        ({"op": "deadman_test", "seconds": 90}, {"kind": "deadman_test", "seconds": 90.0}),
        (
            {
                "op": "deadman_test_end",
                "result": "passed",
                "seconds": 61.5,
                "evidence": {"kw": 0.0, "how": "x" * 1024},
            },
            {
                "kind": "deadman_test_end",
                "passed": True,
                "seconds": 61.5,
                "evidence": {"kw": 0.0, "how": "x" * 1024},
            },
        ),
        ({"op": "deadman_test_end", "result": "failed"}, {"kind": "deadman_test_end", "passed": False}),
    ],
)
def test_a_message_becomes_an_operation(message: dict[str, Any], expected: dict[str, Any]) -> None:
    assert operation_from(message | WHO) == Operation(
        user="ana", role=Role.ENGINEER, reason="cells balanced", **expected
    )


def test_texts_are_stripped() -> None:
    operation = operation_from({"op": "maintenance", "on": True, **WHO, "user": "  ana ", "reason": " x\n"})
    assert (operation.user, operation.reason) == ("ana", "x")


RESET = {"op": "reset", "code": "soc_high", **WHO}
END = {"op": "deadman_test_end", "result": "passed", **WHO}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({}, "op=None is unknown"),
        ({**RESET, "op": ["reset"]}, "is unknown"),
        ({**RESET, "op": "maintenance_on"}, "use reset, maintenance, deadman_test, deadman_test_end"),
        ({**RESET, "user": ""}, "user is empty"),
        ({**RESET, "user": " \t "}, "user is empty"),
        ({**RESET, "user": None}, "user is empty"),
        ({**RESET, "user": 7}, "user=7: give a text"),
        ({**RESET, "reason": "x" * (TEXT + 1)}, "reason: 129 characters are too many"),
        ({**RESET, "reason": "a\nb"}, "only printable"),
        ({**RESET, "reason": "a\x1b[2Jb"}, "only printable"),
        ({**RESET, "reason": "\u202etxet"}, "only printable"),
        ({**RESET, "role": "admin"}, "role='admin': use one of operator, engineer"),
        ({**RESET, "role": "ENGINEER"}, "use one of operator, engineer"),
        ({**RESET, "role": 20}, "role=20"),
        ({**RESET, "role": None}, "role=None"),
        ({**RESET, "role": ["engineer"]}, "role=['engineer']"),
        ({**RESET, "code": ""}, "code is empty"),
        ({**RESET, "unit": 1}, "unit=1"),
        ({**RESET, "force": True}, "force: reset has no such field"),
        ({"op": "maintenance", **WHO}, "on=None: give true or false"),
        ({"op": "maintenance", "on": 1, **WHO}, "on=1: give true or false"),
        ({"op": "maintenance", "on": "false", **WHO}, "on='false': give true or false"),
        ({"op": "deadman_test", "seconds": -1, **WHO}, "seconds=-1"),
        ({"op": "deadman_test", "seconds": math.nan, **WHO}, "seconds=nan"),
        ({"op": "deadman_test", "seconds": True, **WHO}, "seconds=True"),
        ({**END, "result": True}, "result=True: give 'passed' or 'failed'"),
        ({**END, "result": None}, "result=None"),
        ({**END, "evidence": [1]}, "evidence: give an object"),
        ({**END, "evidence": {"a": {"b": 1}}}, "evidence.a: give a number"),
        ({**END, "evidence": {"a": math.inf}}, "evidence.a"),
        ({**END, "evidence": {"a": "x" * 1025}}, "at most 1024 characters"),
        ({**END, "evidence": {str(n): n for n in range(65)}}, "at most 64"),
    ],
)
def test_a_wrong_message_says_what_to_give(message: dict[str, Any], problem: str) -> None:
    with pytest.raises(OperationError) as caught:
        operation_from(message)
    assert problem in str(caught.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(OperationError) as caught:
        operation_from({"op": "reset"})
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "user",
        "reason",
        "role=None:",
        "code",
    ]
