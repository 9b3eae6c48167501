"""Limits files: what they become, what is refused, and what a signature is worth."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml

from bessai.core.limits import (
    Flag,
    Limits,
    LimitsError,
    limits_json_schema,
    load_limits,
    preset_limits,
    read_limits,
    sign_limits,
)
from bessai.model import Role

CONFIG = Path(__file__).parents[3] / "config"
WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "limits.yaml"


def _load(file: Path, text: str) -> Limits:
    file.write_text(text)
    return load_limits(file)


def _problems(file: Path, text: str) -> dict[str, str]:
    """Field to message."""
    with pytest.raises(LimitsError) as caught:
        _load(file, text)
    assert all(problem.file == str(file) for problem in caught.value.problems)
    return {problem.field: str(problem) for problem in caught.value.problems}


def test_the_shipped_example_and_schema() -> None:
    document = yaml.safe_load((CONFIG / "limits.example.yaml").read_text())
    schema = json.loads((CONFIG / "limits.schema.json").read_text())
    assert schema == json.loads(json.dumps(limits_json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    for wrong in (
        {},
        {"chemistry": "lead"},
        {**document, "colour": 1},
        {"chemistry": "lfp", "limits": {"soc": {}}},
    ):
        assert not validator.is_valid(wrong)
    limits = load_limits(CONFIG / "limits.example.yaml")
    assert (limits.soc_min, limits.soc_max, limits.cells_in_series) == (12.0, 92.0, 240)
    assert {"alarm_level_1", "cell_voltage_max"} <= set(limits.named)


def test_a_preset_alone(file: Path) -> None:
    assert _load(file, "chemistry: nmc\ncells_in_series: 96\n") == preset_limits("nmc", 96)


def test_what_is_left_out_is_the_presets(file: Path) -> None:
    limits = _load(file, "chemistry: lfp\nlimits: {cell_voltage_high: {trip: {at: 3.62}}}\n")
    (limit,) = (limit for limit in limits.levels if limit.code == "cell_voltage_high")
    (base,) = (limit for limit in preset_limits("lfp").levels if limit.code == "cell_voltage_high")
    assert limit.trip is not None
    assert (limit.trip.at, limit.trip.delay, limit.trip.reset) == (3.62, 5.0, Role.ENGINEER)
    assert (limit.charge, limit.warning, limit.hysteresis) == (base.charge, base.warning, base.hysteresis)


def test_flags_join_the_usual_ones(file: Path) -> None:
    text = "chemistry: lfp\nflags: {door: {point: door_status, bad: [1], action: trip, delay: 5, reset: operator}}\n"
    flags = {flag.code: flag for flag in _load(file, text).flags}
    assert flags["door"] == Flag(
        code="door", point="door_status", bad=(1,), action="trip", delay=5.0, reset=Role.OPERATOR
    )
    assert "fire_alarm" in flags


SAFER = """
chemistry: lfp
soc_min: 20
soc_max: 80
soc_hysteresis: 2
limits:
  cell_voltage_high:
    charge: [[3.3, 1.0], [3.5, 0.0]]
    hysteresis: 0.05
    warning: {at: 3.5, clear: 3.4, delay: 5}
    trip: {at: 3.6, delay: 0}
  cell_voltage_low: {trip: {at: 2.5}}
  cell_temperature_low:
    warning: {at: -5, clear: 0, delay: 60}
    trip: {at: -20, delay: 600, reset: operator}
flags:
  battery_alarm: {point: battery_alarm, required: [0], stops: both}
"""


def test_safer_needs_no_signature(file: Path) -> None:
    assert _load(file, SAFER).soc_min == 20.0


WEAKER = {
    "soc_min": ("soc_min: 5", "10 %"),
    "soc_max": ("soc_max: 100", "95 %"),
    "soc_hysteresis": ("soc_hysteresis: 0", "1 %"),
    "soc_taper": ("soc_taper: 0", "1 %"),
    "limits.cell_voltage_high.charge": (
        "limits: {cell_voltage_high: {charge: [[3.4, 1.0], [3.6, 0.03], [3.65, 0.0]]}}",
        "[[3.45, 1.0], [3.6, 0.02], [3.65, 0.0]]",
    ),
    "limits.cell_voltage_low.discharge": (
        "limits: {cell_voltage_low: {discharge: null}}", "[[2.9, 0.0], [3.0, 1.0]]",
    ),
    "limits.cell_voltage_high.hysteresis": ("limits: {cell_voltage_high: {hysteresis: 0.01}}", "0.02 V"),
    "limits.cell_voltage_high.warning.at": ("limits: {cell_voltage_high: {warning: {at: 3.61}}}", "3.6 V"),
    "limits.cell_voltage_high.warning.clear": ("limits: {cell_voltage_high: {warning: {clear: 3.55}}}", "3.52 V"),
    "limits.cell_voltage_high.warning.delay": ("limits: {cell_voltage_high: {warning: {delay: 21}}}", "20 s"),
    "limits.cell_voltage_high.warning": ("limits: {cell_voltage_high: {warning: null}}", "warning at 3.6 V"),
    "limits.cell_voltage_high.trip.at": ("limits: {cell_voltage_high: {trip: {at: 3.7}}}", "3.65 V"),
    "limits.cell_voltage_low.trip.at": ("limits: {cell_voltage_low: {trip: {at: 2.3}}}", "2.4 V"),
    "limits.cell_voltage_high.trip.delay": ("limits: {cell_voltage_high: {trip: {delay: 6}}}", "5 s"),
    "limits.cell_voltage_high.trip.reset": ("limits: {cell_voltage_high: {trip: {reset: operator}}}", "engineer"),
    "limits.cell_voltage_high.trip": ("limits: {cell_voltage_high: {trip: null}}", "trip at 3.65 V"),
    "limits.soh_low": ("limits: {soh_low: null}", "limit of soh"),
    "flags.fire_alarm": ("flags: {fire_alarm: null}", "flag on fire_alarm"),
    "flags.gas_alarm.action": (
        "flags: {gas_alarm: {point: gas_alarm, required: [0], plant_wide: true}}", "trip",
    ),
    "flags.gas_alarm.delay": (
        "flags: {gas_alarm: {point: gas_alarm, required: [0], action: trip, plant_wide: true, delay: 1}}", "0 s",
    ),
    "flags.gas_alarm.plant_wide": (
        "flags: {gas_alarm: {point: gas_alarm, required: [0], action: trip}}", "true",
    ),
    "flags.gas_alarm.reset": (
        "flags: {gas_alarm: {point: gas_alarm, required: [0], action: trip, plant_wide: true, reset: operator}}",
        "engineer",
    ),
    "flags.contactor_open.stops": (
        "flags: {contactor_open: {point: contactor_status, required: [1], delay: 2, stops: charge}}", "both",
    ),
    "flags.contactor_open.delay": (
        "flags: {contactor_open: {point: contactor_status, required: [1]}}", "2 s",
    ),
    "flags.breaker_open": (
        "flags: {breaker_open: {point: breaker_status, required: [0, 1], delay: 2}}",
        "breaker_status required [1]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("field", WEAKER)
def test_less_safe_is_refused_and_a_signature_allows_it(file: Path, field: str) -> None:
    text, preset = WEAKER[field]
    problems = _problems(file, f"chemistry: lfp\n{text}\n")
    assert list(problems) == [field]
    assert f"less safe than the preset's {preset}; " in problems[field]
    assert "bessai limits sign" in problems[field]
    draft = sign_limits(file, by="A. Engineer", reason="data sheet rev. 3", date=WHEN)
    assert [item.field for item in draft.weaker] == [field]
    assert load_limits(file) == draft.limits


@pytest.mark.parametrize(
    ("curve", "safer"),
    [
        ("[[3.45, 1.0], [3.60, 0.02], [3.65, 0.0]]", True),
        ("[[3.40, 1.0], [3.50, 0.5], [3.65, 0.0]]", False),  # above the preset's line at 3.60 V
        ("[[3.45, 1.0], [3.55, 0.5], [3.60, 0.02], [3.65, 0.0]]", False),  # between two points of the preset
        ("[[3.45, 1.0], [3.55, 0.3], [3.60, 0.02], [3.65, 0.0]]", True),
        ("[[3.65, 0.0], [3.70, 0.1]]", False),  # opens again beyond the end
        ("[[3.0, 0.0]]", True),
    ],
)
def test_a_curve_is_safer_only_when_it_allows_nowhere_more(file: Path, curve: str, safer: bool) -> None:
    file.write_text(f"chemistry: lfp\nlimits: {{cell_voltage_high: {{charge: {curve}}}}}\n")
    assert (read_limits(file).weaker == ()) is safer


def test_all_that_is_less_safe_is_told_at_once(file: Path) -> None:
    assert set(_problems(file, "chemistry: lfp\nsoc_min: 1\nsoc_max: 99\nlimits: {soh_low: null}\n")) == {
        "soc_min", "soc_max", "limits.soh_low",
    }  # fmt: skip


def test_an_edit_after_signing_is_noticed(file: Path) -> None:
    file.write_text("# our battery\nchemistry: lfp\nsoc_min: 5 # tested\n\nlimits: {}\n")
    sign_limits(file, by='Ana "Q" Muñoz', reason="data sheet: 5 %", date=WHEN)
    text = file.read_text()
    assert "# our battery" in text
    assert "# tested" in text
    for harmless in (text, text.replace("# tested", "# !"), text.replace("soc_min: 5 ", "soc_min: 5.0 ")):
        assert _load(file, harmless).soc_min == 5.0
    for edit in (
        text.replace("soc_min: 5", "soc_min: 4"),
        text.replace("soc_min: 5", "soc_min: 50"),
        text.replace("limits: {}", "flags: {fire_alarm: null}"),
        text.replace("Ana", "Eva"),
        text.replace("data sheet", "guess"),
        text.replace("2026", "2025"),
        text + "charge_power_max: 1\n",
    ):
        assert edit != text
        assert list(_problems(file, edit)) == ["signed.digest"]
    assert list(_problems(file, text.replace('role: "engineer"', 'role: "operator"'))) == ["signed.role"]


def test_signing_again_replaces_the_signature(file: Path) -> None:
    file.write_text("signed:\n  by: nobody\n\n  role: x\n# kept\nchemistry: lfp\n")
    for name in ("One", "Two"):
        draft = sign_limits(file, by=name, reason="r", date=WHEN)
        assert draft.signed
        assert draft.signature is not None
        assert draft.signature.by == name
    assert file.read_text().count("signed:") == 1
    assert "# kept" in file.read_text()


@pytest.mark.parametrize(
    ("by", "reason"), [("", "r"), ("  ", "r"), ("x", ""), ("a\nb", "r"), ("x" * 129, "r")]
)
def test_a_signature_needs_a_name_and_a_reason(file: Path, by: str, reason: str) -> None:
    file.write_text("chemistry: lfp\n")
    with pytest.raises(ValueError, match="printable"):
        sign_limits(file, by=by, reason=reason, date=WHEN)
    assert file.read_text() == "chemistry: lfp\n"


def test_a_file_that_contradicts_itself_is_not_signed(file: Path) -> None:
    file.write_text("chemistry: lfp\nlimits: {cell_voltage_high: {warning: {at: 3.9}}}\n")
    before = file.read_text()
    with pytest.raises(LimitsError):
        sign_limits(file, by="x", reason="r", date=WHEN)
    assert file.read_text() == before


MISTAKES = {
    "chemistry: lead\n": {"chemistry": "lfp"},
    "soc_min: 10\n": {"chemistry": "required field is missing"},
    "chemistry: lfp\nsoc_mim: 10\n": {"soc_mim": "did you mean `soc_min`"},
    "chemistry: lfp\nsoc_min: '10'\n": {"soc_min": "valid number"},
    "chemistry: lfp\nsoc_min: .nan\n": {"soc_min": "finite"},
    "chemistry: lfp\nsoc_min: 96\n": {"soc_min": "nothing between"},
    "chemistry: lfp\nsoc_taper: 45\n": {"soc_taper": "overlap"},
    "chemistry: lfp\nlimits: {cell_voltage_hgih: {}}\n": {"limits.cell_voltage_hgih": "did you mean cell_voltage_high"},
    "chemistry: lfp\nlimits: {cell_voltage_high: {trip: {at: 3650}}}\n": {
        "limits.cell_voltage_high.trip.at": "no value in V (0.5 … 6); did you mean 3.65?",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {charge: [[3450, 1], [3.6, 0]]}}\n": {
        "limits.cell_voltage_high.charge.0.0": "did you mean 3.45?",
        "limits.cell_voltage_high.charge": "ascend",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {charge: [[3.4, 1], [3.4, 0]]}}\n": {
        "limits.cell_voltage_high.charge": "ascend",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {charge: [[3.4, 1.5]]}}\n": {
        "limits.cell_voltage_high.charge.0.1": "less than or equal to 1",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {warning: {at: 3.7, clear: 3.5}}}\n": {
        "limits.cell_voltage_high.warning.at": "beyond the trip level 3.65",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {warning: {at: 3.5}}}\n": {
        "limits.cell_voltage_high.warning.clear": "must lie below `at` 3.5",
    },
    "chemistry: lfp\nlimits: {cell_voltage_low: {warning: {at: 2.9}}}\n": {
        "limits.cell_voltage_low.warning.clear": "must lie above `at` 2.9",
    },
    "chemistry: lfp\nlimits: {dc_voltage_high: {trip: {at: 800}}}\n": {
        "limits.dc_voltage_high.hysteresis": "required",
        "limits.dc_voltage_high.trip.delay": "required",
    },
    "chemistry: lfp\nlimits: {cell_voltage_high: {trip: {delay: -1}}}\n": {
        "limits.cell_voltage_high.trip.delay": "greater than or equal to 0",
    },
    "chemistry: lfp\nflags: {x: {point: x}}\n": {"flags.x": "exactly one of"},
    "chemistry: lfp\nflags: {x: {point: x, bits: [1], bad: [2]}}\n": {"flags.x": "exactly one of"},
    "chemistry: lfp\nflags: {x: {point: x, bits: [64]}}\n": {"flags.x.bits.0": "63"},
    "chemistry: lfp\nflags: {x: {point: x, bad: [1], action: trip, stops: none}}\n": {"flags.x": "stops something"},
    "chemistry: lfp\nflags: {soh_low: {point: x, bad: [1]}}\n": {"flags.soh_low": "name of a limit"},
    "chemistry: lfp\nsigned: {by: x}\n": {
        "signed.role": "missing", "signed.date": "missing", "signed.reason": "missing", "signed.digest": "missing",
    },
    "chemistry: lfp\nsoc_min: 5\nsoc_min: 50\n": {"line 3 column 1": "given twice"},
    "- lfp\n": {"": "config/limits.example.yaml"},
    "chemistry: [\n": {"line 2 column 1": "not YAML"},
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_is_told(file: Path, text: str) -> None:
    problems = _problems(file, text)
    assert set(problems) == set(MISTAKES[text])
    for field, mend in MISTAKES[text].items():
        assert mend in problems[field]


def test_a_missing_file_is_one_clear_problem(file: Path) -> None:
    with pytest.raises(LimitsError, match="there is no such file"):
        load_limits(file)


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("", {}, (10.0, 95.0, None)),
        ("", {"soc_min": 5.0, "soc_max": None}, (5.0, 95.0, None)),
        ("soc_min: 12", {"soc_min": 5.0}, (12.0, 95.0, None)),
        ("soc_min: 12", {"soc_min": 20.0}, (20.0, 95.0, None)),
        ("soc_max: 90", {"soc_max": 95.0}, (10.0, 90.0, None)),
        ("charge_power_max: 50", {"charge_power_max": 60.0}, (10.0, 95.0, 50.0)),
        ("charge_power_max: 50", {"charge_power_max": 40.0}, (10.0, 95.0, 40.0)),
        ("", {"charge_power_max": 60.0}, (10.0, 95.0, 60.0)),
    ],
)
def test_of_file_and_settings_the_tighter_counts(
    file: Path, text: str, base: dict[str, float | None], expected: tuple[float, float, float | None]
) -> None:
    file.write_text(f"chemistry: lfp\n{text}\n")
    limits = load_limits(file, base)
    assert (limits.soc_min, limits.soc_max, limits.charge_power_max) == expected


def test_file_and_settings_that_leave_nothing_are_refused(file: Path) -> None:
    file.write_text("chemistry: lfp\nsoc_max: 50\n")
    with pytest.raises(LimitsError, match="SOC_MIN and SOC_MAX"):
        load_limits(file, {"soc_min": 60.0})


def test_a_draft_tells_what_is_weaker_without_refusing(file: Path) -> None:
    file.write_text("chemistry: lfp\nsoc_min: 5\n")
    draft = read_limits(file)
    assert ([item.field for item in draft.weaker], draft.signed) == (["soc_min"], False)
