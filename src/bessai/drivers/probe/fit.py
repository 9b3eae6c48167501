"""Which profile fits: each fingerprint held against what the device answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bessai.drivers.modbus import DeviceException, Reply, read
from bessai.drivers.probe.gentle import GentleClient
from bessai.model import Quality
from bessai.registry import CompiledProfile, build_block
from bessai.registry.schema import Fingerprint, Point

_STRONG = 3

Identity = Mapping[str, str]
"""Device identification (function 43/14), by the names of its objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How far a device answers as a profile says."""

    profile: CompiledProfile
    held: tuple[str, ...]
    """What fitted, in words."""
    missed: tuple[str, ...]
    """What did not; empty when everything fitted."""
    score: int
    """Weight of what fitted, less that of what did not: strong evidence counts more than plausible values."""

    sure: bool
    """Something held that few other devices would answer."""

    @property
    def complete(self) -> bool:
        """Whether every entry of the fingerprint held."""
        return not self.missed


@dataclass(slots=True)
class Answers:
    """What a device was asked: each span of registers once, whoever wants to know."""

    client: GentleClient
    known: dict[tuple[int, str, int, int], Reply] = field(default_factory=dict)
    last: bytes = b""
    """What the latest question brought."""

    async def get(self, unit: int, table: str, address: int, count: int) -> Reply:
        """The data of a span, also out of a larger one that was read, or why there is none."""
        reply = await self._get(unit, table, address, count)
        self.last = reply if isinstance(reply, bytes) else b""
        return reply

    async def _get(self, unit: int, table: str, address: int, count: int) -> Reply:
        size = 1 if table in {"coil", "discrete"} else 2
        for (other, where, first, length), reply in self.known.items():
            if (other, where) == (unit, table) and first <= address and address + count <= first + length:
                if isinstance(reply, bytes) and size == 2:
                    return reply[2 * (address - first) : 2 * (address - first + count)]
                if (first, length) == (address, count):
                    return reply
        reply = await self.client.ask(unit, read(table, address, count))
        self.known[unit, table, address, count] = reply
        return reply


def weight(check: Fingerprint, point: Point | None) -> int:
    """How much an entry tells. Memory that is 0 throughout passes for any entry that accepts 0, so it tells little."""
    if check.matches is not None:
        vague = re.search(check.matches, "x") is not None and re.search(check.matches, "0") is not None
        strength = 1 if vague else _STRONG
    elif check.equals is not None:
        strength = 1 if 0 in check.equals else _STRONG
    else:
        return 1
    return strength + (1 if check.identity else 0)


async def fit(
    profile: CompiledProfile, answers: Answers, unit: int, identity: Identity | None = None
) -> Fit | None:
    """Hold a profile against a unit. None when nothing of it held, or it has no fingerprint.

    The strongest entries are asked first. What the device refuses ends it; after an entry that was answered
    otherwise, only strong ones are asked, to tell a near miss.
    """
    entries = [(check, profile.points.get(check.point or "")) for check in profile.fingerprint]
    entries.sort(key=lambda e: (e[1] is not None and e[1].station is not None, -weight(*e)))
    held: list[str] = []
    missed: list[str] = []
    score = 0
    empty = True
    sure = False
    for check, point in entries:
        value = weight(check, point)
        if missed and value < _STRONG:
            continue
        if check.object is not None:
            found = (identity or {}).get(check.object)
            ok = found is not None and re.search(check.matches or "", found) is not None
            text, answered = f"identification: {check.object} is {found or 'not told'}", found is not None
        else:
            ok, text, answered = await _hold(profile, check, check.point or "", answers, unit)
        empty = empty and point is not None and not any(answers.last)
        if ok:
            held.append(text)
        else:
            missed.append(text)
        score += value if ok else -value
        sure = sure or (ok and value >= _STRONG)
        if not answered:
            break
    if held and empty:
        missed.append("every register asked for holds 0, as empty memory does")
        score = 0
    if not held:
        return None
    return Fit(profile=profile, held=tuple(held), missed=tuple(missed), score=score, sure=sure)


def ranked(fits: Sequence[Fit]) -> tuple[list[Fit], list[Fit]]:
    """Those that fit, best first, and near misses, nearest first: what fitted weighs more than what did not."""
    complete = sorted((f for f in fits if f.complete), key=lambda f: (-f.score, f.profile.id))
    near = sorted(
        (f for f in fits if not f.complete and f.score >= 1), key=lambda f: (-f.score, f.profile.id)
    )
    return complete, near[:3]


async def _hold(
    profile: CompiledProfile, check: Fingerprint, name: str, answers: Answers, unit: int
) -> tuple[bool, str, bool]:
    """Whether an entry holds, in words, and whether the device answered with data at all."""
    point = profile.points[name]
    if point.station is not None:
        unit = profile.connection.stations[point.station]
        where = f"{name} (unit {unit})"
    else:
        where = name
    reply = await answers.get(unit, point.table, point.address, point.registers)
    if not isinstance(reply, bytes):
        why = "refused" if isinstance(reply, DeviceException) else "no answer"
        return False, f"{where}: {why} ({reply})", False
    block = build_block([(name, point)], 0)
    if point.type == "text":
        text = block.unpack_texts(reply)[name]
        expected = f", not like {check.matches}"
        ok = re.search(check.matches or "", text) is not None
        return ok, f"{where} is {text!r}{'' if ok else expected}", True
    exponent = 0
    if point.scale is not None:
        scale = profile.points[point.scale]
        power = await answers.get(unit, scale.table, scale.address, scale.registers)
        if not isinstance(power, bytes):
            return False, f"{where}: its scale factor {point.scale} cannot be read", False
        exponent = int(profile.decode(point.scale, power))
        if not -10 <= exponent <= 10:
            return False, f"{where}: its scale factor {point.scale} is {exponent}", True
    value = profile.decode(name, reply, exponent)
    quality = judge(profile, name, block.unpack(reply)[0], value)
    shown = f"{value:.10g}{f' {point.unit}' if point.unit else ''}"
    if quality is not Quality.GOOD:
        return False, f"{where} is {shown}: {quality.label.replace('_', ' ')}", True
    if check.equals is None:
        return True, f"{where} is {shown}: plausible", True
    if any(math.isclose(value, one, rel_tol=1e-6, abs_tol=1e-9) for one in check.equals):
        return True, f"{where} is {shown}", True
    some = ", ".join(f"{one:g}" for one in check.equals[:4]) + (" …" if len(check.equals) > 4 else "")
    return False, f"{where} is {shown}, not {some}", True


def judge(profile: CompiledProfile, name: str, raw: float, value: float) -> Quality:
    """The quality of one reading, by the profile's own rules."""
    point = profile.points[name]
    if raw in profile.sentinels_of(name):
        return Quality.NOT_AVAILABLE
    if not math.isfinite(value):
        return Quality.INVALID
    if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
        return Quality.OUT_OF_RANGE
    return Quality.GOOD
