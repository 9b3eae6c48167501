"""`bessai grid`: what the grid functions are set to, by whose authority, and how to change it."""

from __future__ import annotations

import getpass
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, NOT_HEALTHY, NOT_RUNNING, GatewayError, ask_gateway, fail, print_json
from bessai.cli.export import time_text
from bessai.cli.grid_view import print_history, print_status, value_text

_DURABLE = 5.0
"""Seconds that a change gets to reach the disk, before the command says that it has not."""
_POLL = 0.05

app = typer.Typer(
    no_args_is_help=True,
    help="Grid functions: what is in force, change a parameter, give a command, run a test signal.",
)
_NUMBERS = {"ignore_unknown_options": True}  # a value may be negative

User = Annotated[
    str,
    typer.Option(
        "--user",
        default_factory=getpass.getuser,
        show_default="who is logged in",
        help="Who does it; recorded.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]
Engineer = Annotated[str, typer.Option("--role", help="In which role; only an engineer may.")]
Authorisation = Annotated[
    str,
    typer.Option(
        "--authorisation",
        metavar="REF",
        help="Reference of the Coordinator's authorisation (AT-IBR Art. 6-2).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Parameter, as `bessai grid status` lists it.")]
Text = Annotated[str, typer.Argument(metavar="VALUE", help="A number, on, off, or a name.")]


class Signal(Enum):
    """What a test signal is added to."""

    FREQUENCY = "frequency"
    VOLTAGE = "voltage"


class Kind(Enum):
    """Its shape."""

    STEP = "step"
    RAMP = "ramp"


def register(parent: typer.Typer) -> None:
    """Add the commands to `bessai`."""
    parent.add_typer(app, name="grid")


@app.command()
def status(data_dir: Path = DATA_DIR, as_json: AsJson = False) -> None:
    """Show every parameter: value, limits, clause, and who set it; then what differs.

    Exit codes: 0 shown, 1 something differs, is lost or cannot be kept, or no answer; 3 not running.
    """
    grid = _ask(data_dir, {"op": "grid"})["grid"]
    if as_json:
        print_json(grid)
    else:
        print_status(grid)
    drifts = any(one["verdict"] == "differs" for one in grid["drift"].values())
    unsound = grid["lost"] or grid["file_differs"] or drifts or grid["problem"]
    raise typer.Exit(NOT_HEALTHY if unsound else 0)


@app.command("set", context_settings=_NUMBERS)
def set_(
    name: Name,
    value: Text,
    role: Engineer,
    authorisation: Authorisation,
    reason: Reason,
    user: User,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Change a parameter such as a droop, a dead band or a response time. It counts from the next cycle on.

    Exit codes: 0 in force and on disk, 1 refused, or not on disk yet; 2 wrong arguments, 3 not running.
    """
    message = {"op": "grid_set", "authorisation": authorisation, **_who(user, role, reason)}
    _change(data_dir, message | {"name": name, "value": _value(name, value)}, as_json=as_json)


@app.command(context_settings=_NUMBERS)
def command(
    name: Name,
    value: Text,
    reason: Reason,
    user: User,
    role: Annotated[
        str, typer.Option("--role", help="In which role: operator, engineer or grid_operator.")
    ] = "operator",
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give a command of daily operation: a set-point, a mode, a maximum, on or off.

    Exit codes: 0 in force and on disk, 1 refused, or not on disk yet; 2 wrong arguments, 3 not running.
    """
    message = {"op": "grid_command", **_who(user, role, reason)}
    _change(data_dir, message | {"name": name, "value": _value(name, value)}, as_json=as_json)


@app.command()
def adopt(
    role: Engineer,
    authorisation: Authorisation,
    reason: Reason,
    user: User,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Of which parameters the file's values come into force."),
    ] = None,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Take values of GRID_FILE into force, where it differs. Without a NAME: vouch for what is in force after a loss.

    Exit codes: 0 in force and on disk, 1 refused, or not on disk yet; 3 not running.
    """
    message = {"op": "grid_adopt", "names": names or [], "authorisation": authorisation}
    answer = _ask(data_dir, message | _who(user, role, reason))
    durable = _durable(data_dir, answer["revision"])
    if as_json:
        print_json({**answer, "durable": durable})
    else:
        adopted = [f"{name} = {value_text(value)}" for name, value in answer["adopted"].items()]
        typer.echo("adopted: " + ", ".join(adopted) if adopted else "the values in force are confirmed")
    _end(durable)


@app.command("test")
def signal_(
    reason: Reason,
    role: Engineer,
    user: User,
    signal: Annotated[
        Signal | None, typer.Argument(help="What is changed, as far as the functions see it.")
    ] = None,
    kind: Annotated[Kind, typer.Option("--kind", help="All at once, or growing evenly.")] = Kind.STEP,
    change: Annotated[
        float | None, typer.Option("--change", help="Hz, or % of the nominal voltage; may be negative.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long.")] = 20.0,
    end: Annotated[bool, typer.Option("--end", help="End the test signal that runs.")] = False,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Add a test signal to the measured frequency or voltage. The plant really answers it.

    Exit codes: 0 begun or ended, 1 refused, 2 wrong arguments, 3 not running.
    """
    if end == (signal is not None):
        fail("give frequency or voltage to begin a test signal, or --end")
    message: dict[str, Any] = {"op": "grid_test_end"}
    if signal is not None:
        if change is None:
            fail("--change is missing: give Hz, or % of the nominal voltage, for example --change -0.2")
        message = {
            "op": "grid_test", "signal": signal.value, "kind": kind.value, "change": change, "seconds": seconds,
        }  # fmt: skip
    answer = _ask(data_dir, message | _who(user, role, reason))
    if as_json:
        print_json(answer)
    elif signal is None:
        typer.echo("the test signal has ended" if answer["was_running"] else "no test signal was running")
    else:
        typer.echo(f"test signal on the {signal.value} for {seconds:g} s; --end stops it")


@app.command()
def history(
    count: Annotated[int, typer.Option("-n", "--lines", min=1, max=1000, help="How many of each.")] = 20,
    data_dir: Path = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show the last changes and refusals of parameters, and the last commands. The journal has them all.

    Exit codes: 0 shown, 1 no answer, 3 not running.
    """
    answer = _ask(data_dir, {"op": "grid_history", "count": count})
    if as_json:
        print_json({name: answer[name] for name in ("history", "commands", "revision", "durable")})
        return
    print_history(answer, time_text)


def _who(user: str, role: str, reason: str) -> dict[str, Any]:
    return {"user": user, "role": role, "reason": reason}


def _value(name: str, text: str) -> Any:
    """As the parameter has it; what is no parameter is refused by the gateway."""
    from bessai.grid import PARAMETERS

    parameter = PARAMETERS.get(name)
    if parameter is None or text in parameter.choices:
        return text
    if parameter.type == "switch":
        switched = {"on": True, "true": True, "off": False, "false": False}.get(text.lower())
        return text if switched is None else switched
    try:
        return float(text)
    except ValueError:
        return text


def _change(data_dir: Path, message: dict[str, Any], *, as_json: bool) -> None:
    answer = _ask(data_dir, message)
    durable = _durable(data_dir, answer["revision"])
    if as_json:
        print_json({**answer, "durable": durable})
    else:
        typer.echo(f"{answer['name']}: {value_text(answer['old'])} → {value_text(answer['value'])}")
    _end(durable)


def _durable(data_dir: Path, revision: int) -> bool:
    """Wait until a change survives a power cut."""
    end = time.monotonic() + _DURABLE
    while _ask(data_dir, {"op": "grid_history", "count": 1})["durable"] < revision:
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _end(durable: bool) -> None:
    if not durable:
        fail(
            "it is in force, but not on disk: a power cut would undo it; see `bessai alarms`",
            code=NOT_HEALTHY,
        )


def _ask(data_dir: Path, message: dict[str, Any]) -> dict[str, Any]:
    """The gateway's answer. Exits with 3 when none runs, 1 when it refuses."""
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    except ValueError as error:  # not JSON, for instance a number that is none
        fail(error)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    if not answer.get("ok"):
        problem = str(answer.get("error", "the gateway refused without a word"))
        if problem.startswith(f"op {message['op']!r} is unknown"):
            problem = "the gateway runs without grid functions: set GRID_FILE"
        fail(*problem.split("; "), code=NOT_HEALTHY)
    return answer
