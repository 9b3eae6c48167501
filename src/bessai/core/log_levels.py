"""How loud the gateway logs, changed while it runs, for a time.

{"op": "log_level"}
{"op": "log_level", "level": "DEBUG", "logger": "", "for": 900, "user": "ana"}
{"op": "log_level", "level": null, "logger": "", "user": "ana"}               # back to what is configured

The control plane applies it itself; the service plane hears of it in the answer to its status, the page asks. It is
forgotten at a restart, and each change is an event in the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bessai.logs import LEVELS, Levels
from bessai.model import Clock, Event, Severity

LONGEST = 24 * 3600.0
"""Seconds that a change may last; it ends by itself, so that no disk fills up because somebody forgot."""
DEFAULT = 900.0
_MOST = 20
_TEXT = 128


class LogLevels:
    """The levels of this process, and until when they hold.

    Args:
        configured: LOG_LEVEL.
        note: puts an event into the next record.
        clock: of everything.
    """

    def __init__(self, configured: str, note: Callable[[Event], None], clock: Clock) -> None:
        self._levels = Levels(configured)
        self._note = note
        self._clock = clock
        self._until: dict[str, float] = {}

    def status(self) -> dict[str, Any]:
        """Plain data."""
        self.look()
        now = self._clock.monotonic()
        return {
            "configured": self._levels.configured,
            "changed": dict(self._levels.changed),
            "seconds_left": {name: round(until - now, 1) for name, until in self._until.items()},
        }

    @property
    def changed(self) -> dict[str, str]:
        """Level by logger, of those that are not as configured."""
        self.look()
        return dict(self._levels.changed)

    def look(self) -> None:
        """Let go of what is over. Cheap: called every second."""
        if not self._until:
            return
        now = self._clock.monotonic()
        over = [name for name, until in self._until.items() if now >= until]
        if over:
            for name in over:
                del self._until[name]
                self._tell(f"{_called(name)}: back to what is configured, its time is over", None)
            self._apply({name: level for name, level in self._levels.changed.items() if name in self._until})

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer `{"op": "log_level"}`.

        Raises:
            ValueError: with the mend.
        """
        if "level" in message:
            self._change(message)
        return {"log": self.status()}

    def _change(self, message: dict[str, Any]) -> None:
        level, name, user = message["level"], message.get("logger") or "", message.get("user")
        if level is not None and level not in LEVELS:
            raise ValueError(f"level={level!r:.40}: use one of {', '.join(LEVELS)}")
        if not isinstance(name, str) or len(name) > _TEXT or not name.isprintable():
            raise ValueError(f"logger: give its name, such as bessai.cycle, in at most {_TEXT} characters")
        if not isinstance(user, str) or not user.strip() or len(user) > _TEXT or not user.isprintable():
            raise ValueError("user: say who; it is recorded")
        seconds = message.get("for", DEFAULT)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST:
            raise ValueError(f"for={seconds!r:.40}: give seconds, 1 to {LONGEST:.0f}")
        self.look()
        changed = dict(self._levels.changed)
        if level is None:
            changed.pop(name, None)
            self._until.pop(name, None)
        elif name not in changed and len(changed) >= _MOST:
            raise ValueError(f"{_MOST} loggers are changed already; give one back first")
        else:
            changed[name] = level
            self._until[name] = self._clock.monotonic() + seconds
        self._apply(changed)
        what = "back to what is configured" if level is None else f"{level} for {seconds:.0f} s"
        self._tell(f"{_called(name)}: {what}, by {user.strip()}", user.strip())

    def _apply(self, changed: dict[str, str]) -> None:
        self._levels.apply(changed)

    def _tell(self, message: str, user: str | None) -> None:
        self._note(
            Event(
                code="log_level_changed", severity=Severity.INFO, message=message,
                wall_ns=self._clock.wall_ns(), user=user,
            )
        )  # fmt: skip


def _called(name: str) -> str:
    return f"log level of {name}" if name else "log level"


__all__ = ["DEFAULT", "LONGEST", "LogLevels"]
