"""Watches the wire and the plant from outside, and computes for itself what should be allowed.

It shares nothing with the gateway but the profile: it decodes replies itself, has the limits as tables of its own,
and knows of the gateway's state nothing at all.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b

from bessai.registry import CompiledProfile
from bessai.registry.blocks import FORMATS
from bessai.twin import TwinDevice
from bessai.twin.control import reactive_of
from simulation.assembly import Config
from simulation.levels import BLOCKS, TRIPS

TOLERANCE = 0.005
"""kW: registers hold whole watts, and shares are rounded."""

LFP: dict[str, tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]] = {
    **dict.fromkeys(
        ("battery_temperature", "cell_temperature_min", "cell_temperature_max"),
        (
            ((0.0, 0.0), (18.0, 1.0), (35.0, 1.0), (40.0, 0.0)),
            ((0.0, 0.0), (12.0, 1.0), (45.0, 1.0), (55.0, 0.0)),
        ),
    ),
    "cell_voltage_max": (((3.45, 1.0), (3.60, 0.02), (3.65, 0.0)), ((0.0, 1.0),)),
    "cell_voltage_min": (((0.0, 1.0),), ((2.90, 0.0), (3.00, 1.0))),
}
"""Shares of the charge and of the discharge power over each quantity; docs/decisions/0005."""

_Span = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class _Watched:
    name: str
    unpack: struct.Struct
    at: int
    gain: float
    offset: float
    sentinels: frozenset[int]
    low: float
    high: float
    fast: bool


class Oracle:
    """What can be known from outside.

    Args:
        profile: the device.
        twin: its simulation: the truth.
        config: what the operator set.
        trace: fed with every write.
    """

    def __init__(self, profile: CompiledProfile, twin: TwinDevice, config: Config, trace: blake2b) -> None:
        control, dead_man = profile.control, profile.dead_man
        assert control is not None
        assert dead_man is not None
        self.profile = profile
        self.twin = twin
        self.config = config
        self.trace = trace
        self.control = control
        self.dead_man_time = float(getattr(dead_man, "time", math.inf))
        self.alive_within = math.inf if profile.alive is None else profile.alive.within
        self.seen: dict[str, float | None] = {}
        """The latest value of each watched point that reached the gateway whole; None: bad by the profile's rules."""
        self.sampled: dict[str, float] = {}
        """When the latest reply with each watched point of the fast class was made that reached the gateway."""
        self.arrived = -math.inf
        """When the latest of them arrived."""
        self.moved_at = -math.inf
        """When the counter that shows the device alive last moved, as seen on the wire."""
        self.commanded = 0.0
        """kW that the device's registers command; 0 when it follows its own mode."""
        self.kvar = 0.0
        """Kvar that the device's registers command; 0 when it follows its own mode."""
        self.kvar_outside_since = math.inf
        """Since when they are more than the values allow; infinite while they are not."""
        self.outside_since = math.inf
        """Since when the commanded power is outside of what is allowed; infinite while it is inside."""
        self.bad_since = -math.inf
        """Since when the evidence is bad or too old; infinite while it is good."""
        self.able_since = math.inf
        """Since when nothing has kept the gateway from reading and writing; infinite while something does."""
        self.leased_until = -math.inf
        """When the last lease of all that the present gateway knows ends."""
        self.fed_at = -math.inf
        """When a write to the dead-man's feed last took effect."""
        self.deaf_at = -math.inf
        """When the device was last seen to obey nothing, by a fault of the simulation."""
        self.last_write_fed = False
        """True when the latest write fed the dead-man and commanded nothing."""
        self.last_write_committed = False
        """True when the latest write put a command into force, or made the power that is commanded larger."""
        self.writes: Counter[str] = Counter()
        """Writes that took effect: commands by direction, and feeds."""
        self.powered = 0.0
        """Seconds with a power commanded."""
        self.stopped_since = math.inf
        """Since when a trip or maintenance stands; infinite while none does."""
        self.test_since = math.inf
        """Since when a dead-man test runs, as far as anybody can tell from outside; infinite while none does."""
        self.test_until = math.inf
        """When it ends by itself."""
        self.bad_at = -math.inf
        """When the evidence was bad last, or the power outside of what is allowed."""
        self.test_over_at = -math.inf
        """When the last one ended: from then on it is fed again."""
        self.left: float | None = None
        """kW that the device was told by the latest command, as far as it took effect; None: none did yet."""
        self.allowed_at = -math.inf
        """When what is allowed last changed."""
        self.cut_at = -math.inf
        """When the connection last ended."""
        feeds = getattr(dead_man, "feed", None) or [getattr(dead_man, "point", "")]
        self.feeds = frozenset(feeds)
        steps = (*control.charge, *control.discharge, *control.zero)
        self._sequence = frozenset(step.point for step in steps) - self.feeds
        self.in_sequence = False
        """True between the first and the last write of a command."""
        self._robbed = False
        """True while one of its writes was acknowledged and forgotten, and the register holds another value."""
        self._asked: list[tuple[_Span, float] | None] = [None] * 65536
        self._spans: dict[_Span, tuple[_Watched, ...]] = {}
        vars_ = (control.reactive_power_max, control.apparent_power_max)
        limits = [name for name in (control.charge_power_max, control.discharge_power_max, *vars_) if name]
        names = ["soc", *LFP, *(point for _, point, *_ in TRIPS), *BLOCKS, *control.evidence, *limits]
        names += [profile.alive.point] if profile.alive is not None else []
        self._beat = None if profile.alive is None else profile.alive.point
        self.watched = {name for name in names if name in profile.layout.index}
        self.fast = tuple(sorted(name for name in self.watched if profile.points[name].poll == "fast"))
        self._curves = {name: curves for name, curves in LFP.items() if name in self.watched}
        self._stops = tuple(n for n in (*(point for _, point, *_ in TRIPS), *BLOCKS) if n in self.watched)
        self._allowed: tuple[float, float] | None = None
        self._range = (0.0, 0.0)

    def asked(self, transaction: int, span: _Span, now: float) -> None:
        """The device answers a read."""
        self._asked[transaction] = (span, now)

    def delivered(self, reply: bytes, now: float) -> None:
        """Whole replies reach the gateway."""
        at = 0
        while at + 9 <= len(reply):
            transaction, _, length, _, code, size = struct.unpack_from(">HHHBBB", reply, at)
            asked = self._asked[transaction]
            if asked is not None and code in {3, 4} and size == 2 * asked[0][2]:
                self._asked[transaction] = None
                span, sampled = asked
                if now - sampled <= self.profile.connection.timeout:  # later, nobody waits for it any more
                    self._look(span, reply, at + 9, sampled, now)
            at += 6 + length

    def _look(self, span: _Span, reply: bytes, start: int, sampled: float, now: float) -> None:
        watched = self._spans.get(span)
        if watched is None:
            watched = self._spans[span] = self._points(span)
        for point in watched:
            if point.fast:
                self.sampled[point.name] = sampled
                self.arrived = now
            raw = point.unpack.unpack_from(reply, start + point.at)[0]
            value: float | None = raw * point.gain + point.offset
            if raw in point.sentinels or not point.low <= raw * point.gain + point.offset <= point.high:
                value = None
            if value != self.seen.get(point.name, math.nan):
                self.seen[point.name] = value
                self._allowed = None
                if point.name == self._beat and value is not None:
                    self.moved_at = now

    def _points(self, span: _Span) -> tuple[_Watched, ...]:
        table, address, count = span
        found = []
        for name in sorted(self.watched):
            point = self.profile.points[name]
            if point.table == table and address <= point.address <= address + count - point.registers:
                if point.byte_order == "little" or point.word_order == "little" or point.scale is not None:
                    raise NotImplementedError(f"{name}: the oracle reads plain registers only")
                low, high = point.valid or (-math.inf, math.inf)
                found.append(
                    _Watched(
                        name=name,
                        unpack=struct.Struct(">" + FORMATS[point.type]),
                        at=2 * (point.address - address),
                        gain=point.gain,
                        offset=point.offset,
                        sentinels=self.profile.sentinels_of(name),
                        low=low - abs(point.gain) / 1000,
                        high=high + abs(point.gain) / 1000,
                        fast=point.poll == "fast",
                    )
                )
        return tuple(found)

    def lost(self, values: dict[str, float]) -> None:
        """The device acknowledged a write and forgot it: a command goes on, or is over, all the same.

        Else the end of a command whose beginning was lost would be taken for a feed. A command whose last register
        held its value before left the device with what its registers say, also one that has fallen back and stays
        there: no answer on the wire differs. The gateway sees it by the power that does not come.
        """
        names = values.keys()
        if names & self.feeds:
            if self.in_sequence:
                order = self.twin.order
                self.left = 0.0 if order is None else order.power or 0.0
            self.in_sequence = self._robbed = False
        elif names & self._sequence:
            self.in_sequence = True
            self._robbed |= any(self.twin.registers.value_of(n) != value for n, value in values.items())

    def wrote(self, now: float, values: dict[str, float]) -> None:
        """A write took effect."""
        names = values.keys()
        fed = bool(names & self.feeds)
        self.last_write_fed = fed and not self.in_sequence and not names & self._sequence
        if names & self._sequence:
            self.in_sequence = True
        if fed:
            self.fed_at = now
            self.in_sequence = False
        robbed = fed and self._robbed
        self._robbed = self._robbed and not fed
        before = self.commanded
        self.observe(now)
        if not self.last_write_fed:  # a device that forgot is fed all the same, until its power is missed
            self.left = self.commanded
        grown = abs(self.commanded) > abs(before) + TOLERANCE or self.commanded * before < 0
        # What the device made of a command of which it forgot a part that it had acknowledged, nobody could know: the
        # next one is proved before it feeds (test_findings), and the promises of each step say when the power ends.
        self.last_write_committed = not self.last_write_fed and not robbed and (fed or grown)
        kind = "zero" if not self.commanded else "charge" if self.commanded < 0 else "discharge"
        self.writes["feed" if self.last_write_fed else kind if fed else "part"] += 1
        self.trace.update(f"{now!r} {values}".encode())

    def observe(self, now: float) -> None:
        """Compare what is commanded with what is allowed, at this moment."""
        twin = self.twin
        if twin.deaf:
            self.deaf_at = now
        order = twin.order
        power = order.power if order is not None and twin.active else None
        self.commanded = 0.0 if power is None or order is None or order.kind == "stop" else power
        good = self.good(now)
        if good:
            self.bad_since = math.inf
        elif self.bad_since == math.inf:
            self.bad_since = now
        low, high = self.allowed() if good else (0.0, 0.0)
        if (low, high) != self._range:
            self._range, self.allowed_at = (low, high), now
        if low - TOLERANCE <= self.commanded <= high + TOLERANCE:
            self.outside_since = math.inf
        elif self.outside_since == math.inf:
            self.outside_since = now
        if not good or self.outside_since < math.inf:
            self.bad_at = now
        self.kvar = reactive_of(self.profile, twin.registers.value_of) if twin.active else 0.0
        if abs(self.kvar) <= (self.most_kvar() if good else 0.0) + TOLERANCE:
            self.kvar_outside_since = math.inf
        elif self.kvar_outside_since == math.inf:
            self.kvar_outside_since = now

    def fresh(self, now: float) -> bool:
        """Whether all that control looks at reached the gateway lately, from a device that lives."""
        oldest = now - self.config.stale_after
        if len(self.sampled) < len(self.fast) or min(self.sampled.values()) < oldest:
            return False
        return now - self.moved_at <= self.alive_within or self._beat is None

    def test_began(self, now: float) -> None:
        """Somebody tests the dead-man: nothing may be written now."""
        self.test_since, self.test_until = now, now + 2 * self.dead_man_time + 30.0

    def test_ended(self, now: float) -> None:
        """The test is over, or nobody can tell any more."""
        if self.test_since < math.inf:
            self.test_over_at = now
        self.test_since = math.inf

    def good(self, now: float) -> bool:
        """Whether what reached the gateway lately is evidence."""
        if not self.fresh(now):
            return False
        self.allowed()
        return self._well

    def allowed(self) -> tuple[float, float]:
        """The powers in kW, low and high, that the latest values allow."""
        if self._allowed is None:
            self._allowed = self._compute()
        return self._allowed

    def most_kvar(self) -> float:
        """Kvar that the latest values allow beside the power that is commanded."""
        most = self.seen.get(self.control.reactive_power_max or "")
        apparent = self.seen.get(self.control.apparent_power_max or "")
        if most is None or apparent is None or self.stopped_since < math.inf:
            return 0.0
        return min(most, math.sqrt(max(apparent**2 - self.commanded**2, 0.0)))

    def _compute(self) -> tuple[float, float]:
        seen, control, limits = self.seen, self.control, self.config.limits
        running = all(
            seen.get(name) is not None and seen[name] in states
            for name, states in control.running_states.items()
        )
        evidence = {*control.evidence, "soc", *self._curves, *self._stops}
        self._well = running and all(seen.get(name) is not None for name in evidence)
        for _, point, worst, end, _ in TRIPS:
            value = seen.get(point)
            self._well = self._well and (
                point not in self.watched or value is None or not worst <= value <= end
            )
        self._well = self._well and all(seen.get(name) in (None, good) for name, good in BLOCKS.items())
        if not self._well:
            return 0.0, 0.0
        charge = discharge = 1.0
        soc = seen["soc"]
        assert soc is not None
        if soc >= limits.soc_max:
            charge = 0.0
        if soc <= limits.soc_min:
            discharge = 0.0
        for name, (charging, discharging) in self._curves.items():
            value = seen[name]
            assert value is not None
            charge, discharge = min(charge, share(charging, value)), min(discharge, share(discharging, value))
        if charge <= 0.0 and discharge <= 0.0:
            self._well = False
        most = [
            seen.get(name) if name else None
            for name in (control.charge_power_max, control.discharge_power_max)
        ]
        low, high = (0.0 if power is None else max(power, 0.0) for power in most)
        return -low * charge, high * discharge

    _well = False


def share(curve: tuple[tuple[float, float], ...], x: float) -> float:
    """The share at x: straight lines between the points, constant beyond them."""
    before = curve[0]
    for point in curve:
        if x < point[0]:
            if point is before:
                return point[1]
            part = (x - before[0]) / (point[0] - before[0])
            return before[1] * (1 - part) + point[1] * part
        before = point
    return before[1]
