"""The reading routes on a real gateway: what they say is what the control plane, the journal and the history say."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
import urllib.request
from typing import Any

import pytest

from bessai.history import History, query
from bessai.journal import JournalReader
from bessai.model import wording
from support.api_house import House

ROUTES = (
    "/status", "/vocabulary", "/points", "/points/soc", "/history?points=soc", "/events", "/alarms", "/alarms/history",
    "/decisions", "/decisions/latest", "/devices", "/devices/-", "/profiles", "/profiles/soltaro_rack",
    "/configuration", "/cells", "/schedule", "/system", "/grid", "/overview",
)  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_needs_somebody_and_answers_a_viewer(house: House, path: str) -> None:
    refused = house.api.get(path, role=None)
    assert (refused.status, refused.json()["code"]) == (401, "not_signed_in")
    assert refused.headers["content-type"] == "application/problem+json"
    answered = house.api.get(path)
    assert answered.status == 200, answered.body
    assert answered.json()


def test_the_status_is_the_gateways_own(house: House) -> None:
    told = house.api.get("/status").json()
    own = house.gateway.status()
    assert told.keys() == own.keys()
    assert told["pid"] == own["pid"]
    assert told["points"].keys() == own["points"].keys()


def test_points_are_found_by_name_and_by_words(house: House) -> None:
    (soc,) = house.api.get("/points", names="soc,nothing").json()["points"]
    assert (soc["unit"], soc["quality"], soc["shared"], soc["device"]) == ("%", "good", True, None)
    found = house.api.get("/points", search="state of charge", limit=1).json()
    assert found["total"] >= 1
    assert len(found["points"]) == 1


def test_a_point_says_where_it_comes_from(house: House) -> None:
    found = house.api.get("/points/soc").json()
    assert found["profile"] == "huawei_sun2000"
    assert (found["address"], found["gain"], len(found["raw"])) == (37760, 0.1, 1)
    assert found["sources"]
    assert house.api.get("/points/none_such").status == 404


def test_history_is_what_the_history_answers(house: House) -> None:
    now = time.time_ns()
    start, end = now - 60 * 10**9, now - 1 * 10**9
    stored, reader = History(house.data), JournalReader(house.data)
    (direct,) = query(stored, reader, ["soc"], start, end, step=10.0)
    stored.close()
    reader.close()
    asked: dict[str, Any] = {"points": "soc", "start": start // 10**6, "end": end // 10**6, "step": 10}
    (told,) = house.api.get("/history", **asked).json()["series"]
    assert told["times"] == [t // 10**6 for t in direct.times.tolist()]
    assert told["count"][:-1] == direct.count.tolist()[:-1]  # the last one still grows
    assert sum(told["count"]) > 0
    assert [one is None for one in told["mean"]] == [not share for share in told["good"]]
    for answered in (
        house.api.get("/history", format="csv", **asked),
        house.api.get("/history", accept="text/csv", **asked),
    ):
        assert answered.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answered.body.decode())))
        assert [row["time"][:19] for row in rows] == [
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t / 1000)) for t in told["times"]
        ]
        assert rows[0]["mean"] == ("" if told["mean"][0] is None else str(told["mean"][0]))


@pytest.mark.parametrize(
    ("query_", "field"),
    [
        ({"points": "sock"}, "points"),
        ({"points": ","}, "points"),
        ({"points": ",".join(f"p{i}" for i in range(13))}, "points"),
        ({"points": "soc", "start": "yesterday"}, "start"),
        ({"points": "soc", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"points": "soc", "step": "-1"}, "step"),
        ({"points": "soc", "step": "0.001", "start": "-9d"}, "step"),
        ({"points": "soc", "max_points": "0"}, "max_points"),
    ],
)
def test_what_the_history_cannot_answer_names_the_field(
    house: House, query_: dict[str, str], field: str
) -> None:
    answered = house.api.get("/history", **query_)
    assert answered.status == 422, answered.body
    assert [one["field"] for one in answered.json()["errors"]] == [field]
    if query_ == {"points": "sock"}:
        assert "soc" in answered.json()["detail"]


def test_events_come_newest_first_and_page_by_page(house: House) -> None:
    whole = house.api.get("/events").json()
    codes = [event["code"] for event in whole["events"]]
    assert {"gateway_started", "device_connected"} <= set(codes)
    sequences = [event["sequence"] for event in whole["events"]]
    assert sequences == sorted(sequences, reverse=True)
    pages, before = [], None
    for _ in range(20):
        more: dict[str, Any] = {} if before is None else {"before": before}
        page = house.api.get("/events", limit=1, end=whole["events"][0]["time"], **more).json()
        pages += page["events"]
        before = page["next"]
        if before is None:
            break
    assert sorted(one["code"] for one in pages) == sorted(codes)
    only = house.api.get("/events", code="gateway_started").json()["events"]
    assert {one["code"] for one in only} == {"gateway_started"}
    assert not house.api.get("/events", start="2035-01-01T00:00:00Z").json()["events"]


def test_events_are_told_in_the_language_of_who_asks_and_kept_in_english(house: House) -> None:
    started = {
        tongue: house.api.get("/events", tongue=tongue, code="gateway_started").json()["events"][0]
        for tongue in ("", "en", "es-CL")
    }
    assert started[""]["message"].startswith("gateway ")
    assert ", control mode " in started[""]["message"]
    assert ", modo de control " in started["es-CL"]["message"]
    assert started["en"] == started[""]
    assert started["es-CL"] | {"message": ""} == started[""] | {"message": ""}
    for route in ("/status", "/alarms", "/devices", "/devices/-", "/overview"):
        assert house.api.get(route, tongue="es").json().keys() == house.api.get(route).json().keys()


def test_a_decision_is_told_from_what_the_battery_can_to_the_setpoint(house: House) -> None:
    told = house.api.get("/decisions/latest", lang="es").json()
    assert told["decision"]["asked"] == -2.5
    names = [(step["kind"], step["name"]) for step in told["steps"]]
    assert names[0] == ("bounds", "reported")
    assert ("request", "operator") in names
    assert names[-1] == ("result", "setpoint")
    assert told["steps"][-1]["power"] == told["decision"]["setpoint"]
    assert told["steps"][0]["high"] == told["measured"]["discharge_power_max"]
    assert any("operator pide -2,5 kW: test" in sentence for sentence in told["words"])


def test_a_decision_is_found_by_its_own_time_and_leads_to_its_neighbours(house: House) -> None:
    told = house.api.get("/decisions/latest").json()
    assert house.api.get(f"/decisions/{told['time']}").json()["cycle"] == told["cycle"]
    before = house.api.get(f"/decisions/{told['previous']}").json()
    assert before["cycle"] == told["cycle"] - 1
    again = house.api.get(f"/decisions/{before['next']}").json()
    assert again["cycle"] == told["cycle"]
    assert again["next"] is None or again["next"] > before["next"]
    missing = house.api.get("/decisions/2020-01-01T00:00:00Z")
    assert (missing.status, missing.json()["code"]) == (404, "no_record")


def test_the_course_has_each_cycle_or_every_nth(house: House) -> None:
    course = house.api.get("/decisions", start="-10m").json()
    assert course["step"] == 1
    assert -2.5 in course["asked"]
    assert len({len(column) for name, column in course.items() if isinstance(column, list)}) == 1
    coarse = house.api.get("/decisions", start="-10m", max_points=3).json()
    assert 1 <= len(coarse["times"]) <= 4
    assert set(coarse["times"]) <= set(house.api.get("/decisions", start="-10m").json()["times"])


def test_no_secret_is_told(house: House) -> None:
    answered = house.api.get("/configuration")
    assert b"hunter" not in answered.body
    assert "someone" not in answered.body.decode()
    settings = {one["name"]: one for one in answered.json()["settings"]}
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"] == "http://••••@127.0.0.1:9"
    assert settings["NATS_PASSWORD"]["value"] == "••••"
    assert settings["SITE_ID"] | {"description": ""} == {
        "name": "SITE_ID", "value": "site-1", "default": None, "description": "", "source": "environment",
        "required": True,
    }  # fmt: skip
    assert settings["CYCLE_TIME"]["source"] == "default"


def test_the_droop_is_that_of_the_parameters_in_force(house: House) -> None:
    grid = house.api.get("/grid").json()
    curve = dict(map(tuple, grid["droop"]["points"]))
    assert (min(curve), max(curve)) == (47.0, 53.0)
    assert curve[50.03] == 0.0  # the edge of the dead band
    slope = [p for p in grid["droop"]["points"] if p[1] > 0]
    assert max(power for _, power in slope) <= 10.0
    assert grid["operating"]["frequency"] == pytest.approx(50.0, abs=1.0)
    assert grid["changes"][0]["what"] == "start"
    assert grid["last_test"] is None


def test_a_stored_self_test_is_told(house: House) -> None:
    folder = house.data / "selftest"
    folder.mkdir()
    (folder / "report.json").write_text(
        json.dumps({"date": "2026-11-01", "where": "twin", "verdict": "pass", "counts": {"pass": 3}})
    )
    assert house.api.get("/grid").json()["last_test"]["counts"] == {"pass": 3}


def test_overview_balances_what_is_measured(house: House) -> None:
    told = house.api.get("/overview").json()
    flows = told["flows"]
    assert (told["soc_low"], told["soc_high"]) == (10.0, 95.0)
    assert flows["pv"] is None
    assert flows["load"]["value"] == pytest.approx(flows["inverter"]["value"] - flows["grid"]["value"])
    assert flows["load"]["point"] is None


def test_system_tells_of_real_processes(house: House) -> None:
    told = house.api.get("/system").json()
    assert told["process"]["control"]["pid"] == house.gateway.status()["pid"]
    assert told["process"]["control"]["rss"] > 1 << 20
    assert 0 < told["disk"]["free"] <= told["disk"]["total"]


def test_the_vocabulary_has_every_limit_in_both_languages(house: House) -> None:
    told = house.api.get("/vocabulary").json()
    request = urllib.request.Request(f"{house.api.url}/api/v1/vocabulary", headers=house.api.headers())
    request.add_header("Accept-Encoding", "gzip")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.read())) == told
    assert told["limits"].keys() == wording.limit_words().keys()
    assert all(text["en"] and text["es"] for text in told["limits"].values())
    assert told["event_codes"]["soc_low"]["es"]["action"]
    assert told["qualities"][0] == {"code": 0, "name": "good", "good": True}


def test_devices_and_profiles(house: House) -> None:
    (device,) = house.api.get("/devices").json()["devices"]
    assert (device["profile"], device["connected"]) == ("huawei_sun2000", True)
    assert device["latency"]["p50"] > 0
    assert len(house.api.get("/devices/-").json()["points"]) == device["points"]
    assert house.api.get("/devices/nobody").status == 404
    profiles = house.api.get("/profiles").json()["profiles"]
    assert device["profile"] in {profile["id"] for profile in profiles}
    assert house.api.get("/profiles/..%2Fpyproject").status == 404
