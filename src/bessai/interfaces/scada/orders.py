"""Select and execute: what is selected, and which commands are too late, replayed, or not what was selected."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bessai.iec104 import Asdu, TimeMark, TypeId
from bessai.interfaces.scada.commands import Refused, check
from bessai.interfaces.scada.shared import Shared
from bessai.site.scada import CommandPoint


@dataclass(frozen=True, slots=True)
class _Selection:
    asdu_type: int
    content: tuple[object, int]
    until: float


class Orders:
    """The commands of one connection. Every method raises `Refused` with the reason.

    Args:
        shared: of the station.
        master: its address.
    """

    def __init__(self, shared: Shared, master: str) -> None:
        self._shared = shared
        self._master = master
        self._selected: dict[int, _Selection] = {}

    def select(self, asdu: Asdu, point: CommandPoint) -> None:
        """Select a point for `select_timeout` seconds."""
        item = asdu.objects[0]
        if not point.sbo:
            raise Refused("it is executed without select")
        self._check_time(asdu)
        check(point, wire_value(point, item.value))
        until = self._shared.clock.monotonic() + self._shared.settings.select_timeout
        self._selected[point.ioa] = _Selection(int(asdu.type), (item.value, item.qualifier), until)

    async def execute(self, asdu: Asdu, point: CommandPoint) -> None:
        """Execute what was selected, or what needs no selection; uses the selection up."""
        item = asdu.objects[0]
        selection = self._selected.pop(point.ioa, None)
        self._check_time(asdu)
        if point.sbo:
            if selection is None:
                raise Refused("it is not selected")
            if self._shared.clock.monotonic() > selection.until:
                raise Refused("it was selected too long ago")
            if selection.asdu_type != asdu.type or selection.content != (item.value, item.qualifier):
                raise Refused("something else was selected")
        value = wire_value(point, item.value)
        if item.time is not None:
            before = self._shared.executed.get(point.ioa, 0)
            ahead = (before - self._shared.clock.wall_ns()) / 1e9
            if (
                item.time <= before and ahead <= self._shared.settings.command_age
            ):  # else the clock was set back
                raise Refused("its time is not later than that of the command before")
            self._shared.executed[point.ioa] = item.time
        await self._shared.commander.execute(point, value, f"master {self._master}")

    async def end(self, point: CommandPoint) -> None:
        """Take a selection back, or else end a standing set-point."""
        if self._selected.pop(point.ioa, None) is not None:
            return
        if not await self._shared.commander.release(point, f"master {self._master}"):
            raise Refused("it is neither selected nor in force")

    def _check_time(self, asdu: Asdu) -> None:
        item, limit = asdu.objects[0], self._shared.settings.command_age
        if asdu.type < TypeId.C_SC_TA_1:
            return
        if item.time is None or item.time_marks & TimeMark.INVALID:
            raise Refused("its time is invalid")
        age = (self._shared.clock.wall_ns() - item.time) / 1e9
        if abs(age) > limit:
            where = "old" if age > 0 else "in the future"
            raise Refused(f"it is {abs(age):.1f} s {where}, at most {limit:g} s are allowed")


def wire_value(point: CommandPoint, value: object) -> float:
    """The number that a command carries: 0 or 1 of a switch, else in the point's unit.

    Raises:
        Refused: a double command that is neither on nor off, or no number.
    """
    if point.kind == "double":
        if value not in (1, 2):
            raise Refused("a double command is on or off")
        return float(value == 2)
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
        raise Refused("the value is not a number")
    if point.kind == "normalized" and point.full_scale is not None:
        return float(value) * point.full_scale
    return float(value)
