"""Whether a gateway counts as well after a restart: rows of what it says, second by second."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.update.health import Baseline, Watch, baseline, fallbacks, flowing

OLD, NEW = 2**22 + 1, 2**22 + 2  # beyond the largest process id: nobody's


def status(pid: int = NEW, **more: Any) -> dict[str, Any]:
    """A healthy one."""
    found: dict[str, Any] = {
        "pid": pid,
        "version": "2.0.0",
        "healthy": True,
        "problems": [],
        "conditions": [],
        "cycle": {"cycles": 1},
        "service_plane": {"running": True, "restarts": 0},
        "page": {"running": False, "restarts": 0},
        "units": {},
    }
    return {**found, **more}


def alarm(code: str, severity: str = "alarm") -> dict[str, Any]:
    """A gateway with an alarm."""
    bad = severity == "alarm"
    return {
        "healthy": not bad,
        "problems": [code] if bad else [],
        "conditions": [{"code": code, "severity": severity, "point": None}],
    }


BEFORE = baseline(status(OLD))


class Life:
    """Says one status for each second; the last one for ever, with cycles going on."""

    def __init__(self, *rows: dict[str, Any] | None, stuck: bool = False) -> None:
        self._rows, self._stuck = rows, stuck
        self.now = 0.0

    def ask(self) -> dict[str, Any] | None:
        row = self._rows[min(int(self.now), len(self._rows) - 1)]
        return row and {**row, "cycle": {"cycles": 1 if self._stuck else int(self.now)}}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def judge(self, before: Baseline = BEFORE, interrupted: Callable[[], bool] = lambda: False) -> str | None:
        return Watch(
            self.ask, before, Path("/nowhere/b"), steady=10, within=60, answer=20, interrupted=interrupted,
            clock=lambda: self.now, sleep=self.sleep,
        ).run()  # fmt: skip


def test_well_after_a_start() -> None:
    life = Life(None, None, status(OLD), None, status(**alarm("evidence_lost")), status())
    assert life.judge() is None
    assert life.now == 15, "ten seconds in a row, from when all was well"
    slow = Life(*[status(**alarm("evidence_lost"))] * 25, status())
    assert slow.judge() is None, "it answers, so it has until the end"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([None], "does not answer after 20 s"),
        ([status(OLD)], "has not been restarted after 20 s"),
        ([status(), None], "does not answer"),
        ([status(**alarm("device_unavailable"))], "new alarms: device_unavailable"),
        ([status(healthy=False, problems=["no cycle has run yet"])], "not healthy: no cycle has run yet"),
        ([status(service_plane={"running": False})], "service plane does not run"),
    ],
)
def test_not_well(rows: list[dict[str, Any] | None], why: str) -> None:
    assert why in str(Life(*rows).judge())


def test_dying_again_and_again_is_not_well() -> None:
    life = Life(*(status(NEW + i // 5) for i in range(80)))
    assert "died and was started again 3 times" in str(life.judge())
    assert life.now < 20
    children = (status(service_plane={"running": True, "restarts": i // 5}) for i in range(80))
    assert "not steadily well" in str(Life(*children).judge())


def test_without_cycles_it_is_not_well() -> None:
    assert "not steadily well" in str(Life(status(), stuck=True).judge())


def test_what_was_wrong_before_may_stay_but_nothing_new() -> None:
    ill = baseline(status(OLD, **alarm("device_unavailable")))
    assert Life(status(**alarm("device_unavailable"))).judge(ill) is None
    assert "evidence_lost" in str(Life(status(**alarm("evidence_lost"))).judge(ill))
    more = {**alarm("device_unavailable"), "problems": ["device_unavailable", "ValueError in a cycle"]}
    assert "ValueError" in str(Life(status(**more)).judge(ill))


def test_warnings_do_not_count() -> None:
    assert Life(status(**alarm("dead_man_untested", "warning"))).judge() is None


def test_it_must_run_from_its_slot() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()  # before that its command line may be unknown
        assert "not from /nowhere/b" in str(Life(status(other.pid)).judge())
        other.kill()


def test_somebody_may_end_it() -> None:
    turns: Iterator[bool] = iter([False, False, True])
    assert "interrupted" in str(Life(status()).judge(interrupted=lambda: next(turns)))


def test_power_that_flows_is_named() -> None:
    units = {
        "": {"setpoint": 0.0, "dead_man": {"fallback": "ends the forced mode"}},
        "b": {"setpoint": -5.0, "dead_man": {"fallback": "zero"}},
        "c": {"setpoint": None, "dead_man": {}},
    }
    assert flowing(status(units=units)) == "b -5 kW"
    assert fallbacks(status(units=units)) == ["the device: ends the forced mode", "b: zero"]
    assert flowing(status()) is None
