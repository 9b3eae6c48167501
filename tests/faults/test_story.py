"""A trip, from the cell to the power that flows again, with the commands that people type."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bessai.journal import JournalReader
from faults.conftest import POWER, Site, Start
from support.gateway import bessai, typed

WHO = ("--user", "ana", "--reason", "cell 7 replaced")


def _until(check: Callable[[], Any], within: float = 60.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.2)
    return found


def _with(part: str, done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str] | None:
    return done if part in done.stdout else None


def _kill_and_start(site: Site) -> None:
    assert site.gateway.process is not None
    site.gateway.process.send_signal(signal.SIGKILL)
    site.gateway.process.wait()
    site.gateway.__enter__()


def _running(site: Site) -> None:
    _until(lambda: site.gateway.status().get("cycle", {}).get("cycles", 0) > 3)


def _tripped(site: Site) -> list[Any]:
    return list(site.gateway.status().get("trips", []))


def test_from_a_trip_to_power_again(start: Start, tmp_path: Path) -> None:
    site = start(BLACK_BOX_BEFORE="10", BLACK_BOX_AFTER="5")
    data = tmp_path / "data"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return typed(*arguments, "--data-dir", str(data))

    def plain(*arguments: str) -> Any:
        return json.loads(run(*arguments, "--json").stdout)

    # who asked, and what clipped it
    assert bessai("trips", "--data-dir", str(data)).returncode == 0
    asked = run("request", "--power", "80", "--for", "10m", "--reason", "too much")
    assert asked.returncode == 1
    assert "granted 10 kW" in asked.stdout or "limited by" in asked.stdout, asked.stdout
    told = _until(lambda: _with("too much", run("explain")))
    assert told.returncode == 0
    assert "operator" in told.stdout
    assert "80 kW" in told.stdout
    assert "rated" in told.stdout, told.stdout
    shown = typed("limits", "show")
    assert shown.returncode == 0
    assert "cell_voltage_high" in shown.stdout
    site.gateway.request(POWER)
    site.until_power()

    # a cell runs away: trip, zero power, a record
    site.twin.tell("force", point="cell_voltage_max", to=3.70)
    _until(lambda: _tripped(site))
    site.twin.until(lambda s: abs(s["power"]) < 0.05)
    listed = plain("trips")
    (trip,) = listed["trips"]
    assert (trip["code"], trip["reset"]) == ("cell_voltage_high", "engineer")
    done = _until(lambda: [r for r in plain("blackbox", "list") if r.get("end")])
    assert done[0]["triggers"][0]["code"] == "cell_voltage_high"
    replayed = typed("replay", done[0]["file"])
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    acknowledged = run("alarms", "ack", "cell_voltage_high", "--reason", "seen", "--user", "ana")
    assert acknowledged.returncode == 0, acknowledged.stderr

    # killed, it is still tripped
    time.sleep(1.5)
    _kill_and_start(site)
    _running(site)
    assert plain("trips")["trips"] == listed["trips"]
    alarm = next(a for a in plain("alarms") if a["code"] == "cell_voltage_high")
    assert (alarm["state"], alarm["acknowledged_by"]) == ("acknowledged", "ana")
    site.gateway.request(POWER)

    # refused, refused, refused, accepted
    refused = run("reset", "cell_voltage_high", "--role", "operator", *WHO)
    assert refused.returncode == 1
    assert "engineer" in refused.stderr
    refused = run("reset", "cell_voltage_high", "--role", "engineer", *WHO)
    assert refused.returncode == 1
    assert _tripped(site)
    site.twin.tell("release", point="cell_voltage_max")
    time.sleep(1.5)
    assert run("reset", "cell_voltage_high", "--role", "operator", *WHO).returncode == 1
    assert run("reset", "--all", "--role", "engineer", "--user", "ana", "--reason", " ").returncode == 2
    time.sleep(2)
    assert _tripped(site), "no cause, and nobody has reset it: it stands"
    assert abs(site.twin.tell()["power"]) < 0.05
    accepted = run("reset", "cell_voltage_high", "--role", "engineer", *WHO)
    assert accepted.returncode == 0, accepted.stderr
    site.until_power()
    assert run("trips").returncode == 0

    # maintenance: zero power through a kill, a shelved warning stays shelved
    assert run("maintenance", "on", *WHO).returncode == 0
    site.twin.until(lambda s: abs(s["power"]) < 0.05)
    _until(lambda: any(a["code"] == "maintenance_on" for a in plain("alarms")))
    shelved = run("alarms", "shelve", "maintenance_on", "--for", "1h", "--reason", "known", "--user", "ana")
    assert shelved.returncode == 0, shelved.stderr
    time.sleep(1.5)
    _kill_and_start(site)
    _running(site)
    status = site.gateway.status()
    assert status["maintenance"]["user"] == "ana"
    assert next(a for a in plain("alarms") if a["code"] == "maintenance_on")["state"] == "shelved"
    site.gateway.request(POWER)
    time.sleep(3)
    assert abs(site.twin.tell()["power"]) < 0.05
    assert run("maintenance", "off", *WHO).returncode == 0
    site.until_power()

    codes = _events(data)
    assert codes.count("trip_reset") == 1
    assert {"maintenance_on", "maintenance_off"} <= set(codes)


@pytest.mark.soak  # `core/test_restarts.py` makes a hundred in one process
def test_five_kills_while_tripped(start: Start) -> None:
    site = start()
    site.twin.tell("force", point="cell_voltage_max", to=3.70)
    first = _until(lambda: _tripped(site))
    time.sleep(1)
    site.twin.tell("release", point="cell_voltage_max")
    for _ in range(5):
        _kill_and_start(site)
        _running(site)
        site.gateway.request(POWER)
        assert _tripped(site) == first
        time.sleep(2)
        assert site.gateway.status()["control"]["state"] == "tripped"
        assert abs(site.twin.tell()["power"]) < 0.05
    state = site.twin.tell()
    assert all(
        value == 0
        for at, point, value in state["log"]
        if point.endswith("setpoint") and at > state["time"] - 5
    )


def test_noise_at_a_threshold_is_one_transition(start: Start, tmp_path: Path) -> None:
    """Two excursions of the state of charge around its lowest, with noise: each begins and ends once."""
    site = start()
    for _ in range(2):
        for i in range(10):
            site.twin.tell("force", point="soc", to=10.0 + (0.2 if i % 2 else -0.2))
            time.sleep(0.5)
        site.twin.tell("force", point="soc", to=50.0)
        site.until_power()
    site.gateway.end()
    reader = JournalReader(tmp_path / "data")
    try:
        entries = reader.read(0, 100_000)
    finally:
        reader.close()
    begins = [e for entry in entries for e in entry.events if e.code == "soc_low" and e.active]
    assert len(begins) == 2
    powers = [entry.decision["setpoint"] for entry in entries if entry.kind == "cycle"]
    first = powers.index(POWER)
    on = [p == POWER for p in powers[first:]]
    stops = sum(a and not b for a, b in pairwise(on))
    assert stops == 2


@pytest.mark.soak
def test_noise_at_a_trip_is_one_trip(start: Start, tmp_path: Path) -> None:
    """Noise below the level starts the delay anew; a steady excess trips, and noise after it changes nothing."""
    site = start()

    def noise(seconds: float) -> None:
        for i in range(int(2 * seconds)):
            site.twin.tell("force", point="cell_voltage_max", to=3.65 + (0.002 if i % 2 else -0.002))
            time.sleep(0.5)

    noise(6)
    assert not _tripped(site)
    site.twin.tell("force", point="cell_voltage_max", to=3.66)
    (trip,) = _until(lambda: _tripped(site))
    noise(8)
    site.twin.tell("release", point="cell_voltage_max")
    time.sleep(2)
    assert _tripped(site) == [trip]
    codes = _events(tmp_path / "data")
    assert codes.count("cell_voltage_high") == 1, codes


def _events(data: Path) -> list[str]:
    reader = JournalReader(data)
    try:
        return [e.code for entry in reader.read(0, 100_000) for e in entry.events if e.active]
    finally:
        reader.close()
