"""The wall clock of a running gateway jumps. Only that one: what is timed is timed by the monotonic clock."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from bessai.journal import JournalReader
from faults.conftest import Start

SOURCE = Path(__file__).parents[1] / "support" / "clock_shim.c"
DAY = 86_400
YEARS = 3653 * DAY


def test_the_clock_jumps_and_nothing_else_happens(start: Start, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, cc")
    shim, offset = tmp_path / "shim.so", tmp_path / "offset"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, SOURCE, "-ldl"], check=True)
    offset.write_bytes(struct.pack("q", 0))
    site = start(LD_PRELOAD=str(shim), CLOCK_SHIM=str(offset))
    reader = JournalReader(tmp_path / "data")
    for step in (0, DAY, -DAY, YEARS, -YEARS, 0):
        with offset.open("r+b") as file:
            file.write(struct.pack("q", step))
        seen, deadline = reader.last_sequence(), time.monotonic() + 60
        while reader.last_sequence() < seen + 4:
            assert time.monotonic() < deadline, site.gateway.log.read_text()
            time.sleep(0.1)
        assert abs(reader.tail(1)[0].wall_ns / 1e9 - time.time() - step) < 60, "it did jump"
        status = site.gateway.status()
        assert status["control"]["state"] == "normal", status
        assert status["control"]["trips"] == [], status
    state = site.twin.tell()
    assert state["active"]
    assert state["fallbacks"] == 0
    assert site.gateway.end() == 0

    entries = reader.read(0, 1 << 40)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    cycles = [entry.cycle for entry in entries if entry.kind == "cycle"]
    assert all(after > before for before, after in itertools.pairwise(cycles))
    first_power = next(e.sequence for e in entries if e.decision.get("setpoint"))
    assert not [e for e in entries if e.sequence > first_power and e.decision.get("trips")]
    codes = {event.code for entry in entries if entry.sequence > first_power for event in entry.events}
    assert not {code for code in codes if "trip" in code or "lost" in code or "stale" in code}, codes
