"""Through the API on a real gateway and twin: a trip and its reset, the test of a dead-man, the grid functions."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bessai.interfaces.api import fallback
from bessai.interfaces.api.fallback import Silence, judge
from bessai.interfaces.api.roles import Role
from bessai.journal import JournalReader
from bessai.registry import load_profile
from bessai.twin import TwinServer
from faults.conftest import KINDS, quick_profile
from support.api_house import GRID
from support.api_plant import WHY, Plant
from support.gateway import GatewayProcess, bessai, power

REWRITE = next(device for device in KINDS if device.kind == "rewrite")
LIMITS = "limits: {battery_temperature_high: {trip: {at: 60, delay: 1}}}\nchemistry: lfp\n"


@asynccontextmanager
async def _running(
    folder: Path, profile: str, **more: str
) -> AsyncIterator[tuple[Any, GatewayProcess, Plant]]:
    async with TwinServer(load_profile(profile), seed=3) as twin:
        environment = {
            "INVERTER_PORT": str(twin.port),
            "DRIVER_PROFILE_PATH": profile,
            "STALE_AFTER": "20",
            **more,
        }
        with GatewayProcess(folder / "data", **environment) as gateway:
            await gateway.until(lambda s: s["control"]["state"] == "normal")
            plant = Plant(folder / "data")
            await plant.people()
            yield twin, gateway, plant
            plant.audit.close()
            plant.identity.close()


def _events(data: Path) -> list[tuple[str, str | None]]:
    reader = JournalReader(data)
    found = [(event.code, event.user) for entry in reader.read(0, 100_000) for event in entry.events]
    reader.close()
    return found


def test_trips_and_dead_men(tmp_path: Path) -> None:
    async def play() -> None:
        (tmp_path / "limits.yaml").write_text(LIMITS)
        profile = quick_profile(tmp_path, REWRITE)  # a dead-man of 8 s
        more = {"CYCLE_TIME": "0.5", "WATCHDOG_TIMEOUT": "2", "LIMITS_FILE": str(tmp_path / "limits.yaml")}
        more |= {"LOG_FORMAT": "json"}
        async with _running(tmp_path, str(profile), **more) as (twin, gateway, plant):
            await trip_and_reset(twin, gateway, plant)
            await louder(gateway, plant)
            await falls_back(gateway, plant)
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
        assert {line["process"] for line in lines} == {"control", "service"}
        assert {line["site"] for line in lines} == {"site-1"}
        assert any(line["event"].startswith("log_level_changed: ") for line in lines)

    asyncio.run(play())


async def louder(gateway: GatewayProcess, plant: Plant) -> None:
    """By the API and by the command line; the service plane follows, and the journal has it."""
    body = {"level": "DEBUG", "logger": "", "seconds": 60, **WHY}
    assert (await plant.do("eva", "PUT", "/log-level", body)).status == 403
    await plant.identity.add_user("root", Role.ADMINISTRATOR, "quite a long secret 7")
    _, plant.secrets["root"] = await plant.identity.make_token(
        "root", "root", Role.ADMINISTRATOR, ["admin"], 1
    )
    assert (await plant.do("root", "PUT", "/log-level", body | {"level": "LOUD"})).status == 422
    answer = await plant.do("root", "PUT", "/log-level", body)
    assert (answer.status, answer.json["changed"]) == (200, {"": "DEBUG"})
    assert ("token:root", "log_level", "done") in await plant.audited()
    said = bessai("log-level", "--data-dir", str(gateway.data))
    assert said.stdout.startswith("all: DEBUG for another ")
    assert "log level" in bessai("status", "--data-dir", str(gateway.data)).stdout
    back = bessai("log-level", "default", "--user", "ben", "--data-dir", str(gateway.data))
    assert (back.returncode, back.stdout) == (0, "INFO, as configured\n")
    wrong = bessai("log-level", "loud", "--data-dir", str(gateway.data))
    assert (wrong.returncode, "use one of DEBUG" in wrong.stderr) == (2, True)
    now = gateway.status()["cycle"]["cycles"]
    await gateway.until(lambda s: s["cycle"]["cycles"] > now + 2 and s["journal"]["queued"] == 0)
    assert {("log_level_changed", "token:root"), ("log_level_changed", "ben")} <= set(_events(gateway.data))


async def trip_and_reset(twin: Any, gateway: GatewayProcess, plant: Plant) -> None:
    assert (await plant.do("ana", "POST", "/requests", {"power": 3, "for": 600, **WHY})).status == 201
    await gateway.until(lambda s: abs(power(s) - 3.0) < 0.3)
    twin.device.force("battery_temperature", 66.0)
    status = await gateway.until(lambda s: s["trips"] and abs(power(s)) < 0.1)
    (trip,) = status["trips"]
    assert (trip["code"], trip["point"], trip["value"]) == (
        "battery_temperature_high",
        "battery_temperature",
        66.0,
    )
    (alarm,) = [
        one for one in (await plant.do("vic", "GET", "/alarms")).json["alarms"] if one["code"] == trip["code"]
    ]
    assert (alarm["severity"], alarm["active"], alarm["latches"], alarm["shelvable"]) == (
        "alarm",
        True,
        True,
        False,
    )
    assert all(alarm[words][language] for words in ("title", "cause", "action") for language in ("en", "es"))
    body = {"code": trip["code"], **WHY}
    assert (await plant.do("ana", "POST", "/operations/reset", body)).json["code"] == "role_too_low"
    shelf = await plant.do(
        "ana", "POST", f"/alarms/{trip['code']}/shelve", {"point": trip["point"], "for": 60, **WHY}
    )
    assert shelf.status == 409
    refused = await plant.do("eva", "POST", "/operations/reset", body)
    assert (refused.status, "cause is still there" in refused.json["detail"]) == (409, True)
    twin.device.release("battery_temperature")
    await gateway.until(lambda s: s["points"]["battery_temperature"]["value"] < 50)
    assert (await plant.do("eva", "POST", "/operations/reset", {**body, "unit": "pcs_9"})).status == 409
    assert (await plant.do("eva", "POST", "/operations/reset", body)).status == 204
    await gateway.until(lambda s: not s["trips"] and abs(power(s) - 3.0) < 0.3)  # the request still stands
    found = await plant.audited()
    assert found.count(("token:eva", "reset", "refused")) == 2
    assert found.count(("token:eva", "reset", "done")) == 1
    assert ("trip_reset", "token:eva") in _events(plant.context.settings.data_dir)


async def falls_back(gateway: GatewayProcess, plant: Plant) -> None:
    test = "/operations/deadman-test"
    assert (await plant.do("ana", "POST", test, WHY)).status == 403
    assert (await plant.do("eva", "POST", test, {"unit": "pcs_9", **WHY})).status == 409
    await gateway.until(lambda s: s["control"]["state"] == "normal" and s["units"][""]["standing"])
    assert (await plant.do("eva", "POST", test, WHY)).status == 204
    again = await plant.do("eva", "POST", test, WHY)
    assert (again.status, "runs already" in again.json["detail"]) == (409, True)
    await gateway.until(lambda s: s["units"][""]["dead_man"]["withheld"] and abs(power(s)) < 0.1)
    status = await gateway.until(lambda s: s["units"][""]["dead_man"]["tested"])
    tested = status["units"][""]["dead_man"]["tested"]
    assert (tested["passed"], tested["user"]) == (True, "token:eva")
    await gateway.until(lambda s: abs(power(s) - 3.0) < 0.3)  # armed anew
    assert ("dead_man_test_ended", "token:eva") in _events(plant.context.settings.data_dir)
    assert (await plant.do("ana", "POST", "/requests", {"power": 0, "for": 600, **WHY})).status == 201
    await gateway.until(lambda s: abs(power(s)) < 0.1)
    idle = await plant.do("eva", "POST", test, WHY)
    assert (idle.status, "needs power that flows" in idle.json["detail"]) == (409, True)
    assert [one for one in await plant.audited() if one[1] == "deadman_test_end"] == [
        ("token:eva", "deadman_test_end", "done")
    ]


def _unit(measured: float | None, fed_age: float | None, *, withheld: bool = True) -> dict[str, Any]:
    dead_man = {"time": 8.0, "withheld": withheld, "fed_age": fed_age}
    return {
        "standing": 3.0, "tolerance": 0.3, "response_time": 5.0, "measured": measured, "dead_man": dead_man,
    }  # fmt: skip


def _verdict(*looks: tuple[float, dict[str, Any]]) -> bool | str | None:
    silence = Silence(_unit(3.0, 0.5, withheld=False))
    for now, unit in looks:
        if (verdict := silence.see(now, unit)) is not None:
            return verdict.passed
    return "looks on"


def test_a_silence_is_judged_by_what_is_measured() -> None:
    fell = [(t, _unit(0.1 if t >= 9 else 3.0, t)) for t in range(1, 14)]
    assert _verdict(*fell) is True
    assert _verdict(*fell[:10]) == "looks on"  # at zero for less than 3 s
    assert _verdict(*[(t, _unit(3.0, t)) for t in range(1, 30)]) is False
    assert _verdict(*[(t, _unit(0.0 if t >= 19 else 3.0, t)) for t in range(1, 30)]) is False  # 1 s too late
    assert _verdict(*[(t, _unit(1.5, t)) for t in range(1, 30)]) is None  # neither zero nor as before
    assert _verdict(*[(t, _unit(None, t)) for t in range(1, 30)]) is None
    assert _verdict((1, _unit(3.0, 1)), (6, _unit(3.0, 1))) is None  # fed in between
    assert _verdict((1, _unit(3.0, 1)), (2, _unit(0.0, 2, withheld=False))) is None
    assert _verdict((1, _unit(3.0, 1, withheld=False)), (7, _unit(3.0, 7, withheld=False))) is None
    for wrong in ({"standing": 0.5}, {"standing": None}, {"tolerance": None}):
        with pytest.raises(ValueError, match="ask for a small power"):
            Silence(_unit(3.0, 0.5) | wrong)


@pytest.mark.parametrize(("measured", "result"), [(0.0, "passed"), (3.0, "failed"), (1.5, "aborted")])
def test_the_control_plane_is_told_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, measured: float, result: str
) -> None:
    told: list[dict[str, Any]] = []
    seconds = itertools.count(1)
    monkeypatch.setattr(fallback, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))

    async def ask(message: dict[str, Any]) -> dict[str, Any]:
        if message["op"] == "deadman_test_end":
            told.append(message)
            return {"ok": True}
        return {"status": {"units": {"a": _unit(measured, None)}}}

    person = {"user": "eva", "role": "engineer", "reason": "test"}
    asyncio.run(judge(ask, "a", Silence(_unit(3.0, 0.5, withheld=False)), person, pause=0.0))
    (end,) = told
    said = "aborted" if end["evidence"].get("aborted") else end["result"]
    assert (said, end["unit"], end["user"]) == (result, "a", "eva")


def test_the_grid_functions_are_changed_and_tested(tmp_path: Path) -> None:
    async def play() -> None:
        (tmp_path / "grid.yaml").write_text(GRID)
        async with _running(
            tmp_path, "registry/huawei_sun2000.json", GRID_FILE=str(tmp_path / "grid.yaml")
        ) as (_, gateway, plant):
            await parameters(gateway, plant)
            await signals(gateway, plant)

    asyncio.run(play())


async def parameters(gateway: GatewayProcess, plant: Plant) -> None:
    def body(name: str, value: Any, **more: Any) -> dict[str, Any]:
        return {"changes": {name: value}, **WHY, **more}

    path = "/grid/parameters"
    assert (await plant.do("ana", "POST", path, body("frequency.droop", 4.0))).status == 403
    unknown = await plant.do("eva", "POST", path, body("frequency.drop", 4.0))
    assert (unknown.status, unknown.json["errors"][0]["field"]) == (422, "changes.frequency.drop")
    bare = await plant.do("eva", "POST", path, body("frequency.droop", 4.0))
    assert (bare.status, [error["field"] for error in bare.json["errors"]]) == (409, ["authorisation"]), (
        bare.body
    )
    far = await plant.do("eva", "POST", path, body("frequency.droop", 400.0, authorisation="CEN 1"))
    assert (far.status, [error["field"] for error in far.json["errors"]]) == (409, ["frequency.droop"]), (
        far.body
    )
    before = (await plant.do("vic", "GET", "/grid")).json["parameters"]["frequency.droop"]["value"]
    assert before == 5
    done = await plant.do("eva", "POST", path, body("frequency.droop", 4.0, authorisation="CEN 1"))
    assert (done.status, done.json["old"], done.json["value"]) == (200, 5, 4.0), done.body
    command = await plant.do("eva", "POST", path, body("frequency.enabled", False, authorisation="CEN 1"))
    assert (command.status, command.json["errors"][0]["field"]) == (422, "authorisation")
    assert (await plant.do("eva", "POST", path, body("frequency.enabled", True))).status == 200
    shown = (await plant.do("vic", "GET", "/grid")).json
    assert shown["parameters"]["frequency.droop"]["value"] == 4.0
    assert any(change.get("user") == "token:eva" for change in shown["changes"]), shown["changes"]


async def signals(gateway: GatewayProcess, plant: Plant) -> None:
    test = {"signal": "frequency", "change": -0.28, "seconds": 20, "authorisation": "CEN 2", **WHY}
    assert (await plant.do("ana", "POST", "/grid/test", test)).status == 403
    wrong = await plant.do("eva", "POST", "/grid/test", {**test, "change": -40.0})
    assert (wrong.status, [error["field"] for error in wrong.json["errors"]]) == (409, ["change"]), wrong.body
    begun = await plant.do("eva", "POST", "/grid/test", test)
    assert begun.status == 201, begun.body
    # the plant really answers: at least 0.1 Hz beyond the dead band, 4 % of 50 Hz is 10 kW
    await gateway.until(lambda s: (s["control"]["offset"] or 0) > 0.5 and power(s) > 0.5)
    twice = await plant.do("eva", "POST", "/grid/test", test)
    assert twice.status == 409
    ended = await plant.do("eva", "DELETE", "/grid/test")
    assert (ended.status, ended.json["was_running"]) == (200, True)
    await gateway.until(lambda s: abs(s["control"]["offset"] or 0) < 0.5)
    assert (await plant.do("eva", "DELETE", "/grid/test")).json["was_running"] is False
    found = await plant.audited()
    for action in ("grid_set", "grid_command", "grid_test", "grid_test_end"):
        assert {outcome for _, done, outcome in found if done == action} >= {"asked", "done"}, action
    assert ("token:eva", "grid_set", "refused") in found
