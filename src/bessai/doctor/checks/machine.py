"""The processor and the memory: what slows them down, and how much is left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, warn

_SLOW_GOVERNORS = frozenset({"powersave", "conservative"})
_OWN_MIND = frozenset({"intel_pstate", "amd-pstate-epp", "amd_pstate_epp"})
"""Drivers whose `powersave` chooses speeds by itself."""
_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_BEFORE = {16: "under-voltage", 17: "frequency capped", 18: "throttled", 19: "soft temperature limit"}
"""Bits of the Raspberry Pi's `get_throttled`, as its documentation names them."""
_NEAR = 10.0
"""Degrees below the temperature at which the kernel slows down or shuts down."""
_HOT = 85.0
"""°C where the machine names no limit. A judgement."""
_LOADED = 1.0
"""Mean number of runnable tasks a core over 5 min."""
_LEAST_MEMORY, _NEEDED_MEMORY = 64e6, 200e6
"""Bytes available: the second is what both planes take together with room for a third more (docs/performance.md)."""


def governor(look: Look) -> Iterator[Finding]:
    """How the kernel chooses the processor's speed."""
    found = {
        path.parent.name: path
        for path in look.glob("sys/devices/system/cpu/cpufreq/policy*/scaling_governor")
    }
    told = {(look.read(str(path.relative_to(look.root))) or "") for path in found.values()} - {""}
    if not told:
        yield skipped()
        return
    drivers = {look.read(f"sys/devices/system/cpu/cpufreq/{policy}/scaling_driver") or "" for policy in found}
    facts = {"governor": ", ".join(sorted(told)), "driver": ", ".join(sorted(drivers - {""})) or "-"}
    slow = told & _SLOW_GOVERNORS and not drivers & _OWN_MIND
    yield warn("slow", **facts) if slow else ok(**facts)


def throttling(look: Look) -> Iterator[Finding]:
    """Too little voltage or too much heat, now or since the start."""
    bits = _raspberry(look)
    if bits is not None:
        now = [word for bit, word in _NOW.items() if bits >> bit & 1]
        before = [word for bit, word in _BEFORE.items() if bits >> bit & 1]
        if now:
            yield bad("now", what=", ".join(now), bits=f"0x{bits:x}")
        elif before:
            yield warn("before", what=", ".join(before), bits=f"0x{bits:x}")
        else:
            yield ok("raspberry")
    counts = [look.number(str(p.relative_to(look.root))) for p in look.glob("sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")]  # fmt: skip # noqa: E501
    known = [count for count in counts if count is not None]
    if known:
        yield warn("counted", count=max(known)) if max(known) else ok("never")
    elif bits is None:
        yield skipped()


def _raspberry(look: Look) -> int | None:
    text = look.read("sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and look.read("proc/device-tree/model") is not None:
        text = look.run(["vcgencmd", "get_throttled"])
    found = re.search(r"(?:0x)?([0-9a-fA-F]+)\s*$", text or "")
    return int(found[1], 16) if found else None


def temperature(look: Look) -> Iterator[Finding]:
    """The hottest zone, against what the machine says that it bears."""
    worst: tuple[float, str, float, float] | None = None
    for zone in look.glob("sys/class/thermal/thermal_zone*"):
        base = str(zone.relative_to(look.root))
        value = look.number(f"{base}/temp")
        if value is None or not 0 < value < 200_000:
            continue
        limits = [
            limit / 1000
            for trip in range(12)
            if look.read(f"{base}/trip_point_{trip}_type") in {"passive", "hot", "critical"}
            and (limit := look.number(f"{base}/trip_point_{trip}_temp")) is not None
            and limit > 30_000
        ]
        limit = min(limits, default=_HOT)
        if worst is None or value / 1000 - limit > worst[0]:
            worst = (value / 1000 - limit, look.read(f"{base}/type") or zone.name, value / 1000, limit)
    if worst is None:
        yield skipped()
        return
    over, zone_name, degrees, limit = worst
    facts = {"zone": zone_name, "degrees": degrees, "limit": limit}
    if over >= 0:
        yield bad("hot", **facts)
    elif over > -_NEAR:
        yield warn("warm", **facts)
    else:
        yield ok(**facts)


def load(look: Look) -> Iterator[Finding]:
    """How busy the machine is."""
    text = look.read("proc/loadavg")
    if text is None:
        yield skipped()
        return
    five = float(text.split()[1])
    cores = os.cpu_count() or 1
    facts = {"load": five, "cores": cores}
    yield warn("busy", **facts) if five > _LOADED * cores else ok(**facts)


def memory(look: Look) -> Iterator[Finding]:
    """What is left, of the machine and of the group that the gateway runs in."""
    told = dict(re.findall(r"^(\w+):\s+(\d+)", look.read("proc/meminfo") or "", re.MULTILINE))
    if "MemAvailable" not in told:
        yield skipped()
        return
    free, total = int(told["MemAvailable"]) * 1024, int(told["MemTotal"]) * 1024
    facts = {"free_mb": free / 1e6, "total_mb": total / 1e6}
    if free < _LEAST_MEMORY:
        yield bad("none", **facts)
    elif free < _NEEDED_MEMORY and look.status is None:
        yield warn("little", **facts)
    else:
        yield ok(**facts)
    swapped = re.search(r"^VmSwap:\s+(\d+)", look.read(f"proc/{look.pid}/status") or "", re.MULTILINE)
    if swapped and int(swapped[1]) > 0:
        yield warn("swapped", mb=int(swapped[1]) / 1e3)


def limits(look: Look) -> Iterator[Finding]:
    """What the control group of the gateway, or of this command, may use at most."""
    group = cgroup(look)
    if group is None:
        yield skipped()
        return
    facts = {"group": group or "/"}
    most, used = look.number(f"{_base(group)}/memory.max"), look.number(f"{_base(group)}/memory.current")
    said = False
    if most is not None:
        said = True
        facts_memory = {**facts, "most_mb": most / 1e6, "used_mb": (used or 0) / 1e6}
        tight = most < _NEEDED_MEMORY or (used or 0) > 0.9 * most
        yield warn("memory", **facts_memory) if tight else ok("memory_ok", **facts_memory)
    killed = re.search(r"^oom_kill (\d+)", look.read(f"{_base(group)}/memory.events") or "", re.MULTILINE)
    if killed and int(killed[1]):
        said = True
        yield bad("killed", **facts, count=int(killed[1]))
    quota = (look.read(f"{_base(group)}/cpu.max") or "max").split()
    if len(quota) == 2 and quota[0] != "max":
        said = True
        cores = int(quota[0]) / int(quota[1])
        held = re.search(r"^nr_throttled (\d+)", look.read(f"{_base(group)}/cpu.stat") or "", re.MULTILINE)
        stopped = int(held[1]) if held else 0
        yield (warn if stopped else ok)("processor", **facts, cores=cores, stopped=stopped)
    if not said:
        yield ok("free", **facts)


def cgroup(look: Look) -> str | None:
    """The group, by version 2 of the kernel's interface; None where that is not in use."""
    for line in (look.read(f"proc/{look.pid or 'self'}/cgroup") or "").splitlines():
        if (
            line.startswith("0::")
            and (look.root / _base(line[3:].strip("/")) / "cgroup.controllers").exists()
        ):
            return line[3:].strip("/")
    return None


def _base(group: str) -> str:
    return f"sys/fs/cgroup/{group}".rstrip("/")
