"""`bessai journal verify|repair|backup|restore|import`: keeping the journal well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bessai.cli.common import DATA_DIR, fail, given_megabytes
from bessai.cli.export import time_text
from bessai.cli.progress import Quiet, progress
from bessai.journal.archive import Tar
from bessai.journal.backup import backup as write_backup
from bessai.journal.errors import JournalError
from bessai.journal.importing import import_jsonl
from bessai.journal.ranges import Range
from bessai.journal.repair import repair as mend
from bessai.journal.restore import restore as put_back
from bessai.journal.verify import Problem, Report
from bessai.journal.verify import verify as check

_DAMAGED, _NO_JOURNAL = 1, 3
_SHOWN = 20
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `bessai journal`."""
    app.command()(verify)
    app.command()(repair)
    app.command()(backup)
    app.command()(restore)
    app.command("import")(import_)


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="A backup to check instead of the journal of --data-dir.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Read all of the journal, or of a backup, and say what is damaged. Changes nothing; the gateway may run.

    Exit codes: 0 everything is sound; 1 something is damaged; 3 there is no journal that can be read.
    """
    with _told(code=_NO_JOURNAL), progress("reading", quiet=quiet) as tick:
        if file is not None:
            wrong, report = _check_backup(file)
        else:
            _require_journal(data_dir)
            wrong, report = [], check(data_dir, tick=tick)
    if as_json:
        typer.echo(
            json.dumps({"sound": report.sound and not wrong, "not_as_written": wrong, **asdict(report)})
        )
    else:
        for name in wrong:
            typer.echo(f"damaged: {name} is not what the manifest says")
        _print(report)
    raise typer.Exit(0 if report.sound and not wrong else _DAMAGED)


def repair(
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="Begin a new epoch: after a disk image was restored bit for bit."),
    ] = False,
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Mend the journal: rewrite damaged files without what cannot be read. The gateway must not run.

    No sound record is lost, and a sound journal stays as it is. Exit codes: 0 the journal is sound now; 1 something
    could not be mended; 2 a gateway runs, or the disk fails; 3 there is no journal that can be read.
    """
    _require_journal(data_dir)
    with _told(), progress("reading", quiet=quiet) as tick:
        done = mend(data_dir, new_epoch=new_epoch, tick=tick)
    for problem in done.before.problems:
        typer.echo(f"found: {_problem(problem)}")
    lost = done.after.lost - (done.before.lost - done.before.gone)
    if done.before.sound:
        typer.echo("the journal is sound: nothing to mend")
    elif done.after.sound:
        typer.echo(f"mended; {lost} records are lost")
    for problem in done.after.problems:
        typer.echo(f"not mended: {_problem(problem)}")
    if new_epoch:
        typer.echo(f"a new epoch begins: {done.epoch}")
    raise typer.Exit(0 if done.after.sound else _DAMAGED)


def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to write; one that exists is replaced.")],
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Copy the journal and the readers' cursors into one file, while the gateway runs.

    The file appears only once it is complete, and is then read again. The gateway's state files (state.json: trips and
    counters) are not part of it. Exit codes: 0 done; 1 done, but the journal is damaged and so is the copy; 2 it
    cannot be written; 3 there is no journal that can be read.
    """
    from bessai.core.environment import given_value

    _require_journal(data_dir)
    with _told():
        with progress("copying", quiet=quiet) as tick:
            manifest = write_backup(data_dir, file, site=given_value("SITE_ID"), tick=tick)
        with progress("reading it again", quiet=quiet):
            wrong, report = _check_backup(file)
    if wrong:
        file.unlink()
        fail(f"{file}: {', '.join(wrong)} is not what was written: the disk is failing; use another one")
    size = file.stat().st_size
    typer.echo(
        f"{file}: {report.found} records up to sequence {manifest.last_sequence} of epoch {manifest.epoch}, "
        f"{size / 1e6:.1f} MB"
    )
    if not report.sound:
        _print(report)
        typer.echo("the copy is as damaged as the journal: run `bessai journal repair`", err=True)
        raise typer.Exit(_DAMAGED)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `bessai journal backup` wrote.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Rename a journal that holds records aside, instead of stopping."),
    ] = False,
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Put a backup in place of the journal. The gateway must not run.

    Every hash is checked first, and on an error everything stays as it was. Exit codes: 0 done; 2 the backup is
    damaged, a gateway runs, the journal holds records, or the disk fails.
    """
    with _told(), progress("reading", quiet=quiet) as tick:
        done = put_back(file, data_dir, replace=replace, tick=tick)
    for path in done.aside:
        typer.echo(f"what was there before is now {path}")
    typer.echo(
        f"{data_dir / 'journal'}: restored up to sequence {done.manifest.last_sequence}; "
        "a new epoch begins when the gateway starts"
    )


def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines that `bessai journal export` wrote.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an import that was interrupted.")
    ] = False,
    quiet: Quiet = False,
    data_dir: Path = DATA_DIR,
) -> None:
    """Append exported JSON lines to the journal, with their sequences and epochs. The gateway must not run.

    All lines are checked before the first is stored. Exit codes: 0 done; 2 a line is wrong, a gateway runs, the journal
    is beyond the first line, or the disk fails.
    """
    with _told(), progress("importing", quiet=quiet) as tick:
        bound = given_megabytes("JOURNAL_MAX_MB", 1024)
        done = import_jsonl(file, data_dir, max_bytes=bound, resume=resume, tick=tick)
    typer.echo(f"{data_dir / 'journal'}: {done.records} records, up to sequence {done.last}")
    if done.dropped:
        typer.echo(
            f"the journal is full: {done.dropped} of the oldest records were dropped; raise JOURNAL_MAX_MB"
        )


def _check_backup(file: Path) -> tuple[list[str], Report]:
    tar = Tar(file)
    return tar.check(), check(Path(), disk=tar)


def _require_journal(data_dir: Path) -> None:
    if not (data_dir / "journal").is_dir():
        fail(
            f"there is no journal in {data_dir}: start the gateway, or name its --data-dir", code=_NO_JOURNAL
        )


@contextmanager
def _told(code: int = 2) -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        fail(str(error), code=code)
    except OSError as error:
        fail(
            f"{error.filename or 'the disk'}: {error.strerror or error}; what was done so far is sound",
            code=2,
        )


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "bytes", "records", "sequences", "", box=None)
    for part in report.files:
        span = f"{part.first} to {part.last}" if part.records else "-"
        table.add_row(
            part.file, str(part.bytes), str(part.records), span, "sound" if part.sound else "DAMAGED"
        )
    Console().print(table, markup=False)
    for problem in report.problems[:_SHOWN]:
        typer.echo(f"damaged: {_problem(problem)}")
    if len(report.problems) > _SHOWN:
        typer.echo(f"… and {len(report.problems) - _SHOWN} more: see --json")
    typer.echo(
        f"{report.last_sequence} given = {report.found} held + {report.dropped_space} dropped for space "
        f"+ {report.skipped} left out + {report.lost} lost"
        + ("" if report.compared else "; not compared, because records were dropped meanwhile")
    )
    if report.missing:
        typer.echo(f"no record has the numbers {_ranges(report.missing)}")
    typer.echo("sound" if report.sound else "damaged: stop the gateway and run `bessai journal repair`")


def _problem(problem: Problem) -> str:
    text = f"{problem.file}: {problem.what}"
    if problem.first:
        text += f", records {problem.first} to {problem.last}"
        if problem.wall_min is not None and problem.wall_max is not None:
            text += f" from {time_text(problem.wall_min)} to {time_text(problem.wall_max)}"
        text += f"; {_ranges(problem.lost)} lost" if problem.lost else "; nothing is lost by it"
    return text


def _ranges(ranges: tuple[Range, ...]) -> str:
    shown = ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges[:_SHOWN])
    return shown + (" …" if len(ranges) > _SHOWN else "")
