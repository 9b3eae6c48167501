"""Makes the dashboards for Grafana 11 and newer: `python infrastructure/grafana/make.py`.

`panels/*.yml` say what is shown, this what all panels have in common; `dashboards/*.json` is what Grafana reads. A test
compares them, and every metric with the gateway's own table. A panel has

    stat | graph | timeline | table | row: its title
    en, es: what it shows                   unit: Grafana's name of it
    query, or queries: {name: PromQL}       words: a key of WORDS, for numbers that mean something
    limits: `none wanted`, or [[from, colour], …]       line: a limit to see a graph against
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SCHEMA_VERSION = 39
"""Of Grafana 11.0: newer ones read it and bring it up to date by themselves."""
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ALERTS = 'ALERTS{alertname=~"Bessai.+", alertname!="BessaiAlertingWorks", alertstate="firing"}'
WORDS: dict[str, Sequence[tuple[int, str, str]]] = {
    "yes or no": ((0, "no", "red"), (1, "yes", "green")),
    "guard": (
        (1, "normal", "green"), (2, "derated", "yellow"), (3, "starting", "blue"), (4, "monitor", "purple"),
        (5, "maintenance", "semi-dark-blue"), (6, "hold", "orange"), (7, "tripped", "red"),
    ),
    "sink": ((1, "ok", "green"), (2, "retrying", "orange"), (3, "off", "text")),
    "breaker": ((1, "closed", "green"), (2, "half open", "yellow"), (3, "open", "red")),
}  # fmt: skip
"""Numbers of infrastructure/prometheus/rules/recording.yml, and 0 and 1."""
Made = dict[str, Any]


def dashboard(said: Made) -> Made:
    """The whole of one."""
    variables: list[Made] = [
        {
            "type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0,
            "refresh": 1, "regex": "", "includeAll": False, "multi": False, "current": {}, "options": [],
        }
    ]  # fmt: skip
    links: list[Made] = [
        {
            "type": "dashboards", "tags": ["bessai"], "title": "BESSAI", "asDropdown": False, "includeVars": True,
            "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
        }
    ]  # fmt: skip
    alerts = ALERTS
    if not said.get("fleet"):
        gateways = 'label_values(bessai_up{site="$site"}, instance)'
        variables += [
            _variable("site", "Site", "label_values(bessai_up, site)"),
            _variable("gateway", "", gateways),
        ]
        links.append(
            {
                "type": "link", "tags": [], "title": "The gateway's own page", "asDropdown": False,
                "includeVars": False, "keepTime": False, "targetBlank": True, "icon": "external link",
                "tooltip": "Says why, and takes commands", "url": "https://${gateway}/",
            }
        )  # fmt: skip
        alerts = ALERTS.replace("}", ', site="$site"}')
    return {
        "uid": said["uid"], "title": said["title"], "description": said["text"], "tags": ["bessai"], "id": None,
        "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": True, "graphTooltip": 1, "fiscalYearStartMonth": 0,
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "timezone": "browser",
        "weekStart": "", "links": links, "templating": {"list": variables},
        "annotations": {
            "list": [
                {
                    "name": "Alerts", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "red",
                    "expr": alerts, "step": "60s", "titleFormat": "{{alertname}}", "textFormat": "{{site}}",
                    "tagKeys": "severity",
                }
            ]
        },
        "panels": _placed(_KINDS[next(iter(panel))](panel) for panel in said["panels"]),
    }  # fmt: skip


def _variable(name: str, label: str, query: str) -> Made:
    """A choice from what Prometheus knows; hidden without a label."""
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "definition": query,
        "hide": 0 if label else 2, "query": {"query": query, "refId": f"variable-{name}", "qryType": 1},
        "refresh": 2, "sort": 1, "regex": "", "includeAll": False, "multi": False, "current": {}, "options": [],
    }  # fmt: skip


def _placed(panels: Iterable[Made]) -> list[Made]:
    """From left to right, and on to the next line when there is no room."""
    placed, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        size = panel["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        placed.append({"id": number, **panel, "gridPos": {**size, "x": x, "y": y}})
        x, height = x + size["w"], max(height, size["h"])
    return placed


def _panel(kind: str, said: Made, queries: dict[str, str], size: tuple[int, int], **defaults: Any) -> Made:
    title = next(iter(said.values()))
    return {
        "type": kind,
        "title": title,
        "description": f"{said['en']}\n\n*Es:* {said['es']}",
        "gridPos": {"w": said.get("width", size[0]), "h": said.get("height", size[1])},
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": said.get("unit", "none"), "mappings": _mappings(said), **defaults},
            "overrides": [],
        },
        "options": {},
        "targets": [
            {
                "refId": chr(65 + n),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": expr,
                "legendFormat": name,
            }
            for n, (name, expr) in enumerate(queries.items())
        ],
    }


def _stat(said: Made) -> Made:
    """One number, now."""
    named = said.get("name", "")
    panel = _panel(
        "stat", said, {named: said["query"]}, (3, 4),
        color={"mode": "thresholds"}, thresholds=_steps(said.get("limits")), **_given(said, "decimals"),
    )  # fmt: skip
    panel["targets"][0] |= {"instant": True, "range": False}
    panel["options"] = {
        "colorMode": "background" if "limits" in said or "words" in said else "value", "graphMode": "none",
        "justifyMode": "auto", "orientation": "auto", "textMode": "name" if named else "value", "wideLayout": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }  # fmt: skip
    return panel


def _graph(said: Made) -> Made:
    """Lines over time."""
    stacked, line = said.get("stacked", False), said.get("line")
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 5, "showPoints": "never",
        "spanNulls": False, "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if line is None else "line"},
    }  # fmt: skip
    limits = None if line is None else [[None, "transparent"], [line, "orange"]]
    panel = _panel(
        "timeseries", said, said["queries"], (12, 8),
        color={"mode": "palette-classic"}, custom=custom, thresholds=_steps(limits), **_given(said, "min", "max"),
    )  # fmt: skip
    panel["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }  # fmt: skip
    return panel


def _timeline(said: Made) -> Made:
    """Which state held when."""
    panel = _panel(
        "state-timeline", said, said["queries"], (12, 6),
        color={"mode": "thresholds"}, thresholds=_steps([[None, "text"]]), custom={"fillOpacity": 80, "lineWidth": 0},
    )  # fmt: skip
    panel["options"] = {
        "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip
    return panel


def _table(said: Made) -> Made:
    """What is known now; a column a query, and a column a label."""
    columns: dict[str, Made] = said["columns"]
    panel = _panel("table", said, {name: column["query"] for name, column in columns.items()}, (COLUMNS, 9))
    overrides, renamed = panel["fieldConfig"]["overrides"], dict(said["labels"])
    for target, (name, column) in zip(panel["targets"], columns.items(), strict=True):
        target |= {"format": "table", "instant": True, "range": False}
        renamed["Value" if len(columns) == 1 else f"Value #{target['refId']}"] = name
        shown: Made = _given(column, "unit", "decimals")
        if "words" in column or "limits" in column:
            shown |= {
                "custom.cellOptions": {"type": "color-background"},
                "thresholds": _steps(column.get("limits")),
            }
            shown |= {"mappings": _mappings(column)}
        if column.get("hidden"):
            shown["custom.hidden"] = True
        overrides.append(_override(name, shown))
    for name, (label, url) in said.get("links", {}).items():
        link = {"title": label, "url": url, "targetBlank": url.startswith("https:")}
        overrides.append(_override(name, {"links": [link]}))
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    organize = {
        "excludeByName": dict.fromkeys(("Time", *said.get("hide", ())), True), "includeByName": {}, "indexByName": {},
        "renameByName": renamed,
    }  # fmt: skip
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return panel


def _row(said: Made) -> Made:
    """A heading."""
    size = {"w": COLUMNS, "h": 1}
    return {"type": "row", "title": said["row"], "collapsed": False, "panels": [], "gridPos": size}


_KINDS = {"stat": _stat, "graph": _graph, "timeline": _timeline, "table": _table, "row": _row}


def _given(said: Made, *names: str) -> Made:
    return {name: said[name] for name in names if name in said}


def _override(name: str, properties: Made) -> Made:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _mappings(said: Made) -> list[Made]:
    if "words" not in said:
        return []
    options = {
        str(number): {"text": text, "color": color, "index": index}
        for index, (number, text, color) in enumerate(WORDS[said["words"]])
    }
    return [{"type": "value", "options": options}]


def _steps(limits: Any) -> Made:
    if limits == "none wanted":
        limits = [[None, "green"], [1, "red"]]
    wanted = limits or [[None, "green"]]
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in wanted]}


def write(directory: Path) -> None:
    """All dashboards."""
    for path in sorted((HERE / "panels").glob("*.yml")):
        made = dashboard(yaml.safe_load(path.read_text(encoding="utf-8")))
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        (directory / f"{made['uid']}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")
