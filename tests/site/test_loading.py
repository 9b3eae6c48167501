"""Site files: what they become, and that every mistake is told at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from bessai.model import Endpoint
from bessai.site import Site, SiteError, load_site, site_json_schema
from support.profiles import BATTERY, CONTROL, DEAD_MAN, document

CONFIG = Path(__file__).parents[2] / "config"
METER = {
    "grid_power": {"address": 0, "type": "i32", "gain": -0.001, "unit": "kW", "poll": "fast"},
    "grid_frequency": {"address": 2, "type": "u16", "gain": 0.01, "unit": "Hz", "poll": "fast"},
}
RACK = {
    "soc": BATTERY["soc"],
    "cell_voltage_max": {"address": 10, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
    "cell_voltage_min": {"address": 11, "type": "u16", "gain": 0.001, "unit": "V", "poll": "fast"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, **content: object) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps({**document(**content), "id": name}))  # type: ignore[arg-type]

    write("pcs", points=BATTERY, control=CONTROL, dead_man=DEAD_MAN)
    write("rack", points=RACK)
    write("meter", points=METER)
    return tmp_path


def _site(folder: Path, text: str) -> Site:
    path = folder / "site.yaml"
    path.write_text(text)
    return load_site(path)


def _problems(folder: Path, text: str) -> str:
    with pytest.raises(SiteError) as caught:
        _site(folder, text)
    return str(caught.value)


PLANT = """
site: atacama-1
buses: {line: "rtu:///dev/ttyUSB0?baudrate=19200&parity=E"}
devices:
  pcs: {profile: pcs.json, role: pcs, endpoint: "10.0.0.1", control: true}
  rack_{n}: {count: 3, profile: rack.json, role: battery, endpoint: "10.0.1.{n+10}:1502", capacity: 100, period: 2}
  meter: {profile: meter.json, role: meter, bus: line, unit: 7, connection: {timeout: 1.5, max_registers: 60}}
points:
  load: {formula: "pcs.battery_power - grid_power", unit: kW}
  soc_min: {min: soc, of: ["rack_*"]}
"""


def test_a_plant(folder: Path) -> None:
    site = _site(folder, PLANT)
    names = [device.name for device in site.devices]
    assert names == ["pcs", "rack_1", "rack_2", "rack_3", "meter"]
    assert site.devices[2].endpoint == Endpoint(host="10.0.1.12", port=1502)
    meter = site.devices[4]
    assert meter.endpoint == Endpoint(transport="rtu", path="/dev/ttyUSB0", baudrate=19200, parity="E")
    assert (meter.unit, meter.compiled.connection.timeout) == (7, 1.5)
    assert site.devices[1].compiled is site.devices[3].compiled, "alike devices share one compiled profile"
    assert site.controlled is site.devices[0]
    index = site.layout.index
    assert set(site.plant) == {
        "soc", "cell_voltage_max", "cell_voltage_min", "cell_temperature_max", "cell_temperature_min",
        "soc_highest", "soc_lowest", "grid_power", "grid_frequency", "load", "soc_min",
    }  # fmt: skip
    for device in site.devices:
        assert index[f"{device.name}.{device.compiled.layout.names[0]}"] == device.columns.start
    assert site.layout.units[index["load"]] == "kW"
    assert len(site.layout) == site.devices[-1].columns.stop


def test_control_sees_the_plants_batteries_and_its_own_device(folder: Path) -> None:
    site = _site(folder, PLANT)
    layout, columns = site.view.layout, site.view.columns
    seen = {name: site.layout.names[column] for name, column in zip(layout.names, columns, strict=True)}
    assert seen["soc"] == "soc", "every battery's, not the commanded device's"
    assert seen["battery_power"] == "pcs.battery_power"
    assert seen["cell_voltage_max"] == "cell_voltage_max"
    assert seen["charge_power_max"] == "pcs.charge_power_max"
    part, _ = site.part
    assert set(part.names) == {
        *site.plant,
        *(f"pcs.{name}" for name in site.devices[0].compiled.layout.names),
    }


def test_a_mean_with_others_is_no_evidence_of_the_commanded_battery(folder: Path) -> None:
    text = """
devices:
  a: {profile: pcs.json, role: inverter, endpoint: "10.0.0.1", control: true}
  b: {profile: pcs.json, role: inverter, endpoint: "10.0.0.2"}
"""
    site = _site(folder, text)
    layout, columns = site.view.layout, site.view.columns
    assert site.layout.names[columns[layout.index["soc"]]] == "a.soc"
    assert "soc" not in site.view.foreign
    assert "cell_temperature_max" in site.view.foreign, "the worst of all is told by the plant"
    assert [device.name for device in site.behind("cell_temperature_max")] == ["a", "b"]
    given = _site(folder, text + "points: {soc: {min: soc}}\n")
    assert "soc" in given.view.foreign, "what the site file says counts, where it is on the safe side"


def test_rules_run_after_what_they_need(folder: Path) -> None:
    site = _site(
        folder,
        PLANT.replace('"pcs.battery_power - grid_power"', '"late - grid_power"')
        + "  late: {formula: soc * 1, unit: '%'}\n",
    )
    order = [site.layout.names[rule.column] for rule in site.rules]
    assert order.index("soc") < order.index("late") < order.index("load")


def test_the_voltage_of_the_grid_is_the_meters_own_mean_or_that_of_its_line_voltages(folder: Path) -> None:
    lines = {
        f"line_voltage_{name}": {"address": i, "type": "u16", "gain": 0.1, "unit": "V", "poll": "fast"}
        for i, name in enumerate(("ab", "bc", "ca"), 10)
    }
    own = {"grid_voltage": {"address": 20, "type": "u16", "gain": 0.1, "unit": "V", "poll": "fast"}}
    for points, volts in ((METER | lines, 400.0), (METER | lines | own, 399.0), (METER, None)):
        (folder / "meter.json").write_text(json.dumps({**document(points=points), "id": "meter"}))
        site = _site(folder, PLANT)
        if volts is None:
            assert "grid_voltage" not in site.plant
            continue
        assert site.layout.units[site.layout.index["grid_voltage"]] == "V"
        values = np.full(len(site.layout), np.nan)
        quality = np.zeros(len(site.layout), np.uint8)
        for name, value in (("ab", 399.0), ("bc", 400.0), ("ca", 401.0)):
            values[site.layout.index[f"meter.line_voltage_{name}"]] = value
        if points.keys() >= own.keys():
            values[site.layout.index["meter.grid_voltage"]] = 399.0
        rule = next(rule for rule in site.rules if rule.column == site.layout.index["grid_voltage"])
        rule.apply(values, quality, np.zeros(len(site.layout)))
        assert values[rule.column] == pytest.approx(volts)


def test_two_meters_with_line_voltages_are_ambiguous(folder: Path) -> None:
    lines = {
        f"line_voltage_{name}": {"address": i, "type": "u16", "gain": 0.1, "unit": "V", "poll": "fast"}
        for i, name in enumerate(("ab", "bc", "ca"), 10)
    }
    (folder / "meter.json").write_text(json.dumps({**document(points=METER | lines), "id": "meter"}))
    more = PLANT.replace(
        "points:", '  other: {profile: meter.json, role: meter, endpoint: "10.0.9.9"}\npoints:'
    )
    more = more.replace("- grid_power", "- meter.grid_power")
    assert "grid_voltage" not in _site(folder, more).plant


def test_a_usual_point_may_be_left_out(folder: Path) -> None:
    assert "soc" not in _site(folder, PLANT + "  soc: null\n").plant


def test_the_shipped_example_and_schema() -> None:
    document = yaml.safe_load((CONFIG / "site.example.yaml").read_text())
    schema = json.loads((CONFIG / "site.schema.json").read_text())
    assert schema == json.loads(json.dumps(site_json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    wrongs: tuple[dict[str, object], ...] = (
        {"devices": {}},
        {"devices": {"A": {}}},
        {**document, "colour": 1},
    )
    assert not any(validator.is_valid(wrong) for wrong in wrongs)
    site = load_site(CONFIG / "site.example.yaml")
    assert len(site.devices) == 15
    assert site.controlled is not None


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    said = _problems(
        folder,
        """
buses: {line: "rtu:///dev/ttyUSB0?baud=9600"}
devices:
  pcs: {profile: pcs.jsn, role: pcs, endpoint: "10.0.0.1:99999", control: true}
  rack_{n}: {profile: rack.json, role: battery, endpoint: "10.0.1.1"}
  plain: {count: 2, profile: rack.json, role: battery, endpoint: "10.0.1.1"}
  meter: {profile: meter.json, role: meter, bus: lyne, unit: 300}
points:
  x: {formula: "pcs.power +", unit: kW}
""",
    )
    for part in (
        "buses.line", "unknown option 'baud'", "devices.pcs.profile", "did you mean", "99999",
        "devices.rack_{n}", "needs `count`", "devices.plain", "needs {n}", "devices.meter.bus",
        "did you mean 'line'?", "'300' is no unit id", "points.x.formula",
    ):  # fmt: skip
        assert part in said
    assert all(line.startswith(str(folder)) for line in said.splitlines())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("role: pcs", "role: pc"), "devices.pcs.role"),
        (("unit: 7", "unti: 7"), "did you mean `unit`?"),
        (("control: true", "control: true, bus: line"), "either `endpoint` or `bus`"),
        (("period: 2", "power_min: 2"), "go with `control: true`"),
        (("control: true", 'control: true, batteries: ["shelf_*"]'), "there is no device 'shelf_*'"),
        (("control: true", "control: true, batteries: [meter]"), "none of them tells a state of charge"),
        (("bus: line, unit: 7", 'endpoint: "10.0.0.1", unit: 1'), "where 'pcs' is already"),
        (("bus: line, unit: 7", "bus: line, stations: {x: 4}"), "no such station"),
        (("pcs.battery_power", "pcs.batery_power"), "there is no point 'pcs.batery_power'"),
        (("soc_min: {min: soc", "soc_min: {min: soh"), "has a number 'soh'"),
        (('["rack_*"]', '["shelf_*"]'), "there is no device 'shelf_*'"),
        (("soc_min: {min: soc", "soc_min: {min: soc, max: soc"), "exactly one of"),
        (("soc_min: {min: soc", "soc_min: {min: soc, weight: soc"), "`weight` goes with `mean`"),
        (("capacity: 100, period", "period"), None),
        (
            ("points:", "points:\n  a: {formula: b, unit: kW}\n  b: {formula: a, unit: kW}"),
            "goes in a circle",
        ),
        (("points:", "points:\n  active_power: {formula: grid_power, unit: W}"), "is in kW"),
        (("points:", "points:\n  soc: {mean: soc, missing: skip}"), "no device may be skipped"),
        (("points:", "points:\n  soc: {formula: '50', unit: '%'}"), "a number is no evidence"),
        (("points:", "points:\n  fire_alarm: {formula: '0'}"), "a number is no evidence"),
        (("site: atacama-1", "site: a\nsite: b"), "given twice"),
        (("site: atacama-1", "site: [a"), "not YAML"),
        (("devices:", "devises:"), "did you mean `devices`?"),
    ],
)
def test_one_mistake(folder: Path, change: tuple[str, str], said: str | None) -> None:
    text = PLANT.replace(*change)
    assert text != PLANT
    if said is None:
        _site(folder, text)
    else:
        assert said in _problems(folder, text)


SEVERAL = """
devices:
  pcs_{n}:
    {count: 2, profile: pcs.json, role: pcs, endpoint: "10.0.0.{n}", control: true, batteries: ["rack_{n}*"],
     power_min: 2}
  rack_1a: {profile: rack.json, role: battery, endpoint: "10.0.1.1", capacity: 100}
  rack_1b: {profile: rack.json, role: battery, endpoint: "10.0.1.2", capacity: 300}
  rack_2: {profile: rack.json, role: battery, endpoint: "10.0.1.3", capacity: 100}
"""


def test_several_commanded_devices_each_with_its_own_batteries(folder: Path) -> None:
    site = _site(folder, SEVERAL)
    assert [(d.name, d.batteries, d.power_min) for d in site.units] == [
        ("pcs_1", ("rack_1a", "rack_1b"), 2.0),
        ("pcs_2", ("rack_2",), 2.0),
    ]
    assert "pcs_1_soc_lowest" in site.plant
    view = site.views["pcs_1"]
    seen = {name: site.layout.names[c] for name, c in zip(view.layout.names, view.columns, strict=True)}
    assert seen["soc"] == "pcs_1_soc"
    assert seen["battery_power"] == "pcs_1.battery_power"
    assert {"soc", "soc_lowest", "cell_voltage_max"} <= view.foreign
    other = site.views["pcs_2"]
    assert "soc_lowest" not in other.layout.index, "one battery is not two"
    assert [d.name for d in site.behind("pcs_2_soc")] == ["rack_2"]


@pytest.mark.parametrize(
    ("change", "capacities"),
    [
        (("", ""), [400.0, 100.0]),
        ((r", capacity: \d+", ""), [None, None]),
        ((r"(?s)batteries: .*\],\n(.*?})\n.*", r"capacity: 50,\n\1\n"), [50.0, 50.0]),
    ],
)
def test_the_capacity_behind_a_commanded_device(
    folder: Path, change: tuple[str, str], capacities: list[float | None]
) -> None:
    site = _site(folder, re.sub(*change, SEVERAL))
    assert [site.capacity_of(device) for device in site.units] == capacities


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('batteries: ["rack_{n}*"],', ""), "its cells would stop nobody"),
        (('"rack_{n}*"', '"rack_*"'), "is behind 'pcs_1' already"),
    ],
)
def test_whose_battery_is_it(folder: Path, change: tuple[str, str], said: str) -> None:
    assert said in _problems(folder, SEVERAL.replace(*change))


def test_whose_battery_must_be_said_where_the_device_does_not_know(folder: Path) -> None:
    without = {name: point for name, point in BATTERY.items() if name != "soc"}
    control = {**CONTROL, "evidence": [name for name in CONTROL["evidence"] if name != "soc"]}
    blind = {**document(without, control=control, dead_man=DEAD_MAN), "id": "blind"}
    (folder / "blind.json").write_text(json.dumps(blind))
    text = SEVERAL.replace("pcs.json", "blind.json").replace('batteries: ["rack_{n}*"],', "")
    assert "say which devices tell the state of its batteries" in _problems(folder, text)


def test_a_meter_cannot_be_commanded(folder: Path) -> None:
    text = PLANT.replace(", control: true", "").replace("unit: 7", "unit: 7, control: true")
    assert "cannot be commanded" in _problems(folder, text)


def test_unlike_batteries_need_their_capacity(folder: Path) -> None:
    text = PLANT.replace("capacity: 100, ", "").replace(
        "points:", '  other: {profile: pcs.json, role: battery, endpoint: "10.0.0.2"}\npoints:'
    )
    assert "give `capacity` in kWh to rack_1, rack_2, rack_3" in _problems(folder, text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"- a\n", "must be a mapping"),
        (b"", "must be a mapping"),
        (b"a: !!python/object:os.x {}", "not YAML"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    with pytest.raises(SiteError, match=said):
        load_site(path)
    with pytest.raises(SiteError, match="no such file"):
        load_site(tmp_path / "absent.yaml")


ALARMS = {name: {"address": 30 + i, "type": "u16", "poll": "fast"} for i, name in enumerate(
    ("fire_alarm", "battery_alarm", "contactor_status"))}  # fmt: skip


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_no_device_hides_the_alarm_of_another(folder: Path, several: bool, named: bool, own: bool) -> None:
    """Each commanded device sees the fire panel, its batteries' alarms and its own; never only one of them."""

    def write(name: str, **content: object) -> None:
        (folder / f"{name}.json").write_text(json.dumps({**document(**content), "id": name}))  # type: ignore[arg-type]

    write("alarmed", points={**BATTERY, **(ALARMS if own else {})}, control=CONTROL, dead_man=DEAD_MAN)
    write("shelf", points={**RACK, **ALARMS})
    write("panel", points={"fire_alarm": ALARMS["fire_alarm"]})
    count = 2 if several else 1
    batteries = 'batteries: ["rack_{n}"],' if named or several else ""
    site = _site(
        folder,
        f"""
devices:
  pcs_{{n}}: {{count: {count}, profile: alarmed.json, role: pcs, endpoint: "10.0.0.{{n}}", {batteries} control: true}}
  rack_{{n}}: {{count: {count}, profile: shelf.json, role: battery, endpoint: "10.0.1.{{n}}", capacity: 9}}
  panel: {{profile: panel.json, role: weather, endpoint: "10.0.2.1"}}
""",
    )
    for n, device in enumerate(site.units, 1):
        layout, columns = site.views[device.name].layout, site.views[device.name].columns
        told = {
            name: {d.name for d in site.behind(site.layout.names[columns[layout.index[name]]])}
            or {site.layout.names[columns[layout.index[name]]].partition(".")[0]}
            for name in ALARMS
        }
        mine = {f"rack_{n}"} | ({f"pcs_{n}"} if own else set())
        assert told["fire_alarm"] == mine | {"panel"}
        assert told["battery_alarm"] == told["contactor_status"] == mine


def test_a_fire_alarm_of_the_site_file_counts_instead_of_the_devices_own(folder: Path) -> None:
    text = PLANT.replace("points:", 'points:\n  fire_alarm: {formula: "meter.grid_power < 0"}')
    (folder / "pcs.json").write_text(
        json.dumps({**document({**BATTERY, **ALARMS}, control=CONTROL, dead_man=DEAD_MAN), "id": "pcs"})
    )
    view = (site := _site(folder, text)).views["pcs"]
    assert site.layout.names[view.columns[view.layout.index["fire_alarm"]]] == "fire_alarm"


def test_no_detector_may_be_skipped(folder: Path) -> None:
    text = PLANT.replace("points:", "points:\n  fire_alarm: {max: fire_alarm, missing: skip}").replace(
        "rack.json", "shelf.json"
    )
    (folder / "shelf.json").write_text(json.dumps({**document({**RACK, **ALARMS}), "id": "shelf"}))
    assert "no device may be skipped" in _problems(folder, text)


def test_a_battery_that_nobody_would_look_at_is_refused(folder: Path) -> None:
    text = SEVERAL + '  rack_3: {profile: rack.json, role: battery, endpoint: "10.0.1.4", capacity: 1}\n'
    assert "its cells would stop nobody" in _problems(folder, text)
