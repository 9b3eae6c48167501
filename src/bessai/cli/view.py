"""A running gateway in words and tables, for `bessai status` and `bessai demo`."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bessai.cli.log_level import level_lines
from bessai.cli.view_units import control_line, notices, units_table

_SHOWN = (
    "soc", "battery_power", "battery_voltage", "battery_current", "battery_temperature", "battery_status",
    "cell_voltage_max", "cell_voltage_min", "active_power", "reactive_power", "frequency", "device_status",
    "grid_power", "internal_temperature", "charge_power_max", "discharge_power_max",
)  # fmt: skip


def overview(state: dict[str, Any]) -> RenderableType:
    """One page about a gateway, from its status."""
    control, cycle, journal = state["control"], state["cycle"], state["journal"]
    head = Table.grid(padding=(0, 2))
    several = units_table(state.get("units") or {})
    if several is None and (device := state["device"]) is not None:
        link = "[green]connected[/]" if device["connected"] else "[red]not connected[/]"
        name = f"{device['name']}: " if device["name"] else ""
        head.add_row("device", f"{name}{escape(device['model'])} at {device['address']}, {link}")
    if (devices := state["devices"])["total"] > 1:
        style = "green" if devices["well"] == devices["total"] else "red"
        head.add_row("devices", f"[{style}]{devices['well']} of {devices['total']} well[/]")
        for name, problem in list(devices["problems"].items())[:10]:
            head.add_row("", f"[yellow]{escape(name)}: {escape(problem)}[/]")
    head.add_row("control", control_line(control))
    for row in notices(state):
        head.add_row(*row)
    head.add_row(
        "cycles",
        f"{cycle['cycles']}, verified {cycle['verified']}, dead-man fed {cycle['fed']}, missed {cycle['missed']}, "
        f"longest {1000 * cycle['duration_max']:.0f} ms",
    )
    head.add_row(
        "journal", f"durable to sequence {journal.get('committed', 0)}, waiting {journal.get('queued', 0)}"
    )
    head.add_row("publishing", _service(state["service_plane"]))
    if (log := state.get("log")) and log["changed"]:
        head.add_row("log level", escape("; ".join(level_lines(log))))
    for problem in state["problems"]:
        head.add_row("[red]problem[/]", f"[red]{escape(problem)}[/]")
    for condition in state["conditions"]:
        if condition["severity"] == "warning" and condition["code"] != "device_unavailable":
            head.add_row("[yellow]warning[/]", f"[yellow]{escape(condition['message'])}[/]")
    health = "[green]healthy[/]" if state["healthy"] else "[red]not healthy[/]"
    title = f"{escape(state['site'])} · {health} · up {state['uptime']:.0f} s"
    page = head if several is None else Group(head, several)
    return Group(Panel(page, title=title, title_align="left"), _points(state["points"]))


def _service(service: dict[str, Any]) -> str:
    if not service.get("running"):
        return "[yellow]service plane not running[/]"
    sinks = service.get("sinks") or []
    if isinstance(sinks, dict):
        sinks = [{"name": name, **sink} for name, sink in sinks.items()]
    parts = []
    for sink in sinks:
        style = {"ok": "green", "retrying": "yellow"}.get(sink["state"], "dim")
        backlog = f", backlog {sink['backlog']}" if sink.get("backlog") else ""
        why = f": {escape(sink['last_error'])}" if sink.get("last_error") else ""
        parts.append(f"{sink['name']} [{style}]{sink['state']}[/]{backlog}{why}")
    return " · ".join(parts) or "starting"


def _points(points: dict[str, Any]) -> Table:
    table = Table("point", "value", "", "quality", "age", "meaning", box=None, padding=(0, 2))
    for name in _SHOWN:
        point = points.get(name)
        if point is None:
            continue
        value = "–" if point["value"] is None else f"{point['value']:,.3f}"
        if point.get("meaning") is not None:
            value = ""
        good = point["quality"] == "good"
        age = "" if point["age"] is None else f"{point['age']:.1f} s"
        meaning = point.get("meaning") or ""
        table.add_row(
            name,
            Text(value, justify="right", style="bold" if good else "dim"),
            point["unit"] or "",
            Text(point["quality"], style="green" if good else "yellow"),
            Text(age, style="dim", justify="right"),
            escape(meaning if isinstance(meaning, str) else ", ".join(meaning)),
        )
    return table
