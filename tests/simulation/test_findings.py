"""What simulated days have found: each seed stays, so that it is not found again."""

from __future__ import annotations

import pytest

from simulation.tally import replay, run


@pytest.mark.soak
def test_a_command_does_not_outlive_the_evidence_it_was_decided_on() -> None:
    """The device falls silent in a reading, a request comes, and the command waits behind the read.

    When the device answered again the evidence had been stale for more than two cycles and zero was decided, but the
    old power was written first, half a second before the zero.
    """
    result = run("huawei_sun2000", 836995695, 10_600.0)
    assert not result.broken, replay(result, "huawei_sun2000")


def test_a_feed_does_not_outlive_its_cycle() -> None:
    """A feed waited two seconds behind a silent device, and would have kept it alive on evidence that was gone."""
    result = run("huawei_sun2000", 20261126, 2_500.0)
    assert not result.broken, replay(result, "huawei_sun2000")
