from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.history.cells import NAMES, Cells, Floats, Ints, mean, samples, squash
from bessai.history.codec import pack, unpack
from bessai.history.errors import DamagedChunkError, HistoryError
from bessai.history.levels import LEVELS, SLOT

_VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: n * 0.1),
    st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 2.0**53 + 2, -0.0]),
)


def table(values: list[float], seed: int, level: int) -> tuple[Ints, Cells]:
    chance = np.random.default_rng(seed)
    wall = np.cumsum(chance.integers(0, LEVELS[level].step, len(values))) + int(
        chance.integers(-(10**18), 10**18)
    )
    quality = chance.choice([0, 0, 0, 2], len(values)).astype(np.uint8)
    with np.errstate(over="ignore"):
        return squash(wall // LEVELS[level].step, samples(np.array(values), quality, wall))


@settings(max_examples=150, deadline=None)
@given(
    first=st.lists(_VALUES, min_size=1, max_size=60),
    seed=st.integers(0, 2**32),
    level=st.integers(0, len(LEVELS) - 1),
)
def test_what_is_packed_comes_back(first: list[float], seed: int, level: int) -> None:
    keys, cells = table(first, seed, level)
    _, other = table(first[::-1], seed, level)
    found_level, found_keys, found = unpack(pack(keys, level, {7: cells, 900: other}))
    assert found_level == level
    np.testing.assert_array_equal(found_keys, keys)
    for point, was in ((7, cells), (900, other)):
        for name in set(NAMES) - {"total"}:
            np.testing.assert_array_equal(getattr(found[point], name), getattr(was, name), name)
        span = np.where(was.good > 0, was.high / 2 - was.low / 2, 0)
        error = np.where(was.good > 0, np.abs(mean(found[point]) / 2 - mean(was) / 2), 0)
        assert np.all(error <= 1e-6 * span + 1e-12 * np.abs(np.nan_to_num(was.high)))
    assert list(unpack(pack(keys, level, {7: cells, 900: other}), frozenset((900,)))[2]) == [900]


def test_readings_of_registers_take_few_bytes() -> None:
    """A day of 10 s buckets of something that moves by tenths: 6 bytes a bucket, where five doubles are 40."""
    chance = np.random.default_rng(1)
    values: Floats = np.cumsum(chance.integers(-3, 4, 86400)).astype(np.float64) * 0.1
    wall = np.arange(86400) * (SLOT // 10)
    keys, cells = squash(wall // SLOT, samples(values, np.zeros(86400, np.uint8), wall))
    assert len(pack(keys, 0, {1: cells})) < 6.5 * len(keys)
    still = samples(np.full(86400, 12.5), np.zeros(86400, np.uint8), wall)
    keys, cells = squash(wall // SLOT, still)
    assert len(pack(keys, 0, {1: cells})) < 200


def test_damage_of_any_byte_is_damage_or_harmless() -> None:
    keys, cells = table([0.1, 0.7, 55.5, 3.25] * 8, 3, 0)
    body = pack(keys, 0, {1: cells, 2: cells})
    inner = zlib.decompress(body[1:])
    for at in range(len(inner)):
        for value in (0, 127, 255):
            changed = inner[:at] + bytes([value]) + inner[at + 1 :]
            with np.errstate(all="ignore"):
                try:
                    unpack(body[:1] + zlib.compress(changed))
                except DamagedChunkError:
                    continue
    for at in range(len(body)):
        with pytest.raises(DamagedChunkError):
            unpack(body[:at])
    with pytest.raises(HistoryError, match="format 9"):
        unpack(b"\x09" + body[1:])
