"""`bessai alarms`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import (
    DATA_DIR,
    NOT_HEALTHY,
    NOT_RUNNING,
    GatewayError,
    ask_gateway,
    default_data_dir,
    duration,
    fail,
    print_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from bessai.model.catalogue import CatalogueEntry


class Language(StrEnum):
    """Languages of the catalogue."""

    EN = "en"
    ES = "es"


_CODE = typer.Argument(help="Code of the alarm, as `bessai alarms` lists it.", metavar="CODE")
_POINT = typer.Option(None, "--point", help="Its point; needed where the code stands at more than one.")
_REASON = typer.Option(..., "--reason", help="Why; it is recorded.")
_USER = typer.Option(
    default_factory=getpass.getuser, show_default="who is logged in", help="Who does it; recorded."
)
_JSON = typer.Option(False, "--json", help="Print JSON.")
_LANGUAGE = typer.Option(Language.EN, "--lang", help="Language of the explanations.")
_STYLES = {"alarm": "bold red", "warning": "yellow", "info": ""}


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(help="Alarms: list, acknowledge, shelve, explain.")
    group.callback(invoke_without_command=True)(_default)
    group.command("list")(list_)
    group.command("ack")(acknowledge)
    group.command("shelve")(shelve)
    group.command("unshelve")(unshelve)
    group.command("explain")(explain)
    group.command("document")(document)
    app.add_typer(group, name="alarms")


def _default(
    context: typer.Context,
    data_dir: Path | None = typer.Option(None, help="Where the gateway keeps its journal and socket."),
    language: Language = _LANGUAGE,
    as_json: bool = _JSON,
) -> None:
    """Alarms of the running gateway: list, acknowledge, shelve; explain any code. Alone, it lists."""
    if context.invoked_subcommand is None:
        list_(data_dir=data_dir or default_data_dir(), language=language, as_json=as_json)


def list_(data_dir: Path = DATA_DIR, language: Language = _LANGUAGE, as_json: bool = _JSON) -> None:
    """List what stands, what waits to be acknowledged, and last what is shelved.

    Exit codes: 0 listed, 1 no answer, 3 not running.
    """
    alarms: list[dict[str, Any]] = _ask(data_dir, {"op": "alarms"})["alarms"]
    if as_json:
        print_json(alarms)
        return
    if not alarms:
        typer.echo("no alarms")
        return
    from rich.console import Console

    console = Console(highlight=False)
    for line in _lines(alarms, language.value):
        console.print(line, soft_wrap=True)


def acknowledge(
    code: str = _CODE,
    point: str | None = _POINT,
    reason: str = _REASON,
    user: str = _USER,
    data_dir: Path = DATA_DIR,
    as_json: bool = _JSON,
) -> None:
    """Take note of an alarm. It changes nothing about the plant.

    Exit codes: 0 done, 1 no answer, 2 refused, 3 not running.
    """
    message = {"op": "alarm_ack", "code": code, "point": point, "user": user, "reason": reason}
    _done(_ask(data_dir, message), f"{code} acknowledged", as_json=as_json)


def shelve(
    code: str = _CODE,
    point: str | None = _POINT,
    time: str = typer.Option(..., "--for", help="How long, for example 30m or 8h. At most 12h."),
    reason: str = _REASON,
    user: str = _USER,
    data_dir: Path = DATA_DIR,
    as_json: bool = _JSON,
) -> None:
    """Put a warning at the end of the list for a time. Recording goes on; an alarm cannot be shelved.

    Exit codes: 0 done, 1 no answer, 2 refused, 3 not running.
    """
    message = {"op": "alarm_shelve", "code": code, "point": point, "user": user, "reason": reason}
    answer = _ask(data_dir, message | {"for": duration("--for", time)})
    _done(answer, f"{code} shelved for {time}", as_json=as_json)


def unshelve(
    code: str = _CODE,
    point: str | None = _POINT,
    reason: str = _REASON,
    user: str = _USER,
    data_dir: Path = DATA_DIR,
    as_json: bool = _JSON,
) -> None:
    """Bring a shelved warning back before its time.

    Exit codes: 0 done, 1 no answer, 2 refused, 3 not running.
    """
    message = {"op": "alarm_unshelve", "code": code, "point": point, "user": user, "reason": reason}
    _done(_ask(data_dir, message), f"{code} is back in its place", as_json=as_json)


def explain(
    code: str = typer.Argument(help="Code of an alarm or event.", metavar="CODE"),
    language: Language = _LANGUAGE,
    as_json: bool = _JSON,
) -> None:
    """Say what a code means, what causes it and what to do. Works without a gateway.

    Exit codes: 0 explained, 2 no such code.
    """
    import difflib

    from bessai.model.catalogue import catalogue

    entry = catalogue().get(code)
    if entry is None:
        near = difflib.get_close_matches(code, catalogue(), n=3) or sorted(catalogue())
        fail(f"there is no code {code!r}; perhaps {', '.join(near)}")
    if as_json:
        print_json(_plain(entry))
        return
    from bessai.model.catalogue_docs import WORDS, facts

    words, texts = WORDS[language.value], entry.texts[language.value]
    typer.echo(
        f"{code}  ({', '.join(f'{name}: {fact}' for name, fact in facts(entry, language.value).items())})"
    )
    for name in ("meaning", "cause", "action"):
        typer.echo(f"{words[name]}: {getattr(texts, name)}")
    if entry.coming:
        typer.echo(words["coming"])


def document(language: Language = _LANGUAGE) -> None:
    """Print the catalogue as a Markdown page, as in `docs/alarms.md` and `docs/alarms.es.md`."""
    from bessai.model.catalogue_docs import catalogue_markdown

    typer.echo(catalogue_markdown(language.value), nl=False)


def _ask(data_dir: Path, message: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = ask_gateway(data_dir, message)
    except GatewayError as error:
        fail(error, code=NOT_HEALTHY)
    if answer is None:
        fail(f"no gateway is running on {data_dir} (set DATA_DIR or --data-dir)", code=NOT_RUNNING)
    if not answer.get("ok"):
        fail(answer.get("error", "the gateway refused, and did not say why"))
    return answer


def _done(answer: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        typer.echo(words)


def _lines(alarms: list[dict[str, Any]], language: str) -> Iterator[Text]:
    """Two lines an alarm: what and where, then what it means."""
    from rich.text import Text

    from bessai.model.catalogue import catalogue

    for alarm in alarms:
        entry = catalogue().get(alarm["code"])
        what = alarm["message"] if entry is None or language == "en" else entry.texts[language].meaning
        times = f" ({alarm['count']} times)" if alarm["count"] > 1 else ""
        first = " (first)" if alarm["first_out"] else ""
        where = f" of {alarm['point']}" if alarm["point"] else ""
        lively = alarm["active"] and alarm["state"] != "shelved"
        head = f"{alarm['severity'].upper():<8}{alarm['code']}{where}{first}"
        yield Text(head, style=_STYLES.get(alarm["severity"], "") if lively else "dim")
        yield Text(f"        {_time(alarm['began_wall_ns'])}  {_state(alarm)}", style="dim")
        yield Text(f"        {what}{times}")


def _state(alarm: dict[str, Any]) -> str:
    state = str(alarm["state"])
    if alarm["shelved_by"]:
        state += f" until {_time(alarm['shelved_until_wall_ns'])} by {alarm['shelved_by']}"
    elif alarm["acknowledged_by"]:
        state += f" by {alarm['acknowledged_by']}"
    if alarm["chattering"]:
        state += ", chattering"
    return state if alarm["active"] or state == "returned" else f"{state}, over"


def _time(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _plain(entry: CatalogueEntry) -> dict[str, Any]:
    texts = {
        language: {name: getattr(text, name) for name in text.__slots__}
        for language, text in entry.texts.items()
    }
    plain = {name: getattr(entry, name) for name in entry.__slots__}
    return plain | {"severity": entry.severity.label, "texts": texts}
