"""Change control: who may change what, what is kept, and what is told."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessai.core.proposing import Proposer
from bessai.core.sealed_file import opened, sealed
from bessai.core.state_file import DiskState, MemoryState
from bessai.grid import PARAMETERS, GridConfig, GridFunctions, GridPoints
from bessai.grid.change import BACKLOG, PAUSE, ChangeDesk
from bessai.grid.store import COMMANDS, HISTORY
from bessai.model import Layout, ProcessImage, Quality, Severity

CONFIG: dict[str, Any] = {
    "rated_power": 1000.0, "rated_apparent_power": 1100.0, "nominal_voltage": 23_000.0,
}  # fmt: skip
ENGINEER = {"user": "ana", "role": "engineer", "reason": "as instructed"}
LETTER = {"authorisation": "CEN-2026-123"}
OPERATOR = {"user": "luis", "role": "operator", "reason": "dispatch"}
SYSTEM = {"user": "10.0.0.5", "reason": "command of the master", "source": "iec104"}
DROOP = {"op": "grid_set", "name": "frequency.droop", "value": 3, **ENGINEER, **LETTER}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return int(1.8e18 + self.now * 1e9)


class Desks:
    """Desks on one data directory, one after the other, as restarts do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state: DiskState | None = None

    def __call__(self, **config: Any) -> ChangeDesk:
        self.end()
        self._state = DiskState(self._directory, "grid.json", traces=())
        functions = GridFunctions(GridConfig(**CONFIG | config), cycle=0.2)
        return ChangeDesk(functions, self._state, Clock())

    def end(self) -> None:
        """Stop in good order."""
        if self._state is not None:
            assert self._state.close(30.0)
            self._state = None


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Desks]:
    desks = Desks(tmp_path)
    yield desks
    desks.end()


@pytest.fixture
def desk(open_desk: Desks) -> ChangeDesk:
    return open_desk()


def ask(desk: ChangeDesk, message: dict[str, Any]) -> dict[str, Any]:
    return desk.handlers[message["op"]](message)


def refused(desk: ChangeDesk, message: dict[str, Any]) -> str:
    before = dict(desk.functions.values)
    with pytest.raises(ValueError, match=r".") as caught:
        ask(desk, message)
    assert dict(desk.functions.values) == before
    return str(caught.value)


def codes(desk: ChangeDesk) -> list[str]:
    return [event.code for event in desk.take_events()]


def standing(desk: ChangeDesk) -> dict[str, Severity]:
    return {condition.code: condition.severity for condition in desk.conditions()}


def image(
    values: dict[str, float], units: dict[str, str] | None = None, states: dict[str, dict[int, str]] | None = None,
    bad: tuple[str, ...] = (), at: float = 1.0,
) -> ProcessImage:  # fmt: skip
    quality = [Quality.STALE if name in bad else Quality.GOOD for name in values]
    return ProcessImage(
        layout=Layout(tuple(values), tuple((units or {}).get(name) for name in values), states or {}),
        cycle=1,
        monotonic=at,
        wall_ns=0,
        values=np.array(list(values.values())),
        quality=np.array(quality, np.uint8),
        times=np.full(len(values), at),
    )


def test_it_is_a_proposer(desk: ChangeDesk) -> None:
    proposer: Proposer = desk
    assert proposer.propose(image({"soc": 50.0})) == desk.functions.propose(image({"soc": 50.0}))
    json.dumps(proposer.status(), allow_nan=False)


def test_an_authorised_change_counts_and_is_told(desk: ChangeDesk) -> None:
    assert codes(desk) == ["grid_parameters_begun"]
    assert ask(desk, DROOP) == {"name": "frequency.droop", "old": 5.0, "value": 3.0, "revision": 2}
    assert desk.functions.values["frequency.droop"] == 3.0
    (event,) = desk.take_events()
    assert (event.code, event.value, event.user) == ("grid_parameter_changed", 3.0, "ana")
    assert event.message == (
        "frequency.droop: 5 → 3 %, by ana (engineer), authorisation CEN-2026-123: as instructed"
    )
    parameter = ask(desk, {"op": "grid"})["grid"]["parameters"]["frequency.droop"]
    told = {
        "value": 3.0,
        "file": 5.0,
        "low": 2.0,
        "high": 5.0,
        "set_by": "ana",
        "authorisation": "CEN-2026-123",
    }
    assert told.items() <= parameter.items()
    assert (parameter["clause"], parameter["confidence"]) == ("AT-IBR Art. 3-6 e", "A")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"value": 7}, "frequency.droop = 7: give 2 … 5 % (AT-IBR Art. 3-6 e)"),
    ({"value": 1.9}, "give 2 … 5 %"),
    ({"value": "3"}, "give a number in %"),
    ({"value": True}, "give a number in %"),
    ({"value": math.nan}, "give a number in %"),
    ({"value": 10**400}, "give 2 … 5 %"),
    ({"value": None}, "give a number in %"),
    ({"name": "frequency.drop"}, "name='frequency.drop': there is no such parameter"),
    ({"name": ["frequency.droop"]}, "there is no such parameter"),
    (
        {"name": "voltage.mode", "value": "off"},
        "voltage.mode is a command of daily operation: use grid_command",
    ),
    ({"role": "operator"}, "role='operator': grid_set takes the role engineer"),
    ({"role": "grid_operator"}, "role='grid_operator': grid_set takes the role engineer"),
    ({"role": ["engineer"]}, "grid_set takes the role engineer"),
    ({"authorisation": ""}, "authorisation is empty: give the reference of the Coordinator's authorisation"),
    ({"authorisation": "  "}, "authorisation is empty"),
    ({"authorisation": None}, "authorisation is empty"),
    ({"authorisation": 7}, "authorisation=7: give a text"),
    ({"authorisation": "x" * 129}, "129 characters are too many"),
    ({"authorisation": "CEN\n1"}, "only printable characters"),
    ({"user": ""}, "user is empty"),
    ({"reason": " "}, "reason is empty"),
    ({"source": "iec104"}, "source: grid_set has no such field"),
]


@pytest.mark.parametrize(("change", "problem"), WRONG)
def test_a_parameter_is_not_changed_without_its_due(
    desk: ChangeDesk, change: dict[str, Any], problem: str
) -> None:
    desk.take_events()
    assert problem in refused(desk, DROOP | change)
    (event,) = desk.take_events()
    assert event.code == "grid_parameter_refused"
    assert problem[:60] in event.message
    (entry,) = ask(desk, {"op": "grid_history", "count": 1})["history"]
    assert entry["what"] == "refused"
    assert "new" not in entry


def test_everything_that_is_wrong_comes_at_once(desk: ChangeDesk) -> None:
    message = {"op": "grid_set", "name": "frequency.droop", "value": 9, "role": "operator", "extra": 1}
    problem = refused(desk, message)
    for part in ("extra", "user", "reason", "role", "authorisation", "2 … 5 % (AT-IBR Art. 3-6 e)"):
        assert part in problem


def test_the_sites_own_bounds_are_narrower(open_desk: Desks) -> None:
    desk = open_desk(bounds={"frequency.droop": (3.0, 4.0)}, values={"frequency.droop": 4.0})
    assert "give 3 … 4 % (AT-IBR Art. 3-6 e; the site's own bounds)" in refused(desk, DROOP | {"value": 5})


COMMANDS_THAT_COUNT: list[tuple[str, Any, dict[str, str]]] = [
    ("voltage.mode", "reactive_power", OPERATOR),
    ("voltage.mode", "power_factor", ENGINEER),
    ("active.maximum", 400, SYSTEM),
    ("active.maximum", 400, SYSTEM | {"role": "grid_operator"}),
    ("active.maximum", "none", OPERATOR | {"role": "grid_operator"}),
    ("frequency.enabled", True, OPERATOR),
]


@pytest.mark.parametrize(("name", "value", "who"), COMMANDS_THAT_COUNT)
def test_commands(desk: ChangeDesk, name: str, value: Any, who: dict[str, str]) -> None:
    ask(desk, {"op": "grid_command", "name": name, "value": value, **who})
    assert desk.functions.values[name] == value
    assert codes(desk)[-1] == "grid_command"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "frequency.droop", "value": 3}, "frequency.droop changes only with an authorisation"),
        ({"value": 5000}, "active.maximum = 5000: give 0 … 1000 kW or none"),
        ({"role": "visitor"}, "role='visitor': grid_command takes the role operator or engineer or grid_operator"),
        ({"role": None}, "role=None"),
        ({"user": None}, "user is empty"),
        ({"reason": None}, "reason is empty"),
        ({"source": "modbus"}, "source='modbus': use agc or dnp3 or iec104"),
        ({"authorisation": "x"}, "authorisation: grid_command has no such field"),
    ],
)  # fmt: skip
def test_wrong_commands(desk: ChangeDesk, change: dict[str, Any], problem: str) -> None:
    message = {"op": "grid_command", "name": "active.maximum", "value": 400, **OPERATOR}
    assert problem in refused(desk, message | change)


def test_what_was_changed_counts_after_a_restart(open_desk: Desks) -> None:
    desk = open_desk()
    ask(desk, DROOP)
    ask(desk, {"op": "grid_command", "name": "active.maximum", "value": 400, **SYSTEM})
    again = open_desk()
    assert (again.functions.values["frequency.droop"], again.functions.values["active.maximum"]) == (
        3.0,
        400.0,
    )
    assert codes(again) == []
    told = ask(again, {"op": "grid_history"})
    assert [entry["what"] for entry in told["history"]] == ["start", "set"]
    assert told["history"][1]["authorisation"] == "CEN-2026-123"
    assert [(entry["name"], entry["source"]) for entry in told["commands"]] == [("active.maximum", "iec104")]
    assert ask(again, {"op": "grid"})["grid"]["parameters"]["frequency.droop"]["set_by"] == "ana"


def test_the_answer_says_when_a_change_survives_a_power_cut() -> None:
    state = MemoryState()
    desk = ChangeDesk(GridFunctions(GridConfig(**CONFIG), cycle=0.2), state, Clock())
    state.stuck = True
    revision = ask(desk, DROOP)["revision"]
    assert desk.status()["durable"] < revision
    assert standing(desk)["grid_parameters_not_kept"] is Severity.WARNING
    state.stuck = False
    assert desk.status()["durable"] == revision
    assert "grid_parameters_not_kept" not in standing(desk)


def test_an_old_set_point_of_a_system_is_not_taken_up(open_desk: Desks) -> None:
    """It sends it again. A person's stands."""
    setpoint = {"op": "grid_command", "name": "active.setpoint", "value": 250}
    desk = open_desk()
    ask(desk, setpoint | OPERATOR)
    desk = open_desk()
    assert desk.functions.values["active.setpoint"] == 250.0
    ask(desk, {"op": "grid_command", "name": "active.agc", "value": True, **OPERATOR})
    ask(desk, setpoint | SYSTEM | {"value": 300})
    ask(desk, DROOP)
    desk = open_desk()
    assert desk.functions.values["active.setpoint"] == "none"
    assert desk.functions.values["active.agc"] is True


def test_what_the_functions_change_by_themselves_is_kept(open_desk: Desks) -> None:
    desk = open_desk()
    ask(desk, {"op": "grid_command", "name": "active.agc", "value": True, **OPERATOR})
    ask(desk, {"op": "grid_command", "name": "active.setpoint", "value": 250, **OPERATOR})
    ask(desk, {"op": "grid_command", "name": "active.agc", "value": False, **OPERATOR})
    desk.propose(image({"soc": 50.0}))
    assert desk.functions.values["active.setpoint"] == "none"
    desk.keep()
    assert open_desk().functions.values["active.setpoint"] == "none"


def test_a_persons_set_point_without_agc_is_taken_up_beside_a_file_with_agc(open_desk: Desks) -> None:
    desk = open_desk(values={"active.agc": True})
    ask(desk, {"op": "grid_command", "name": "active.agc", "value": False, **OPERATOR})
    ask(desk, {"op": "grid_command", "name": "active.setpoint", "value": 250, **OPERATOR})
    assert open_desk(values={"active.agc": True}).functions.values["active.setpoint"] == 250.0


def test_kept_values_that_contradict_each_other_are_lost(open_desk: Desks) -> None:
    low = {"op": "grid_set", "name": "frequency.soc_low", "value": 75, **ENGINEER, **LETTER}
    ask(open_desk(), low)
    desk = open_desk(values={"frequency.soc_high": 80.0}, bounds={"frequency.soc_high": (50.0, 80.0)})
    assert "kept values contradict: frequency.soc_high" in desk.status()["lost"]
    assert desk.functions.values["frequency.soc_low"] == 10.0
    assert ask(desk, {"op": "grid"})["grid"]["parameters"]["frequency.soc_low"]["authorisation"] is None
    assert "grid_parameters_lost" in standing(desk)


def test_values_that_only_fit_together_are_adopted_together(open_desk: Desks) -> None:
    open_desk()
    file = {"frequency.soc_low": 1.0, "frequency.soc_high": 15.0}
    desk = open_desk(values=file)
    adopt = {"op": "grid_adopt", **ENGINEER, **LETTER}
    assert "must be 10 % apart" in refused(desk, adopt | {"names": ["frequency.soc_high"]})
    ask(desk, adopt | {"names": list(file)})
    assert file.items() <= desk.functions.values.items()


def test_set_points_that_come_every_second_spare_the_disk() -> None:
    state, clock = CountingState(), Clock()
    desk = ChangeDesk(GridFunctions(GridConfig(**CONFIG), cycle=0.2), state, clock)
    begun = state.saved
    for i in range(30):
        clock.now += 1.0
        ask(desk, {"op": "grid_command", "name": "voltage.reactive_power", "value": float(i), **SYSTEM})
        desk.propose(image({"soc": 50.0}, at=clock.now))
        desk.take_events()
    assert state.saved - begun == 30 / PAUSE
    ask(desk, {"op": "grid_command", "name": "voltage.reactive_power", "value": 99.0, **SYSTEM})
    assert desk.status()["durable"] < desk.status()["revision"]
    clock.now += PAUSE
    desk.propose(image({"soc": 50.0}, at=clock.now))
    assert desk.status()["durable"] == desk.status()["revision"]


def test_a_clean_stop_keeps_what_waits(open_desk: Desks) -> None:
    desk = open_desk()
    ask(desk, {"op": "grid_command", "name": "voltage.reactive_power", "value": 99.0, **SYSTEM})
    desk.keep()
    assert open_desk().functions.values["voltage.reactive_power"] == 99.0


class CountingState(MemoryState):
    saved = 0

    def save(self, state: dict[str, Any]) -> int:
        self.saved += 1
        return super().save(state)


def test_a_value_that_is_said_again_is_no_news(desk: ChangeDesk) -> None:
    command = {"op": "grid_command", "name": "voltage.setpoint", "value": 101, **SYSTEM}
    first = ask(desk, command)["revision"]
    desk.take_events()
    assert ask(desk, command)["revision"] == first
    assert codes(desk) == []


def test_a_file_that_was_edited_is_told_and_does_not_count(open_desk: Desks) -> None:
    open_desk(values={"frequency.droop": 4.0})
    desk = open_desk(values={"frequency.droop": 2.0})
    assert desk.functions.values["frequency.droop"] == 4.0
    (condition,) = [c for c in desk.conditions() if c.code == "grid_file_differs"]
    assert "frequency.droop (file 2, in force 4)" in condition.message
    assert desk.status()["file_differs"] == {"frequency.droop": {"file": 2.0, "in_force": 4.0}}

    adopt = {"op": "grid_adopt", "names": ["frequency.droop"], **ENGINEER, **LETTER}
    for change, problem in (
        ({"role": "operator"}, "grid_adopt takes the role engineer"),
        ({"authorisation": ""}, "authorisation is empty"),
        ({"names": []}, "names: say of which parameters"),
        ({"names": "frequency.droop"}, "give a list of parameters"),
        ({"names": ["voltage.droop"]}, "'voltage.droop' is no parameter of which GRID_FILE differs"),
        ({"names": ["frequency.droop", "x"]}, "'x' is no parameter"),
    ):
        assert problem in refused(desk, adopt | change)
    assert ask(desk, adopt)["adopted"] == {"frequency.droop": 2.0}
    assert desk.functions.values["frequency.droop"] == 2.0
    assert "grid_file_differs" not in standing(desk)
    assert open_desk(values={"frequency.droop": 2.0}).functions.values["frequency.droop"] == 2.0


def test_a_file_that_follows_an_authorised_change_is_no_longer_told(open_desk: Desks) -> None:
    ask(open_desk(), DROOP)
    assert "grid_file_differs" in standing(open_desk())
    assert "grid_file_differs" not in standing(open_desk(values={"frequency.droop": 3.0}))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def test_a_damaged_record_is_an_alarm_until_somebody_vouches(open_desk: Desks, tmp_path: Path) -> None:
    ask(open_desk(), DROOP)
    open_desk.end()
    for name in ("grid.json", "grid.json.1"):
        damage(tmp_path / name)
    for _ in range(2):  # a restart does not forgive it
        desk = open_desk(values={"frequency.droop": 4.0})
        assert desk.functions.values["frequency.droop"] == 4.0
        assert standing(desk)["grid_parameters_lost"] is Severity.ALARM
    assert (tmp_path / "grid.json.lost").exists()
    assert "authorisation is empty" in refused(desk, {"op": "grid_adopt", **ENGINEER})
    assert ask(desk, {"op": "grid_adopt", **ENGINEER, **LETTER})["adopted"] == {}
    assert "grid_parameters_lost" not in standing(desk)
    assert "grid_parameters_lost" not in standing(open_desk(values={"frequency.droop": 4.0}))


def test_one_damaged_copy_loses_nothing(open_desk: Desks, tmp_path: Path) -> None:
    desk = open_desk()
    ask(desk, DROOP)
    open_desk.end()
    damage(tmp_path / "grid.json")
    desk = open_desk()
    assert desk.functions.values["frequency.droop"] == 3.0
    assert "grid_parameters_lost" not in standing(desk)


@pytest.mark.parametrize(
    "state", [{}, {"values": 3}, {"revision": 1, "lost": "", "history": 3}, {"revision": "x"}]
)
def test_a_whole_file_with_something_else_in_it_is_lost(open_desk: Desks, tmp_path: Path, state: Any) -> None:
    for name in ("grid.json", "grid.json.1"):
        (tmp_path / name).write_bytes(sealed(1, state))
    assert "grid_parameters_lost" in standing(open_desk())
    open_desk.end()
    assert (tmp_path / "grid.json.lost").exists()


def test_a_kept_value_that_no_longer_fits_gives_way_and_is_told(open_desk: Desks) -> None:
    ask(open_desk(), DROOP)
    desk = open_desk(values={"frequency.droop": 4.5}, bounds={"frequency.droop": (4.0, 5.0)})
    assert desk.functions.values["frequency.droop"] == 4.5
    (event,) = desk.take_events()
    assert event.code == "grid_parameter_refused"
    assert "the kept value 3.0 of frequency.droop cannot be used: give 4 … 5 %" in event.message


def test_a_kept_value_beyond_all_numbers_does_not_keep_the_gateway_from_starting(
    open_desk: Desks, tmp_path: Path
) -> None:
    open_desk()
    open_desk.end()
    _, state = opened((tmp_path / "grid.json").read_bytes())
    state["values"]["frequency.droop"] = 10**400
    for name in ("grid.json", "grid.json.1"):
        (tmp_path / name).write_bytes(sealed(9, state))
    desk = open_desk()
    assert desk.functions.values["frequency.droop"] == 5.0
    assert codes(desk) == ["grid_parameter_refused"]


def test_the_history_is_bounded(tmp_path: Path) -> None:
    state = MemoryState()
    desk = ChangeDesk(GridFunctions(GridConfig(**CONFIG), cycle=0.2), state, Clock())
    desk.store.history.extend([desk.store.history[0]] * HISTORY)
    for i in range(COMMANDS + 5):
        ask(desk, {"op": "grid_command", "name": "voltage.setpoint", "value": 95 + i % 2, **OPERATOR})
        desk.take_events()
    ask(desk, DROOP)
    told = ask(desk, {"op": "grid_history", "count": HISTORY})
    assert (len(told["history"]), len(told["commands"])) == (HISTORY, COMMANDS)
    assert told["history"][-1]["name"] == "frequency.droop"
    assert "count=0" in refused(desk, {"op": "grid_history", "count": 0})


def test_nobody_fills_the_next_record(desk: ChangeDesk) -> None:
    for _ in range(BACKLOG):
        refused(desk, DROOP | {"value": 9})
    assert "ask again after it" in refused(desk, DROOP)
    assert len(desk.take_events()) == BACKLOG
    ask(desk, DROOP)


DEVICE: list[tuple[str, str, float, dict[str, Any], str, float | bool | str | None]] = [
    ("frequency.droop", "pcs.droop", 5.0, {}, "equal", 5.0),
    ("frequency.droop", "pcs.droop", 5.04, {}, "equal", 5.04),  # a register rounds
    ("frequency.droop", "pcs.droop", 4.0, {}, "differs", 4.0),
    ("frequency.droop", "pcs.droop", 4.0, {"bad": ("pcs.droop",)}, "not comparable", None),
    ("frequency.droop", "pcs.droop", 5.0, {"units": {"pcs.droop": "kW"}}, "not comparable", None),
    ("frequency.dead_band", "pcs.band", 0.03, {"units": {"pcs.band": "Hz"}}, "equal", 30.0),
    ("frequency.dead_band", "pcs.band", 0.15, {"units": {"pcs.band": "Hz"}}, "differs", 150.0),
    ("frequency.shape", "pcs.shape", 1.0, {"states": {"pcs.shape": {0: "offset", 1: "step"}}}, "differs", "step"),
    ("frequency.shape", "pcs.shape", 0.0, {"states": {"pcs.shape": {0: "offset", 1: "step"}}}, "equal", "offset"),
    ("frequency.shape", "pcs.shape", 7.0, {"states": {"pcs.shape": {0: "offset"}}}, "not comparable", None),
    ("frequency.enabled", "pcs.enabled", 1.0, {}, "differs", True),
    ("active.ramp", "pcs.ramp", 10.0, {}, "not comparable", 10.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "point", "value", "more", "verdict", "device"), DEVICE)
def test_drift(
    open_desk: Desks, name: str, point: str, value: float, more: dict[str, Any], verdict: str, device: Any
) -> None:
    desk = open_desk(drift={name: point})
    desk.propose(image({point: value, "soc": 50.0}, **more))
    found = desk.status()["drift"][name]
    assert found["verdict"] == verdict
    assert found["device"] == (pytest.approx(device) if isinstance(device, float) else device)
    assert bool(found["why"]) == (verdict == "not comparable")
    drifting = [c for c in desk.conditions() if c.code == "grid_parameter_drift"]
    assert [c.point for c in drifting] == ([point] if verdict == "differs" else [])


def test_drift_of_a_point_that_is_not_there(open_desk: Desks) -> None:
    desk = open_desk(drift={"frequency.droop": "pcs.droop"})
    desk.propose(image({"soc": 50.0}))
    assert desk.status()["drift"]["frequency.droop"]["verdict"] == "not comparable"


def test_drift_is_looked_at_once_a_second_and_names_both_values(open_desk: Desks) -> None:
    desk = open_desk(drift={"frequency.droop": "pcs.droop"})
    desk.propose(image({"pcs.droop": 5.0}, at=1.0))
    desk.propose(image({"pcs.droop": 2.0}, at=1.9))
    assert standing(desk) == {}
    desk.propose(image({"pcs.droop": 2.0}, at=2.0))
    (condition,) = desk.conditions()
    assert condition.message == "frequency.droop: the device has 2 % (pcs.droop), in force here is 5 %"
    assert condition.value == 2.0
    desk.propose(image({"pcs.droop": 2.0}, at=3.0, bad=("pcs.droop",)))
    assert standing(desk) == {}
    assert desk.status()["drift"]["frequency.droop"]["verdict"] == "not comparable"


@pytest.mark.parametrize(
    ("converters", "states", "verdict"),
    [
        ("gfm", {1: "grid_forming"}, "equal"),
        ("gfm", {1: "GFM"}, "equal"),
        ("gfm", {1: "grid_following"}, "differs"),
        ("gfl", {1: "grid_following"}, "equal"),
        ("gfl", {1: "gfm"}, "differs"),
        ("gfm", {1: "running"}, "not comparable"),
        ("gfm", {}, "not comparable"),
    ],
)
def test_the_mode_of_the_converters(
    open_desk: Desks, converters: str, states: dict[int, str], verdict: str
) -> None:
    desk = open_desk(converters=converters, points=GridPoints(converters="pcs.mode"))
    desk.propose(image({"pcs.mode": 1.0}, states={"pcs.mode": states} if states else {}))
    assert desk.status()["drift"]["converters"]["verdict"] == verdict
    assert ("grid_converters_differ" in standing(desk)) == (verdict == "differs")


TEST = {"op": "grid_test", "signal": "frequency", "kind": "step", "change": -0.2, "seconds": 20, **ENGINEER}


def test_a_test_signal(desk: ChangeDesk) -> None:
    desk.take_events()
    ask(desk, TEST)
    signal = desk.functions.test
    assert signal is not None
    assert (signal.quantity, signal.change) == ("frequency", -0.2)
    assert "runs already" in refused(desk, TEST)
    (event,) = desk.take_events()
    assert event.message.startswith(
        "test signal step of -0.2 Hz on the frequency for 20 s, by ana (engineer)"
    )
    assert ask(desk, {"op": "grid_test_end", **ENGINEER})["was_running"]
    assert desk.functions.test is None
    assert codes(desk) == ["grid_test_ended"]
    assert not ask(desk, {"op": "grid_test_end", **ENGINEER})["was_running"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"role": "operator"}, "grid_test takes the role engineer"),
        ({"change": 0}, "of frequency it must be within"),
        ({"change": 20}, "of frequency it must be within"),
        ({"change": math.nan}, "of frequency it must be within"),
        ({"change": "x"}, "change='x': give a number"),
        ({"seconds": 1e9}, "seconds must be"),
        ({"kind": "sine"}, "kind must be step or ramp"),
        ({"signal": "current"}, "quantity must be frequency or voltage"),
        ({"signal": ["frequency"]}, "unhashable"),
        ({"reason": ""}, "reason is empty"),
    ],
)
def test_wrong_test_signals(desk: ChangeDesk, change: dict[str, Any], problem: str) -> None:
    assert problem in refused(desk, TEST | change)
    assert desk.functions.test is None


def test_every_parameter_is_told(desk: ChangeDesk) -> None:
    told = ask(desk, {"op": "grid"})["grid"]
    json.dumps(told, allow_nan=False)
    assert told["parameters"].keys() == PARAMETERS.keys()
    assert {name for name, one in told["parameters"].items() if one["provisional"]} == {
        name for name, parameter in PARAMETERS.items() if parameter.confidence != "A"
    }


def test_the_record_is_whole_and_readable(open_desk: Desks, tmp_path: Path) -> None:
    ask(open_desk(), DROOP)
    open_desk.end()
    _, state = opened((tmp_path / "grid.json").read_bytes())
    assert state["values"]["frequency.droop"] == 3.0
    assert state["set_by"]["frequency.droop"]["authorisation"] == "CEN-2026-123"
