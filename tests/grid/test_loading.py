"""GRID_FILE: the shipped example and schema, and every mistake told at once."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bessai.grid import PARAMETERS, GridError, GridFunctions, grid_json_schema, load_grid

CONFIG = Path(__file__).parents[2] / "config"
POINTS = ("grid_frequency", "grid_voltage", "grid_power", "grid_reactive_power", "soc", "pcs.droop")
PLANT = "plant: {rated_power: 1000, rated_apparent_power: 1100, nominal_voltage: 400}\n"


def _problems(folder: Path, text: str) -> list[str]:
    file = folder / "grid.yaml"
    file.write_text(text)
    with pytest.raises(GridError) as error:
        load_grid(file, POINTS)
    return [f"{problem.field}: {problem.mend}" for problem in error.value.problems]


def test_the_shipped_example_and_schema() -> None:
    document = yaml.safe_load((CONFIG / "grid.example.yaml").read_text())
    schema = json.loads((CONFIG / "grid.schema.json").read_text())
    assert schema == json.loads(json.dumps(grid_json_schema())), (
        "bessai schema grid > config/grid.schema.json"
    )
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    for values in ({"frequency.droop": 1.9}, {"frequency.drop": 3}, {"voltage.mode": "both"}):
        assert not validator.is_valid({**document, "values": values})
    config = load_grid(CONFIG / "grid.example.yaml", POINTS)
    functions = GridFunctions(config, cycle=0.2)
    assert functions.values["frequency.droop"] == 3.0
    assert config.fallback == {"active.setpoint": "none"}
    assert config.limits("frequency.droop") == (3.0, 5.0)


def test_a_short_file_has_the_usual_points_and_defaults(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(PLANT)
    config = load_grid(file, ("grid_frequency", "soc"))
    assert config.points.frequency == "grid_frequency"
    assert config.points.voltage is None
    assert GridFunctions(config, cycle=1.0).values["frequency.enabled"] is False


def test_yaml_reads_off_as_false(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(PLANT + "values: {voltage.mode: off}\n")
    assert load_grid(file, POINTS).default("voltage.mode") == "off"


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    said = _problems(
        tmp_path,
        """
plant: {rated_power: 1000, rated_apparent_power: 900, nominal_voltage: 400}
points: {frequency: grid_frequenzy}
values:
  frequency.droop: 8
  frequency.dead_band: 150
  frequency.drop: 3
  frequency.enabled: true
  voltage.mode: voltages
  frequency.soc_low: 89
bounds: {voltage.droop: [1, 12], frequency.enabled: [0, 1], voltage.dead_band: [2, 1]}
capability: [[0, 10, 20], [0, -1, 1]]
drift: {frequency.droop: pcs.drop, frequency.band: soc}
fallback: {after: 10, values: {frequency.droop: 3, active.setpoint: 2000}}
""",
    )
    assert said == [
        "points.frequency: the site has no such point; did you mean grid_frequency?",
        "plant.rated_apparent_power: is less than rated_power; check both",
        "capability.0: the lowest kvar must be 0 or less, the highest 0 or more",
        "capability.1: kW must ascend from point to point",
        "bounds.voltage.droop: give [lowest, highest] inside 2 … 10 % (AT-IBR Art. 3-3 i)",
        "bounds.frequency.enabled: is no number and has no bounds; leave it out",
        "bounds.voltage.dead_band: give [lowest, highest] inside 0 … 5 % Un",
        "values.frequency.droop: give 2 … 5 % (AT-IBR Art. 3-6 e)",
        "values.frequency.dead_band: give 0 … 30 mHz (AT-IBR Art. 3-6 f)",
        "values.frequency.drop: there is no such parameter; did you mean frequency.droop?",
        "values.frequency.enabled: needs a point for frequency; name it under `points` of the grid file",
        f"values.voltage.mode: give one of {', '.join(PARAMETERS['voltage.mode'].choices)}",
        "values.frequency.soc_high: soc_low and soc_high must be 10 % apart, twice soc_taper",
        "drift.frequency.droop: the site has no such point; did you mean pcs.droop?",
        "drift.frequency.band: there is no such parameter; did you mean frequency.dead_band?",
        "fallback.values.active.setpoint: give -1000 … 1000 kW or none",
        "fallback.values.frequency.droop: needs an authorisation to change; leave it out",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("plant: {rated_power: 1000}\n", "required field is missing"),
        (PLANT + "value: {}\n", "did you mean `values`?"),
        (PLANT + "values: {frequency.droop: 3, frequency.droop: 4}\n", "given twice"),
        (PLANT.replace("1000", "-1"), "greater than 0"),
        (PLANT.replace("1000", "'1000'"), "number"),
        (PLANT + "values: {frequency.curve: uk_dc}\n", ""),
        (
            PLANT.replace("400", "400, nominal_frequency: 60") + "values: {frequency.curve: uk_dc}\n",
            "for 50 Hz only",
        ),
        (PLANT + "capability: [[0, -1, 1]]\n", "two points"),
        (
            PLANT + "values: {frequency: {droop: 3}}\n",
            "values.frequency: there is no such parameter; write whole names",
        ),
        (PLANT + "values: {frequency.droop: null}\n", "values.frequency.droop: give a number in %"),
        (PLANT + "values: {active.maximum: null}\n", "values.active.maximum: give a number in kW, or none"),
        (PLANT + "values: {frequency.droop: .nan}\n", "values.frequency.droop: give a number in %"),
        (PLANT + "values: {frequency.enabled: 'yes'}\n", "give true or false"),
    ],
)
def test_single_mistakes(tmp_path: Path, text: str, said: str) -> None:
    if said:
        assert said in "\n".join(_problems(tmp_path, text))
    else:
        (tmp_path / "grid.yaml").write_text(text)
        load_grid(tmp_path / "grid.yaml", POINTS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="there is no such file"):
        load_grid(tmp_path / "none.yaml", POINTS)
