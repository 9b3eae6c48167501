"""The commanded devices of a plant, its trips and its maintenance, for `bessai status`: rows and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

STATE_STYLE = {
    "normal": "bold green",
    "derated": "bold yellow",
    "starting": "bold yellow",
    "hold": "bold red",
    "tripped": "bold red",
    "maintenance": "bold magenta",
    "monitor": "bold cyan",
}
_SHOWN = 20
"""Units that get a line each; those that are well are left out first."""
_WELL = frozenset({"normal", "derated"})
_CLOSE = 0.0015


def control_line(control: Mapping[str, Any]) -> Text:
    """What the plant is told, who asked, and what is in the way."""
    text = Text(control["state"], style=STATE_STYLE.get(control["state"], "bold"))
    setpoint, target = control.get("setpoint"), control.get("target")
    if setpoint is not None:
        low, high = control["bounds"]
        text.append(f"  setpoint {setpoint:+.2f} kW", style="default")
        if target is not None and abs(target - setpoint) > _CLOSE:
            text.append(f" on its way to {target:+.2f}", style="yellow")
        text.append(f" in {_range(low, high, ' … ')}", style="default")
    if (reactive := control.get("reactive")) is not None:
        asked = control.get("reactive_asked")
        if reactive or asked is not None:
            text.append(f"  reactive {reactive:+.2f} kvar", style="default")
            text.append("" if asked is None else f" (asked {asked:+.2f})", style="dim")
    if control.get("source"):
        wish = "" if control.get("asked") is None else f" {control['asked']:+.2f}"
        text.append(f"  asked{wish} by {control['source']}", style="dim")
    if control.get("limited_by"):
        text.append(f"  limited by {', '.join(control['limited_by'])}", style="yellow")
    return text


def notices(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows about maintenance and trips, each with its mend."""
    if (people := state.get("maintenance")) is not None:
        what = f"[magenta]since {_time(people['wall_ns'])}, {escape(people['user'])}: {escape(people['reason'])}[/]"
        yield "[magenta]maintenance[/]", f"{what}; ends with `bessai maintenance off`"
    for trip in state.get("trips") or ():
        where = "the whole plant" if trip.get("plant_wide") else trip.get("unit")
        name = f"{trip['code']} of {where}" if where else trip["code"]
        what = f"[red]{escape(name)}[/]"
        mend = f"ends with `bessai reset {trip['code']}` ({trip['reset']})"
        yield "[red]trip[/]", f"{what} since {_time(trip['wall_ns'])}; {mend}"


def units_table(units: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """One line a unit: what it is told, does and may; None for a plant of one device."""
    if len(units) < 2:
        return None
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("unit", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("told kW", "does kW", "may kW"):
        table.add_column(name, justify="right", no_wrap=True)
    reactive = any(unit.get("reactive") is not None for unit in units.values())
    if reactive:
        table.add_column("kvar", justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    shown = sorted(units, key=lambda name: units[name]["state"] in _WELL)[:_SHOWN]
    for name in (name for name in units if name in shown):
        unit = units[name]
        cells: list[RenderableType] = [
            escape(name),
            Text(unit["state"], style=STATE_STYLE.get(unit["state"], "bold")),
            _power(unit["setpoint"]),
            _power(unit["measured"]),
            _range(*unit["bounds"]),
        ]
        cells += [_power(unit.get("reactive"))] if reactive else []
        table.add_row(*cells, _remarks(unit))
    if len(units) > len(shown):
        table.add_row(f"… {len(units) - len(shown)} more")
    return table


def _remarks(unit: Mapping[str, Any]) -> Text:
    """What is odd about a unit; nothing of one that is well."""
    dead_man = unit["dead_man"]
    remarks = list(unit["limited_by"])
    if not unit["connected"]:
        remarks.insert(0, "not connected")
    elif dead_man.get("withheld"):
        remarks.insert(0, "dead-man test")
    elif not dead_man.get("armed"):
        remarks.insert(0, "control refused" if dead_man.get("refusal") else "dead-man not armed")
    return Text(", ".join(remarks), style="yellow")


def _power(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def _range(low: float | None, high: float | None, between: str = "…") -> str:
    return f"{'-∞' if low is None else f'{low:+.1f}'}{between}{'∞' if high is None else f'{high:+.1f}'}"


def _time(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
