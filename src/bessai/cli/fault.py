"""`bessai fault`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bessai.cli.common import NOT_HEALTHY, NOT_RUNNING, fail, print_json


def register(app: typer.Typer) -> None:
    """Add the command; its help shows the table of faults."""
    app.command(help=f"{fault.__doc__}\n\n{_table()}")(fault)


def fault(
    address: str = typer.Argument(
        help="Port or HOST:PORT that the simulator printed first, the path of its serial line, or its control socket."
    ),
    specs: list[str] = typer.Argument(
        None, metavar="SPEC…", help="name[=value][@device]; with --clear also @device or a name alone."
    ),
    clear: bool = typer.Option(False, "--clear", help="End these faults; without SPEC all of them."),
    show: bool = typer.Option(False, "--list", help="Show what is on, and change nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Make a running `bessai simulate` misbehave, from another terminal. Prints every fault that is on.

    `bessai fault 5020 silence@rack_3` lets one device fall silent, `bessai fault 5020 delay=0.1..0.5` slows
    every bus, `bessai fault 5020 --clear` ends everything. @ takes a device's name or a bus's HOST:PORT.

    Where a fault takes OFTEN, nothing means always, 3 the next three requests, 10% that share of them.

    Exit codes: 0 done, 1 the simulator does not answer, 2 wrong fault or device, 3 no simulator is running there.
    """
    from bessai.twin.control_socket import ControlError, ask_simulator, control_path
    from bessai.twin.fault_table import parse_fault
    from bessai.twin.grid_faults import parse_grid_fault

    specs = specs or []
    if show and (clear or specs):
        fail("--list changes nothing; leave out --clear and the faults")
    if not (show or clear or specs):
        fail("name a fault, or give --list or --clear; `bessai fault -h` lists them")
    for spec in () if clear else specs:
        try:
            if parse_grid_fault(spec) is None:
                parse_fault(spec)
        except ValueError as error:
            fail(error)
    path = Path(address) if Path(address).is_socket() else control_path(address)
    message: dict[str, Any] = {"op": "list" if show else "clear" if clear else "set", "faults": specs}
    try:
        answer = ask_simulator(path, message)
    except ControlError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no simulator is running at {address} (no socket at {path})", code=NOT_RUNNING)
    if not answer.get("ok"):
        fail(answer.get("error"))
    if as_json:
        print_json({"faults": answer["faults"]})
    elif answer["faults"]:
        typer.echo("\n".join(answer["faults"]))
    else:
        typer.echo("no faults")


def _table() -> str:
    from bessai.twin.fault_table import KINDS
    from bessai.twin.grid_faults import GRID_KINDS

    rows = [f"* `{kind.usage}`: {kind.meaning}" for kind in KINDS.values()]
    rows += [f"* `{kind.usage}`: {kind.meaning}" for kind in GRID_KINDS.values()]
    return "Faults:\n\n" + "\n".join(rows)
