"""What the control plane says reaches each reader in their own language, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.live import Live
from bessai.interfaces.api.problems import Problem, answer
from bessai.interfaces.api.spoken import decided, spoken
from bessai.interfaces.scada.feed import Columns, Frame

SAID = "cell_voltage_max is above 3.65 V: no power"
ES = "cell_voltage_max está sobre 3,65 V: sin potencia"
DECISION: dict[str, Any] = {
    "state": "hold",
    "source": "grid.frequency",
    "reason": "frequency 49.812 Hz",
    "reasons": [SAID],
    "requests": [
        {"source": "grid.frequency", "reason": "frequency 49.812 Hz"},
        {"source": "operator:ana", "reason": "frequency 49.812 Hz"},
    ],
    "trips": [{"code": "cell_voltage_high", "message": "the breaker is not closed"}],
}


def test_a_decision_in_spanish_leaves_what_people_wrote() -> None:
    told = decided(DECISION, "es")
    assert told["reasons"] == [ES]
    assert told["trips"][0]["message"] == "el interruptor no está cerrado"
    assert [one["reason"] for one in told["requests"]] == ["frecuencia 49,812 Hz", "frequency 49.812 Hz"]
    assert told["reason"] == "frecuencia 49,812 Hz"
    assert decided(DECISION, "en") == DECISION
    assert spoken(DECISION, "en") is DECISION


def test_a_refusal_of_the_control_plane_is_said_in_spanish() -> None:
    refusal = "no trip stands; nothing is tripped"
    for language, told in (("en", refusal), ("es", "no hay ningún disparo vigente; nada está disparado")):
        body = json.loads(bytes(answer(Problem(409, "refused", refusal), language).body))
        assert (body["code"], body["detail"]) == ("refused", told)


def _events(data: bytes) -> dict[str, Any]:
    blocks = [block.split("\n") for block in data.decode().strip().split("\n\n")]
    return {block[0].removeprefix("event: "): json.loads(block[1].removeprefix("data: ")) for block in blocks}


@pytest.mark.parametrize("order", [("en", "es"), ("es", "en")])
def test_one_stream_speaks_to_each_viewer_in_their_language(order: tuple[str, str]) -> None:
    nothing = np.array([], np.float64)
    frame = Frame(
        cycle=1, wall_ns=10**18, positions=None, values=nothing, quality=nothing.astype(np.uint8),
        ages=nothing.astype(np.float32), decision=DECISION, missed=0,
        events=[{"code": "x", "message": f"ended: {SAID}", "wall_ns": 10**18}],
    )  # fmt: skip

    async def run() -> dict[str, dict[str, Any]]:
        live = Live(Path("no.sock"), "site", cast("Gateway", None))
        viewers = {tongue: live.join("main", (), tongue) for tongue in order}
        live.started(Columns(names=(), units=(), period=1.0, part=np.array([], np.intp), alarms={}))
        live.frame(frame)
        live.lost("nobody answers")
        return {tongue: _events(await viewer.take(0)) for tongue, viewer in viewers.items()}

    told = asyncio.run(run())
    assert told["es"]["cycle"]["decision"]["reasons"] == [ES]
    assert told["es"]["cycle"]["events"][0]["message"] == f"terminó: {ES}"
    assert told["en"]["cycle"]["decision"]["reasons"] == [SAID]
    assert told["en"]["cycle"]["events"][0]["message"] == f"ended: {SAID}"
