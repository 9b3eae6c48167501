"""`bessai gridcode test --plant`: what must be said before power is moved, and the run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail

if TYPE_CHECKING:
    from bessai.gridcode.plant_plan import Plan
    from bessai.gridcode.report import Report
    from bessai.gridcode.rows import Row


def run_on_plant(
    names: Sequence[str],
    data_dir: Path,
    *,
    armed: bool,
    max_power: float | None,
    max_minutes: float | None,
    user: str,
    role: str,
    reason: str,
    authorisation: str,
) -> tuple[list[Row], Report]:
    """Run the signals whose rows are among `names`; every other row is not tested.

    Exits with 2 when something is missing, 3 when no gateway runs, 1 when the run is aborted.
    """
    from bessai.core.socket_file import socket_path
    from bessai.gridcode.feed import Feed, FeedError
    from bessai.gridcode.plant import AbortedError, PlantRun
    from bessai.gridcode.plant_plan import (
        FREQUENCY,
        POWER,
        REACTIVE,
        VOLTAGE,
        plant_row_names,
        untested_on_plant,
    )

    plan = _plan(
        armed=armed, max_power=max_power, max_minutes=max_minutes, user=user, role=role, reason=reason,
        authorisation=authorisation,
    )  # fmt: skip
    status = _status(data_dir)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Feed(socket_path(data_dir), (POWER, REACTIVE, FREQUENCY, VOLTAGE)) as feed:
            run = PlantRun(
                lambda message: ask_gateway(data_dir, message),
                feed,
                plan,
                lambda text: typer.echo(f"  … {text}", err=True),
            )
            rows = run.run(lambda name: name in names)
    except (AbortedError, FeedError, GatewayError, ValueError) as error:
        fail(f"aborted: {error}", code=NOT_HEALTHY)
    except KeyboardInterrupt:
        fail("aborted, and the test signal is taken back", code=NOT_HEALTHY)
    rows += untested_on_plant([name for name in names if name not in plant_row_names()])
    return rows, _report(rows, status, plan)


def _plan(*, armed: bool, max_power: float | None, max_minutes: float | None, **who: str) -> Plan:
    from bessai.gridcode.plant_plan import Plan

    problems = (
        [] if armed else ["--armed is missing: power will flow; give it when the plant is ready for that"]
    )
    if max_power is None or max_power <= 0:
        problems.append("--max-power: give the highest kW at the point of connection that the run may reach")
    if max_minutes is None or not 0 < max_minutes <= 60:
        problems.append("--max-minutes: give the longest time of the run, up to 60 minutes")
    problems += [f"--{name} is missing: it is recorded" for name, text in who.items() if not text.strip()]
    if who["role"] and who["role"] != "engineer":
        problems.append(f"--role {who['role']}: a test signal takes the role engineer")
    if problems or max_power is None or max_minutes is None:
        fail(*problems)
    return Plan(
        user=who["user"], reason=who["reason"], authorisation=who["authorisation"], role=who["role"],
        max_power=max_power, max_minutes=max_minutes,
    )  # fmt: skip


def _status(data_dir: Path) -> dict[str, Any]:
    try:
        answer = ask_gateway(data_dir, {"op": "status"})
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    status: dict[str, Any] = answer.get("status") or {}
    return status


def _report(rows: Sequence[Row], status: dict[str, Any], plan: Plan) -> Report:
    from bessai import __version__
    from bessai.gridcode.report import Report

    return Report(
        site=str(status.get("site") or status.get("site_id") or "plant"),
        where="plant",
        version=str(status.get("version") or __version__),
        seed=None,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        facts={
            "user": plan.user,
            "role": plan.role,
            "reason": plan.reason,
            "authorisation": plan.authorisation,
            "highest power": f"{plan.max_power:g} kW",
            "longest time": f"{plan.max_minutes:g} min",
        },
        sabotage="",
        rows=rows,
    )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
