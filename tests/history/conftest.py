"""Journals full of plausible records, and what opens on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bessai.history import History, HistoryWriter, Keep
from bessai.journal import Journal, JournalReader
from bessai.model import CycleRecord, Layout, Quality
from support.records import DEVICE, LAYOUT, START_NS, make_record, wait_until

SECOND = 1_000_000_000
POINTS = Layout(("soc", "active_power", "frequency"), ("%", "kW", "Hz"))

Fill = Callable[[Sequence[CycleRecord]], None]


def course(count: int, spacing: float = 1.0, *, start_ns: int = START_NS, seed: int = 1) -> list[CycleRecord]:
    """Records of random walks; one value in twenty is no evidence."""
    chance = np.random.default_rng(seed)
    values = np.cumsum(chance.integers(-9, 10, (count, 3)), 0) * 0.1 + 50
    quality = np.where(chance.random((count, 3)) < 0.05, Quality.STALE, Quality.GOOD).astype(np.uint8)
    made = []
    for n in range(count):
        record = make_record(n, layout=POINTS, values=values[n], quality=quality[n])
        made.append(
            replace(record, image=replace(record.image, wall_ns=start_ns + int(n * spacing * SECOND)))
        )
    return made


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Puts records into the journal of `tmp_path`."""

    def fill_(records: Sequence[CycleRecord]) -> None:
        journal = Journal.open(tmp_path, layout=LAYOUT, device=DEVICE)
        for n, record in enumerate(records):
            journal.append(record)
            if n % 1000 == 999:
                wait_until(lambda: journal.stats().queued < 1000)
        assert journal.close(60)
        assert journal.stats().dropped_queue == 0

    return fill_


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[JournalReader]:
    reader = JournalReader(tmp_path)
    yield reader
    reader.close()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path)
    yield history
    history.close()


@pytest.fixture
def open_writer(tmp_path: Path) -> Iterator[Callable[..., HistoryWriter]]:
    opened: list[HistoryWriter] = []

    def open_(keep: Keep | None = None) -> HistoryWriter:
        opened.append(HistoryWriter(tmp_path, keep=keep))
        return opened[-1]

    yield open_
    for writer in opened:
        writer.close()
