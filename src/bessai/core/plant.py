"""The devices of a site at work: who shares a connection, who is read when, and one memory for every column.

The commanded devices are read by the control cycle itself. Every other device is read in its own rhythm, their
starts spread evenly over the period, so that a thousand of them never come at once and never hold a cycle up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessai.core.images import Images
from bessai.drivers import Arrays, Link, Pace, Registers, UniversalDriver
from bessai.drivers.universal import manners_of
from bessai.model import Clock, Condition, Endpoint, Quality, Severity
from bessai.site import Device, Site

log = logging.getLogger("bessai.plant")

_REST, _REST_CONTROLLED = 60.0, 5.0
"""Seconds that a silent device is left alone at most on a shared link; control must come back soon."""

_ABSENT = int(Quality.ABSENT)
"""A plain number: numpy takes a member of the enumeration several times as slowly."""

FIRST_ROUND = 3.0
"""Seconds within which every device is read for the first time, also those with a long period."""

PERIOD = 1.0
"""Seconds between readings of a device, unless the site or a longer cycle says otherwise."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Member:
    device: Device
    driver: UniversalDriver
    period: float


class Plant:
    """The drivers of a site.

    Args:
        site: the checked site.
        clock: ages and tasks run on its monotonic time.
        cycle: seconds of a control cycle.
        stale_after: seconds after which evidence is too old.
        rng: source of the jitter of reconnects.
    """

    def __init__(
        self,
        site: Site,
        clock: Clock,
        *,
        cycle: float = 1.0,
        stale_after: float = 3.0,
        rng: random.Random | None = None,
    ) -> None:
        self.site = site
        self.arrays = Arrays.empty(len(site.layout))
        self._clock = clock
        self._cycle = cycle
        self._stale_after = stale_after
        self._links: dict[Endpoint, Link] = {}
        self._members = [self._member(device, rng) for device in site.devices]
        self._by_name = {member.device.name: member for member in self._members}
        self.units = {m.device.name: m.driver for m in self._members if m.device.control}
        """The drivers of the devices that the gateway may command."""
        counting = [m for m in self._members if m.device.compiled.alive is not None]
        self.images = Images(site, self.arrays, [(m.driver, m.device.columns) for m in counting], clock)
        firsts = [m.device.columns.start + _first_column(m.device) for m in self._members]
        self._first_columns = np.array(firsts, np.intp)
        self._bad_since: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read every device that the control cycle does not read itself."""
        others = [member for member in self._members if not member.device.control]
        for i, member in enumerate(others):
            self._tasks.append(
                asyncio.create_task(self._follow(member, i / len(others)), name=f"read {member.device.name}")
            )

    def conditions(self) -> Iterator[Condition]:
        """Devices that have not delivered for longer than evidence lasts, and registers that wear."""
        now = self._clock.monotonic()
        first = self._first_columns
        late = now - self.arrays.times[first] > self.arrays.stale_after[first]
        late &= self.arrays.quality[first] != _ABSENT
        for member, overdue in zip(self._members, late.tolist(), strict=True):
            name, driver = member.device.name, member.driver
            problem = driver.problem or ("delivers nothing new" if overdue else None)
            if problem is None:
                self._bad_since.pop(name, None)
            elif (len(self.units) > 1 or not member.device.control) and (
                now - self._bad_since.setdefault(name, now) > max(self._stale_after, 2 * member.period)
            ):
                yield Condition(
                    code="device_unavailable",
                    severity=Severity.WARNING,
                    message=f"{name}: {problem}",
                    point=name,
                )
            for point in driver.worn() if driver.writes else ():
                yield Condition(
                    code="register_wear",
                    severity=Severity.WARNING,
                    message=f"{point} was written more often today than its memory should bear",
                    point=f"{name}.{point}" if name else point,
                )

    def status(self) -> dict[str, Any]:
        """How the devices are, in short. `oldest_value`: age in s of the oldest fast value of those that are well."""
        bad = {m.device.name: m.driver.problem for m in self._members if m.driver.problem is not None}
        well = np.array([m.driver.problem is None for m in self._members], bool)
        ages = self._clock.monotonic() - self.arrays.times[self._first_columns[well]]
        return {
            "total": len(self._members),
            "well": len(self._members) - len(bad),
            "problems": dict(list(bad.items())[:50]),
            "links": len(self._links),
            "oldest_value": round(float(np.nanmax(ages)), 3) if np.isfinite(ages).any() else None,
        }

    def device_status(self, name: str) -> dict[str, Any] | None:
        """Everything about one device; None when there is no such device."""
        member = self._by_name.get(name)
        if member is None:
            return None
        device = member.device
        return {
            "name": name,
            "role": device.role,
            "profile": device.compiled.id,
            "model": device.compiled.model,
            "texts": dict(member.driver.texts),
            **member.driver.status(),
        }

    def role(self, name: str) -> str:
        """What the device is in the plant.

        Raises:
            KeyError: there is no such device.
        """
        return self._by_name[name].device.role

    def figures(self, first: int, count: int) -> list[dict[str, Any]]:
        """What the metrics tell of some of the devices, in the site's order. A device takes about 60 µs."""
        return [
            {
                "name": member.device.name or member.device.role,
                "role": member.device.role,
                **member.driver.figures(),
            }
            for member in self._members[first : first + count]
        ]

    def registers(self, name: str, point: str) -> Registers | None:
        """A point's registers as they last came from a device; None when they never did.

        Raises:
            KeyError: there is no such device or point.
        """
        return self._by_name[name].driver.registers(point)

    async def close(self) -> None:
        """Stop reading and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(member.driver.close() for member in self._members))

    def _member(self, device: Device, rng: random.Random | None) -> _Member:
        link = self._links.get(device.endpoint)
        if link is None:
            link = self._links[device.endpoint] = Link(
                device.endpoint, manners_of(device.compiled.connection), rng=rng
            )
        own = self._cycle if device.control else max(self._cycle, device.period or PERIOD)
        driver = UniversalDriver(
            device.compiled,
            link,
            unit=device.unit,
            stations=device.stations,
            pace=Pace(stale_fast=max(self._stale_after, 0 if device.control else 3 * own), cycle=own),
            arrays=self.arrays.part(device.columns),
            longest_rest=_REST_CONTROLLED if device.control else _REST,
        )
        return _Member(device=device, driver=driver, period=own)

    async def _follow(self, member: _Member, place: float) -> None:
        """Read one device in its rhythm, for ever. A reading that takes longer than the period skips some.

        `place` (0 … 1) is the device's place in the period. Its first reading does not wait for a long one.
        """
        loop = asyncio.get_running_loop()
        planned = loop.time() + member.period * place
        if member.period > FIRST_ROUND:
            await asyncio.sleep(FIRST_ROUND * place)
            await _read(member)
            planned += 0.0 if planned - loop.time() > 0.5 * member.period else member.period
        while True:
            await asyncio.sleep(planned - loop.time())
            await _read(member)
            planned += member.period
            behind = loop.time() - planned
            if behind > 0:
                planned += member.period * (behind // member.period + 1)


async def _read(member: _Member) -> None:
    try:
        await member.driver.read_fast()
    except Exception:
        log.exception("reading %s failed", member.device.name)


def _first_column(device: Device) -> int:
    plans = device.compiled.plans
    plan = plans.get("fast") or next((p for p in plans.values() if len(p.columns)), None)
    return int(plan.columns[0]) if plan is not None and len(plan.columns) else 0
