"""The schema of a schedule file; a row of CSV has the fields of `EntryRow`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bessai.interfaces.schedule.model import Wish
from bessai.registry.base import Strict
from bessai.registry.schema import close

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WishRow(Strict):
    """What is asked for."""

    power_kw: float | None = None
    """Active power in kW: + discharges, - charges. With `soc_target_pct` the highest power on the way there."""
    reactive_kvar: float | None = None
    """Reactive power in kvar: + is export."""
    soc_target_pct: float | None = Field(default=None, ge=0, le=100)
    """State of charge in % to arrive at; the direction follows from the state of charge."""
    low_kw: float | None = None
    """No active power below this, in kW, for everybody of lower priority."""
    high_kw: float | None = None
    """No active power above this, in kW, for everybody of lower priority."""
    reason: Annotated[str, Field(max_length=128)] = ""
    """Why; it is recorded with every cycle."""

    @model_validator(mode="after")
    def _sound(self) -> WishRow:
        if self.power_kw is None and self.soc_target_pct is None:
            raise ValueError("give `power_kw` (0 for none), or `soc_target_pct`")
        low = float("-inf") if self.low_kw is None else self.low_kw
        high = float("inf") if self.high_kw is None else self.high_kw
        if low > high:
            raise ValueError(f"low_kw {low:g} is above high_kw {high:g}: that allows no power")
        power = self.power_kw
        if power is not None and self.soc_target_pct is None and not low <= power <= high:
            raise ValueError(f"power_kw {power:g} is outside its own bounds low_kw … high_kw")
        return self

    def wish(self) -> Wish:
        """The same in the words of the gateway."""
        return Wish(
            power=self.power_kw,
            reactive=self.reactive_kvar,
            soc_target=self.soc_target_pct,
            low=self.low_kw,
            high=self.high_kw,
            reason=self.reason,
        )


class EntryRow(WishRow):
    """From one time to another."""

    start: str
    """ISO 8601: with an offset (`2026-01-31T18:00-03:00`), or local to the file's time zone."""
    end: str
    """As `start`; not included."""


class DailyRow(WishRow):
    """At the same local time of several weekdays. Needs `timezone`."""

    from_: str = Field(alias="from")
    """Local time of the day, for example `18:00`."""
    to: str
    """Local time of the day, not included; at or before `from` it is on the next day. `24:00` is midnight."""
    days: Annotated[list[Day], Field(min_length=1, default_factory=lambda: list(DAYS))]
    """Weekdays on which it begins; unset: all."""


class ScheduleFile(Strict):
    """A schedule of power."""

    timezone: str | None = None
    """Name in the IANA database, for example `America/Santiago`; times without an offset are local to it."""
    entries: list[EntryRow] = Field(default_factory=list)
    """None may overlap another. They come before daily entries."""
    daily: list[DailyRow] = Field(default_factory=list)
    """None may overlap another."""


COLUMNS = ("start", "end", *WishRow.model_fields)
NUMBERS = tuple(name for name in COLUMNS if name not in {"start", "end", "reason"})
FIELDS = sorted({*COLUMNS, *ScheduleFile.model_fields, "from", "to", "days"})


def schedule_json_schema() -> dict[str, Any]:
    """The JSON Schema of a schedule file, as published in `docs/schemas/schedule.schema.json`."""
    schema = ScheduleFile.model_json_schema()
    close(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "BESSAI schedule"}
