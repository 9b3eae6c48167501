"""`bessai limits`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import fail, print_json

if TYPE_CHECKING:
    from bessai.core.limits import Limits, Weaker
    from bessai.registry import Problem


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(no_args_is_help=True, help="The battery's limits: show, check and sign them.")
    group.command()(show)
    group.command()(check)
    group.command()(sign)
    group.command()(document)
    app.add_typer(group, name="limits")


def show(
    file: Path | None = typer.Option(
        None, "--file", help="Limits file; without it those of the configuration."
    ),
    chemistry: str | None = typer.Option(None, help="Show this preset: lfp, nmc, lto or sodium_ion."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show the limits in force: derating, warnings, trips and flags.

    Exit codes: 0 shown, 2 the file is not valid.
    """
    from dataclasses import replace

    from bessai.core.limits import LimitsError, load_limits, preset_limits

    base: dict[str, float | None] = {}
    if file is None and chemistry is None:
        file, base = _configured()
    try:
        limits = preset_limits(_preset(chemistry)) if file is None else load_limits(file, base)
    except LimitsError as error:
        fail(*error.problems)
    if file is None:
        limits = replace(limits, **{name: value for name, value in base.items() if value is not None})  # type: ignore[arg-type]
    if as_json:
        print_json({"file": None if file is None else str(file), **_as_data(limits)})
        return
    _print(limits, "preset" if file is None else str(file))


def check(
    file: Path = typer.Argument(help="Limits file.", metavar="FILE"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Validate a limits file and list all errors at once: file, field, value, mend.

    Exit codes: 0 valid, 2 not.
    """
    from bessai.core.limits import LimitsError, load_limits, read_limits

    problems: list[Problem] = []
    weaker: tuple[Weaker, ...] = ()
    try:
        load_limits(file)
        draft = read_limits(file)
        weaker, signature = draft.weaker, draft.signature
    except LimitsError as error:
        problems, signature = error.problems, None
    if as_json:
        print_json(
            {
                "valid": not problems,
                "problems": [{name: getattr(p, name) for name in p.__slots__} for p in problems],
                "weaker": [{"field": item.field, "preset": item.preset} for item in weaker],
                "signed": None if signature is None else signature.model_dump(),
            }
        )
        raise typer.Exit(2 if problems else 0)
    if problems:
        fail(*problems)
    told = f", {len(weaker)} less safe than the preset" if weaker else ""
    by = f", signed by {signature.by} on {signature.date}" if signature else ""
    typer.echo(f"{file}: valid{told}{by}")


def sign(
    file: Path = typer.Argument(help="Limits file.", metavar="FILE"),
    by: str = typer.Option(..., "--by", help="Name of the engineer who answers for it."),
    reason: str = typer.Option(..., "--reason", help="Why, for example the data sheet and its revision."),
) -> None:
    """Sign a limits file as an engineer, which allows what is less safe than the preset.

    The signature covers the whole content: any later edit makes it invalid. It is as good as the protection of the
    file: whoever may write it may sign it.

    Exit codes: 0 signed, 2 the file is not consistent.
    """
    from bessai.core.limits import LimitsError, sign_limits

    try:
        draft = sign_limits(file, by=by, reason=reason, date=datetime.now(UTC).replace(microsecond=0))
    except LimitsError as error:
        fail(*error.problems)
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    except ValueError as error:
        fail(str(error))
    for item in draft.weaker:
        typer.echo(f"less safe than the preset: {item.field} (preset: {item.preset})")
    typer.echo(f"{file}: signed by {by.strip()}")


def document(
    page: Path | None = typer.Argument(None, help="Page whose generated part is made anew in place."),
) -> None:
    """Print the presets as Markdown, as in `docs/limits.md`, or renew them in a page."""
    from bessai.core.limits.docs import presets_markdown, with_presets

    if page is None:
        typer.echo(presets_markdown(), nl=False)
        return
    try:
        page.write_text(with_presets(page.read_text(encoding="utf-8")), encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(f"{page}: {error}")


def _preset(chemistry: str | None) -> str:
    from bessai.core.limits import PRESETS

    if chemistry is not None and chemistry not in PRESETS:
        fail(f"--chemistry {chemistry}: there is no such preset; there are {', '.join(PRESETS)}")
    return chemistry or "lfp"


def _configured() -> tuple[Path | None, dict[str, float | None]]:
    """LIMITS_FILE, and what the other settings say of the same."""
    from bessai.core.environment import SettingsError, given_value

    base: dict[str, float | None] = {}
    try:
        name = given_value("LIMITS_FILE")
        for field in ("soc_min", "soc_max", "charge_power_max", "discharge_power_max"):
            text = given_value(field.upper())
            try:
                base[field] = float(text) if text else None
            except ValueError:
                fail(f"{field.upper()}={text}: is no number; bessai config check tells more")
    except SettingsError as error:
        fail(*error.problems)
    return Path(name) if name else None, base


def _as_data(limits: Limits) -> dict[str, Any]:
    from dataclasses import asdict

    data = asdict(limits)
    for level in data["levels"]:
        for name in ("charge", "discharge"):
            level[name] = level[name] and level[name]["points"]
    for item in (*data["levels"], *data["flags"], data["current"]):
        for part in (item, item.get("trip") or {}):
            if "reset" in part:
                part["reset"] = part["reset"].label
    return {key: value for key, value in data.items() if key != "named"}


def _print(limits: Limits, origin: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from bessai.core.limits.docs import describe, describe_flag

    console = Console()
    cells = f", {limits.cells_in_series} cells in series" if limits.cells_in_series else ""
    console.print(f"[bold]{escape(limits.chemistry)}[/]{cells} ({escape(origin)})")
    console.print(
        f"SOC {limits.soc_min:g} … {limits.soc_max:g} %, opens again {limits.soc_hysteresis:g} % inside, "
        f"falls over {limits.soc_taper:g} % before"
    )
    table = Table(Column("limit", no_wrap=True), "point", "part", Column("value", overflow="fold"))
    for name, value, unit in (
        ("charge_power_max", limits.charge_power_max, "kW"),
        ("discharge_power_max", limits.discharge_power_max, "kW"),
        ("charge_current_max", limits.charge_current_max, "A"),
        ("discharge_current_max", limits.discharge_current_max, "A"),
    ):
        if value is not None:
            table.add_row(name, "", "", f"{value:g} {unit}")
    for limit in limits.levels:
        for i, (part, text) in enumerate(describe(limit).items()):
            table.add_row("" if i else limit.code, "" if i else limit.point, part, text)
    for flag in limits.flags:
        table.add_row(flag.code, flag.point, "flag", describe_flag(flag))
    console.print(table)
