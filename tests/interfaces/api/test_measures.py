"""What the gateway measures of itself and its links, from its source to the API: a plant, a broker, a schedule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bessai.core.socket_file import socket_path
from bessai.journal import JournalReader
from support.api_server import Api, plain_context, served
from support.gateway import GatewayProcess, typed
from support.mosquitto import Mosquitto
from support.twin_process import TwinProcess

GRID = """
plant: {rated_power: 10, rated_apparent_power: 10, nominal_voltage: 400, converters: gfm}
points: {frequency: frequency, voltage: null, active_power: active_power, reactive_power: reactive_power}
values: {frequency.enabled: true, frequency.droop: 5, frequency.dead_band: 30}
"""


@dataclass(frozen=True)
class Scene:
    api: Api
    gateway: GatewayProcess
    broker: Mosquitto
    data: Path

    def until(self, path: str, check: Callable[[Any], bool], within: float = 90.0) -> Any:
        """The first answer that passes."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            told = self.api.get(path).json()
            if check(told):
                return told
            time.sleep(0.2)
        raise AssertionError(f"{path} says {told}")


def _schedule(now: datetime) -> str:
    """Charging now, discharging in two hours."""
    at = [(now + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M") for hours in (-1, 1, 2, 3)]
    return (
        "# timezone: UTC\nstart,end,power_kw,reason\n"
        f"{at[0]},{at[1]},-3,cheap hours\n{at[2]},{at[3]},4,evening peak\n"
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("measures")
    data = folder / "data"
    (folder / "grid.yaml").write_text(GRID)
    (folder / "schedule.csv").write_text(_schedule(datetime.now(UTC)))
    with (
        Mosquitto.start_or_skip(folder / "broker") as broker,
        TwinProcess("huawei_sun2000") as twin,
        GatewayProcess(
            data,
            INVERTER_PORT=str(twin.port),
            GRID_FILE=str(folder / "grid.yaml"),
            SCHEDULE_FILE=str(folder / "schedule.csv"),
            MQTT_URL=broker.url,
            OTEL_SDK_DISABLED="true",
        ) as gateway,
    ):
        asyncio.run(gateway.until(lambda s: s["control"].get("asked") == -3.0))
        with served(plain_context(data, socket_path(data))) as api:
            yield Scene(api, gateway, broker, data)


def test_a_device_tells_its_latency_and_its_own_errors(scene: Scene) -> None:
    (device,) = scene.until("/devices", lambda told: told["devices"][0]["latency"])["devices"]
    latency, own = device["latency"], device["own"]
    assert 0 <= latency["p50"] <= latency["p99"] <= latency["max"] < 60
    assert latency["count"] == min(256, own["replies"])
    # the only unit of its connection, so that its own counters are the connection's
    assert (own["replies"], own["timeouts"]) == (device["replies"], device["timeouts"])
    assert sum(kind["count"] for kind in own["exceptions"]) == device["exceptions"]
    assert device["crc_errors"] == 0
    if own["exceptions"]:
        assert device["last_error"]["message"].startswith("device answered exception")
        assert datetime.fromisoformat(device["last_error"]["time"]) <= datetime.now(UTC) + timedelta(
            seconds=1
        )


def test_a_point_shows_the_registers_behind_its_value(scene: Scene) -> None:
    told = scene.until("/points/rated_power", lambda told: told["raw"] and told["value"])
    assert (told["function"], told["type"], len(told["raw"])) == (3, "u32", 2)
    number = int(told["raw"][0], 16) << 16 | int(told["raw"][1], 16)
    assert number * told["gain"] == pytest.approx(told["value"])
    assert told["raw_age"] >= 0
    rows = {row["name"]: row for row in scene.api.get("/devices/-").json()["points"]}
    assert rows["rated_power"]["raw"] == told["raw"]
    soc = rows["soc"]
    assert (soc["address"], soc["table"], soc["function"]) == (37760, "holding", 3)
    assert int(soc["raw"][0], 16) * soc["gain"] == pytest.approx(soc["value"], abs=0.5)
    absent = {name for name, row in rows.items() if row["quality"] == "absent"}
    assert all(rows[name]["raw"] is None for name in absent)

    def passed_over(told: Any) -> bool:
        """What is read once grows older than what counts as the oldest value."""
        (rated,) = [row["age"] for row in told["points"] if row["name"] == "rated_power"]
        return bool(told["oldest"] < rated - 1)

    scene.until("/devices/-", passed_over)


def test_the_system_tells_its_jitter_and_what_it_costs_the_disk(scene: Scene) -> None:
    told = scene.until("/system", lambda told: told["storage"]["sync"] and told["recent"]["cycles"] > 3)
    recent, storage = told["recent"], told["storage"]
    assert sum(recent["counts"]) == recent["cycles"] == recent["seconds"]  # a second each
    assert len(recent["counts"]) == len(recent["edges"]) + 1
    assert recent["late"]["max"] <= told["cycle"]["late_max"]
    assert 0 < recent["duration"]["p50"] <= recent["duration"]["p99"] <= recent["duration"]["max"]
    reader = JournalReader(scene.data)
    oldest = reader.stats().first_wall_ns
    reader.close()
    assert datetime.fromisoformat(storage["oldest"]).timestamp() == pytest.approx(oldest / 1e9, abs=0.001)
    assert storage["oldest"] < storage["newest"]
    assert storage["written"]["size"] >= 0
    assert storage["written"]["per_day"] is None  # of minutes no day is made
    assert 0 < storage["sync"]["p50"] <= storage["sync"]["p99"] <= storage["sync"]["max"]
    assert [level["label"] for level in told["history"]["levels"]] == ["10s", "1min", "15min", "1d"]
    assert [level["step"] for level in told["history"]["levels"]] == [10, 60, 900, 86400]
    assert told["process"]["control"]["written"] is None or told["process"]["control"]["written"] > 0


def test_a_broker_that_goes_away_is_seen_with_its_backlog_until_it_comes_back(scene: Scene) -> None:
    def mqtt(told: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        publisher = next(one for one in told["publishers"] if one["name"] == "mqtt")
        return publisher, next(one for one in told["waiting"] if one["name"] == "mqtt")

    well, when = mqtt(scene.until("/system", lambda told: mqtt(told)[1]["delivered"] is not None))
    assert (well["state"], well["connected"], when["failed"]) == ("ok", True, None)
    scene.broker.kill()
    told = scene.until(
        "/system",
        lambda told: mqtt(told)[0]["state"] == "retrying" and (mqtt(told)[1]["oldest_waiting"] or 0) > 3,
    )
    lost, waiting = mqtt(told)
    assert lost["connected"] is False
    assert lost["backlog"] >= 2
    assert waiting["failed"] is not None
    assert waiting["delivered"] >= when["delivered"]
    health = scene.api.get("/overview").json()["publishers"]
    (link,) = [one for one in health if one["name"] == "mqtt"]
    assert (link["connected"], link["state"]) == (False, "retrying")
    assert link["oldest_waiting"] > 3
    scene.broker.start()
    back, waiting = mqtt(
        scene.until("/system", lambda told: mqtt(told)[0]["state"] == "ok" and mqtt(told)[0]["connected"])
    )
    assert back["last_error"] is None
    assert back["newest_error"]  # remembered after it is over
    scene.until("/system", lambda told: (mqtt(told)[1]["oldest_waiting"] or 0) < 30)


def test_the_overview_tells_the_window_the_time_and_the_plan(scene: Scene) -> None:
    told = scene.until("/overview", lambda told: told["seconds_to_full"] is not None)
    assert (told["soc_low"], told["soc_high"]) == (10.0, 95.0)
    power = -told["flows"]["battery"]["value"]
    assert power > 0
    energy = told["energy_capacity"] * (told["soc_high"] - told["soc"]) / 100
    assert told["seconds_to_full"] == pytest.approx(energy / power * 3600, rel=0.01)
    plan = scene.api.get("/schedule").json()
    assert [(one["power"], one["reason"]) for one in plan["entries"]] == [
        (-3, "cheap hours"),
        (4, "evening peak"),
    ]
    assert datetime.fromisoformat(plan["entries"][0]["start"]) < datetime.now(UTC)


def test_a_self_test_tells_the_reason_of_each_row(scene: Scene) -> None:
    out = scene.data / "selftest"
    done = typed("gridcode", "test", "--only", "change_control", "--only", "black_start", "--out", str(out))
    assert done.returncode == 0, done.stdout
    test = scene.api.get("/grid").json()["last_test"]
    rows = {row["name"]: row for row in test["rows"]}
    assert len(rows) == sum(test["counts"].values())
    untested = rows["black_start"]
    assert (untested["verdict"], untested["clause"]) == ("not tested", "AT-IBR Art. 3-11")
    assert untested["reason"]["en"]
    assert untested["reason"]["es"] != untested["reason"]["en"]
    passed = next(row for row in rows.values() if row["verdict"] == "pass")
    assert passed["found"]["en"]
    assert passed["requirement"]["es"]
    assert test["file"] == "selftest/report.json"
