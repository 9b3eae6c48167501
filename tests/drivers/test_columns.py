"""What a driver believes of its device: the counter that shows it alive, and spikes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bessai.drivers.columns import Columns, Pace
from bessai.model import Quality
from support.profiles import compiled

POINTS = {
    "soc": {
        "address": 0,
        "type": "u16",
        "gain": 0.1,
        "unit": "%",
        "poll": "fast",
        "valid": [0, 100],
        "rate_max": 1.0,
    },
    "beat": {"address": 1, "type": "u16", "poll": "fast", "sentinel": 65535},
}


class _Device:
    def __init__(self, tmp_path: Path) -> None:
        self.profile = compiled(tmp_path, POINTS, alive={"point": "beat", "within": 5})
        self.columns = Columns(self.profile, Pace(stale_fast=1e9))

    def reads(self, now: float, soc: float, beat: int | None) -> Quality:
        """One reading; `beat` None: the device refuses the counter's address. Returns the quality of `soc`."""
        plan = self.profile.plans["fast"]
        if beat is None:
            self.columns.absent(self.profile.layout.index["beat"], now)
        raw = np.array([soc * 10, math.nan if beat is None else beat])
        self.columns.store(plan, raw, now, np.array([True, beat is not None]))
        return Quality(int(self.columns.frozen(now)[1][self.profile.layout.index["soc"]]))


def test_a_counter_that_stands_still_freezes_the_device(tmp_path: Path) -> None:
    device = _Device(tmp_path)
    assert device.reads(100, 50, 7) is Quality.GOOD
    assert device.reads(104, 50, 8) is Quality.GOOD
    assert device.reads(109, 50, 8) is Quality.GOOD
    assert device.reads(109.5, 50, 8) is Quality.FROZEN
    assert device.reads(110, 50, 0) is Quality.GOOD, "after its restart the device counts from 0"


@pytest.mark.parametrize("lost", [None, 65535])
def test_a_counter_that_is_lost_counts_as_standing_still(tmp_path: Path, lost: int | None) -> None:
    device = _Device(tmp_path)
    device.reads(100, 50, 7)
    assert device.reads(104, 50, lost) is Quality.GOOD
    assert device.reads(106, 50, lost) is Quality.FROZEN
    assert device.reads(107, 50, 9) is Quality.GOOD


@pytest.mark.parametrize("lost", [None, 65535])
def test_a_counter_that_never_came_counts_as_standing_still(tmp_path: Path, lost: int | None) -> None:
    device = _Device(tmp_path)
    assert device.reads(100, 50, lost) is Quality.GOOD
    assert device.reads(106, 50, lost) is Quality.FROZEN


def test_a_wrong_first_value_is_corrected_by_the_second_true_one(tmp_path: Path) -> None:
    device = _Device(tmp_path)
    assert device.reads(100, 3, 1) is Quality.GOOD
    assert device.reads(101, 50, 2) is Quality.IMPLAUSIBLE
    assert device.reads(102, 50, 3) is Quality.GOOD


def test_values_that_jump_at_every_reading_are_believed_in_the_end(tmp_path: Path) -> None:
    device = _Device(tmp_path)
    device.reads(100, 50, 1)
    qualities = [device.reads(100 + n, 50 + 10 * (n % 2), n) for n in range(1, 21)]
    assert qualities[0] is Quality.IMPLAUSIBLE
    assert Quality.GOOD in qualities[2:], "nothing stays implausible for ever"
