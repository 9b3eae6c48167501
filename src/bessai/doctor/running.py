"""All checks at once: most of them wait for something. One that breaks or hangs says so and holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from bessai.doctor.look import Look
from bessai.doctor.result import Check, Checked, Finding, ok, unknown


class _Job:
    """One check in a thread that nobody waits for at the end: a call into a dead file system never returns."""

    def __init__(self, check: Check, look: Look) -> None:
        self._check, self._look = check, look
        self._found: list[Finding] = []
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._took = 0.0
        self._thread = threading.Thread(target=self._work, name=f"doctor {check.name}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            for finding in self._check.look(self._look):
                with self._lock:
                    self._found.append(finding)
        except Exception as error:  # noqa: BLE001  whatever breaks one check must not hide the others
            with self._lock:
                self._found.append(unknown("broke", error=f"{type(error).__name__}: {error}"[:300]))
        self._took = time.monotonic() - self._started

    def result(self) -> Checked:
        """Waits until it is done or its time is over."""
        self._thread.join(max(0.0, self._started + self._check.seconds - time.monotonic()))
        with self._lock:
            found = list(self._found)
        if self._thread.is_alive():
            found.append(unknown("too_slow", seconds=self._check.seconds))
            self._took = self._check.seconds
        return Checked(
            name=self._check.name,
            group=self._check.group,
            findings=tuple(found) or (ok("nothing"),),
            seconds=round(self._took, 3),
        )


def examine(look: Look, checks: Sequence[Check]) -> list[Checked]:
    """What the checks found, in their order. Takes as long as the slowest, at most its deadline."""
    return [job.result() for job in [_Job(check, look) for check in checks]]
