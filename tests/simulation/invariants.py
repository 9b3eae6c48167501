"""The promises, one small function each. A promise that is broken is told in words, else None.

`PER_STEP` is asked at the end of every simulated cycle, also while the gateway is dead or stalled; `PER_WRITE` after
every write that took effect; `PER_CYCLE` after every cycle that the gateway recorded. A new one needs a function
and a place in one of the three.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from simulation.disk import SimDisk
from simulation.oracle import TOLERANCE, Oracle

CYCLES = 2
"""Within how many cycles the gateway must answer to what it was shown."""
_STEP = 1.0
_MARGIN = 5.0
"""Seconds beside the dead-man's time in which a device that cannot be reached must be at its fallback: the two
cycles until the gateway stops to feed it, and the step of the twin."""


def unsafe_power_ends(oracle: Oracle, now: float) -> str | None:
    """A power outside of what the shown values allow ends within two cycles, while the device can be reached."""
    since = oracle.outside_since
    late = now - since > CYCLES * oracle.config.cycle
    if late and oracle.able_since <= since:
        return f"{oracle.commanded:g} kW commanded for {now - since:.2f} s outside {oracle.allowed()}"
    return None


def unsafe_reactive_power_ends(oracle: Oracle, now: float) -> str | None:
    """The same of reactive power: beyond the device's own limits, or where no power may flow, it ends likewise."""
    since = oracle.kvar_outside_since
    age = now - since
    if age <= CYCLES * oracle.config.cycle:
        return None
    if oracle.able_since <= since or age > oracle.dead_man_time + _MARGIN:
        return f"{oracle.kvar:g} kvar commanded for {age:.2f} s beside {oracle.commanded:g} kW"
    return None


def dead_man_ends_it_anyway(oracle: Oracle, now: float) -> str | None:
    """Such a power ends by the device's dead-man, whatever keeps the gateway from the device."""
    age = now - oracle.outside_since
    if age > oracle.dead_man_time + _MARGIN:
        return f"{oracle.commanded:g} kW still commanded {age:.1f} s after it was no longer allowed"
    return None


def silence_falls_back(oracle: Oracle, now: float) -> str | None:
    """Without a feed the device is at its fallback within its dead-man's time."""
    age = now - oracle.fed_at
    power = oracle.twin.plant.battery.power
    obeys = now - oracle.deaf_at > 2 * _STEP  # a device that obeys nothing does not obey its dead-man either
    if age > oracle.dead_man_time + 2 * _STEP and (oracle.commanded or (obeys and abs(power) > 0.05)):
        return f"{power:.3f} kW flow {age:.1f} s after the last feed"
    return None


def rated_power_is_kept(oracle: Oracle, now: float) -> str | None:
    """The battery never carries more than it is rated for."""
    battery = oracle.twin.plant.battery
    config = battery.config
    if not -config.charge_power_max - TOLERANCE <= battery.power <= config.discharge_power_max + TOLERANCE:
        return f"{battery.power:.3f} kW flow"
    return None


def a_stop_ends_power(oracle: Oracle, now: float) -> str | None:
    """Power ends within two cycles after a trip or maintenance, by the dead-man when nobody reaches the device."""
    since = oracle.stopped_since
    age = now - since
    if not oracle.commanded or age <= CYCLES * oracle.config.cycle:
        return None
    if oracle.able_since <= since or age > oracle.dead_man_time + _MARGIN:
        return f"{oracle.commanded:g} kW commanded {age:.1f} s after a trip or maintenance"
    return None


def no_power_is_written_while_stopped(oracle: Oracle, now: float) -> str | None:
    """No power is written while a trip stands, or people work on the plant."""
    age = now - oracle.stopped_since
    if oracle.commanded and oracle.last_write_committed and age > CYCLES * oracle.config.cycle:
        return f"{oracle.commanded:g} kW written {age:.1f} s after a trip or maintenance"
    return None


def no_power_is_written_outside(oracle: Oracle, now: float) -> str | None:
    """No power is written outside of what has been allowed for more than two cycles."""
    settled = now - oracle.allowed_at > CYCLES * oracle.config.cycle
    if oracle.last_write_committed and oracle.outside_since < math.inf and settled:
        return f"{oracle.commanded:g} kW written outside {oracle.allowed()}"
    return None


def a_dead_man_test_is_silent(oracle: Oracle, now: float) -> str | None:
    """No power is written to a unit during a dead-man test. A zero ends it, for safety or for who outranks it."""
    if oracle.in_sequence:
        return None  # judged by how it ends
    if not oracle.commanded:
        oracle.test_ended(now)
        return None
    since, patience = oracle.test_since, CYCLES * oracle.config.cycle
    if now - since <= patience or now >= oracle.test_until - patience:
        return None
    if max(oracle.bad_at, oracle.cut_at) >= since - patience or oracle.stopped_since < math.inf:
        return None
    return f"a write {now - since:.1f} s after a dead-man test began"


def leases_end(oracle: Oracle, now: float) -> str | None:
    """Power ends within two cycles after the last lease, by the dead-man when the device cannot be reached.

    A dead-man test writes nothing, so what it holds ends within two cycles after the test instead.
    """
    config = oracle.config
    slowly = config.min_on + (0.0 if config.ramp is None else 100.0 / config.ramp * 60.0)
    since = max(oracle.leased_until, oracle.test_over_at)
    over = now - max(oracle.leased_until + slowly, oracle.test_over_at)
    if not oracle.commanded or over <= CYCLES * config.cycle or oracle.test_since < math.inf:
        return None
    if oracle.able_since <= since or over > oracle.dead_man_time + _MARGIN:
        return f"{oracle.commanded:g} kW commanded {over:.1f} s after the last lease"
    return None


def no_power_on_bad_evidence(oracle: Oracle, now: float) -> str | None:
    """No power is written when the evidence has been bad or too old for more than two cycles."""
    bad = now - oracle.bad_since
    if oracle.commanded and oracle.last_write_committed and bad > CYCLES * oracle.config.cycle:
        return f"{oracle.commanded:g} kW written on evidence that has been bad for {bad:.1f} s"
    return None


def no_feed_from_an_incomplete_cycle(oracle: Oracle, now: float) -> str | None:
    """A feed follows a reading of everything that control looks at, completed in the cycle or the one before."""
    if not oracle.last_write_fed:
        return None
    cycle = oracle.config.cycle
    sampled = now - min(oracle.sampled.get(name, -math.inf) for name in oracle.fast)
    arrived = now - oracle.arrived
    if sampled > oracle.config.stale_after + cycle or arrived > CYCLES * cycle:
        return (
            f"fed {sampled:.1f} s after the oldest evidence was measured, {arrived:.1f} s after any arrived"
        )
    return None


def cycles_have_no_gaps(disk: SimDisk) -> str | None:
    """Cycles are numbered without gaps."""
    return f"{disk.gaps} gaps in the numbers of the cycles" if disk.gaps else None


def no_cycle_fails(disk: SimDisk) -> str | None:
    """Cycles run, and none ends in an exception."""
    failed = disk.events["cycle_failed"]
    return f"{failed} cycles failed, {disk.cycles} were recorded" if failed or not disk.cycles else None


def feeds_are_honest(disk: SimDisk) -> str | None:
    """A cycle that says it fed the dead-man was complete and verified; said of one device only."""
    return f"{disk.dishonest} cycles fed without being verified" if disk.dishonest else None


PER_STEP: tuple[Callable[[Oracle, float], str | None], ...] = (
    unsafe_power_ends,
    unsafe_reactive_power_ends,
    dead_man_ends_it_anyway,
    silence_falls_back,
    rated_power_is_kept,
    leases_end,
    a_stop_ends_power,
)
PER_WRITE: tuple[Callable[[Oracle, float], str | None], ...] = (
    no_power_on_bad_evidence,
    no_feed_from_an_incomplete_cycle,
    no_power_is_written_while_stopped,
    no_power_is_written_outside,
    a_dead_man_test_is_silent,
)
PER_CYCLE: tuple[Callable[[SimDisk], str | None], ...] = (
    cycles_have_no_gaps,
    no_cycle_fails,
    feeds_are_honest,
)
