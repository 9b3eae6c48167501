"""The systemd unit: whether it watches over the gateway, starts it after a power cut, and takes rights away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, unknown, warn

UNIT = "bessai-gateway.service"
"""The name of the example unit; a running gateway tells its own by its control group."""
_WANTED = (
    "LoadState", "ActiveState", "UnitFileState", "Type", "WatchdogUSec", "Restart", "NRestarts", "User",
    "NoNewPrivileges", "ProtectSystem", "PrivateTmp", "Result",
)  # fmt: skip
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def unit(look: Look) -> Iterator[Finding]:
    """Under systemd only."""
    if look.read("proc/1/comm") != "systemd" and not (look.root / "run/systemd/system").is_dir():
        yield skipped()
        return
    name = unit_of(look)
    told = _shown(look, name)
    if told is None:
        yield unknown("no_systemctl", unit=name)
        return
    if told.get("LoadState") != "loaded":
        if look.status is None:
            yield skipped("not_installed", unit=name)
        else:
            yield warn("by_hand", unit=name)
        return
    yield from _judged(look, name, told)


def unit_of(look: Look) -> str:
    """The unit that the running gateway is in, else the example's."""
    groups = look.read(f"proc/{look.pid}/cgroup") if look.pid is not None else None
    found = re.search(r"/([^/\s]+\.service)(?:/|\s|$)", groups or "")
    return found[1] if found and not found[1].startswith("user@") else UNIT


def _shown(look: Look, name: str) -> dict[str, str] | None:
    text = look.run(
        ["systemctl", "show", name, "--no-pager", *(f"--property={wanted}" for wanted in _WANTED)]
    )
    if not text or "LoadState=" not in text:
        return None
    return dict(line.partition("=")[::2] for line in text.splitlines())


def _judged(look: Look, name: str, told: dict[str, str]) -> Iterator[Finding]:
    facts = {"unit": name}
    watchdog = seconds(told.get("WatchdogUSec", "0"))
    cycle = look.settings.cycle_time if look.settings is not None else 1.0
    good = True
    if not watchdog:
        good = False
        yield bad("no_watchdog", **facts)
    elif watchdog < 3 * cycle:
        good = False
        yield warn("short_watchdog", **facts, watchdog=watchdog, least=3 * cycle)
    if told.get("Restart") in {"no", None, ""}:
        good = False
        yield bad("no_restart", **facts)
    if told.get("UnitFileState") not in {"enabled", "enabled-runtime", "static", "generated", "linked"}:
        good = False
        yield warn("not_enabled", **facts, state=told.get("UnitFileState") or "-")
    if told.get("User") in {"root", "0", "", None}:
        good = False
        yield bad("root", **facts)
    open_ = [
        wanted
        for wanted, values in (
            ("NoNewPrivileges", {"yes"}), ("ProtectSystem", {"strict"}), ("PrivateTmp", {"yes"}),
        )
        if told.get(wanted) not in values
    ]  # fmt: skip
    if open_:
        good = False
        yield warn("soft", **facts, what=", ".join(open_))
    restarts = int(told.get("NRestarts") or 0)
    if restarts:
        good = False
        yield warn("restarted", **facts, count=restarts, result=told.get("Result") or "-")
    if good:
        yield ok(**facts, watchdog=watchdog, state=told.get("ActiveState") or "-")


def seconds(text: str) -> float:
    """Of a time as systemd writes it, `1min 30s`; 0 for none."""
    if text in {"infinity", "0", ""}:
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|min|h)", text)
    return sum(float(number) * _UNITS[name] for number, name in parts) if parts else float(text or 0) * 1e-6
