"""The section `scada:` of a site file: the list that it becomes, and that every mistake is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bessai.model import SHARED_POINTS, GuardState
from bessai.site import SiteError, load_site
from bessai.site.scada import TYPE_IDS, CommandPoint, LinkLoss, MonitorPoint, Scada
from bessai.site.scada.names import GUARD_STATES, PARAMETERS, SOURCES, TARGETS
from bessai.site.scada.schema import CommandEntry, MonitorEntry
from bessai.site.scada.spanish import SHARED_ES
from support.scada_site import PLANT, scada_site, write_site

ROOT = Path(__file__).parents[2]


def _scada(folder: Path, text: str, plant: str = PLANT) -> Scada:
    scada = scada_site(folder, text, plant).scada
    assert scada is not None
    return scada


def _problems(folder: Path, text: str) -> list[str]:
    path = write_site(folder, text)
    with pytest.raises(SiteError) as caught:
        load_site(path)
    return [str(problem).removeprefix(f"{path}: scada.") for problem in caught.value.problems]


def _point(scada: Scada, name: str) -> MonitorPoint:
    (point,) = (point for point in scada.points if point.name == name)
    return point


def _command(scada: Scada, target: str) -> CommandPoint:
    (command,) = (command for command in scada.commands if command.target == target)
    return command


FULL = """
iec104:
  masters: [10.1.0.0/24, "fd00::/64"]
  command: [10.1.0.5]
  tls: {ca: ca.pem, cert: keys/station.pem, key: /etc/station.key}
  link_loss: {after: 30, fallback: value, power: -50}
dnp3: {masters: [10.1.0.9], commands: true}
points:
  - {ioa: 7, name: soc, type: normalized, full_scale: 100, dead_band: 0.5, group: 2}
  - {ioa: 3, name: grid_power, scale: 0.001, unit: MW, sign: -1, agc: true, period: 2}
  - {ioa: 20, name: inverter.device_status, type: single, on_when: [512]}
  - {ioa: 21, name: inverter.device_status, type: double, on_when: [512], off_when: [0, 1]}
  - {ioa: 22, name: "meter_{n}.grid_frequency", count: 2, step: 10}
  - {ioa: 40, name: energy_charged_total, type: counter, group: 1}
  - {ioa: 41, name: decision.state, type: scaled}
  - {ioa: 42, name: grid.voltage.mode, type: scaled}
  - {ioa: 43, name: "alarm:fire_alarm", type: single}
commands:
  - {ioa: 100, target: active_power, scale: 0.001, unit: MW, sign: -1, min: -1, max: 1, feedback: 3}
  - {ioa: 101, target: frequency.enabled, type: single, sbo: false}
  - {ioa: 102, target: voltage.mode, type: scaled, feedback: 42}
"""


def test_a_list(tmp_path: Path) -> None:
    scada = _scada(tmp_path, FULL)
    assert [point.ioa for point in scada.points] == [3, 7, 20, 21, 22, 32, 40, 41, 42, 43], "by address"
    power = _point(scada, "grid_power")
    assert (power.type_id, power.timed_type_id, power.unit) == (13, 36, "MW")
    assert power.shown(-1500.0) == pytest.approx(1.5)
    soc = _point(scada, "soc")
    assert (soc.type_id, soc.timed_type_id, soc.unit, soc.full_scale) == (9, 34, "%", 100.0)
    single, double = (point for point in scada.points if point.name == "inverter.device_status")
    assert (single.timed_type_id, double.timed_type_id) == (30, 31)
    assert double.off_when == frozenset({0, 1})
    assert _point(scada, "meter_2.grid_frequency").ioa == 32
    counter = _point(scada, "energy_charged_total")
    assert (counter.type_id, counter.timed_type_id, counter.event_class) == (15, 37, 3)
    assert _point(scada, "decision.state").states == dict(enumerate(GUARD_STATES))
    assert "humo" in _point(scada, "alarm:fire_alarm").description_es
    indices = {point.ioa: point.index for point in scada.points}
    assert (indices[3], indices[7], indices[22], indices[32]) == (0, 1, 2, 3), "one count for all measured"
    assert (indices[20], indices[21], indices[43], indices[40]) == (0, 1, 3, 0), "a double point has two"


def test_commands(tmp_path: Path) -> None:
    scada = _scada(tmp_path, FULL)
    power = _command(scada, "active_power")
    assert (power.type_id, power.timed_type_id, power.sbo, power.feedback) == (50, 63, True, 3)
    assert power.meant(-0.5) == pytest.approx(500.0), "the operator's MW of charge are positive"
    assert (power.low, power.high) == (-1.0, 1.0)
    assert _command(scada, "voltage.mode").choices[3] == "power_factor"
    switch = _command(scada, "frequency.enabled")
    assert (switch.type_id, switch.sbo, switch.index) == (45, False, 0)
    assert (power.index, _command(scada, "voltage.mode").index) == (0, 1)


def test_links(tmp_path: Path) -> None:
    scada = _scada(tmp_path, FULL)
    assert scada.iec104 is not None
    assert scada.iec104.masters == ("10.1.0.0/24", "fd00::/64")
    assert scada.iec104.tls is not None
    assert scada.iec104.tls.cert == str(tmp_path / "keys/station.pem"), "from the site file's folder"
    assert (scada.iec104.tls.key, scada.iec104.tls.port) == ("/etc/station.key", 19998)
    assert (scada.iec104.k, scada.iec104.w) == (12, 8)
    assert scada.iec104.link_loss == LinkLoss(after=30, fallback="value", power=-50)
    assert scada.dnp3 is not None
    assert (scada.dnp3.port, scada.dnp3.commands) == (20000, True)
    assert _scada(tmp_path, "points: [{ioa: 1, name: soc}]").iec104 is None


def test_blocks_make_the_same_points_of_every_device(tmp_path: Path) -> None:
    scada = _scada(
        tmp_path,
        """
blocks:
  - of: meter
    ioa: 1000
    step: 100
    each:
      - {ioa: 1, name: grid_power}
      - {ioa: 2, name: grid_frequency, dead_band: 0.01}
""",
    )
    assert [(point.ioa, point.name) for point in scada.points] == [
        (1001, "meter_1.grid_power"),
        (1002, "meter_1.grid_frequency"),
        (1101, "meter_2.grid_power"),
        (1102, "meter_2.grid_frequency"),
    ]


def test_ten_thousand_points(tmp_path: Path) -> None:
    plant = PLANT.replace("count: 2", "count: 250")
    names = load_site(write_site(tmp_path, "points: [{ioa: 1, name: soc}]", plant)).layout.names
    own = [name.removeprefix("meter_1.") for name in names if name.startswith("meter_1.")]
    each = "\n".join(f"      - {{ioa: {i + 1}, name: {name}}}" for i, name in enumerate(own))
    scada = _scada(
        tmp_path, f"blocks:\n  - of: [meter_*]\n    ioa: 0\n    step: 100\n    each:\n{each}", plant
    )
    assert len(scada.points) == 250 * len(own) >= 10_000
    assert len({point.ioa for point in scada.points}) == len(scada.points)


def test_the_preset(tmp_path: Path) -> None:
    scada = _scada(tmp_path, "preset: sitr")
    assert scada.preset == "sitr"
    power = _point(scada, "grid_power")
    assert (power.ioa, power.unit, power.agc, power.provisional) == (1, "MW", True, True)
    assert {"grid_reactive_power", "stored_energy"} <= {name for name, _ in scada.missing}
    for name, mend in scada.missing:
        assert mend, name
        assert ":" not in name, "every alarm of the preset is in the catalogue"
        assert "." not in name, "every value of the gateway's own is there"
    assert _command(scada, "voltage.mode").feedback == _point(scada, "grid.voltage.mode").ioa
    assert all(command.provisional and command.sbo for command in scada.commands)


def test_what_the_preset_misses_is_had_as_it_says(tmp_path: Path) -> None:
    missing = dict(_scada(tmp_path, "preset: sitr").missing)
    told = [re.search(r"`(\w+: \{.*\})`", missing[name]) for name in ("stored_energy", "operating_state")]
    lines = [found[1] for found in told if found]
    capacity = "  energy_capacity: {formula: soc * 0 + 200, unit: kWh}\n"
    plant = PLANT + capacity + "".join(f"  {line}\n" for line in lines)
    scada = _scada(tmp_path, "preset: sitr", plant)
    assert {"stored_energy", "operating_state"} <= {point.name for point in scada.points}


def test_the_file_counts_before_the_preset(tmp_path: Path) -> None:
    scada = _scada(
        tmp_path,
        """
preset: {name: sitr, ioa: 1000, signs: {command.active_power: -1}, without: [soc, active.agc]}
points: [{ioa: 5, name: grid_power, sign: -1}]
commands: [{ioa: 6, target: voltage.mode, type: float}]
""",
    )
    power = _point(scada, "grid_power")
    assert (power.ioa, power.sign, power.unit, power.provisional) == (5, -1, "kW", False)
    assert _point(scada, "grid_frequency").ioa == 1004
    assert "soc" not in {point.name for point in scada.points}
    command = _command(scada, "active_power")
    assert (command.ioa, command.sign, command.feedback) == (1101, -1, 1022), "as its read-back"
    assert _command(scada, "voltage.mode").ioa == 6
    assert "active.agc" not in {command.target for command in scada.commands}


def test_every_mistake_of_the_list_is_told_at_once(tmp_path: Path) -> None:
    said = "\n".join(
        _problems(
            tmp_path,
            """
iec104: {masters: [10.1.0.5], object_size: 2}
preset: {name: sitr, signs: {grid_powr: -1}, without: [socc]}
points:
  - {ioa: 200, name: grid_powre}
  - {ioa: 201, name: soc}
  - {ioa: 201, name: soc, type: scaled}
  - {ioa: 4, name: soc, type: single}
  - {ioa: 203, name: inverter.device_status, type: single}
  - {ioa: 204, name: "alarm:fire_alarm"}
  - {ioa: 205, name: "alarm:fire", type: single}
  - {ioa: 206, name: decision.state, type: counter}
  - {ioa: 207, name: decision.state, type: scaled, sign: -1}
  - {ioa: 208, name: breaker, type: double, second: breaker_opne}
  - {ioa: 70000, name: soc}
  - {ioa: 209, name: soc, scale: 0.001}
  - {ioa: 210, name: decision.state, type: single, bit: 2}
blocks:
  - {of: rack, ioa: 1000, step: 10, each: [{ioa: 1, name: soc}]}
  - {of: meter, ioa: 1000, step: 10, each: [{ioa: 10, name: grid_power}]}
commands:
  - {ioa: 201, target: active_power}
  - {ioa: 301, target: active_powr}
  - {ioa: 302, target: voltage.mode, sign: -1}
  - {ioa: 303, target: active.agc}
  - {ioa: 304, target: reactive_power, feedback: 999}
  - {ioa: 305, target: frequency.droop}
""",
        )
    )
    for words in (
        "preset.signs",
        "did you mean 'grid_power'",
        "preset.without",
        "points.0.name = \"grid_powre\": there is no 'grid_powre'; did you mean 'grid_power'",
        "points.2.ioa = 201: address 201 of 'soc' belongs to 'soc' already",
        "'soc' is measured in %",
        "states: say in `on_when`",
        "'alarm:fire_alarm' is on or off: take type single",
        "there is no 'alarm:fire'; did you mean 'alarm:fire_alarm'",
        "'decision.state' tells states, which do not count",
        "leave out `sign` and `scale`",
        "there is no 'breaker'",
        "address 70000 is larger than `object_size` allows; the largest is 65535",
        "points.11.scale = 0.001: say in `unit`",
        "not bits; use `on_when`",
        'blocks.0.of = "rack": there is no such device or role',
        "blocks.1.step = 10: leaves no room",
        "commands.0.ioa = 201: address 201 of 'command active_power' belongs to 'soc' already",
        "'active_powr' cannot be commanded; did you mean 'active_power'",
        "'voltage.mode' has numbered choices",
        "'active.agc' is on or off: take type single or double",
        "commands.4.feedback = 999: there is no point with address 999",
        "'frequency.droop' cannot be commanded",
    ):
        assert words in said, f"{words}\n\n{said}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("iec104: {masters: [10.1.0.1]}", "give `points`, `blocks` or `preset`"),
        ("{preset: sitr, iec104: {masters: []}}", "iec104.masters"),
        ("{preset: sitr, iec104: {masters: [10.1.0.1/24]}}", "is no address or network"),
        ("{preset: sitr, iec104: {masters: [10.1.0.1], command: [10.1.0.2]}}", "may command but not connect"),
        ("{preset: sitr, iec104: {masters: [10.1.0.1], k: 4}}", "`w` is larger than `k`"),
        ("{preset: sitr, iec104: {masters: [10.1.0.1], t2: 15}}", "`t2` must be shorter"),
        ("{preset: sitr, iec104: {masters: [10.1.0.1], port: null}}", "give `port`, `tls`, or both"),
        (
            "{preset: sitr, iec104: {masters: [10.1.0.1], address_size: 1, common_address: 300}}",
            "is 1 … 254",
        ),
        (
            "{preset: sitr, iec104: {masters: [10.1.0.1], link_loss: {fallback: value}}}",
            "`power` goes with `fallback: value`",
        ),
        ("{preset: sitr, dnp3: {masters: [10.1.0.1], master: 10}}", "different link addresses"),
        (
            "{preset: sitr, iec104: {masters: [10.1.0.1]}, dnp3: {masters: [10.1.0.1], port: 2404}}",
            "the same port",
        ),
        ("{preset: sitr, iec104: {masters: [10.1.0.1], maters: 1}}", "did you mean `masters`"),
        ("points: [{ioa: 0, name: soc}]", "greater than or equal to 1"),
        ("points: [{ioa: 16777216, name: soc}]", "less than or equal to 16777215"),
        ("points: [{ioa: 1, name: soc, sign: 0}]", "`sign` is 1 or -1"),
        ("points: [{ioa: 1, name: soc, type: normalized}]", "`full_scale` goes with type normalized"),
        ("points: [{ioa: 1, name: soc, full_scale: 100}]", "`full_scale` goes with type normalized"),
        ("points: [{ioa: 1, name: soc, type: single, dead_band: 1}]", "a state has no"),
        ("points: [{ioa: 1, name: soc, bit: 1}]", "`bit` and `on_when` go with"),
        ("points: [{ioa: 1, name: soc, type: double}]", "needs what tells its position OFF"),
        ("points: [{ioa: 1, name: soc, type: double, off_when: [1]}]", "`off_when` needs `on_when`"),
        ("points: [{ioa: 1, name: soc, type: double, bit: 1}]", "needs two"),
        ("points: [{ioa: 1, name: soc, type: single, second: soc}]", "go with type double"),
        ("points: [{ioa: 1, name: soc, type: counter, group: 5}]", "counters have groups 1 … 4"),
        ('points: [{ioa: 1, name: "a_{n}"}]', "`count` and {n} in `name` go together"),
        (
            "{preset: sitr, commands: [{ioa: 9000, target: active_power, min: 2, max: 1}]}",
            "larger than `max`",
        ),
        (
            "{preset: sitr, commands: [{ioa: 9000, target: active.agc, type: single, min: 1}]}",
            "a switch has no",
        ),
    ],
)
def test_what_a_section_cannot_mean(tmp_path: Path, text: str, words: str) -> None:
    said = "\n".join(_problems(tmp_path, text))
    assert words in said, said


def test_the_section_of_the_shipped_example(tmp_path: Path) -> None:
    plant, _, section = (
        (ROOT / "config" / "site.example.yaml").read_text(encoding="utf-8").partition("# scada:")
    )
    path = tmp_path / "site.yaml"
    path.write_text(f"{plant}scada:{re.sub(r'^# ?', '', section, flags=re.MULTILINE)}", encoding="utf-8")
    scada = load_site(path).scada
    assert scada is not None
    assert scada.iec104 is not None
    assert _point(scada, "string_2.soc").ioa == 1012
    assert _point(scada, "grid_power").ioa == 202, "instead of the preset's"


def test_grid_parameters_are_in_step_with_the_grid_functions() -> None:
    grid = pytest.importorskip("bessai.grid", reason="the grid functions are not there yet").PARAMETERS
    assert set(PARAMETERS) == set(grid)
    for name, ours in PARAMETERS.items():
        theirs = grid[name]
        assert (ours.unit or "", ours.switch) == (theirs.unit, theirs.type == "switch"), name
        assert ours.command == (theirs.kind == "command"), name
        if theirs.type == "choice":
            assert tuple(ours.states.values()) == theirs.choices, name


def test_guard_states_are_in_step() -> None:
    assert tuple(state.value for state in GuardState) == GUARD_STATES


def test_every_shared_point_has_a_spanish_description() -> None:
    assert set(SHARED_ES) == set(SHARED_POINTS)


def test_the_page_names_everything(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "scada.md").read_text(encoding="utf-8")
    for name in (*SOURCES, *TARGETS, *TYPE_IDS):
        assert f"`{name}`" in page, name
    for model in (MonitorEntry, CommandEntry):
        for field in model.model_fields:
            assert f"`{field}`" in page, field
    example = re.search(r"```yaml\n(scada:.*?)```", page, re.DOTALL)
    assert example is not None
    plant = (ROOT / "config" / "site.example.yaml").read_text(encoding="utf-8").partition("# scada:")[0]
    path = tmp_path / "site.yaml"
    path.write_text(plant + example[1], encoding="utf-8")
    scada = load_site(path).scada
    assert scada is not None
    assert _point(scada, "grid_power").sign == -1
