"""Real-time priority is the control loop's alone: real system calls, in a process that may make them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from bessai.core.realtime import current_priority, take_priority

_ASK = """
import json, os, subprocess, sys, threading
from bessai.core.realtime import current_priority, take_priority

refused = take_priority(7)
seen = {}
thread = threading.Thread(target=lambda: seen.update(thread=os.sched_getscheduler(0)))
thread.start()
thread.join()
child = subprocess.run(
    [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True, text=True, check=True
)
print(json.dumps(seen | {"refused": refused, "own": current_priority(), "child": int(child.stdout)}))
"""

_WITHOUT_RIGHTS = """
import json, os, resource
from bessai.core.realtime import current_priority, take_priority

resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
if os.geteuid() == 0:
    os.setuid(65534)
print(json.dumps({"refused": take_priority(7), "own": current_priority()}))
"""


def _ask(script: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_zero_changes_nothing() -> None:
    assert take_priority(0) is None
    assert current_priority() == 0


def test_only_the_thread_that_asked_has_it() -> None:
    if os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_RTPRIO)[0] < 7:
        pytest.skip("real-time priority needs root, or RLIMIT_RTPRIO of 7")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        pytest.skip("this machine gives nobody real-time priority (a container without CAP_SYS_NICE)")
    assert _ask(_ASK) == {"refused": None, "own": 7, "thread": os.SCHED_OTHER, "child": os.SCHED_OTHER}


def test_a_refusal_is_told_with_its_mend() -> None:
    here = _ask(_WITHOUT_RIGHTS)
    assert here["own"] == 0
    assert "LimitRTPRIO=7" in str(here["refused"])
