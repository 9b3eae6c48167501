"""Rules, dashboards and collector name only what the gateway tells, fire when they should, and lead to a page that is.

Prometheus' own tools judge the rules (Debian: prometheus, prometheus-alertmanager); where they are missing, those tests
skip.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.interfaces.metrics import METRICS, Figures, Kind, label
from bessai.interfaces.notify.sink import CONSUMER
from bessai.model import Quality, Severity
from support.promql import named

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "infrastructure/prometheus"
GRAFANA = ROOT / "infrastructure/grafana"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DASHBOARDS = {
    path.name: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
EVERYWHERE = {"site", "instance", "job"}


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _rules() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in RULES:
        for group in _yaml(path)["groups"]:
            yield from ((path, rule) for rule in group["rules"])


ALERTS = {rule["alert"]: rule for _, rule in _rules() if "alert" in rule}
RECORDED = {rule["record"]: rule for _, rule in _rules() if "record" in rule}


def _panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, dashboard in DASHBOARDS.items():
        yield from ((name, panel) for panel in dashboard["panels"] if panel["type"] != "row")


def _expressions() -> Iterator[tuple[str, str]]:
    """All PromQL there is, and where."""
    for path, rule in _rules():
        yield f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]
    for name, panel in _panels():
        yield from ((f"{name}: {panel['title']}", target["expr"]) for target in panel["targets"])
    for name, dashboard in DASHBOARDS.items():
        yield from ((f"{name}: annotations", one["expr"]) for one in dashboard["annotations"]["list"])
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                inside = re.fullmatch(r"label_values\((.+), \w+\)", variable["definition"])
                assert inside, variable
                yield f"{name}: ${variable['name']}", inside[1]


def _told() -> dict[str, set[str]]:
    """Names of all series that there are, with their own labels."""
    found = dict(OF_PROMETHEUS)
    for metric in METRICS:
        labels = {label(name) for name in metric.attributes}
        if metric.kind is Kind.HISTOGRAM:
            found[f"{metric.prometheus}_bucket"] = labels | {"le"}
            found |= {f"{metric.prometheus}{part}": labels for part in ("_sum", "_count")}
        else:
            found[metric.prometheus] = labels
    for name in RECORDED:
        level = name.partition(":")[0]
        found[name] = set(level.split("_"))
    return found


TOLD = _told()
FROM = [f"{where}\n{expr}" for where, expr in _expressions()]


def test_there_is_something_to_test() -> None:
    assert len(ALERTS) > 25
    assert len(DASHBOARDS) == 4
    assert len(FROM) > 150


def test_every_metric_and_label_is_one_that_the_gateway_tells() -> None:
    wrong = []
    for where, expr in _expressions():
        names = named(expr)
        wrong += [f"{where}: no metric {name}" for name in sorted(names.metrics - set(TOLD))]
        labels = set().union(*(TOLD.get(name, set()) for name in names.metrics)) | EVERYWHERE
        wrong += [f"{where}: nothing has the label {one}" for one in sorted(names.grouped - labels)]
        wrong += [
            f"{where}: {metric} has no label {one}"
            for metric, one, _ in sorted(names.matched)
            if one not in TOLD.get(metric, set()) | EVERYWHERE
        ]
    assert not wrong, "\n".join(wrong)


FULL = Figures(
    control={
        "cycle": {"late_p50": 0, "late_p99": 0},
        "sync": {"p50": 0, "p99": 0},
        "control": {"state": "normal"},
    },
    devices=[{"name": "meter"}],
    sinks=[{"name": name, "state": "ok", "breaker": "closed"} for name in ("mqtt", CONSUMER)],
)
"""Enough for every label whose values the gateway itself chooses."""


def _values(metric: str, one: str) -> set[str]:
    """All values of a label of a metric."""
    if metric == "bessai_points":
        return {quality.label for quality in Quality}
    if metric == "bessai_alarms":
        return {severity.label for severity in Severity}
    (found,) = (known for known in METRICS if known.prometheus == metric)
    return {
        attributes[name]
        for attributes, _ in found.samples(FULL)
        for name in found.attributes
        if label(name) == one
    }


def test_what_a_label_is_compared_with_is_spelt_as_the_gateway_does() -> None:
    compared = {
        (where, *match)
        for where, expr in _expressions()
        for match in named(expr).matched
        if match[0] not in OF_PROMETHEUS and match[1] not in EVERYWHERE
    }
    assert {metric for _, metric, _, _ in compared} >= {
        "bessai_points",
        "bessai_sink_state",
        "bessai_power_watts",
    }
    wrong = [one for one in compared if one[3] not in _values(one[1], one[2])]
    assert not wrong
    for record, metric in (
        ("site:bessai_guard_state:number", "bessai_guard_state"),
        ("site_sink:bessai_sink_state:number", "bessai_sink_state"),
        ("site_sink:bessai_sink_breaker_state:number", "bessai_sink_breaker_state"),
    ):
        told = {value for _, _, value in named(RECORDED[record]["expr"]).matched}
        assert told == _values(metric, "state"), "a state without a number would be no state"


def test_what_is_reckoned_once_is_used_and_tested() -> None:
    used = set().union(*(named(expr).metrics for _, expr in _expressions()))
    tested = (PROMETHEUS / "tests/recording.yml").read_text(encoding="utf-8")
    assert used >= set(RECORDED)
    assert not [record for record in RECORDED if f"expr: {record}\n" not in tested]


def _left(expr: str) -> set[str]:
    """Labels that what an expression finds may have."""
    names = named(expr)
    return names.grouped or set().union(*(TOLD[metric] for metric in names.metrics))


def test_alerts_and_legends_name_labels_that_are_left() -> None:
    wrong = [
        (name, one)
        for name, rule in ALERTS.items()
        for text in rule["annotations"].values()
        for one in re.findall(r"\$labels\.(\w+)", text)
        if one not in _left(rule["expr"])
    ]
    wrong += [
        (f"{where}: {panel['title']}", one)
        for where, panel in _panels()
        for target in panel["targets"]
        for one in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        if one not in _left(target["expr"])
    ]
    assert not wrong


def test_the_table_of_alerts_shows_every_label_that_one_has() -> None:
    (table,) = (panel for _, panel in _panels() if panel["title"] == "Alerts that fire")
    (organize,) = (one["options"] for one in table["transformations"] if one["id"] == "organize")
    for name, rule in ALERTS.items():
        hidden = _left(rule["expr"]) - set(organize["renameByName"]) - {"le"}
        assert not hidden, name


def test_a_wrong_name_is_seen() -> None:
    found = named(
        'sum by (site, sink) (rate(bessai_x_total{site="$site", why!~"a|b}"}[5m])) / on (device) up > 1e6'
    )
    assert found.metrics == {"bessai_x_total", "up"}
    assert found.grouped == {"site", "sink", "device"}
    assert found.matched == {("bessai_x_total", "site", "$site"), ("bessai_x_total", "why", "a|b}")}


# alerts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_and_where_to_look(name: str) -> None:
    rule = ALERTS[name]
    annotations = rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert set(annotations) == {"summary", "description", "description_es", "runbook_url"}
    assert annotations["description"] != annotations["description_es"]
    assert name == "BessaiAlertingWorks" or "{{ $labels.site }}" in annotations["summary"]
    base = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Documentation"]
    page, _, anchor = annotations["runbook_url"].removeprefix(f"{base}/").partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == name.lower()
    assert name in headings, f"docs/{page} has no section {name}"


def test_the_page_explains_no_alert_that_there_is_not() -> None:
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (Bessai\w+)$", page, re.MULTILINE)) == set(ALERTS)
    routed = (PROMETHEUS / "alertmanager.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"Bessai\w+", routed)) <= set(ALERTS)


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    fires, silent = set(), set()
    for path in RULE_TESTS:
        for test in _yaml(path)["tests"]:
            for look in test.get("promql_expr_test", ()):
                alert = re.search(r'alertname="(\w+)"', look["expr"])
                if alert is None:
                    continue
                if look["exp_samples"]:
                    fires.add(alert[1])
                    sites = {
                        site
                        for one in test.get("input_series", ())
                        for site in re.findall(r'site="(\w+)"', one["series"])
                    }
                    told = {
                        site
                        for one in look["exp_samples"]
                        for site in re.findall(r'site="(\w+)"', one["labels"])
                    }
                    if sites - told:
                        silent.add(alert[1])
    assert fires == set(ALERTS)
    assert silent == set(ALERTS) - {"BessaiAlertingWorks"}


def test_every_alert_is_seen_to_end_when_the_trouble_is_over() -> None:
    ends = set()
    for path in RULE_TESTS:
        for test in _yaml(path)["tests"]:
            firing = ""
            for look in test.get("promql_expr_test", ()):
                alert = re.search(r'alertname="(\w+)"', look["expr"])
                if alert is not None and look["exp_samples"]:
                    firing = alert[1]
                elif alert is not None and alert[1] == firing:
                    assert 'alertstate="firing"' in look["expr"]
                    ends.add(firing)
    assert ends == set(ALERTS) - {"BessaiAlertingWorks"}


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} (Debian: prometheus, prometheus-alertmanager)")
    return found


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The directory as an operator has it, with the two files that the gateway makes."""
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    secrets = tmp_path / "prometheus/secrets"
    secrets.mkdir()
    for name in ("plant-1.token", "plant-1.pem"):
        (secrets / name).touch()
    return tmp_path / "prometheus"


def test_prometheus_takes_the_configuration(copied: Path) -> None:
    done = _run(_tool("promtool"), "check", "config", copied / "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout


def test_alertmanager_takes_its_configuration() -> None:
    done = _run(_tool("amtool"), "check-config", PROMETHEUS / "alertmanager.yml")
    assert done.returncode == 0, done.stderr


def test_the_rules_do_what_their_tests_say() -> None:
    done = _run(
        _tool("promtool"), "test", "rules", *(path.name for path in RULE_TESTS), cwd=PROMETHEUS / "tests"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(RULE_TESTS)


@pytest.mark.parametrize("instead", ["vector(1) < 0", 'label_replace(vector(1), "site", "good", "", "")'])
def test_the_tests_notice_an_alert_that_never_or_always_fires(copied: Path, instead: str) -> None:
    promtool = _tool("promtool")
    for path in (copied / "rules").glob("*.yml"):
        rules = _yaml(path)
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule["expr"] = instead
            rule.pop("annotations", None)  # costs most of the time
        path.write_text(yaml.safe_dump(rules))
    done = _run(promtool, "test", "rules", *(path.name for path in RULE_TESTS), cwd=copied / "tests")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    missed = {name for name in ALERTS if f'alertname="{name}"' not in said} - {"BessaiAlertingWorks"}
    assert not missed


# dashboards -------------------------------------------------------------------------------------------------


def test_the_dashboards_are_what_their_lists_make(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_dashboards", GRAFANA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    there = {path.name: path.read_text(encoding="utf-8") for path in (GRAFANA / "dashboards").iterdir()}
    assert made == there, "run: python infrastructure/grafana/make.py"


def test_every_dashboard_can_be_told_from_the_others() -> None:
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert {one["title"] for one in DASHBOARDS.values()} == {
        "Fleet",
        "Plant",
        "Gateway internals",
        "Delivery",
    }
    for name, one in DASHBOARDS.items():
        assert name == f"{one['uid']}.json"
        assert one["id"] is None
        ids = [panel["id"] for panel in one["panels"]]
        assert len(set(ids)) == len(ids)
    linked = {uid for one in DASHBOARDS.values() for uid in re.findall(r"/d/([\w-]+)", json.dumps(one))}
    assert linked
    assert linked <= {one["uid"] for one in DASHBOARDS.values()}


UNITS = {
    "none", "short", "s", "percent", "percentunit", "watt", "volt", "hertz", "celsius", "bytes", "decbytes", "Bps",
    "cps", "cpm", "reqps",
}  # fmt: skip
"""Grafana's names of units (`@grafana/data`, valueFormats/categories)."""
ENDS = {
    "_seconds": {"s"}, "_bytes": {"bytes", "decbytes"}, "_percent": {"percent"}, "_watts": {"watt"}, "_volts": {"volt"},
    "_hertz": {"hertz"}, "_celsius": {"celsius"}, "_ratio": {"percentunit"},
}  # fmt: skip


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_a_source_a_unit_and_an_explanation(name: str) -> None:
    for _, panel in ((where, panel) for where, panel in _panels() if where == name):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS, panel["title"]
        assert re.fullmatch(r".+\n\n\*Es:\* .+", panel["description"]), panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel[
            "title"
        ]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        for target in panel["targets"]:
            plain = re.fullmatch(
                r"(?:max|min|sum)(?: by \(\w+\))? ?\((bessai_\w+)\{[^{}]*\}\)", target["expr"]
            )
            if plain is not None and panel["type"] != "table":
                fitting = next((units for end, units in ENDS.items() if plain[1].endswith(end)), UNITS)
                assert unit in fitting, f"{panel['title']}: {plain[1]} in {unit}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    queries = [re.sub(r"\$__rate_interval", "1m", expr) for where, expr in _expressions() if ".json" in where]
    rules = [{"record": f"q{n}", "expr": expr} for n, expr in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = _run(_tool("promtool"), "check", "rules", "--lint=none", tmp_path / "queries.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(queries)} rules found" in done.stdout


def test_grafana_finds_its_dashboards_where_they_are_put() -> None:
    (source,) = _yaml(GRAFANA / "provisioning/datasources/bessai.yml")["datasources"]
    (provider,) = _yaml(GRAFANA / "provisioning/dashboards/bessai.yml")["providers"]
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    assert source["type"] == "prometheus"
    assert f"{provider['options']['path']}/" in page
    scrape = _yaml(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


# collector --------------------------------------------------------------------------------------------------


def test_the_collector_is_whole() -> None:
    config = _yaml(ROOT / "infrastructure/otel/collector.yaml")
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline[kind]}
        assert used == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"
    port = config["exporters"]["prometheus"]["endpoint"].partition(":")[2]
    assert f'["otel-collector:{port}"]' in (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    assert config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(":4317")
