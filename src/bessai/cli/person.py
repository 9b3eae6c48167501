"""What the commands share by which a person operates the gateway: who, in which role, why, and the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail

USER = typer.Option(..., "--user", help="Who does this; it is recorded.")
REASON = typer.Option(..., "--reason", help="Why; it is recorded.")
ROLE_HELP = "In which role: operator or engineer."


def operate(data_dir: Path, message: dict[str, Any]) -> dict[str, Any]:
    """Check an operation, send it, and return the gateway's answer.

    Exits with 2 when the message is wrong, 3 when no gateway runs, 1 when it refuses.
    """
    from bessai.core.operations import OperationError, operation_from

    try:
        operation_from(message)
    except OperationError as error:
        fail(*(f"--{problem}" for problem in error.problems))
    answer = _ask(data_dir, message)
    if not answer.get("ok"):
        fail(answer.get("error", "the gateway refused without a word"), code=NOT_HEALTHY)
    return answer


def status_of(data_dir: Path) -> dict[str, Any]:
    """The running gateway's status. Exits with 3 when none runs, 1 when it does not answer."""
    status: dict[str, Any] = _ask(data_dir, {"op": "status"}).get("status") or {}
    return status


def _ask(data_dir: Path, message: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    return answer
