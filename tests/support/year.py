"""A year of records of a battery plant, in a journal and a history as the gateway itself makes them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bessai.history import HistoryWriter
from bessai.journal import Journal, JournalReader
from bessai.model import Event, Layout, Quality, Severity
from support.records import DEVICE, make_record, wait_until

SPACING = 1200
"""Seconds between two records."""
DAYS = 365
STALE_DAYS = (100, 104)
"""Days from the first on which nobody knew the state of charge."""
GAP_DAYS = (200, 205)
"""Days on which the gateway was off."""
EVENT_EVERY = 20
"""Days between two warnings."""
LAYOUT = Layout(("battery_power", "grid_power", "soc"), ("kW", "kW", "%"))
SECOND = 1_000_000_000


def course(seed: int = 1) -> np.ndarray:
    """A row each record: charged by the midday sun, discharged in the evening, less of both in winter."""
    chance = np.random.default_rng(seed)
    at = np.arange(DAYS * 86400 // SPACING) * SPACING / 86400
    hour, season = at % 1 * 24, 0.75 + 0.25 * np.cos(2 * np.pi * at / 365)
    charge = np.exp(-(((hour - 13) / 2.2) ** 2)) * -8.0 * season
    discharge = np.exp(-(((hour - 20.5) / 1.6) ** 2)) * 9.0 * season
    power = np.round(charge + discharge + chance.normal(0, 0.15, len(at)), 2)
    load = 1.6 + 1.1 * np.exp(-(((hour - 20) / 3) ** 2)) + chance.normal(0, 0.2, len(at))
    charged = np.cumsum(-power) * SPACING / 3600
    daily = charged - np.repeat(charged[:: 86400 // SPACING], 86400 // SPACING)
    soc = np.round(np.clip(25 + daily / 45 * 100, 5, 97), 1)
    return np.stack([power, np.round(power - load, 2), soc], 1)


def write_year(data: Path, end_ns: int) -> np.ndarray:
    """Records until then, in the journal and folded into the history; their values, NaN where nothing is known."""
    values = course()
    first_ns = end_ns - len(values) * SPACING * SECOND
    journal = Journal.open(data, layout=LAYOUT, device=DEVICE)
    per_day = 86400 // SPACING
    known = values.copy()
    for n, row in enumerate(values):
        day = n / per_day
        if GAP_DAYS[0] <= day < GAP_DAYS[1]:
            known[n] = np.nan
            continue
        quality = np.zeros(3, np.uint8)
        if STALE_DAYS[0] <= day < STALE_DAYS[1]:
            quality[2], known[n, 2] = Quality.STALE, np.nan
        wall_ns = first_ns + n * SPACING * SECOND
        events: tuple[Event, ...] = ()
        if n % (EVENT_EVERY * per_day) == per_day // 2:
            events = (
                Event(
                    code="device_unavailable", severity=Severity.WARNING, wall_ns=wall_ns, point="meter_auxiliaries",
                    message="the device does not answer",
                ),
            )  # fmt: skip
        record = make_record(n, layout=LAYOUT, values=row, quality=quality, events=events)
        journal.append(replace(record, image=replace(record.image, wall_ns=wall_ns)))
        if n % 2000 == 1999:
            wait_until(lambda: journal.stats().queued < 1000)
    assert journal.close(60)
    assert journal.stats().dropped_queue == 0
    writer, reader = HistoryWriter(data), JournalReader(data)
    writer.fold_blocks(list(reader.blocks(0, len(values))))
    writer.flush()
    writer.compact(everything=True)
    writer.close()
    reader.close()
    return known


def hours_ago(hours: float) -> int:
    """Whole hours, in UTC nanoseconds."""
    return int((time.time() // 3600 - hours) * 3600) * SECOND
