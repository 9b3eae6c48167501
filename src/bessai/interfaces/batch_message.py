"""The published batch, `bessai.batch/1`: many records in one message, column by column.

Nothing is rounded or left out: every record can be rebuilt as the `bessai.telemetry/1` that it would have been, see
`docs/message.md` and `docs/examples/unpack_batch.py`. A name stands once and not in every record, and so does a
value that stays the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from bessai import __version__
from bessai.interfaces.courier import Lane, Message
from bessai.interfaces.envelope import (
    LABELS,
    DecisionPart,
    decision_part,
    device_part,
    event_part,
    published,
    stand_in,
    timestamp,
)
from bessai.journal.entry import Entry
from bessai.model import Layout

_log = logging.getLogger(__name__)

BATCH_SCHEMA_ID: Final = "bessai.batch/1"

_MOST_VALUES = 200_000
"""Values in one message, unless one record alone has more."""
_TOLD = tuple(DecisionPart.model_fields)
_UNMEASURED = np.iinfo(np.int64).min

_Key = tuple[Any, ...]
"""Name and unit of a point, and which meanings its values have: points of equal keys are one."""


def encode_batch(
    entries: Sequence[Entry],
    site: str,
    lane: Lane,
    previous: int,
    publish: Sequence[str] | None = None,
) -> list[Message]:
    """The entries as few messages, in order.

    Args:
        entries: records of one lane, in order.
        site: unique id of the site.
        lane: which way they go.
        previous: sequence of the record before them in the lane.
        publish: the devices whose points go with the plant's own; None: every point.
    """
    devices = None if publish is None else tuple(publish)
    messages = []
    for part in _parts(entries):
        first, last = part[0].sequence, part[-1].sequence
        epoch = part[0].epoch
        attributes = {
            "id": f"{site}/{epoch}/{first}-{last}",
            "site": site,
            "epoch": str(epoch),
            "sequence": str(first),
            "last": str(last),
            "previous": str(previous),
            "lane": lane.value,
            "schema": BATCH_SCHEMA_ID,
            "kind": "batch",
        }
        messages.append(
            Message(
                id=attributes["id"],
                sequence=first,
                data=_data(part, site, devices),
                attributes=attributes,
                ordering_key=site if lane is Lane.LIVE else f"{site}/backlog",
            )
        )
        previous = last
    return messages


def _parts(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of one epoch, none too large for a message."""
    part: list[Entry] = []
    values = 0
    for entry in entries:
        values += len(entry.layout)
        if part and (values > _MOST_VALUES or entry.epoch != part[0].epoch):
            yield part
            part, values = [], len(entry.layout)
        part.append(entry)
    if part:
        yield part


def _data(entries: list[Entry], site: str, publish: tuple[str, ...] | None) -> bytes:
    try:
        return _encoded(entries, site, publish)
    except Exception:  # noqa: BLE001  one odd record must not hold up all that go with it
        return _encoded([_expressible(entry, site, publish) for entry in entries], site, publish)


def _expressible(entry: Entry, site: str, publish: tuple[str, ...] | None) -> Entry:
    try:
        _encoded([entry], site, publish)
    except Exception as error:  # noqa: BLE001  as above
        _log.exception("record %d cannot be expressed, an event takes its place", entry.sequence)
        return stand_in(entry, error)
    return entry


def _encoded(entries: Sequence[Entry], site: str, publish: tuple[str, ...] | None) -> bytes:
    first, start = entries[0].sequence, entries[0].wall_ns // 1000
    sequences = [entry.sequence - first for entry in entries]
    cycles = [entry.kind == "cycle" for entry in entries]
    message = {
        "schema": BATCH_SCHEMA_ID,
        "site": site,
        "epoch": entries[0].epoch,
        "gateway": {"version": __version__},
        "first": first,
        "last": entries[-1].sequence,
        "count": len(entries),
        "sequence": None if sequences == list(range(len(entries))) else sequences,
        "start": timestamp(entries[0].wall_ns),
        "time": [entry.wall_ns // 1000 - start for entry in entries],
        "kind": _once([entry.kind for entry in entries]),
        "verified": _once(
            [entry.verified if cycle else None for entry, cycle in zip(entries, cycles, strict=True)]
        ),
        "complete": _once([entry.complete for entry in entries]),
        "device": _devices(entries),
        "texts": _changes([entry.texts for entry in entries], {}),
        "decisions": _decisions(entries),
        "events": [[i, [*map(event_part, entry.events)]] for i, entry in enumerate(entries) if entry.events],
        "points": [*_blocks(entries, cycles, publish)],
    }
    return to_json(message, inf_nan_mode="null")


def _once(items: list[Any]) -> Any:
    """One item that stands for all when they are the same, else the items."""
    return items[0] if items.count(items[0]) == len(items) else items


def _changes(items: Iterable[Any], last: Any) -> list[list[Any]]:
    """[number of the record, item] wherever the item differs from the one before."""
    changes = []
    for i, item in enumerate(items):
        if item is not last and item != last:
            changes.append([i, item])
            last = item
    return changes


def _devices(entries: Sequence[Entry]) -> list[list[Any]]:
    known = [(entry.device, entry.texts.get("serial_number")) for entry in entries]
    return [[i, device_part(entries[i].device, entries[i].texts)] for i, _ in _changes(known, None)]


def _decisions(entries: Sequence[Entry]) -> list[list[Any]]:
    """[number of the record, decision or None] wherever it differs from that of the cycle before."""
    changes: list[list[Any]] = []
    last: list[Any] | None = None
    for i, entry in enumerate(entries):
        if entry.kind != "cycle":
            continue
        told = [*map(entry.decision.get, _TOLD)] if entry.decision else None
        if told != last:
            changes.append([i, decision_part(entry.decision) if entry.decision else None])
            last = told
    return changes


def _blocks(
    entries: Sequence[Entry], cycles: Sequence[bool], publish: tuple[str, ...] | None
) -> Iterator[dict[str, Any]]:
    """The points: a block for those that stand in the same records."""
    records = [i for i, cycle in enumerate(cycles) if cycle]
    layouts = {id(entries[i].layout): entries[i].layout for i in records}
    known = {number: _columns(layout, publish) for number, layout in layouts.items()}
    coded = {key: layouts[n] for n, (_, keys) in known.items() for key in keys if len(key) > 2}
    rows = [(entries[i], *known[id(entries[i].layout)]) for i in records]
    values = [entry.values[columns] for entry, columns, _ in rows]
    quality = [entry.quality[columns] for entry, columns, _ in rows]
    ages = [entry.ages[columns] for entry, columns, _ in rows]
    if len(known) == 1:  # the usual case, and the quick one
        keys = rows[0][2]
        if keys:
            yield _block(keys, coded, *(np.array(column).T for column in (values, quality, ages)))
        return
    places: dict[_Key, int] = {}
    placed = {
        number: np.array([places.setdefault(key, len(places)) for key in keys], np.intp)
        for number, (_, keys) in known.items()
    }
    if not places:
        return
    place = np.concatenate([placed[id(entry.layout)] for entry, _, _ in rows])
    order = np.argsort(place.astype(np.uint16) if len(places) < 1 << 16 else place, kind="stable")
    record = np.repeat(np.array(records), [len(keys) for _, _, keys in rows])[order]
    ends = np.cumsum(np.bincount(place, minlength=len(places)))
    starts = np.concatenate([[0], ends[:-1]])
    together: dict[bytes, list[int]] = {}
    for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        together.setdefault(record[start:end].tobytes(), []).append(n)
    every_key = [*places]
    flat = [np.concatenate(column) for column in (values, quality, ages)]
    for members in together.values():
        start, end = int(starts[members[0]]), int(ends[members[0]])
        cells = order[starts[members][:, None] + np.arange(end - start)]
        where = record[start:end].tolist()
        block = {} if where == records else {"records": where}
        yield block | _block([every_key[n] for n in members], coded, *(column[cells] for column in flat))


def _block(
    keys: Sequence[_Key],
    coded: Mapping[_Key, Layout],
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
    ages: NDArray[np.float32],
) -> dict[str, Any]:
    """One row a point, one column a record. `coded` has the layouts of states and bits."""
    rows = _rows(values)
    meanings = {
        key[0]: said
        for key, row in zip(keys, rows, strict=True)
        if len(key) > 2
        if (said := _meanings(coded[key], key[0], row if isinstance(row, list) else [row]))
    }
    of, distinct = _distinct(ages)
    block = {
        "names": [key[0] for key in keys],
        "units": [key[1] for key in keys],
        "values": rows,
        "quality": {
            keys[i][0]: _once([LABELS[number] for number in quality[i].tolist()])
            for i in np.flatnonzero(quality.any(axis=1)).tolist()
        },
        "ages": distinct,
        "age": _once(of),
    }
    return block | {"meanings": meanings} if meanings else block


def _rows(values: NDArray[np.float64]) -> list[Any]:
    """A number where a point does not change, else a list; None for what is no number."""
    number = np.isfinite(values)
    values = np.where(number, values, np.nan)
    bits = values.view(np.int64)
    steady = (bits == bits[:, :1]).all(axis=1)
    rows: list[Any] = values.tolist()
    for i in np.flatnonzero(~number.all(axis=1)).tolist():
        rows[i] = [value if ok else None for value, ok in zip(rows[i], number[i].tolist(), strict=True)]
    for i in np.flatnonzero(steady).tolist():
        rows[i] = rows[i][0]
    return rows


def _distinct(ages: NDArray[np.float32]) -> tuple[list[int], list[Any]]:
    """Which of the distinct ages each point has, and those, in µs: points that are read together share them."""
    measured = np.isfinite(ages)
    exact = np.rint(ages.astype(np.float64) * 1e6)
    micros = np.where(measured, exact, 0.0).astype(np.int64)
    micros[~measured] = _UNMEASURED
    found: dict[bytes, int] = {}
    of = [found.setdefault(row.tobytes(), len(found)) for row in micros]
    distinct = [np.frombuffer(row, np.int64).tolist() for row in found]
    return of, [_once([None if age == _UNMEASURED else age for age in row]) for row in distinct]


def _meanings(layout: Layout, name: str, values: Iterable[float | None]) -> dict[str, Any]:
    said = {str(int(value)): layout.meaning(name, value) for value in set(values) if value is not None}
    return {number: meaning for number, meaning in said.items() if meaning is not None}


@lru_cache(maxsize=8)
def _columns(layout: Layout, publish: tuple[str, ...] | None) -> tuple[Any, list[_Key]]:
    """The columns of a layout that are published, and their keys."""
    keys: list[_Key] = [*zip(layout.names, layout.units, strict=True)]
    for name in {*layout.states, *layout.bits}:
        i = layout.index[name]
        keys[i] = (*keys[i], id(layout.states.get(name)), id(layout.bits.get(name)))
    if publish is None:
        return slice(None), keys
    columns = [i for i, name in enumerate(layout.names) if published(name, publish)]
    return np.array(columns, np.intp), [keys[i] for i in columns]
