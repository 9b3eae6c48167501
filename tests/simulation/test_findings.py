"""What simulated days have found: each seed stays, so that it is not found again."""

from __future__ import annotations

from simulation.tally import replay, run


def test_a_command_does_not_outlive_the_evidence_it_was_decided_on() -> None:
    """The device falls silent in a reading, a request comes, and the command waits behind the read.

    When the device answered again the evidence had been stale for more than two cycles and zero was decided, but the
    old power was written first, half a second before the zero.
    """
    result = run("huawei_sun2000", 836995695, 10_600.0)
    assert not result.broken, replay(result, "huawei_sun2000")
