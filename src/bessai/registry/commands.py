"""The part of the schema that says how a device is commanded, and how it falls back by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bessai.registry.base import Name, SourceId, Strict


class WriteStep(Strict):
    """One write of a sequence: a constant, or a quantity that the gateway computes.

    `power` is the setpoint in kW with its sign, `magnitude` the same without, `reactive` the reactive power in kvar
    with its sign, `dead_man_time` the dead-man's
    time in seconds (converted to the point's unit, `s` or `min`), `limit` the limit in kW. With `of`, the power
    is written as a percentage of that point.
    """

    point: Name
    value: float | None = None
    quantity: Literal["power", "magnitude", "reactive", "dead_man_time", "limit"] | None = None
    of: Name | None = None
    """Point in kW (kvar or kVA for `reactive`) that is 100 %."""

    @model_validator(mode="after")
    def _one(self) -> WriteStep:
        if (self.value is None) == (self.quantity is None):
            raise ValueError("a write has either `value` or `quantity`")
        if self.of is not None and self.quantity not in {"power", "magnitude", "reactive", "limit"}:
            raise ValueError("`of` goes with the quantities power, magnitude, reactive and limit")
        return self


Sequence = Annotated[list[WriteStep], Field(min_length=1)]


class Control(Strict):
    """How this device is commanded. Sequences are written in order and read back."""

    charge: Sequence
    """To a negative power."""
    discharge: Sequence
    """To a positive power."""
    zero: Sequence
    """To hold zero power: the safe state."""
    stop: Sequence
    """To end external control; the device does what its own settings say."""
    reactive: Sequence | None = None
    """To a reactive power, written before a power and after `zero` in the same command; 0 kvar when nobody asks."""
    reactive_power_max: Name | None = None
    """The point in kvar with the highest reactive power; needed with `reactive`."""
    absorbed_reactive_power_max: Name | None = None
    """The point in kvar with the highest absorbed (negative) reactive power, where it is another one."""
    apparent_power_max: Name | None = None
    """The point in kVA that active and reactive power together do not exceed; active power comes first."""
    measured_reactive: Name | None = None
    """The point in kvar, + = export, that shows whether the device obeyed `reactive`; a difference is a warning."""
    write_interval: float = Field(default=0.0, ge=0, le=3600)
    """Seconds between two rises of the setpoint, to spare a device that bears few writes."""
    charge_limit: Sequence | None = None
    """Standing limit of the charge power, if the device has one."""
    discharge_limit: Sequence | None = None
    """Standing limit of the discharge power, if the device has one."""
    measured: Name
    """The point in kW that shows whether the device obeyed."""
    charge_power_max: Name | None = None
    """The point in kW with the highest charge power that the device accepts."""
    discharge_power_max: Name | None = None
    """The point in kW with the highest discharge power that the device accepts."""
    evidence: Annotated[list[Name], Field(min_length=1)]
    """Points that must be good and fresh; otherwise the safe state is commanded."""
    running_states: dict[Name, list[int]] = Field(default_factory=dict)
    """Enumerated evidence points to the raw states in which the device may be commanded to a power."""
    response_time: float = Field(default=10.0, gt=0, le=300)
    """Seconds within which the measured power must follow a new setpoint."""
    tolerance: float = Field(default=0.05, gt=0, le=1)
    """Accepted difference of the measured power, as a share of the larger rated power."""

    @model_validator(mode="after")
    def _whole(self) -> Control:
        if (self.reactive is None) != (self.reactive_power_max is None):
            raise ValueError("`reactive` and `reactive_power_max` go together")
        if self.reactive is None and (
            self.absorbed_reactive_power_max or self.apparent_power_max or self.measured_reactive
        ):
            raise ValueError(
                "`absorbed_reactive_power_max`, `apparent_power_max` and `measured_reactive` go with `reactive`"
            )
        return self


class _DeadMan(Strict):
    fallback: str
    """What the device does when it falls back."""
    sources: list[SourceId] = Field(default_factory=list)


class _TimedDeadMan(_DeadMan):
    time: float = Field(gt=0, le=86400, description="Seconds of silence until the device falls back.")
    feed_interval: float = Field(
        default=0.0, ge=0, description="Shortest time in seconds between feeds, to spare the device."
    )
    remaining: Name | None = Field(
        default=None,
        description="Point that shows the seconds left, poll `fast`. Where a device has one, a timer that shows none "
        "soon after a feed is not running, whatever its registers hold: no power is granted.",
    )


class DurationDeadMan(_TimedDeadMan):
    """Each command runs for a duration and ends by itself. Re-writing `feed` starts the duration again."""

    kind: Literal["duration"]
    point: Name
    """The register of the duration, written by the sequences as `dead_man_time`, unit `s` or `min`."""
    feed: Annotated[list[Name], Field(min_length=1)]
    """Points whose last written value is written again."""


class TimeoutDeadMan(_TimedDeadMan):
    """A timeout register: the device falls back when no write to `feed` came for so long."""

    kind: Literal["timeout"]
    point: Name
    """The timeout register, unit `s` or `min`, written once and read back."""
    feed: Annotated[list[Name], Field(min_length=1)]


class HeartbeatDeadMan(_TimedDeadMan):
    """A counter that must keep counting."""

    kind: Literal["heartbeat"]
    point: Name
    modulo: int = Field(default=65536, ge=2)


class RewriteDeadMan(_TimedDeadMan):
    """The setpoint itself must be written again and again."""

    kind: Literal["rewrite"]
    feed: Annotated[list[Name], Field(min_length=1)]


class NoDeadMan(_DeadMan):
    """The device keeps the last command forever: the gateway refuses to control it."""

    kind: Literal["none"]


DeadMan = Annotated[
    DurationDeadMan | TimeoutDeadMan | HeartbeatDeadMan | RewriteDeadMan | NoDeadMan,
    Field(discriminator="kind"),
]
