"""The clock: records are evidence, and certificates have dates."""

from __future__ import annotations

import ctypes
import os
import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn
from bessai.journal import JournalError, JournalReader

_UNSYNCHRONISED, _NANOSECONDS = 0x0040, 0x2000
_INSERT, _DELETE, _ERROR = 1, 2, 5
_MAX_ERROR = 1.0
"""Seconds that the clock may be wrong at most, by the kernel's own estimate."""
_RTC_OFF = 5.0
_BACK = 5.0
"""Seconds by which the clock may be behind the newest record before that is told."""


class _Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
        ("precision", ctypes.c_long), ("tolerance", ctypes.c_long), ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long), ("tick", ctypes.c_long), ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long), ("shift", ctypes.c_int), ("stabil", ctypes.c_long), ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long), ("errcnt", ctypes.c_long), ("stbcnt", ctypes.c_long), ("tai", ctypes.c_int),
        ("unused", ctypes.c_int * 11),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its clock."""

    synchronised: bool
    offset: float
    """Seconds that it is still being moved by."""
    max_error: float
    """Seconds that it is wrong by at most."""
    leap: int
    """1: a second is inserted at the end of the day, 2: one is left out, else 0."""


def kernel_clock() -> KernelClock | None:
    """Asks the kernel, changes nothing; None where it does not tell."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = _Timex()
    code = int(adjtimex(ctypes.byref(state)))
    if code < 0:
        return None
    return KernelClock(
        synchronised=code != _ERROR and not state.status & _UNSYNCHRONISED,
        offset=state.offset / (1e9 if state.status & _NANOSECONDS else 1e6),
        max_error=state.maxerror / 1e6,
        leap=code if code in {_INSERT, _DELETE} else 0,
    )


def synchronised(look: Look, ask: Callable[[], KernelClock | None] = kernel_clock) -> Iterator[Finding]:
    """Whether something keeps the clock right, and how right."""
    clock = ask()
    keeper = _keeper(look)
    if clock is None:
        yield unknown()
        return
    facts = {
        "offset_ms": clock.offset * 1e3,
        "error_ms": clock.max_error * 1e3,
        "keeper": keeper or "-",
    }
    if not clock.synchronised:
        yield bad("unsynchronised" if keeper else "nobody", **facts)
    elif clock.max_error > _MAX_ERROR:
        yield warn("vague", **facts, most_ms=_MAX_ERROR * 1e3)
    else:
        yield ok(**facts)
    if clock.leap:
        yield warn("leap", change="+1" if clock.leap == _INSERT else "-1")


def _keeper(look: Look) -> str | None:
    """Who keeps the clock: chrony with its own words, or a service that systemd knows as active."""
    tracking = look.run(["chronyc", "-n", "tracking"])
    if tracking and "Reference ID" in tracking:
        told = dict(re.findall(r"^(.+?)\s*: (.+)$", tracking, re.MULTILINE))
        return f"chrony ({told.get('Leap status', '?')}, {told.get('Last offset', '?')})"
    told_by = look.run(["timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"]) or ""
    return "systemd-timesyncd" if "NTP=yes" in told_by else None


def hardware(look: Look) -> Iterator[Finding]:
    """The clock that goes on without power."""
    clocks = look.glob("sys/class/rtc/rtc*")
    if not clocks:
        yield warn("none")
        return
    name = clocks[0].name
    told = look.number(f"sys/class/rtc/{name}/since_epoch")
    if told is None:
        yield unknown(clock=name)
        return
    off = told - look.now()
    hours = round(off / 1800) / 2
    if abs(off) > _RTC_OFF and hours and abs(off - hours * 3600) < 60:
        yield warn("local", clock=name, hours=hours)
    elif abs(off) > _RTC_OFF:
        yield warn("off", clock=name, seconds=off)
    else:
        yield ok(clock=name, seconds=off)


def time_zone(look: Look) -> Iterator[Finding]:
    """Records are in UTC whatever it is; schedules name theirs, and need the table of zones."""
    try:
        zoneinfo.ZoneInfo("America/Santiago")
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        yield bad("no_zones")
        return
    zone = os.environ.get("TZ") or _local(look.root / "etc/localtime") or look.read("etc/timezone") or "UTC"
    yield ok(zone=zone)


def _local(link: Path) -> str | None:
    try:
        target = str(link.readlink())
    except OSError:
        return None
    return target.partition("zoneinfo/")[2] or None


def journal(look: Look) -> Iterator[Finding]:
    """A clock that went back gives new records the times of old ones."""
    reader = JournalReader(look.data_dir)
    try:
        newest = reader.stats().last_wall_ns / 1e9
    except JournalError as error:
        yield unknown("unreadable", error=str(error))
        return
    finally:
        reader.close()
    if not newest:
        yield skipped()
    elif newest > look.now() + _BACK:
        yield bad("back", seconds=newest - look.now())
    else:
        yield ok(seconds=max(0.0, look.now() - newest))
