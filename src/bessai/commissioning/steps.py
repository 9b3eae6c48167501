"""The steps in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bessai.commissioning.deadman import deadman_test
from bessai.commissioning.limits import limit_test
from bessai.commissioning.plausibility import plausibility
from bessai.commissioning.procedure import Findings, Plan, Steps
from bessai.commissioning.response import response_test
from bessai.commissioning.sign import sign_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a commissioning."""

    key: str
    """What --skip calls it."""
    title: str
    run: Callable[[Plan, Findings], Steps[None]]
    needs: tuple[str, ...] = ()
    """Steps that must have passed, or have been left out, before this one may move power."""
    not_after: tuple[str, ...] = ()
    """Steps whose failure forbids this one."""


STEPS = (
    Step(key="points", title="Plausibility of points", run=plausibility),
    Step(key="sign", title="Sign test", run=sign_test, needs=("points",)),
    Step(key="limits", title="Limit tests", run=limit_test, needs=("sign",)),
    Step(key="deadman", title="Dead-man test", run=deadman_test, needs=("sign",)),
    Step(
        key="response",
        title="Response and accuracy",
        run=response_test,
        needs=("sign",),
        not_after=("deadman",),
    ),
)
