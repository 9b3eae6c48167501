"""What the running gateway says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bessai import __version__
from bessai.doctor.look import Look
from bessai.doctor.result import Finding, bad, ok, skipped, warn

_BEHIND = 600.0
"""Seconds by which what was delivered may be older than the newest record."""


def running(look: Look) -> Iterator[Finding]:
    """Whether it runs, is well, and does what it is there for."""
    status = look.status
    if status is None:
        if look.trouble is not None:
            yield bad("silent", why=look.trouble)
        else:
            yield warn("stopped", directory=str(look.data_dir))
        return
    state = str(status["control"]["state"])
    if status["healthy"]:
        yield ok(pid=status["pid"], hours=status["uptime"] / 3600, state=state)
    for problem in status["problems"]:
        yield bad("problem", problem=problem)
    for trip in status["trips"]:
        yield bad("tripped", code=trip["code"])
    if status["maintenance"] is not None:
        yield warn("maintenance", reason=status["maintenance"]["reason"])
    for name, unit in status["units"].items():
        if unit["dead_man"]["refusal"] is not None:
            yield warn("refused", device=name or "INVERTER_IP", why=unit["dead_man"]["refusal"])
    for part, what in (("service_plane", "service plane"), ("page", "page")):
        if status[part].get("restarts"):
            yield warn("restarts", part=what, count=status[part]["restarts"])


def version(look: Look) -> Iterator[Finding]:
    """After an update the old one runs until it is started again."""
    if look.status is None:
        yield skipped()
        return
    facts = {"running": look.status["version"], "installed": __version__}
    yield ok(**facts) if facts["running"] == facts["installed"] else warn("other", **facts)


def destinations(look: Look) -> Iterator[Finding]:
    """Each one's backlog and error."""
    if look.status is None:
        yield skipped()
        return
    plane = look.status["service_plane"]
    sinks: list[dict[str, Any]] = [sink for sink in plane.get("sinks", []) if sink["state"] != "off"]
    if not plane.get("running"):
        yield bad("no_service_plane")
    elif not sinks:
        yield ok("none")
    for sink in sinks:
        facts = {"name": sink["name"], "backlog": sink["backlog"], "lag": sink["lag"] or 0.0}
        if sink["last_error"] is not None:
            if sink["name"] == "otel":  # telemetry about the past is worth nothing: it is not kept
                yield warn("dropping", **facts, error=sink["last_error"])
            else:
                yield bad("failing", **facts, error=sink["last_error"])
        elif facts["lag"] > _BEHIND:
            yield warn("behind", **facts)
        else:
            yield ok(**facts)
        if sink.get("dead_letters"):
            yield warn("dead_letters", **facts, count=sink["dead_letters"])


def journal(look: Look) -> Iterator[Finding]:
    """What it holds and has lost."""
    if look.status is None:
        yield skipped()
        return
    told = look.status["journal"]
    facts = {
        "records": told["records"], "mb": told["size_bytes"] / 1e6, "queue": told["dropped_queue"],
        "lost": told["lost"], "events": told["dropped_events"], "error": told["last_error"] or "-",
    }  # fmt: skip
    if told["last_error"] is not None:
        yield bad("failing", **facts)
    if told["dropped_queue"] or told["lost"] or told["dropped_events"]:
        yield warn("lost", **facts)
    if told["last_error"] is None:
        yield ok(**facts)
