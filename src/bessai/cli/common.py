"""What several commands share."""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from bessai.core.settings import Settings

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
OK, NOT_HEALTHY, WRONG_INPUT, NOT_RUNNING = 0, 1, 2, 3


def default_data_dir() -> Path:
    """DATA_DIR as the gateway finds it: the environment, `config/.env`, or the default."""
    from bessai.core.environment import SettingsError, given_value

    try:
        return Path(given_value("DATA_DIR") or "data")
    except SettingsError as error:
        fail(*error.problems)


def given_megabytes(name: str, default: int) -> int:
    """Bytes of a setting that counts in MB; exits when it is no number."""
    from bessai.core.environment import SettingsError, given_value

    try:
        text = given_value(name) or str(default)
    except SettingsError as error:
        fail(*error.problems)
    if not text.strip().isdecimal() or int(text) < 1:
        fail(f"{name}={text}: give a number of MB, for example {default}")
    return int(text) << 20


DATA_DIR = typer.Option(
    default_factory=default_data_dir, show_default="DATA_DIR, else data",
    help="Where the gateway keeps its journal and socket.",
)  # fmt: skip


class GatewayError(Exception):
    """A gateway is there but does not answer as it should."""


def fail(*problems: object, code: int = WRONG_INPUT) -> NoReturn:
    """Print problems on standard error, one a line, and exit."""
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(code)


def check_destinations(settings: Settings) -> None:
    """Let the service plane look at its settings. Raises SettingsError."""
    from bessai.core.environment import SettingsError
    from bessai.interfaces.settings import ServiceSettings

    try:
        ServiceSettings.from_environment(settings.environment())
    except ValueError as error:
        raise SettingsError(str(error).splitlines()) from None


def duration(option: str, text: str) -> float:
    """Seconds of a time such as `90s`, `15m` or `2h`; exits when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None:
        fail(f"{option} {text!r}: give a number with s, m or h, for example 90s")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def moment(option: str, text: str, now_ns: int) -> int:
    """UTC nanoseconds of an ISO 8601 time or of a time relative to now."""
    if text == "now":
        return now_ns
    try:
        if relative := re.fullmatch(r"([+-]\d+(?:\.\d+)?)([smhdw])", text):
            return now_ns + int(timedelta(**{_UNITS[relative[2]]: float(relative[1])}).total_seconds() * 1e9)
        time_ = datetime.fromisoformat(text)
        since = (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return max(-(2**63), min(since // timedelta(microseconds=1) * 1000, 2**63 - 1))
    except (ValueError, OverflowError):
        fail(
            f"{option} {text!r} is no time: write 2026-01-31T12:00:00Z, 2026-01-31, now, or -1h",
        )


def print_json(data: Any) -> None:
    """Print one JSON document for programs."""
    typer.echo(json.dumps(data, allow_nan=False, indent=2))


def ask_gateway(data_dir: Path, message: dict[str, Any], timeout: float = 3.0) -> dict[str, Any] | None:
    """Send one message to the gateway of a data directory. None when none is running there.

    Raises:
        GatewayError: it does not answer, or belongs to another user.
    """
    from bessai.core.socket_file import socket_path

    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(socket_path(data_dir)))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except PermissionError:
        raise GatewayError(f"the gateway of {data_dir} belongs to another user") from None
    except OSError as error:
        raise GatewayError(f"the gateway of {data_dir} does not answer: {error}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        return None  # it is ending
    return answer if isinstance(answer, dict) else None
