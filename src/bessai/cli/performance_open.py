"""What the commands of `bessai performance` share: their options, and how the records are opened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bessai.cli.common import NOT_RUNNING, fail, moment

if TYPE_CHECKING:
    from bessai.journal import JournalReader
    from bessai.performance import Performance, Plant

Since = Annotated[
    str, typer.Option("--since", metavar="T", help="ISO 8601 (UTC unless it says otherwise) or like -1h.")
]
Until = Annotated[str, typer.Option("--until", metavar="T", help="The same, exclusive.")]
GridFile = Annotated[
    Path | None, typer.Option("--grid-file", help="The grid file; without it GRID_FILE.", show_default=False)
]


def span(since: str, until: str) -> tuple[int, int]:
    """UTC nanoseconds of a range of time, the end exclusive."""
    now = time.time_ns()
    first_ns, end_ns = moment("--since", since, now), moment("--until", until, now)
    if first_ns > end_ns:
        fail(f"--since {since} is later than --until {until}: swap them")
    return first_ns, end_ns


def rounded(value: float | None, digits: int) -> float | None:
    """As it is printed; None for what is unknown."""
    return None if value is None else round(value, digits)


@contextmanager
def opened(grid_file: Path | None, data_dir: Path) -> Iterator[tuple[Performance, JournalReader, Plant]]:
    """The records, the journal and what is recorded; says what is wrong and exits when something is."""
    from bessai.core.environment import SettingsError, given_value
    from bessai.grid import GridError
    from bessai.journal import JournalError, JournalReader
    from bessai.performance import Performance, PerformanceError, read_plant
    from bessai.site import SiteError

    try:
        given = grid_file or given_value("GRID_FILE")
    except SettingsError as error:
        fail(*error.problems)
    if not given:
        fail("there is no grid file, which says what is recorded: set GRID_FILE, or give --grid-file")
    reader = JournalReader(data_dir)
    try:
        newest = reader.blocks(max(0, reader.last_sequence() - 1), 1)
        if not newest:
            fail(
                f"there is no journal in {data_dir}: start the gateway, or name its --data-dir",
                code=NOT_RUNNING,
            )
        plant = read_plant(Path(given), newest[-1].layout.names)
        yield Performance(data_dir, plant), reader, plant
    except (GridError, SiteError) as error:
        fail(*error.problems)
    except (PerformanceError, JournalError) as error:
        fail(error)
    finally:
        reader.close()
