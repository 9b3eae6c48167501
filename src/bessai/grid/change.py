"""Change control of the grid functions (AT-IBR Art. 6-2): nothing is adjusted without a name, a role and a reason.

    desk = ChangeDesk(GridFunctions(config, cycle=0.2), DiskState(data_dir, "grid.json", traces=()), clock)

A `parameter` (droop, dead band, response time, …) changes only by an engineer with the reference of an authorisation;
a `command` (set-point, mode, maximum, …) by an operator, an engineer, or a system of the grid operator. Every change,
and every refusal of a parameter's change, is an event and thus in the journal. What is refused changes nothing.

What was changed counts across restarts: GRID_FILE gives the values of the first start, and those that somebody adopts.
A file that says something else than what is in force is a warning, and so is a device that does (see `drift`).

    {"op": "grid"}, {"op": "grid_history", "count": 100}, and the messages of `bessai.grid.messages`

An answer with a revision says that the change counts from the next cycle on; it survives a power cut when `durable`
of `{"op": "grid"}` has reached that revision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bessai.grid.drift import DriftWatch
from bessai.grid.functions import GridFunctions
from bessai.grid.messages import Asker, asker_of, name_of, signal_of
from bessai.grid.parameters import PARAMETERS, Value
from bessai.grid.store import HISTORY, Change, GridStore
from bessai.grid.telling import conditions_of_store, event_of, parameters_as_plain
from bessai.model import Clock, Condition, Decision, Event, ProcessImage, Request
from bessai.model.state import StateFile

Handler = Callable[[dict[str, Any]], dict[str, Any]]

BACKLOG = 200
"""Events that wait for the next cycle; beyond them nobody is listened to, so that none is lost."""
PAUSE = 10.0
"""Seconds between two writings of what a system of the grid operator may send every few seconds."""
_DETAIL = 512
"""Characters of a refusal that are kept."""
_REPEATED = {"active.setpoint", "voltage.setpoint", "voltage.power_factor", "voltage.reactive_power"}


class ChangeDesk:
    """The grid functions with change control around them. Satisfies `core.proposing.Proposer`.

    Args:
        functions: of the plant, with the values of its file.
        state: where the values in force are kept; not loaded yet.
        clock: of the events.
    """

    def __init__(self, functions: GridFunctions, state: StateFile, clock: Clock) -> None:
        self.functions = functions
        self.store = GridStore(state)
        self._config = functions.config
        self._clock = clock
        self._events: list[Event] = []
        self._drift = DriftWatch(self._config)
        self._unsaved = False
        self._saved_at = clock.monotonic()
        for problem in self.store.load(self._config, clock.wall_ns()):
            self._do(self._change("refused", Asker(user="gateway", reason="start"), detail=problem))
        if self.store.first is not None:
            self._events.append(event_of(self.store.first))
        switches_first = sorted(self.store.values, key=lambda name: PARAMETERS[name].type != "switch")
        for name in switches_first:  # AGC that is switched off takes its set-point away
            if self.store.values[name] != functions.values[name]:
                functions.apply(name, self.store.values[name])
        self._differences = self._compare_file()
        self._save()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By `op`. A handler answers, or raises ValueError with everything that is wrong and the mend."""
        return {
            **self.functions.handlers,
            "grid": self._grid,
            "grid_set": self._set,
            "grid_command": self._command,
            "grid_adopt": self._adopt,
            "grid_test": self._test,
            "grid_test_end": self._test_end,
            "grid_history": self._history,
        }

    def propose(self, image: ProcessImage) -> Sequence[Request]:
        """The functions' leases."""
        if self._unsaved and self._clock.monotonic() - self._saved_at >= PAUSE:
            self._save()
        requests = self.functions.propose(image)
        values = self.functions.values
        if self.store.follow(values):
            self._unsaved = True
        self._drift.look(image, values)
        return requests

    def keep(self) -> None:
        """Hand over what waits to be written; before the end."""
        if self._unsaved:
            self._save()

    def told(self, decision: Decision) -> None:
        """What the last cycle decided."""
        self.functions.told(decision)

    def conditions(self) -> Sequence[Condition]:
        """What is wrong with the functions, the record, the file or the devices' settings."""
        return [
            *self.functions.conditions(),
            *conditions_of_store(self.store, self._differences),
            *self._drift.conditions(),
        ]

    def take_events(self) -> Sequence[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return [*events, *self.functions.take_events()]

    def status(self) -> dict[str, Any]:
        """Plain JSON-safe data: the functions, and what is in force by whose authority."""
        return {
            "revision": self.store.revision,
            "durable": self.store.durable,
            "problem": self.store.problem,
            "lost": self.store.lost,
            "file_differs": {
                name: {"file": file, "in_force": here} for name, (file, here) in self._differences.items()
            },
            "drift": self._drift.status(),
            "functions": self.functions.status(),
        }

    def _grid(self, _: dict[str, Any]) -> dict[str, Any]:
        parameters = parameters_as_plain(self._config, self.functions.values, self.store.set_by)
        plant = {
            "rated_power": self._config.rated_power,
            "nominal_frequency": self._config.nominal_frequency,
        }
        return {"grid": self.status() | {"plant": plant, "parameters": parameters}}

    def _set(self, message: dict[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        asker, name, value = self._asked(message, problems)
        if problems or name is None or value is None:
            raise self._refusal(message, asker, problems)
        return self._put("set", name, value, asker)

    def _command(self, message: dict[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        asker, name, value = self._asked(message, problems)
        if problems or name is None or value is None:
            raise ValueError("; ".join(problems))
        return self._put("command", name, value, asker)

    def _adopt(self, message: dict[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        asker = self._asker(message, problems)
        differing = self._differences
        names = message.get("names", [])
        if not isinstance(names, list):
            problems.append(f"names={names!r:.60}: give a list of parameters")
            names = []
        wrong = [name for name in names if not isinstance(name, str) or name not in differing]
        problems += [f"names: {name!r:.60} is no parameter of which GRID_FILE differs" for name in wrong]
        adopted = {name: differing[name][0] for name in names if name not in wrong}
        contradictions = self._config.contradictions({**self.functions.values, **adopted})
        problems += [f"{name}: {mend}" for name, mend in contradictions]
        if not names and not self.store.lost:
            problems.append("names: say of which parameters the values of GRID_FILE shall come into force")
        if problems:
            raise self._refusal(message, asker, problems)
        if self.store.lost:  # a person vouches for what is in force now
            self.store.lost = ""
            self._do(self._change("adopt", asker))
        for name, value in adopted.items():
            self._put("adopt", name, value, asker)
        return {"adopted": adopted, "revision": self.store.revision}

    def _test(self, message: dict[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        asker, signal = self._asker(message, problems), signal_of(message, problems)
        if self.functions.test is not None:
            problems.append("a test signal runs already: end it first")
        if problems or signal is None:
            raise ValueError("; ".join(problems))
        self.functions.inject(signal)
        unit = "Hz" if signal.quantity == "frequency" else "% Un"
        detail = (
            f"{signal.kind} of {signal.change:+g} {unit} on the {signal.quantity} for {signal.seconds:g} s"
        )
        self._do(self._change("test", asker, detail=detail))
        return {"revision": self.store.revision}

    def _test_end(self, message: dict[str, Any]) -> dict[str, Any]:
        problems: list[str] = []
        asker = self._asker(message, problems)
        if problems:
            raise ValueError("; ".join(problems))
        running = self.functions.test is not None
        if running:
            self.functions.inject(None)
            self._do(self._change("test_end", asker))
        return {"was_running": running, "revision": self.store.revision}

    def _history(self, message: dict[str, Any]) -> dict[str, Any]:
        count = message.get("count", 100)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= HISTORY:
            raise ValueError(f"count={count!r:.40}: give a whole number from 1 to {HISTORY}")
        return {
            "history": list(self.store.history)[-count:],
            "commands": list(self.store.commands)[-count:],
            "revision": self.store.revision,
            "durable": self.store.durable,
        }

    def _asker(self, message: Mapping[str, Any], problems: list[str]) -> Asker:
        if len(self._events) >= BACKLOG:
            raise ValueError(f"{len(self._events)} changes wait for the next cycle: ask again after it")
        return asker_of(message, problems)

    def _asked(
        self, message: Mapping[str, Any], problems: list[str]
    ) -> tuple[Asker, str | None, Value | None]:
        """Who asks for which value of what; whatever is wrong is added to `problems`."""
        asker, name = self._asker(message, problems), name_of(message, problems)
        if name is None:
            return asker, None, None
        return asker, name, self._checked(name, message.get("value"), asker.source, problems)

    def _checked(self, name: str, value: Any, source: str, problems: list[str]) -> Value | None:
        try:
            return self.functions.check(name, value, source=source)
        except ValueError as error:
            problems.append(f"{name} = {value!r:.40}: {error}")
            return None

    def _put(self, what: str, name: str, value: Value, asker: Asker) -> dict[str, Any]:
        old = self.functions.values[name]
        self.functions.apply(name, value, at=self._clock.monotonic(), heard=bool(asker.source))
        again = what == "command" and value == old and name in self.store.set_by  # as set-points are repeated
        if not again:
            change = self._change(what, asker, name=name, old=old, new=value)
            self._do(change, at_once=not (asker.source and name in _REPEATED))
        return {"name": name, "old": old, "value": value, "revision": self.store.revision}

    def _refusal(self, message: Mapping[str, Any], asker: Asker, problems: list[str]) -> ValueError:
        problem, name = "; ".join(problems), message.get("name")
        known = isinstance(name, str) and name in PARAMETERS
        change = self._change("refused", asker, name=name if known else "", detail=problem[:_DETAIL])
        self._do(change, at_once=False)
        return ValueError(problem)

    def _change(self, what: str, asker: Asker, **more: Any) -> Change:
        return Change(
            what=what,
            wall_ns=self._clock.wall_ns(),
            user=asker.user,
            role=asker.role,
            reason=asker.reason,
            authorisation=asker.authorisation,
            source=asker.source,
            revision=self.store.revision + 1,
            **more,
        )

    def _do(self, change: Change, *, at_once: bool = True) -> None:
        """Keep a change, and tell of it."""
        self.store.note(change)
        self._events.append(event_of(change))
        self._differences = self._compare_file()
        self._unsaved = True
        if at_once:
            self._save()

    def _save(self) -> None:
        self.store.save()
        self._unsaved = False
        self._saved_at = self._clock.monotonic()

    def _compare_file(self) -> dict[str, tuple[Value, Value]]:
        """Parameters of which GRID_FILE says something else than what is in force: file, in force."""
        return {
            name: (self._config.default(name), self.store.values[name])
            for name, parameter in PARAMETERS.items()
            if parameter.kind == "parameter" and self._config.default(name) != self.store.values[name]
        }
