from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bessai.journal import columns
from bessai.journal.columns import MOST_CELLS, Source
from bessai.journal.errors import DamagedRecordError

ODD_BITS = np.array([0x7FF0000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
ODD = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1.7976931348623157e308, 2.0**53, -(2.0**53), *ODD_BITS]
)


def through(table: NDArray[np.float64], kind: str = "test", *, thorough: bool = False) -> NDArray[np.float64]:
    out: list[bytes] = []
    columns.put_doubles(out, table, kind, thorough=thorough)
    source = Source(b"".join(out))
    again = columns.get_doubles(source, *table.shape)
    source.end()
    return again


def one_series(random: np.random.Generator, rows: int) -> NDArray[np.float64]:
    registers = random.integers(-(2**16), 2**16, rows)
    kinds = (
        registers * 0.1,
        registers / 100,
        registers * 0.1 + registers[::-1] * 0.01,
        registers.astype(np.float32) / np.float32(3) * 0.001,
        random.normal(size=rows).astype(np.float32).astype(np.float64),
        random.integers(-(2**54), 2**54, rows).astype(np.float64),
        random.integers(-(2**63), 2**63 - 1, rows).view(np.float64),
        random.choice(ODD, rows),
    )
    series = kinds[random.integers(len(kinds))].astype(np.float64)
    if random.random() < 0.3:
        series = np.where(random.random(rows) < 0.3, random.choice(ODD, rows), series)
    return series


def test_every_double_comes_back_bit_by_bit_whatever_was_guessed() -> None:
    """Tables of one width follow each other, so that most of their scales are guessed wrongly first."""
    random = np.random.default_rng(8)
    for _ in range(400):
        rows, width = random.integers(1, 8, 2).tolist()
        table = np.stack([one_series(random, rows) for _ in range(width)], axis=1)
        assert through(table, thorough=random.random() < 0.2).tobytes() == table.tobytes()


def test_integers_of_every_size_come_back() -> None:
    random = np.random.default_rng(9)
    for rows in (1, 2, 3, 50):
        table = random.integers(-(2**63), 2**63 - 1, (rows, 64)) >> np.arange(64)
        out: list[bytes] = []
        columns.put(out, table)
        assert columns.get(Source(b"".join(out)), rows, 64).tolist() == table.tolist()


@pytest.mark.parametrize(
    ("name", "octets"), [("register", 2), ("sum", 3), ("single", 3), ("single_in_kilo", 3), ("constant", 1)]
)
def test_what_devices_deliver_needs_few_bytes(name: str, octets: int) -> None:
    """Upper bounds before deflate, for a column of 200 rows."""
    random = np.random.default_rng(10)
    walk = np.cumsum(random.integers(-40, 41, 200)) + 20_000
    single = (230 + walk * 1e-5).astype(np.float32).astype(np.float64)
    table = {
        "register": walk * 0.1,
        "sum": walk * 0.1 + walk[::-1] * 0.01,
        "single": single,
        "single_in_kilo": single * 0.001,
        "constant": np.full(200, np.nan),
    }[name].reshape(-1, 1)
    out: list[bytes] = []
    columns.put_doubles(out, table, name, thorough=True)
    assert len(b"".join(out)) <= octets * 200 + 20


def test_a_table_that_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="too many"):
        columns.put([], np.broadcast_to(np.int64(0), (2, MOST_CELLS)))
    with pytest.raises(DamagedRecordError, match="too many"):
        columns.get(Source(b""), 2, MOST_CELLS)


def test_an_unknown_scale_is_damage() -> None:
    with pytest.raises(DamagedRecordError, match="unknown scale"):
        columns.unscaled(np.zeros((1, 1), np.int64), np.array([200], np.uint8))
