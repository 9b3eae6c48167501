"""The process's own heartbeat to systemd, and when a cycle has earned it.

    notifier = Notifier()                       # silent unless systemd started this process
    notifier.ready("3 devices")
    if earns_heartbeat(ended=True, verified=record.verified, active=cycle.active, stuck=...):
        notifier.alive()

The device's dead-man and the process's watchdog ask two questions. The device is fed only after a complete, verified
cycle: does somebody know what the battery does? The process watchdog asks whether a restart would help: a gateway that
works, and says by name that a device is silent, is not to be killed, for that would blind it to all the others.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping

from bessai.model import Condition, Severity

OUTSIDE = frozenset(
    {
        "control_refused",
        "dead_man_idle",
        "device_not_running",
        "device_unavailable",
        "evidence_lost",
        "power_limit_unknown",
        "setpoint_not_followed",
        "write_failed",
    }
)
"""Codes of faults outside this process that keep a cycle from being verified; no other code excuses one."""


def earns_heartbeat(*, ended: bool, verified: bool, active: Iterable[Condition], stuck: bool = False) -> bool:
    """Whether the cycle that ends now may feed the process watchdog.

    Args:
        ended: the cycle ran to its end, without an exception anywhere in it, its decision included.
        verified: fresh evidence in, a decision, and the device is known to have what was decided.
        active: the conditions that hold now.
        stuck: a read or a write of this process is under way for longer than its own time limits allow.

    Returns:
        True for a verified cycle, and for one that an alarm about a fault outside this process explains.
    """
    if not ended or stuck:
        return False
    return verified or any(c.severity >= Severity.ALARM and c.code in OUTSIDE for c in active)


class Notifier:
    """Messages to the service manager (the sd_notify protocol). Never blocks, never raises.

    Args:
        environ: where NOTIFY_SOCKET and WATCHDOG_USEC are looked up, and taken away, so that no child process
            speaks in this one's name.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.interval = _watchdog_seconds(environ)
        """Seconds within which the service manager expects `alive`; None when it expects nothing."""
        self.problem: str | None = None
        """Why the last message could not be sent."""
        address = environ.get("NOTIFY_SOCKET", "")
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environ.pop(name, None)
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "\0")):
            try:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            except OSError as error:
                self.problem = str(error)

    @property
    def active(self) -> bool:
        """True when somebody listens."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """The gateway has started."""
        self._send("READY=1", status)

    def alive(self, status: str = "") -> None:
        """A cycle has earned it, see `earns_heartbeat`."""
        self._send("WATCHDOG=1", status)

    def stopping(self, status: str = "") -> None:
        """A clean stop has begun."""
        self._send("STOPPING=1", status)

    def status(self, status: str) -> None:
        """One line for people, as `systemctl status` shows it."""
        self._send("", status)

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str) -> None:
        if self._socket is None:
            return
        line = " ".join(status.split())  # a line break would begin another message
        text = "\n".join(part for part in (state, f"STATUS={line}" if line else "") if part)
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except (OSError, ValueError) as error:  # the manager is busy or gone: control goes on
            self.problem = f"{type(error).__name__}: {error}"
        else:
            self.problem = None


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """The watchdog's time, when it is meant for this process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    seconds = int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
    return seconds or None
