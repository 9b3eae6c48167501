"""The point list, ready for an outstation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bessai.site.scada.types import COMMAND_TYPE_IDS, TYPE_IDS

Kind = Literal["single", "double", "normalized", "scaled", "float", "counter"]
CommandKind = Literal["single", "double", "normalized", "scaled", "float"]
Fallback = Literal["hold", "release", "value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPoint:
    """One point that the operator sees."""

    ioa: int
    """Information object address, 1 … 16777215; unique among points and commands."""
    name: str
    """Where the value comes from: a point of the site's layout, or one of the gateway's own (`decision.…`, `grid.…`,
    `alarm:CODE`, `gateway.…`, `scada.…`)."""
    kind: Kind
    """What it is on the wire."""
    sign: int = 1
    """-1 turns the sign of the value before it leaves."""
    scale: float = 1.0
    """Factor between the source's unit and the unit shown, for example 0.001 from kW to MW."""
    unit: str | None = None
    """The unit shown to the operator."""
    full_scale: float | None = None
    """The shown value that is 1.0 in a normalized point; None for every other kind."""
    dead_band: float = 0.0
    """In the unit shown: a change up to this is no event."""
    group: int | None = None
    """Interrogation group 1 … 16 that it belongs to besides the general one; counters: 1 … 4."""
    agc: bool = False
    """Used for automatic generation control: its data must be younger (2 s instead of 5 s; provisional)."""
    period: float | None = None
    """Seconds between cyclic reports; None: reported on change only."""
    bit: int | None = None
    """A single point looks at this bit of its source, 0 … 31; None: at the whole value."""
    on_when: frozenset[int] | None = None
    """Values of the source that mean ON; None: every value but zero."""
    off_when: frozenset[int] | None = None
    """Values of the source that mean OFF in a double point, any other being an intermediate position; None: see
    `second`."""
    second: str | None = None
    """Source that is true in position OFF of a double point, while `name` is true in position ON; None: no second."""
    states: Mapping[int, str] = field(default_factory=dict)
    """What each number means, where the source tells numbered states."""
    description: str = ""
    """For people, in English."""
    description_es: str = ""
    """The same in Spanish."""
    provisional: bool = False
    """True: it comes from a preset that was not made from the official text."""
    index: int = 0
    """DNP3 index, from 0 for each of binary, analog and counter. A double point is two binary inputs: position ON here,
    position OFF at the next index."""
    event_class: int = 1
    """DNP3 event class 1 … 3; 0: no events."""

    @property
    def type_id(self) -> int:
        """Type identification without time tag, for interrogations."""
        return TYPE_IDS[self.kind][0]

    @property
    def timed_type_id(self) -> int:
        """Type identification with CP56Time2a, for spontaneous reports."""
        return TYPE_IDS[self.kind][1]

    @property
    def is_measured(self) -> bool:
        """True for measured values (not for states and counters)."""
        return self.kind in ("normalized", "scaled", "float")

    @property
    def sources(self) -> tuple[str, ...]:
        """The source, and the second one of a double point."""
        return (self.name,) if self.second is None else (self.name, self.second)

    def shown(self, value: float) -> float:
        """A source's value as the operator sees it, in `unit`."""
        return value * self.scale * self.sign


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPoint:
    """One thing that the operator may command."""

    ioa: int
    """Information object address, 1 … 16777215; unique among points and commands."""
    target: str
    """`active_power`, `active_power_max`, `active_power_min` (kW), `reactive_power` (kvar), or a grid parameter of the
    kind command such as `voltage.mode`."""
    kind: CommandKind
    """What it is on the wire."""
    sbo: bool = True
    """True: must be selected before it is executed."""
    sign: int = 1
    """-1 turns the sign of what arrives."""
    scale: float = 1.0
    """Factor between the target's unit and the unit on the wire, as for points: 0.001 where kW are sent as MW."""
    unit: str | None = None
    """The unit on the wire."""
    full_scale: float | None = None
    """What a normalized 1.0 means, in `unit`; None for every other kind."""
    low: float | None = None
    """Smallest value that is accepted, in `unit`; None: no limit of its own."""
    high: float | None = None
    """Largest value that is accepted, in `unit`; None: no limit of its own."""
    choices: Mapping[int, str] = field(default_factory=dict)
    """What each number means, for targets with names as values; empty for others."""
    feedback: int | None = None
    """IOA of the point that reads it back; None: there is none."""
    description: str = ""
    """For people, in English."""
    description_es: str = ""
    """The same in Spanish."""
    provisional: bool = False
    """True: it comes from a preset that was not made from the official text."""
    index: int = 0
    """DNP3 index, from 0 for each of binary and analog outputs."""

    @property
    def type_id(self) -> int:
        """Type identification of the command without time tag."""
        return COMMAND_TYPE_IDS[self.kind][0]

    @property
    def timed_type_id(self) -> int:
        """Type identification of the command with CP56Time2a."""
        return COMMAND_TYPE_IDS[self.kind][1]

    @property
    def is_setpoint(self) -> bool:
        """True for numbers, false for switches."""
        return self.kind in ("normalized", "scaled", "float")

    def meant(self, shown: float) -> float:
        """What a number on the wire (in `unit`) means in the target's unit."""
        return shown * self.sign / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLoss:
    """What happens to the operator's set-points when no master in command is left."""

    after: float = 20.0
    """Seconds without one before it counts."""
    fallback: Fallback = "hold"
    """`hold`: the last set-points stand. `release`: they end, other sources count. `value`: `power` is requested."""
    power: float = 0.0
    """KW, for `value`; + discharges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Encrypted links with mutual certificates (IEC 62351-3)."""

    port: int = 19998
    """TCP port."""
    ca: str
    """File of the certificates that masters' certificates must come from."""
    cert: str
    """File of the outstation's own certificate."""
    key: str
    """File of its private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iec104:
    """How the IEC 60870-5-104 controlled station talks."""

    listen: str = "0.0.0.0"  # noqa: S104 - a server of the plant's network; masters are named one by one
    """Address to listen on."""
    port: int | None = 2404
    """TCP port without encryption; None: only TLS."""
    tls: Tls | None = None
    """Encrypted links; None: none."""
    common_address: int = 1
    """Common address of ASDUs, 1 … 65534 (254 with one octet)."""
    masters: tuple[str, ...] = ()
    """Addresses and networks that may connect."""
    command: tuple[str, ...] = ()
    """Those of them that may command, in order of preference; empty: none may."""
    max_masters: int = 4
    """Connections at once."""
    k: int = 12
    """Unacknowledged frames sent at most."""
    w: int = 8
    """Received frames after which an acknowledgement is sent at the latest."""
    t1: float = 15.0
    """Seconds for the other side to acknowledge."""
    t2: float = 10.0
    """Seconds after which received frames are acknowledged."""
    t3: float = 20.0
    """Seconds of silence after which the link is tested."""
    cause_size: int = 2
    """Octets of the cause of transmission: 1 or 2."""
    address_size: int = 2
    """Octets of the common address: 1 or 2."""
    object_size: int = 3
    """Octets of the information object address: 1, 2 or 3."""
    originator: int = 0
    """Originator address in reports that no master asked for, 0 … 255."""
    select_timeout: float = 10.0
    """Seconds between select and execute at most."""
    command_age: float = 10.0
    """Seconds: older commands with a time tag are refused."""
    buffer: int = 10_000
    """Events kept for masters that are away."""
    stale: float = 30.0
    """Seconds without a new good value after which a point is not topical (NT)."""
    link_loss: LinkLoss = LinkLoss()
    """What a lost link does to set-points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dnp3:
    """How the DNP3 outstation talks."""

    listen: str = "0.0.0.0"  # noqa: S104 - a server of the plant's network; masters are named one by one
    """Address to listen on."""
    port: int = 20000
    """TCP port."""
    outstation: int = 10
    """Link address of the outstation, 0 … 65519."""
    master: int = 1
    """Link address of its master."""
    masters: tuple[str, ...] = ()
    """Addresses and networks that may connect."""
    commands: bool = False
    """True: its master may command."""
    select_timeout: float = 10.0
    """Seconds between select and operate at most."""
    silence: float = 120.0
    """Seconds without anything from the master after which its connection is closed."""
    buffer: int = 10_000
    """Events kept of each class for a master that is away."""
    stale: float = 30.0
    """Seconds without a new good value after which a point is no longer on-line."""
    link_loss: LinkLoss = LinkLoss()
    """What a lost link does to set-points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scada:
    """The section `scada:` of a site file, checked and expanded."""

    iec104: Iec104 | None = None
    """None: no IEC 60870-5-104."""
    dnp3: Dnp3 | None = None
    """None: no DNP3."""
    points: tuple[MonitorPoint, ...] = ()
    """By ascending IOA."""
    commands: tuple[CommandPoint, ...] = ()
    """By ascending IOA."""
    preset: str | None = None
    """The preset that some of the points come from, for example `sitr`; None: all were written one by one."""
    missing: tuple[tuple[str, str], ...] = ()
    """Points of the preset that the site does not have, each with how it gets them."""
