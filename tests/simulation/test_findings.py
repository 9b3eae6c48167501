"""What simulated days have found: the runs that showed it, which must stay whole."""

from __future__ import annotations

from simulation.tally import replay, run


def test_a_command_does_not_outlive_the_evidence_it_was_decided_on() -> None:
    """The device falls silent in a reading, a request comes, and the command waits behind the read.

    When the device answers again the evidence has been stale for more than two cycles and zero is decided, but the
    old power is written first, half a second before the zero.
    """
    result = run("huawei_sun2000", 836995695, 10_600.0)
    assert not result.broken, replay(result, "huawei_sun2000")
