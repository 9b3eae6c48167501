"""Every step against a simulated gateway and device, well-behaved and not, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessai.commissioning import (
    STEPS,
    Device,
    Plan,
    Sample,
    Session,
    StepResult,
    Unattended,
    Verdict,
    sample_of,
)
from bessai.commissioning.procedure import pinned
from bessai.commissioning.results import overall
from support.fake_gateway import FakeGateway, FakePace, Misbehaviour

BY_KEY = {step.key: step for step in STEPS}
DEVICE = Device(
    unit="",
    rated=10.0,
    tolerance_share=0.1,
    response_time=10.0,
    dead_man_kind="duration",
    dead_man_time=20.0,
    fallback="its own settings",
)
PLAN = Plan(device=DEVICE, power=2.0, full_power=True, user="eva", reason="test")


class Person(Unattended):
    """Answers the same to everything and remembers the questions."""

    def __init__(self, answer: bool | None) -> None:
        super().__init__("eva")
        self.answer = answer
        self.questions: list[str] = []

    def agree(self, question: str) -> bool | None:
        self.questions.append(question)
        return self.answer

    def tell(self, phase: str, sample: Sample) -> None:
        assert phase


def session(gateway: FakeGateway, plan: Plan = PLAN, answer: bool | None = None) -> Session:
    return Session(gateway.answer, FakePace(gateway), Person(answer), plan)


def run(key: str, gateway: FakeGateway, plan: Plan = PLAN, answer: bool | None = None) -> StepResult:
    return session(gateway, plan, answer).run(BY_KEY[key])


def checks(result: StepResult) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in result.checks}


def sent(gateway: FakeGateway, op: str) -> list[dict[str, Any]]:
    return [message for message in gateway.messages if message["op"] == op]


def at_rest(gateway: FakeGateway) -> bool:
    """Nobody asks for power any more, and after a lease the device is at zero."""
    gateway.advance(10.0)
    return abs(gateway.measured) < 0.1 and gateway.setpoint == 0


@pytest.mark.parametrize("narrow", [False, True])
def test_a_good_plant_passes_everything(narrow: bool) -> None:
    gateway = FakeGateway(narrow=narrow)
    done = session(gateway)
    results = done.run_all(STEPS)
    assert [(r.key, r.verdict) for r in results] == [(s.key, Verdict.PASSED) for s in STEPS], [
        (r.key, r.why) for r in results
    ]
    assert overall(results) is Verdict.PASSED
    done.finish()
    assert at_rest(gateway)
    (end,) = sent(gateway, "deadman_test_end")
    assert end["result"] == "passed"
    assert (end["user"], end["role"], end["reason"]) == ("eva", "engineer", "test")
    assert end["evidence"]["fell_back_after"] == pytest.approx(20, abs=3)
    assert end["evidence"]["setpoint"] == 2.0


def test_every_lease_is_short_and_says_who_and_why() -> None:
    gateway = FakeGateway()
    session(gateway).run_all(STEPS)
    requests = sent(gateway, "request")
    assert {r["for"] for r in requests} == {5.0}
    assert {r["source"] for r in requests} == {"commissioning", "commissioning_bounds"}
    assert {r["reason"] for r in requests} == {"test"}
    assert {r["priority"] for r in requests if r["source"] == "commissioning"} == {"operator"}


@pytest.mark.parametrize(
    ("step", "wrong", "verdict", "said"),
    [
        ("sign", Misbehaviour(), Verdict.PASSED, ""),
        ("sign", Misbehaviour(sign=-1.0), Verdict.FAILED, "wrong sign: asked to charge"),
        ("sign", Misbehaviour(sign=4.0), Verdict.FAILED, "far too much power"),
        ("sign", Misbehaviour(sign=0.0), Verdict.FAILED, "the measured power is"),
        ("sign", Misbehaviour(alarm_when="power"), Verdict.FAILED, "alarm cell_too_hot"),
        ("sign", Misbehaviour(dies_when="power"), Verdict.FAILED, "has not answered"),
        ("points", Misbehaviour(offset=1.5), Verdict.FAILED, "commanded to zero"),
        ("limits", Misbehaviour(unclipped=True), Verdict.FAILED, "asked for"),
        ("limits", Misbehaviour(keeps_lease=True), Verdict.FAILED, "still had power"),
        ("response", Misbehaviour(), Verdict.PASSED, ""),
        ("response", Misbehaviour(slow=30.0), Verdict.FAILED, "after the setpoint was"),
        ("response", Misbehaviour(sign=1.7), Verdict.FAILED, "the measured power is"),
        ("deadman", Misbehaviour(), Verdict.PASSED, ""),
        ("deadman", Misbehaviour(never_falls=True), Verdict.FAILED, "it did not fall back"),
        ("deadman", Misbehaviour(falls_after=40.0), Verdict.FAILED, "it did not fall back"),
        ("deadman", Misbehaviour(falls_after=6.0), Verdict.PASSED, ""),
        ("deadman", Misbehaviour(fallback=-4.0), Verdict.FAILED, "nobody confirmed it"),
        ("deadman", Misbehaviour(keeps_feeding=True), Verdict.FAILED, "in the middle of the silence"),
        ("deadman", Misbehaviour(fed_by_another=True), Verdict.FAILED, "somebody else feeds it"),
        ("deadman", Misbehaviour(alarm_when="withheld"), Verdict.FAILED, "alarm cell_too_hot"),
        ("deadman", Misbehaviour(dies_when="withheld"), Verdict.FAILED, "has not answered"),
        ("deadman", Misbehaviour(no_rearm=True), Verdict.FAILED, "after the test"),
    ],
)
def test_what_each_step_finds(step: str, wrong: Misbehaviour, verdict: Verdict, said: str) -> None:
    gateway = FakeGateway(wrong=wrong)
    result = run(step, gateway)
    assert result.verdict is verdict, result.checks
    assert said in result.why
    assert result.rows, "evidence is kept whatever the result"
    stays = wrong.keeps_lease or wrong.never_falls or wrong.no_rearm or wrong.slow
    if not gateway.dead and not stays:
        assert at_rest(gateway)


@pytest.mark.parametrize("wrong", [Misbehaviour(alarm_when="withheld"), Misbehaviour(never_falls=True)])
def test_a_failed_dead_man_test_is_ended_and_told(wrong: Misbehaviour) -> None:
    gateway = FakeGateway(wrong=wrong)
    run("deadman", gateway)
    (end,) = sent(gateway, "deadman_test_end")
    assert end["result"] == "failed"
    assert not gateway.withheld
    assert gateway.answer({"op": "status"})["status"]["units"][""]["dead_man"]["tested"]["passed"] is False  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "verdict"), [(True, Verdict.PASSED), (False, Verdict.FAILED), (None, Verdict.FAILED)]
)
def test_a_fallback_that_is_not_zero_needs_a_person(answer: bool | None, verdict: Verdict) -> None:
    gateway = FakeGateway(wrong=Misbehaviour(fallback=-3.0))
    result = run("deadman", gateway, answer=answer)
    assert result.verdict is verdict
    assert sent(gateway, "deadman_test_end")[0]["result"] == verdict.value


@pytest.mark.parametrize(
    ("period", "wait", "sign", "verdict"),
    [
        (1.0, 75.0, 1.0, Verdict.PASSED),
        (60.0, 75.0, 1.0, Verdict.PASSED),
        (60.0, 0.0, 1.0, Verdict.NOT_POSSIBLE),
        (1.0, 0.0, 1.0, Verdict.PASSED),
        (1.0, 75.0, -1.0, Verdict.FAILED),
        (60.0, 75.0, -1.0, Verdict.FAILED),
        (1.0, 75.0, 0.1, Verdict.NOTED),
    ],
)
def test_the_meter_is_a_second_witness(period: float, wait: float, sign: float, verdict: Verdict) -> None:
    gateway = FakeGateway(meter_period=period, wrong=Misbehaviour(meter_sign=sign))
    result = run("sign", gateway, replace(PLAN, wait=wait))
    found = checks(result)
    assert found["the meter sees the charge"] is found["the meter sees the discharge"] is verdict


def test_an_early_fallback_is_noted() -> None:
    result = run("deadman", FakeGateway(wrong=Misbehaviour(falls_after=6.0)))
    assert checks(result)["not much too early"] is Verdict.NOTED


def test_a_device_that_did_not_fall_back_is_seen_to_obey_again() -> None:
    result = run("deadman", FakeGateway(wrong=Misbehaviour(never_falls=True)))
    assert checks(result)["the gateway brings it to zero after the failed test"] is Verdict.PASSED
    last = result.rows[-1].measured
    assert last is not None
    assert abs(last) <= DEVICE.tolerance


def test_a_device_without_a_shown_timer() -> None:
    result = run("deadman", FakeGateway(shows_remaining=False))
    assert result.verdict is Verdict.PASSED
    assert checks(result)["the device's own timer runs down"] is Verdict.NOT_POSSIBLE


@pytest.mark.parametrize("when", ["power", "withheld"])
def test_ctrl_c_takes_everything_back(when: str) -> None:
    gateway = FakeGateway()
    done = session(gateway)
    pace = done._pace
    assert isinstance(pace, FakePace)
    pace.interrupt_when = when
    results = done.run_all([BY_KEY["deadman"], BY_KEY["response"]])
    done.finish()
    assert [r.verdict for r in results] == [Verdict.FAILED, Verdict.SKIPPED]
    assert "ended by the engineer" in results[0].why
    assert not gateway.withheld
    ends = sent(gateway, "deadman_test_end")
    assert [(e["result"], e["evidence"]) for e in ends] == (
        [("failed", {"aborted": True})] if when == "withheld" else []
    )
    assert gateway._leases == {}
    assert at_rest(gateway)


def test_a_wizard_that_is_killed_leaves_no_power() -> None:
    gateway = FakeGateway()
    done = session(gateway)
    done._lease((pinned(2.0),))
    gateway.advance(3.0)
    assert gateway.measured > 1.5
    gateway.advance(10.0)
    assert abs(gateway.measured) < 0.1


def test_no_power_moves_after_a_wrong_sign() -> None:
    gateway = FakeGateway(wrong=Misbehaviour(sign=-1.0))
    results = session(gateway).run_all(STEPS)
    assert [r.verdict for r in results] == [
        Verdict.PASSED,
        Verdict.FAILED,
        *[Verdict.NOT_POSSIBLE] * 3,
    ]
    assert max(map(abs, gateway.measured_log)) < 2.0, "it was stopped on the way"


def test_a_charge_only_plant_is_told_honestly() -> None:
    gateway = FakeGateway(high=0.0, soc=4.0, limit="soc_low")
    results = {r.key: r for r in session(gateway).run_all(STEPS)}
    assert checks(results["sign"])["a small discharge"] is Verdict.NOT_POSSIBLE
    assert checks(results["limits"])["lower edge of the state of charge"] is Verdict.PASSED
    assert checks(results["limits"])["upper edge of the state of charge"] is Verdict.NOT_POSSIBLE
    assert results["deadman"].verdict is Verdict.PASSED
    assert results["sign"].verdict is results["response"].verdict is Verdict.INCOMPLETE
    assert results["sign"].why == "no discharge"
    assert overall(results.values()) is Verdict.INCOMPLETE


@pytest.mark.parametrize("state", ["hold", "tripped", "maintenance", "monitor"])
def test_a_gateway_that_grants_nothing(state: str) -> None:
    for key in ("sign", "limits", "deadman", "response"):
        result = run(key, FakeGateway(state=state))
        assert result.verdict is Verdict.NOT_POSSIBLE
        assert state in result.why


def test_full_power_only_when_somebody_agreed() -> None:
    careful = Plan(device=DEVICE, power=2.0, user="eva", reason="test")
    for answer, most in ((None, 2.1), (False, 2.1), (True, 10.1)):
        gateway = FakeGateway()
        result = run("limits", gateway, careful, answer)
        found = checks(result)["the plant's discharge limit"]
        assert found is (Verdict.PASSED if answer else Verdict.NOT_POSSIBLE)
        assert max(map(abs, gateway.measured_log)) < most


def test_a_skipped_step_names_who_skipped_it() -> None:
    results = session(FakeGateway()).run_all(STEPS, skip=["deadman"])
    skipped = next(r for r in results if r.key == "deadman")
    assert (skipped.verdict, skipped.by, skipped.why) == (Verdict.SKIPPED, "eva", "test")
    assert overall(results) is Verdict.INCOMPLETE


def test_values_nobody_looked_at_are_not_called_confirmed() -> None:
    for answer, verdict in ((True, Verdict.PASSED), (False, Verdict.FAILED), (None, Verdict.NOTED)):
        result = run("points", FakeGateway(), answer=answer)
        assert checks(result)["display: soc"] is verdict


def test_somebody_else_with_more_say() -> None:
    gateway = FakeGateway()
    gateway.answer(
        {"op": "request", "source": "dso", "priority": "grid_operator", "low": -1.0, "high": 0.5, "for": 600}
    )
    result = run("sign", gateway)
    assert result.verdict is Verdict.NOT_POSSIBLE
    assert "-2.00 kW asked for" in result.why


def test_a_unit_that_is_unknown() -> None:
    status = FakeGateway().answer({"op": "status"})
    assert status is not None
    with pytest.raises(KeyError):
        sample_of(status["status"], "other", "battery_power", 0.0, 0)
