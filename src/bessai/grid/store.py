"""The values in force and their history, kept across restarts.

The state file is handed in; it makes what it gets durable off the control loop and tells when it is. Every change has
a revision: `GridStore.revision` is the newest, `GridStore.durable` the newest that survives a power cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.parameters import NONE, PARAMETERS, Value
from bessai.model.state import StateFile, StateLost

HISTORY = 1000
"""Entries about parameters that are kept; the journal keeps them longer."""
COMMANDS = 100
"""Entries about commands that are kept."""
SETPOINT = "active.setpoint"
"""Given by a system of the grid operator it is not kept: that system sends it again, and an old one is no evidence."""


Plain = dict[str, Any]
"""A change as the file has it, without what is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that somebody did, or was refused."""

    what: str
    """`set`, `command`, `adopt`, `test`, `test_end`, `refused` or `start`."""
    wall_ns: int
    """UTC nanoseconds."""
    name: str = ""
    """The parameter."""
    old: Value | None = None
    new: Value | None = None
    user: str = ""
    role: str = ""
    reason: str = ""
    authorisation: str = ""
    source: str = ""
    detail: str = ""
    """Why it was refused, or what the test signal is."""
    revision: int = 0
    """The revision that it made; 0 for none."""


class GridStore:
    """What is in force, by whose authority, and what was done before.

    Args:
        state: where it is kept; loaded by `load`, by nobody else.
    """

    def __init__(self, state: StateFile) -> None:
        self.values: dict[str, Value] = {}
        """Value in force by parameter."""
        self.set_by: dict[str, Plain] = {}
        """The change that made each value; none for those of the first start."""
        self.history: deque[Plain] = deque(maxlen=HISTORY)
        """Changes of parameters, oldest first."""
        self.commands: deque[Plain] = deque(maxlen=COMMANDS)
        """Commands, oldest first."""
        self.lost = ""
        """Why the authorised values are unknown; empty while they are known."""
        self.revision = 0
        self._state = state
        self._durable = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._system_setpoint = False
        self.first: Change | None = None
        """The entry of a start without a record."""

    @property
    def problem(self) -> str | None:
        """Why the newest change is not durable."""
        return self._state.problem

    def load(self, config: GridConfig, wall_ns: int) -> list[str]:
        """Take up what was kept; with nothing kept, the values of the file. Returns what could not be taken up."""
        problems: list[str] = []
        try:
            known = self._state.load()
            if known is not None:
                problems = self._take(known, config)
        except (StateLost, ValueError) as error:
            if isinstance(error, ValueError):
                self._state.reject()
            self.values, self.set_by = {}, {}
            self.lost = str(error)
            known = None
        default = {name: config.default(name) for name in PARAMETERS}
        if contradictions := config.contradictions({**default, **self.values}):
            self.lost = "; ".join(f"kept values contradict: {name} {mend}" for name, mend in contradictions)
            commands = {name for name, one in PARAMETERS.items() if one.kind == "command"}
            self.values = {name: value for name, value in self.values.items() if name in commands}
            self.set_by = {name: change for name, change in self.set_by.items() if name in commands}
        self.values = {**default, **self.values}
        if known is None:
            self.revision += 1
            reason = (
                "the record is lost: values of GRID_FILE" if self.lost else "first start: values of GRID_FILE"
            )
            self.first = Change(what="start", wall_ns=wall_ns, detail=reason, revision=self.revision)
            self.history.append(_plain(self.first))
        return problems

    def note(self, change: Change) -> None:
        """Remember a change, and take its value into force when it has one."""
        self.revision = change.revision
        plain = _plain(change)
        if change.new is not None:
            self.values[change.name] = change.new
            self.set_by[change.name] = plain
            if change.name == SETPOINT:
                self._system_setpoint = bool(change.source)
        (self.commands if change.what == "command" else self.history).append(plain)

    def follow(self, values: Mapping[str, Value]) -> bool:
        """Take over what the functions changed by themselves: a fallback, or AGC that was switched off."""
        changed = [name for name, value in values.items() if value != self.values[name]]
        for name in changed:
            self.values[name] = values[name]
            self.set_by.pop(name, None)
        return bool(changed)

    def save(self) -> None:
        """Hand everything over to be made durable. Never blocks."""
        values, set_by = dict(self.values), dict(self.set_by)
        if self._system_setpoint:
            values[SETPOINT] = NONE
            set_by.pop(SETPOINT, None)
        state = {
            "revision": self.revision,
            "values": values,
            "set_by": set_by,
            "history": list(self.history),
            "commands": list(self.commands),
            "lost": self.lost,
        }
        self._waiting.append((self._state.save(state), self.revision))

    @property
    def durable(self) -> int:
        """The newest revision that survives a power cut."""
        while self._waiting and self._state.is_durable(self._waiting[0][0]):
            self._durable = self._waiting.popleft()[1]
        return self._durable

    def _take(self, known: Mapping[str, Any], config: GridConfig) -> list[str]:
        """Raises ValueError when it is not what `save` wrote."""
        try:
            self.revision = self._durable = int(known["revision"])
            self.lost = str(known["lost"])
            self.history.extend(_checked(item) for item in known["history"])
            self.commands.extend(_checked(item) for item in known["commands"])
            kept = dict(known["values"])
            set_by = {name: _checked(item) for name, item in known["set_by"].items()}
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"it is no record of grid parameters ({error!r})") from error
        problems = []
        for name, value in kept.items():
            try:
                self.values[name] = config.checked(name, value)
            except ValueError as error:
                problems.append(f"the kept value {value!r:.40} of {name} cannot be used: {error}")
            else:
                if name in set_by:
                    self.set_by[name] = set_by[name]
        return problems


def _plain(change: Change) -> Plain:
    return {name: value for name, value in asdict(change).items() if value not in ("", None)}


def _checked(data: Mapping[str, Any]) -> Plain:
    """Raises TypeError when it is no change."""
    return _plain(Change(**data))
