"""What keeps a cycle punctual: the scheduler's class, the right to it, and enough open files."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, warn

_NICE = 23
"""Number of CAP_SYS_NICE."""
_POLICIES = {os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
_FAST = 0.25
"""Seconds: from such a cycle on the ordinary scheduler is told as a risk. A judgement; see docs/performance.md."""
_LATE = 0.2
"""Share of a cycle by which the latest per cent of cycles may begin late."""
_SPARE_FILES = 128


def scheduling(look: Look) -> Iterator[Finding]:
    """The class of the running control plane, or the right to a better one."""
    cycle = look.settings.cycle_time if look.settings is not None else 1.0
    most = _right(look)
    if look.pid is None:
        yield ok("right", priority=most) if most else ok("no_right", cycle=cycle)
        return
    try:
        policy, priority = os.sched_getscheduler(look.pid), os.sched_getparam(look.pid).sched_priority
    except OSError:
        yield skipped("gone")
        return
    policy &= ~0x40000000  # SCHED_RESET_ON_FORK
    if policy in _POLICIES:
        yield ok("real_time", policy=_POLICIES[policy], priority=priority)
    elif cycle <= _FAST:
        yield warn("ordinary", cycle=cycle, right=most)
    else:
        yield ok("ordinary_ok", cycle=cycle)


def _right(look: Look) -> int:
    """The highest real-time priority that the gateway, or this command, may give itself; 0: none."""
    who = look.pid or "self"
    effective = re.search(r"^CapEff:\s+([0-9a-f]+)", look.read(f"proc/{who}/status") or "", re.MULTILINE)
    if effective and int(effective[1], 16) >> _NICE & 1:
        return 99
    told = re.search(r"^Max realtime priority\s+(\S+)", look.read(f"proc/{who}/limits") or "", re.MULTILINE)
    return int(told[1]) if told and told[1].isdecimal() else 99 if told and told[1] == "unlimited" else 0


def punctual(look: Look) -> Iterator[Finding]:
    """How late the cycles of the running gateway begin."""
    if look.status is None or look.settings is None:
        yield skipped()
        return
    counted, cycle = look.status["cycle"], look.settings.cycle_time
    facts = {
        "cycles": counted["cycles"], "missed": counted["missed"], "p50_ms": counted["late_p50"] * 1e3,
        "p99_ms": counted["late_p99"] * 1e3, "max_ms": counted["late_max"] * 1e3, "cycle": cycle,
    }  # fmt: skip
    late = counted["late_p99"] > _LATE * cycle or counted["missed"] > 0.01 * max(100, counted["cycles"])
    yield warn("late", **facts) if late else ok(**facts)


def open_files(look: Look) -> Iterator[Finding]:
    """Each device, browser and file needs one."""
    told = re.search(
        r"^Max open files\s+\S+\s+(\S+)", look.read(f"proc/{look.pid}/limits") or "", re.MULTILINE
    )
    if look.pid is not None and told:
        most = int(told[1]) if told[1].isdecimal() else 1 << 30
    else:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # the gateway raises its own to this
        most = hard if hard != resource.RLIM_INFINITY else 1 << 30
    lines = len({device.endpoint for device in look.site.devices}) if look.site is not None else 1
    facts = {"most": most, "needed": lines + _SPARE_FILES}
    yield ok(**facts) if most >= lines + _SPARE_FILES else bad("few", **facts)
