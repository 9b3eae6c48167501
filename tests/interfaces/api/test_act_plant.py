"""Acting through the API on a real gateway and twin: asked, foretold, done, refused, recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bessai.registry import load_profile
from bessai.twin import TwinServer
from support.api_plant import WHY, Plant
from support.gateway import GatewayProcess, power

BAD: list[tuple[str, str, Any, str]] = [
    ("/requests", "POST", {"power": "x", "for": 60}, "power"),
    ("/requests", "POST", {"power": 1, "for": 0}, "for"),
    ("/requests", "POST", {"power": 1, "for": 3601}, "for"),
    ("/requests", "POST", {"power": 1, "for": 60, "colour": 1}, "colour"),
    ("/requests", "POST", {"power": 1, "for": 60, "reason": "no"}, "reason"),
    ("/requests", "POST", {"power": 1, "for": 60, "reason": "a\nbcd"}, "reason"),
    ("/requests", "POST", {"for": 60}, "body"),
    ("/requests", "POST", {"low": 2, "high": 1, "for": 60}, "body"),
    ("/operations/maintenance", "POST", {"on": "yes"}, "on"),
    ("/alarms/soc_low/shelve", "POST", {"for": 50_000}, "for"),
]


def test_people_act_on_the_plant(tmp_path: Path) -> None:
    async def play() -> None:
        async with TwinServer(load_profile("huawei_sun2000"), seed=3) as twin:
            with GatewayProcess(tmp_path / "data", INVERTER_PORT=str(twin.port)) as gateway:
                await gateway.until(lambda s: s["control"]["state"] == "normal")
                plant = Plant(tmp_path / "data")
                await plant.people()
                await requests(plant, gateway)
                await refusals(plant, gateway)
                await operations(plant, gateway)
                await without_a_log(plant, gateway)
                plant.audit.close()
                plant.identity.close()

    asyncio.run(play())


async def requests(plant: Plant, gateway: GatewayProcess) -> None:
    asked = {"power": 2.0, "for": 600, **WHY}
    foretold = await plant.do("ana", "POST", "/requests/preview", asked)
    assert (foretold.status, foretold.json["setpoint"], foretold.json["clipped"]) == (200, 2.0, False)
    assert (await plant.do("ana", "GET", "/requests")).json == {"requests": []}  # nothing was asked for
    made = await plant.do("ana", "POST", "/requests", asked, idempotency_key="k1")
    source = made.json["source"]
    assert (made.status, source) == (201, "operator:token:ana"), made.body
    again = await plant.do("ana", "POST", "/requests", asked, idempotency_key="k1")
    assert again.json == made.json
    other = await plant.do("ana", "POST", "/requests", {**asked, "power": 3}, idempotency_key="k1")
    assert (other.status, other.json["code"]) == (422, "idempotency_key_used")
    status = await gateway.until(lambda s: abs(power(s) - 2.0) < 0.1)
    assert (status["control"]["source"], status["control"]["reason"]) == (source, WHY["reason"])
    mine, theirs = [(await plant.do(w, "GET", "/requests")).json["requests"][0] for w in ("ana", "ben")]
    assert (mine["mine"], theirs["mine"]) == (True, False)

    foretold = await plant.do("ana", "POST", "/requests", {"power": 900, "for": 600, **WHY})
    preview = foretold.json["preview"]
    assert preview["clipped"]
    assert all(set(limit["text"]) == {"en", "es"} for limit in preview["limited_by"])
    status = await gateway.until(lambda s: s["control"]["asked"] == 900)
    assert status["control"]["target"] == preview["setpoint"]
    assert status["control"]["limited_by"] == [limit["name"] for limit in preview["limited_by"]]

    path = f"/requests/{source}"
    assert (await plant.do("ben", "DELETE", path)).json["code"] == "not_yours"
    assert (await plant.do("ben", "PUT", path, {"for": 60})).json["code"] == "not_yours"
    taken = await plant.do("ben", "POST", "/requests", {**asked, "source": source})
    assert taken.json["code"] == "not_yours"
    assert (await plant.do("ana", "PUT", path, {"for": 1800})).status == 200
    await gateway.until(lambda s: s["control"]["requests"][0]["seconds_left"] > 700)
    assert (await plant.do("eva", "DELETE", path)).status == 204  # an engineer may
    await gateway.until(lambda s: s["control"]["setpoint"] == 0 and s["control"]["source"] is None)
    assert (await plant.do("ana", "DELETE", path)).json["code"] == "no_such_request"
    assert (await plant.do("ana", "PUT", path, {"for": 60})).status == 404
    assert (await plant.do("ana", "POST", "/requests", {"power": 1, "for": 1, **WHY})).status == 201
    await gateway.until(lambda s: not s["control"]["requests"])  # the lease is over


async def refusals(plant: Plant, gateway: GatewayProcess) -> None:
    before = await plant.audited()
    for path, method, body, field in BAD:
        answer = await plant.do("ana", method, path, {**WHY, **body})
        found = [error["field"] for error in answer.json["errors"]]
        assert (answer.status, found) == (422, [field]), answer.body
    good = {"power": 1, "for": 60, **WHY}
    assert (await plant.do("vic", "POST", "/requests", good)).json["code"] == "role_too_low"
    assert (await plant.do("ana", "POST", "/requests", {**good, "priority": "schedule"})).status == 403
    assert (await plant.do("ana", "POST", "/operations/reset", {"code": "x", **WHY})).status == 403
    assert (
        await plant.do("ana", "POST", "/grid/test", {"signal": "frequency", "change": 1, **WHY})
    ).status == 403
    assert await plant.audited() == before
    answer = await plant.do("eva", "POST", "/grid/parameters", {"changes": {"frequency.droop": 4}, **WHY})
    assert (answer.status, answer.json["code"]) == (404, "no_grid_functions")
    answer = await plant.do("ana", "POST", "/alarms/nothing/acknowledge", WHY)
    assert (answer.status, answer.json["errors"][0]["field"]) == (409, "code")
    answer = await plant.do("eva", "POST", "/operations/reset", {"code": "nothing", **WHY})
    assert answer.status == 409
    assert gateway.status()["control"]["requests"] == []


async def operations(plant: Plant, gateway: GatewayProcess) -> None:
    assert (await plant.do("ana", "POST", "/operations/maintenance", {"on": True, **WHY})).status == 204
    status = await gateway.until(lambda s: s["control"]["state"] == "maintenance")
    assert status["maintenance"]["user"] == "token:ana"
    foretold = (await plant.do("ana", "POST", "/requests/preview", {"power": 1, "for": 60, **WHY})).json
    assert (foretold["setpoint"], [one["name"] for one in foretold["limited_by"]]) == (0.0, ["maintenance"])
    assert (await plant.do("ana", "POST", "/alarms/maintenance_on/acknowledge", WHY)).status == 204
    again = await plant.do("ana", "POST", "/alarms/maintenance_on/acknowledge", WHY)
    assert (again.status, "token:ana" in again.json["detail"]) == (409, True)
    assert (await plant.do("ana", "POST", "/alarms/maintenance_on/shelve", {"for": 60, **WHY})).status == 204
    assert (await plant.do("ana", "POST", "/alarms/maintenance_on/unshelve", WHY)).status == 204
    assert (await plant.do("eva", "POST", "/operations/maintenance", {"on": False, **WHY})).status == 204
    await gateway.until(lambda s: s["control"]["state"] == "normal")
    found = await plant.audited()
    for action in ("request", "request_cancel", "maintenance", "alarm_ack", "alarm_shelve"):
        assert {outcome for _, done, outcome in found if done == action} >= {"asked", "done"}
    assert ("token:ana", "alarm_ack", "refused") in found


async def without_a_log(plant: Plant, gateway: GatewayProcess) -> None:
    class Full:
        async def note(self, **_: Any) -> None:
            raise OSError(28, "No space left on device")

    assert (await plant.do("ana", "POST", "/requests", {"power": 1, "for": 60, **WHY})).status == 201
    plant.context.audit = Full()  # type: ignore[assignment]
    answer = await plant.do("ana", "POST", "/requests", {"power": 2, "for": 60, **WHY})
    assert (answer.status, answer.json["code"]) == (503, "audit_unavailable")
    answer = await plant.do("eva", "POST", "/operations/maintenance", {"on": False, **WHY})
    assert answer.status == 503
    assert gateway.status()["control"]["asked"] != 2
    other = {"power": 0, "for": 60, "source": "operator:token:ana", **WHY}  # may take somebody's bounds away
    assert (await plant.do("eva", "POST", "/requests", other)).status == 503
    assert (await plant.do("eva", "DELETE", "/requests/operator:token:ana")).status == 503
    assert (await plant.do("ana", "POST", "/requests", {"power": 0, "for": 60, **WHY})).status == 201
    assert (await plant.do("ana", "DELETE", "/requests/operator:token:ana")).status == 204
    assert (await plant.do("ana", "POST", "/operations/maintenance", {"on": True, **WHY})).status == 204
    await gateway.until(lambda s: s["control"]["state"] == "maintenance")
