"""How the section `scada:` of a site file is written. Used while loading only; outstations work on `Scada`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bessai.registry.base import Strict
from bessai.site.scada.link_schema import Dnp3Entry, Iec104Entry, LinkLossEntry, TlsEntry

Ioa = Annotated[int, Field(ge=1, le=16_777_215)]
Sign = Annotated[int, Field(ge=-1, le=1)]


def _no_zero(sign: int | None) -> None:
    if sign == 0:
        raise ValueError("`sign` is 1 or -1")


class MonitorEntry(Strict):
    """A point that the operator sees, or `count` alike: then `{n}` stands for its number from 1."""

    ioa: Ioa
    """Information object address; in a block: added to the device's first address."""
    name: Annotated[str, Field(min_length=1, max_length=128)]
    """Where the value comes from; docs/scada.md lists what is not a point of the site."""
    type: Literal["single", "double", "normalized", "scaled", "float", "counter"] = "float"
    count: int | None = Field(default=None, ge=1, le=100_000)
    step: int = Field(default=1, ge=1, le=1_000_000)
    """From one address to the next, with `count`."""
    sign: Sign = 1
    """-1: the operator sees the opposite sign."""
    scale: float = Field(default=1.0, gt=0)
    """Factor from the source's unit to the one shown, for example 0.001 from kW to MW."""
    unit: str | None = None
    """Unit shown; unset: the source's where `scale` is 1."""
    full_scale: float | None = Field(default=None, gt=0)
    """Normalized only: the shown value that is sent as 1.0."""
    dead_band: float = Field(default=0.0, ge=0)
    """In the unit shown: a change up to this is not reported."""
    group: int | None = Field(default=None, ge=1, le=16)
    """Interrogation group besides the general one."""
    agc: bool = False
    """Used for automatic generation control."""
    period: float | None = Field(default=None, ge=0.5, le=86_400)
    """Seconds between cyclic reports."""
    bit: int | None = Field(default=None, ge=0, le=31)
    """Single only: the bit of the source to look at."""
    on_when: list[int] | None = None
    """Values of the source that mean ON; unset: all but zero."""
    off_when: list[int] | None = None
    """Double only: values that mean OFF; all others are an intermediate position."""
    second: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Double only: source that is true in position OFF."""
    event_class: int | None = Field(default=None, ge=0, le=3)
    """DNP3 event class; unset: 1 for states, 2 for values, 3 for counters."""
    description: str = ""
    description_es: str = ""

    @model_validator(mode="after")
    def _sound(self) -> MonitorEntry:
        _no_zero(self.sign)
        if (self.count is None) != ("{n" not in self.name):
            raise ValueError("`count` and {n} in `name` go together, for example rack_{n}.soc with count: 12")
        state = self.type in ("single", "double")
        if state and (self.sign, self.scale, self.dead_band) != (1, 1.0, 0.0):
            raise ValueError("a state has no `sign`, `scale` and `dead_band`; leave them out")
        if not state and (self.bit, self.on_when) != (None, None):
            raise ValueError("`bit` and `on_when` go with type single or double")
        if self.bit is not None and self.on_when is not None:
            raise ValueError("give `bit` or `on_when`, not both")
        if (self.full_scale is None) == (self.type == "normalized"):
            raise ValueError("`full_scale` goes with type normalized, and that needs it")
        if self.type == "counter" and self.group is not None and self.group > 4:
            raise ValueError("counters have groups 1 … 4")
        return self._double()

    def _double(self) -> MonitorEntry:
        if self.type != "double":
            if (self.off_when, self.second) != (None, None):
                raise ValueError("`off_when` and `second` go with type double")
            return self
        if self.bit is not None:
            raise ValueError("one bit is a single point; a double point needs two")
        if (self.off_when is None) == (self.second is None):
            raise ValueError(
                "a double point needs what tells its position OFF: either `second` (a source that is true "
                "there) or `off_when` (values of the source); with one contact, take type single"
            )
        if self.off_when is not None and (self.on_when is None or set(self.on_when) & set(self.off_when)):
            raise ValueError("`off_when` needs `on_when`, with other values")
        return self


class Block(Strict):
    """The same points of many devices: device i (from 0) has the addresses from `ioa` + i x `step`."""

    of: Annotated[str | list[str], Field(min_length=1)]
    """A role, or names of devices in order (`*` stands for anything)."""
    ioa: Annotated[int, Field(ge=0, le=16_777_215)]
    """First address of the first device; each point's `ioa` is added."""
    step: int = Field(ge=1, le=1_000_000)
    """From one device to the next."""
    each: Annotated[list[MonitorEntry], Field(min_length=1)]
    """Points of the device, without its name: `soc`."""


class CommandEntry(Strict):
    """Something that the operator may command."""

    ioa: Ioa
    """Information object address."""
    target: Annotated[str, Field(min_length=1, max_length=64)]
    """`active_power`, `active_power_max`, `active_power_min`, `reactive_power`, or a command of the grid functions."""
    type: Literal["single", "double", "normalized", "scaled", "float"] = "float"
    sbo: bool = True
    """True: select before execute."""
    sign: Sign = 1
    """-1: the operator sends the opposite sign."""
    scale: float = Field(default=1.0, gt=0)
    """Factor from the target's unit to the one sent, for example 0.001 where kW are sent as MW."""
    unit: str | None = None
    """Unit sent; unset: the target's where `scale` is 1."""
    full_scale: float | None = Field(default=None, gt=0)
    """Normalized only: what 1.0 means, in the unit sent."""
    min: float | None = None
    """Smallest value accepted, in the unit sent."""
    max: float | None = None
    """Largest value accepted, in the unit sent."""
    feedback: Ioa | None = None
    """Address of the point that reads it back."""
    description: str = ""
    description_es: str = ""

    @model_validator(mode="after")
    def _sound(self) -> CommandEntry:
        _no_zero(self.sign)
        if self.type in ("single", "double") and (self.sign, self.scale, self.min, self.max) != (
            *(1, 1.0),
            *(None, None),
        ):
            raise ValueError("a switch has no `sign`, `scale`, `min` and `max`; leave them out")
        if (self.full_scale is None) == (self.type == "normalized"):
            raise ValueError("`full_scale` goes with type normalized, and that needs it")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is larger than `max`")
        return self


class PresetEntry(Strict):
    """A list that ships with the gateway. What the site does not measure is left out and named."""

    name: Literal["sitr"]
    """`sitr`: the minimum set of the real-time information system (provisional, docs/scada.md)."""
    ioa: Annotated[int, Field(ge=0, le=16_000_000)] = 0
    """Added to each of its addresses."""
    signs: dict[str, Annotated[int, Field(ge=-1, le=1)]] = Field(default_factory=dict)
    """-1 for the points (by name) whose sign the operator wants turned."""
    without: list[str] = Field(default_factory=list)
    """Points and targets that are left out."""

    @model_validator(mode="after")
    def _sound(self) -> PresetEntry:
        for sign in self.signs.values():
            _no_zero(sign)
        return self


class ScadaEntry(Strict):
    """The links to the grid operator, and what they carry."""

    iec104: Iec104Entry | None = None
    dnp3: Dnp3Entry | None = None
    preset: PresetEntry | Literal["sitr"] | None = None
    """Points that ship with the gateway; an entry of the same source or target replaces one."""
    points: list[MonitorEntry] = Field(default_factory=list)
    """Points that the operator sees."""
    blocks: list[Block] = Field(default_factory=list)
    """The same points of many devices."""
    commands: list[CommandEntry] = Field(default_factory=list)
    """What the operator may command."""

    @model_validator(mode="after")
    def _some(self) -> ScadaEntry:
        if not (self.points or self.blocks or self.preset):
            raise ValueError(
                "give `points`, `blocks` or `preset`: an outstation without points tells nothing"
            )
        if self.iec104 is not None and self.dnp3 is not None and self.iec104.port == self.dnp3.port:
            raise ValueError("iec104 and dnp3 have the same port")
        return self


FIELDS = sorted(
    {
        name
        for model in (
            ScadaEntry,
            Iec104Entry,
            Dnp3Entry,
            TlsEntry,
            LinkLossEntry,
            MonitorEntry,
            Block,
            CommandEntry,
            PresetEntry,
        )
        for name in model.model_fields
    }
)
"""What a misspelt field may have meant."""
