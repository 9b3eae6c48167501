"""Real-time priority for the control loop, and for nothing else.

The gateway raises itself, late, instead of being started with it: importing and recovering a journal may compute for
many seconds without a pause, which `LimitRTTIME=` of the service manager takes for a loop that hangs.
"""

from __future__ import annotations

import os
import sys


def take_priority(priority: int) -> str | None:
    """Give the calling thread SCHED_FIFO at a priority; 0 changes nothing.

    Threads and processes that it starts later are on the usual schedule again: the journal's thread, the service
    plane and the page never come before anybody.

    Returns:
        Why it was refused, with the mend; None when it was not.
    """
    if not priority:
        return None
    if sys.platform != "linux":
        return f"REALTIME_PRIORITY={priority}: only Linux gives real-time priority; leave it out"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        return (
            f"REALTIME_PRIORITY={priority} is not granted ({error.strerror}): control goes on without it; "
            f"allow it (systemd: LimitRTPRIO={priority} and RestrictRealtime=no), or leave it out"
        )
    return None


def current_priority() -> int:
    """The real-time priority of the calling thread; 0: it has none."""
    return os.sched_getparam(0).sched_priority if sys.platform == "linux" else 0
