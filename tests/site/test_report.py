"""Report rules: what a file becomes, and that every mistake is told at once, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bessai.site import ReportFile, SiteError, load_report, load_site, report_json_schema

CONFIG = Path(__file__).parents[2] / "config"
NAMES = ("soc", "active_power", "rack_1.soc", "rack_2.soc", "rack_1.cell_voltage_max")


def _problems(folder: Path, text: str) -> list[str]:
    file = folder / "report.yaml"
    file.write_text(text)
    with pytest.raises(SiteError) as caught:
        load_report(file, NAMES)
    return [str(problem).removeprefix(f"{file}") for problem in caught.value.problems]


def test_the_shipped_example_and_schema() -> None:
    document = yaml.safe_load((CONFIG / "report.example.yaml").read_text())
    schema = json.loads((CONFIG / "report.schema.json").read_text())
    assert schema == json.loads(json.dumps(report_json_schema()))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
    wrongs: list[dict[str, object]] = [
        {},
        {"rules": []},
        {**document, "colour": 1},
        {"rules": [{"points": "*"}]},
    ]
    assert not any(validator.is_valid(wrong) for wrong in wrongs)
    names = load_site(CONFIG / "site.example.yaml").layout.names
    assert len(load_report(CONFIG / "report.example.yaml", names).rules) == len(document["rules"])


def test_it_survives_the_way_to_the_service_plane() -> None:
    names = load_site(CONFIG / "site.example.yaml").layout.names
    report = load_report(CONFIG / "report.example.yaml", names)
    assert ReportFile.model_validate_json(report.model_dump_json(exclude_defaults=True)) == report


def test_what_a_rule_cannot_mean(tmp_path: Path) -> None:
    text = """
decision: {at_most_every: 100}
rules:
  - {points: [soc], dead_band: -1}
  - points: [soc]
    dead_bnad: 1
  - {points: [soc], when: always, dead_band: 1}
  - {points: [soc], when: never, at_most_every: 1}
  - {points: [soc], when: always, at_least_every: 1}

  - {points: [soc], span: 5}
  - {points: [soc], at_most_every: 10, at_least_every: 5}
  - {points: [soc], at_most_every: 0}
  - {points: soc}
  - {when: change}
"""
    told = [
        (": decision = ", "at_most_every 100 is longer than at_least_every 60; make it the shorter one"),
        (":4: rules.0.dead_band = -1: ", "greater than or equal to 0"),
        (":5: rules.1.dead_bnad = 1: ", "unknown field; did you mean `dead_band`?"),
        (":7: rules.2 = ", "a dead band goes with `when: change`, not with `when: always`"),
        (":8: rules.3 = ", "what is never reported has no `at_most_every`; leave it out"),
        (":9: rules.4 = ", "`at_least_every` goes with `when: change`, not with `when: always`"),
        (":11: rules.5 = ", "`span` goes with `dead_band_percent`; give it, or leave out `span`"),
        (":12: rules.6 = ", "at_most_every 10 is longer than at_least_every 5; make it the shorter one"),
        (":13: rules.7.at_most_every = 0: ", "greater than 0"),
        (':14: rules.8.points = "soc": ', "valid list"),
        (":15: rules.9.points: ", "required field is missing; add it"),
    ]
    for problem, (begin, end) in zip(_problems(tmp_path, text), told, strict=True):
        assert problem.startswith(begin)
        assert problem.endswith(end)


def test_names_that_no_point_has_and_rules_that_never_count(tmp_path: Path) -> None:
    text = """
rules:
  - points: ["*.sco", soc, "rack_3.*"]
    sinks: [mqtt]
  - {points: [active_powr], when: never}
  - {points: [soc, "rack_?.soc"]}
  - {points: ["*.soc"]}
  - {points: ["*"]}
  - {points: [soc], sinks: [pubsub]}
"""
    assert _problems(tmp_path, text) == [
        ":3: rules.0.points.0 = \"*.sco\": the site has no such point; did you mean '*.soc'?",
        (
            ':3: rules.0.points.2 = "rack_3.*": the site has no such point; '
            "did you mean 'rack_2.soc' or 'rack_1.soc'?"
        ),
        ":5: rules.1.points.0 = \"active_powr\": the site has no such point; did you mean 'active_power'?",
        ':7: rules.3.points = ["*.soc"]: rules above take every point that it names; move it up, or take it out',
        ':9: rules.5.points = ["soc"]: rules above take every point that it names; move it up, or take it out',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": must be a mapping with `rules`; see config/report.example.yaml"),
        ("rules: [", ": line 1 column 9: not YAML: expected the node content, but found '<stream end>'"),
        ("rules: []\nrules: []", ": line 2 column 1: not YAML: 'rules' is given twice; keep one"),
        ("rules: 5", ": rules = 5: Input should be a valid list"),
        ("rules: [{points: ['*']}]\n1: 2", ": 1: Keys should be strings"),
    ],
)
def test_what_is_no_file_of_rules(tmp_path: Path, text: str, problem: str) -> None:
    assert _problems(tmp_path, text) == [problem]


def test_a_file_that_is_not_there_or_too_long(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="there is no such file; give the path of a file of report rules"):
        load_report(tmp_path / "none.yaml", NAMES)
    rule = '  - {points: [soc], sinks: ["%s"]}\n'
    text = "rules:\n" + "".join(rule % f"{n:0100}" for n in range(2000))
    assert _problems(tmp_path, text) == [": rules: is too long; name points with *, not one by one"]


def test_near_misses_on_a_large_plant_are_found_by_the_point(tmp_path: Path) -> None:
    file = tmp_path / "report.yaml"
    file.write_text("rules: [{points: ['*.sco']}]")
    names = [f"rack_{n}.{point}" for n in range(20_000) for point in ("soc", "voltage")]
    with pytest.raises(SiteError, match=r"did you mean '\*.soc'"):
        load_report(file, names)
