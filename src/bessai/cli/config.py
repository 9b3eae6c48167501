"""`bessai config`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from bessai.cli.common import check_destinations, fail, print_json

if TYPE_CHECKING:
    from bessai.core.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at the configuration.")
    group.command()(check)
    app.add_typer(group, name="config")


def check(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Validate environment, `config/.env` and the profile they name; print them with secrets masked.

    Exit codes: 0 valid, 2 not (every problem is listed at once).
    """
    from bessai.core.environment import SettingsError
    from bessai.core.fitting import commands_nothing, slow_cycle
    from bessai.core.settings import Settings
    from bessai.core.start import checked

    try:
        settings, site, limits, grid = checked()
        check_destinations(settings)
        _check_files(settings)
    except SettingsError as error:
        if as_json:
            print_json({"valid": False, "problems": error.problems})
            raise typer.Exit(2) from None
        fail(*error.problems)
    shown = settings.masked()
    watches = commands_nothing(settings, site)
    controls = settings.control_mode == "control"
    commanded = [d.name for d in site.units if controls and d.compiled.control is not None]
    if as_json:
        print_json(
            {
                "valid": True,
                "settings": shown,
                "devices": {d.name: d.compiled.id for d in site.devices},
                "commanded": commanded,
                "limits": {
                    "chemistry": limits.chemistry,
                    "file": None if settings.limits_file is None else str(settings.limits_file),
                },
                "grid": None
                if grid is None
                else {
                    "file": str(settings.grid_file),
                    "rated_power": grid.rated_power,
                    "converters": grid.converters,
                },
                "report": None if settings.report_file is None else str(settings.report_file),
            }
        )
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(
        Column("variable", no_wrap=True),
        Column("value", overflow="fold"),
        "meaning",
        title=Text(f"configuration of {settings.site_id}"),
    )
    for name, value in shown.items():
        field = Settings.model_fields[name.lower()]
        default = name.lower() not in settings.model_fields_set
        table.add_row(
            name,
            Text("unset" if value is None else str(value), style="dim" if default or value is None else ""),
            Text(field.description or "", style="dim"),
        )
    Console().print(table)
    from rich.markup import escape

    devices = Counter(f"{d.compiled.manufacturer} {d.compiled.model}" for d in site.devices)
    what = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in devices.items())
    Console().print(f"[green]valid[/]; {escape(what)}; {len(site.layout)} points")
    where = "preset" if settings.limits_file is None else f"from {settings.limits_file}"
    told = {0: "no device is commanded", 1: "1 device is commanded"}
    Console().print(
        f"limits: {escape(limits.chemistry)}, {escape(where)}; "
        f"{told.get(len(commanded), f'{len(commanded)} devices are commanded')}"
    )
    if watches is not None:
        Console().print(f"[yellow]warning[/]: {escape(watches)}; set CONTROL_MODE=monitor if that is meant")
    if (late := slow_cycle(settings, grid)) is not None:
        Console().print(f"[yellow]warning[/]: {escape(late)}")
    if grid is not None:
        Console().print(
            f"grid functions: {grid.rated_power:g} kW, {grid.converters}, from {escape(str(settings.grid_file))}"
        )
    if site.report is not None:
        rules = len(site.report.rules)
        Console().print(f"report: {rules} rule{'s' * (rules != 1)} from {escape(str(settings.report_file))}")


def _check_files(settings: Settings) -> None:
    """A wrong schedule or notification file does not keep the gateway from running, but here it is told.

    Raises:
        SettingsError: with every problem of both files.
    """
    import os

    from bessai.core.environment import SettingsError
    from bessai.interfaces.notify.loading import NotifyError, load_notify
    from bessai.interfaces.schedule import ScheduleError, load_schedule

    problems: list[str] = []
    if settings.schedule_file is not None:
        try:
            load_schedule(settings.schedule_file)
        except ScheduleError as error:
            problems += [f"SCHEDULE_FILE: {problem}" for problem in error.problems]
    if settings.notify_file is not None:
        try:
            load_notify(settings.notify_file, os.environ)
        except NotifyError as error:
            problems += [f"NOTIFY_FILE: {problem}" for problem in error.problems]
    if problems:
        raise SettingsError(problems)
