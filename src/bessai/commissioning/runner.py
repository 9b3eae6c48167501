"""Runs steps against the gateway: samples in, leases and operations out, and everything taken back at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bessai.commissioning.engineer import Engineer
from bessai.commissioning.procedure import AbortedError, Findings, Plan, Wish, pinned
from bessai.commissioning.procedure import Ask as Lease
from bessai.commissioning.results import Mark, Row, StepResult, Verdict, verdict_of
from bessai.commissioning.samples import Sample, sample_of
from bessai.commissioning.steps import Step

Ask = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Sends one message to the gateway; None when it is not there."""

PERIOD = 0.5
"""Seconds between samples: two a cycle of a second."""
PATIENCE = 3.0
"""Seconds that the gateway may stay without an answer."""
_RENEW = 0.4
"""Share of a lease after which it is renewed."""


class Pace:
    """The real time; tests hand in another one."""

    def monotonic(self) -> float:
        """Seconds for every timer."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """UTC nanoseconds for people."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class Session:
    """One engineer at one unit.

    Args:
        ask: sends one message to the gateway.
        pace: time.
        engineer: answers questions.
        plan: what was agreed.
        run_id: correlation id of every request.
    """

    def __init__(self, ask: Ask, pace: Pace, engineer: Engineer, plan: Plan, run_id: str = "") -> None:
        self.interrupted = False
        """True once the engineer ended everything."""
        self.lost = False
        """True once the gateway was gone."""
        self._ask = ask
        self._pace = pace
        self._engineer = engineer
        self._plan = plan
        self._id = run_id
        self._leases: dict[str, tuple[Lease, float]] = {}
        self._undo: tuple[Mapping[str, Any], ...] = ()

    def run_all(
        self,
        steps: Sequence[Step],
        skip: Sequence[str] = (),
        done: Callable[[StepResult], None] = lambda _: None,
    ) -> list[StepResult]:
        """Every step in order; one whose needs are not met is not possible.

        A failed plausibility stands in the way only until a person says that it does not.
        """
        results: dict[str, StepResult] = {}
        for step in steps:
            try:
                result = self._in_turn(step, skip, results)
            except KeyboardInterrupt:  # while a person was asked
                self.interrupted = True
                result = self._skipped(step)
            results[step.key] = result
            done(result)
        return list(results.values())

    def _in_turn(self, step: Step, skip: Sequence[str], results: Mapping[str, StepResult]) -> StepResult:
        if self.interrupted or step.key in skip:
            return self._skipped(step)
        if self.lost:
            return self._not_possible(step, "the gateway is gone")
        fine = {Verdict.PASSED, Verdict.INCOMPLETE, Verdict.SKIPPED}
        unmet = [n for n in step.needs if n in results and results[n].verdict not in fine]
        unmet += [n for n in step.not_after if n in results and results[n].verdict is Verdict.FAILED]
        if unmet and not (unmet == ["points"] and self._goes_on()):
            why = "; ".join(f"{results[n].title}: {results[n].verdict.value}" for n in unmet)
            return self._not_possible(step, f"no power before this is in order: {why}")
        return self.run(step)

    def run(self, step: Step) -> StepResult:
        """One step with its evidence. Whatever happens, what it asked for is taken back."""
        found, rows = Findings(), list[Row]()
        began, started_ns = self._pace.monotonic(), self._pace.wall_ns()
        course = step.run(self._plan, found)
        why = ""
        try:
            wish = next(course)
            while True:
                sample = self._serve(wish)
                rows.append(_row(sample, began, wish.phase))
                self._engineer.tell(wish.phase, sample)
                wish = course.send(sample)
        except StopIteration:
            self._undo = ()
        except AbortedError as aborted:
            why = str(aborted)
            found.check("the step went to its end", aborted.verdict, why)
        except KeyboardInterrupt:
            self.interrupted = True
            why = "ended by the engineer"
            found.check("the step went to its end", False, why)
        finally:
            self._take_back()
        failed = next((c.text for c in found.checks if c.verdict is Verdict.FAILED), "")
        return StepResult(
            key=step.key,
            title=step.title,
            verdict=_verdict(found, ended=not why),
            why=why or failed or "; ".join(found.missing),
            started_ns=started_ns,
            ended_ns=self._pace.wall_ns(),
            checks=tuple(found.checks),
            rows=tuple(rows),
            marks=tuple(Mark(time=round(m.time - began, 3), text=m.text) for m in found.marks),
        )

    def finish(self) -> None:
        """Cancel every lease."""
        for source in list(self._leases):
            self._send({"op": "cancel", "source": source})
        self._leases.clear()

    def _goes_on(self) -> bool:
        question = "The plausibility of points did not pass. Move power all the same?"
        return bool(self._engineer.agree(question))

    def _skipped(self, step: Step) -> StepResult:
        why = "the engineer ended the commissioning" if self.interrupted else self._plan.reason
        return StepResult(
            key=step.key, title=step.title, verdict=Verdict.SKIPPED, why=why, by=self._plan.user
        )

    def _not_possible(self, step: Step, why: str) -> StepResult:
        return StepResult(key=step.key, title=step.title, verdict=Verdict.NOT_POSSIBLE, why=why)

    def _serve(self, wish: Wish) -> Sample:
        """Do what the step wishes, let a period pass, and read what became of it."""
        objections: list[str] = []
        self._undo = wish.undo  # before: whoever ends it now does not know whether it has begun
        for operation in wish.operations:
            objections += self._objection(dict(operation))
        self._undo = () if objections else wish.undo
        objections += self._lease(wish.asks)
        answer = self._engineer.agree(wish.question) if wish.question else None
        self._pace.sleep(PERIOD)
        return replace(self._sample(), objections=tuple(objections), answer=answer)

    def _lease(self, asks: tuple[Lease, ...]) -> list[str]:
        now, objections = self._pace.monotonic(), list[str]()
        wanted = {ask.source: ask for ask in asks}
        for source in [s for s in self._leases if s not in wanted]:
            del self._leases[source]
            self._send({"op": "cancel", "source": source})
        for source, ask in wanted.items():
            held = self._leases.get(source)
            if held is None or held[0] != ask or (ask.renew and now - held[1] >= _RENEW * ask.lease):
                objections += self._objection(self._request(ask))
                self._leases[source] = (ask, now)
        return objections

    def _request(self, ask: Lease) -> dict[str, Any]:
        message: dict[str, Any] = {
            "op": "request", "source": ask.source, "priority": ask.priority, "power": ask.power,
            "low": ask.low, "high": ask.high, "for": ask.lease, "reason": self._plan.reason[:128], "id": self._id,
        }  # fmt: skip
        return {key: value for key, value in message.items() if value is not None}

    def _objection(self, message: dict[str, Any]) -> list[str]:
        answer = self._send(message)
        if answer is not None and answer.get("ok"):
            return []
        return ["the gateway does not answer" if answer is None else str(answer.get("error"))]

    def _send(self, message: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return self._ask(message)
        except OSError:
            return None

    def _sample(self) -> Sample:
        """What the gateway tells now.

        Raises:
            AbortedError: it has not answered for a while.
        """
        asked = self._pace.monotonic()
        while True:
            answer = self._send({"op": "status"})
            now = self._pace.monotonic()
            if answer is not None and answer.get("ok"):
                device = self._plan.device
                try:
                    return sample_of(
                        answer["status"], device.unit, device.measured, now, self._pace.wall_ns()
                    )
                except (KeyError, TypeError, ValueError) as error:
                    raise AbortedError(f"the gateway's status is not understood: {error!r}") from None
            if now - asked > PATIENCE:
                self.lost = True
                raise AbortedError(f"the gateway has not answered for {now - asked:.1f} s")
            self._pace.sleep(PERIOD)

    def _take_back(self) -> None:
        """End what must be ended, then zero for one more lease, so that nothing else takes over at once."""
        while True:
            try:
                for operation in self._undo:
                    self._send(dict(operation))
                self._undo = ()
                if not self.lost:
                    self._lease((pinned(0.0),))
            except KeyboardInterrupt:  # an impatient person: this is what he wants done
                self.interrupted = True
            else:
                return


def _verdict(found: Findings, *, ended: bool) -> Verdict:
    """Of a step. One that did not go to its end has never passed."""
    verdict = verdict_of(found.checks)
    if verdict is not Verdict.PASSED:
        return verdict
    return Verdict.NOT_POSSIBLE if not ended else Verdict.INCOMPLETE if found.missing else verdict


def _row(sample: Sample, began: float, phase: str) -> Row:
    return Row(
        time=round(sample.time - began, 3),
        setpoint=sample.setpoint,
        measured=sample.measured,
        quality=sample.quality,
        remaining=sample.remaining,
        current=sample.good("battery_current"),
        soc=sample.good("soc"),
        phase=phase,
    )
