"""What `bessai grid` prints for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def value_text(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def print_status(grid: dict[str, Any]) -> None:
    """The parameters as a table, then what differs."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("parameter", no_wrap=True), "value", Column("may be", overflow="fold"), "set by")
    for name, one in grid["parameters"].items():
        mark = "" if one["kind"] == "parameter" else " [dim](command)[/]"
        by = one["set_by"] or "GRID_FILE"
        authorisation = f", {one['authorisation']}" if one["authorisation"] else ""
        table.add_row(
            f"{name}{mark}",
            value_text(one["value"]) + (f" {one['unit']}" if isinstance(one["value"], float) else ""),
            _plain(one["range"]),
            _plain(by + authorisation),
        )
    Console(highlight=False).print(table)
    for line in _differing(grid):
        typer.echo(line)


def _differing(grid: dict[str, Any]) -> list[str]:
    lines = []
    if grid["lost"]:
        lines.append(f"the record of authorised values is lost: {grid['lost']}")
    lines += [
        f"{name}: GRID_FILE says {value_text(one['file'])}, in force is {value_text(one['in_force'])}"
        for name, one in grid["file_differs"].items()
    ]
    for name, one in grid["drift"].items():
        if one["verdict"] == "equal":
            lines.append(f"{name}: the device has the same ({one['point']})")
        elif one["verdict"] == "differs":
            device, here = value_text(one["device"]), value_text(one["here"])
            lines.append(f"{name}: the device has {device} ({one['point']}), in force is {here}")
        else:
            lines.append(f"{name}: the device's setting is not comparable: {one['why']}")
    if grid["problem"]:
        lines.append(f"changes would not survive a power cut: {grid['problem']}")
    return lines


def print_history(answer: dict[str, Any], when: Callable[[int], str]) -> None:
    """One line a change."""
    for title, key in (("parameters", "history"), ("commands", "commands")):
        typer.echo(f"{title}:")
        for one in answer[key]:
            typer.echo(f"  {when(one['wall_ns'])}  {_line(one)}")
        if not answer[key]:
            typer.echo("  none")


def _line(one: dict[str, Any]) -> str:
    parts = [one["what"]]
    if "new" in one:
        parts.append(f"{one['name']}: {value_text(one['old'])} → {value_text(one['new'])}")
    elif "name" in one:
        parts.append(one["name"])
    if "detail" in one:
        parts.append(one["detail"])
    if "user" in one:
        through = f" through {one['source']}" if "source" in one else ""
        parts.append(f"by {one['user']} ({one.get('role', 'no role')}{through})")
    if "authorisation" in one:
        parts.append(f"authorisation {one['authorisation']}")
    if "reason" in one:
        parts.append(one["reason"])
    return ", ".join(parts)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
