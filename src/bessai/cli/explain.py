"""`bessai explain`: why the setpoint was what it was."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from bessai.cli.common import DATA_DIR, fail, print_json
from bessai.journal import Entry, JournalError, JournalReader

_NO_RECORD = 3
_WINDOWS = (5, 120, 3600)
"""Seconds before the asked time in which its cycle is looked for, one after the other."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings={"ignore_unknown_options": True})(explain)


def explain(
    moment: Annotated[
        str | None,
        typer.Argument(
            metavar="[TIME]",
            help="ISO 8601 with a zone, or local time without (also only 14:05), or like -5m. Default: the latest.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="A range instead of one cycle: 10m, or a time.")
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="With --since: only cycles that differ from the one before.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Tell of one cycle who asked, what narrowed it, what was written and what came back.

    Reads the journal, also while the gateway runs. Exit codes: 0 told, 2 wrong arguments, 3 nothing is recorded.
    """
    now = time.time_ns()
    if changes and since is None:
        fail("--changes tells what changed in a range: add --since 10m")
    # records are shown with milliseconds: one that is named by them lies somewhere within
    at = None if moment is None else _moment("TIME", moment, now) // 1_000_000 * 1_000_000 + 999_999
    start = None if since is None else _moment("--since", re.sub(r"^(?=\d+(\.\d+)?[smhd]$)", "-", since), now)
    if start is not None and at is not None and start > at:
        fail(f"--since {since} is later than {moment}: swap them")
    with _reader(data_dir) as reader:
        if start is not None:
            _range(reader, start, at, changes=changes, as_json=as_json)
            return
        entry = _cycle_at(reader, at)
        if entry is None:
            fail(*_nothing(reader, moment, data_dir), code=_NO_RECORD)
        _tell(entry, at, as_json=as_json)


def _tell(entry: Entry, at: int | None, *, as_json: bool) -> None:
    from bessai.cli.explaining import explained

    if as_json:
        print_json(_as_data(entry))
        return
    if at is not None and (earlier := (at - entry.wall_ns) / 1e9) > 5:
        typer.echo(f"no cycle was recorded then; the last one before it, {earlier:.0f} s earlier:")
    for line in explained(entry):
        typer.echo(line)


def _range(reader: JournalReader, first: int, last: int | None, *, changes: bool, as_json: bool) -> None:
    from bessai.cli.explaining import change_line, summary

    before: Any = None
    told = 0
    for entry in reader.read_between(first, last):
        if entry.kind != "cycle" or (changes and summary(entry) == before):
            continue
        before = summary(entry)
        told += 1
        if as_json:
            import json

            typer.echo(json.dumps(_as_data(entry), allow_nan=False))
        else:
            typer.echo(change_line(entry))
    if not told:
        fail("no cycle is recorded in this range", code=_NO_RECORD)


def _as_data(entry: Entry) -> dict[str, Any]:
    from bessai.cli.explaining import in_words
    from bessai.cli.export import as_plain

    limits = entry.decision.get("limited_by") or ()
    return {**as_plain(entry), "limited_by_in_words": {limit: in_words(limit) for limit in limits}}


def _cycle_at(reader: JournalReader, at: int | None) -> Entry | None:
    """The last cycle at or before a time, of the journal's end when there is none."""
    if at is None:
        count = 20
        while True:
            entries = reader.tail(count)
            found = next((entry for entry in reversed(entries) if entry.kind == "cycle"), None)
            if found is not None or len(entries) < count:
                return found
            count *= 10
    for seconds in _WINDOWS:
        last = None
        for entry in reader.read_between(at - seconds * 10**9, at):
            last = entry if entry.kind == "cycle" else last
        if last is not None:
            return last
    return None


def _nothing(reader: JournalReader, moment: str | None, data_dir: Path) -> Iterator[str]:
    from bessai.cli.export import time_text

    held = reader.stats()
    if not held.records or moment is None:
        yield f"the journal of {data_dir} holds no cycle yet"
        return
    span = f"{time_text(held.first_wall_ns)} to {time_text(held.last_wall_ns)}"
    yield f"no cycle is recorded in the hour before {moment}; the journal holds {span}"


def _moment(name: str, text: str, now_ns: int) -> int:
    """UTC nanoseconds of a time with a zone, a local time without, or one relative to now."""
    try:
        if text == "now":
            return now_ns
        if relative := re.fullmatch(r"-(\d+(?:\.\d+)?)([smhd])", text):
            ago = timedelta(**{_UNITS[relative[2]]: float(relative[1])})
            return now_ns - int(ago.total_seconds() * 1e9)
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", text):
            today = datetime.fromtimestamp(now_ns / 1e9).astimezone().date().isoformat()
            text = f"{today}T{text if text[2] == ':' else f'0{text}'}"
        since = datetime.fromisoformat(text).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return since // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError, OSError):
        fail(f"{name} {text!r} is no time: write 2026-01-31T12:00:00Z, 2026-01-31 14:05, 14:05, or -5m")


@contextmanager
def _reader(data_dir: Path) -> Iterator[JournalReader]:
    if not (data_dir / "journal").is_dir():
        fail(f"there is no journal in {data_dir}: start the gateway, or name its --data-dir", code=_NO_RECORD)
    reader = JournalReader(data_dir)
    try:
        yield reader
    except JournalError as error:
        fail(str(error), code=_NO_RECORD)
    finally:
        reader.close()
