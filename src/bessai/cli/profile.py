"""`bessai profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bessai.cli.common import fail, print_json

if TYPE_CHECKING:
    from bessai.registry import CompiledProfile


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(no_args_is_help=True, help="Device profiles: check, list, show.")
    group.command("check")(check)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("document")(document)
    app.add_typer(group, name="profile")


def check(
    files: list[Path] = typer.Argument(help="Profile files.", metavar="FILE…"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Validate profiles and list all errors at once: file, field, value, mend.

    Where a profile has golden vectors (`golden/` beside it, a file of the same name), they are checked as well.

    Exit codes: 0 all valid, 2 not.
    """
    from bessai.registry import ProfileError, compile_profile, load_profile

    problems: list[dict[str, str]] = []
    for file in files:
        try:
            profile = compile_profile(load_profile(file))
            golden = _golden(profile, file)
        except ProfileError as error:
            for problem in error.problems:
                problems.append({name: getattr(problem, name) for name in problem.__slots__})
                if not as_json:
                    typer.echo(f"error: {problem}", err=True)
        else:
            if not as_json:
                reads = sum(len(plan.blocks) for plan in profile.plans.values())
                typer.echo(f"{file}: valid, {len(profile.points)} points in {reads} reads, {golden}")
    if as_json:
        print_json({"valid": not problems, "problems": problems})
    raise typer.Exit(2 if problems else 0)


def _golden(profile: CompiledProfile, file: Path) -> str:
    """How many golden vectors hold. Raises ProfileError with those that do not."""
    from bessai.registry import Problem, ProfileError, check_golden, find_profile, golden_path, load_golden

    path = golden_path(find_profile(file))
    if not path.exists():
        return "no golden vectors"
    try:
        golden = load_golden(path)
    except ValueError as error:
        raise ProfileError([Problem(line, "", "", "mend it") for line in str(error).splitlines()]) from None
    if wrong := check_golden(profile, golden):
        raise ProfileError([Problem(str(path), "", "", problem) for problem in wrong])
    return f"{len(golden.reads) + len(golden.writes)} golden vectors hold"


def list_(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the profiles of the registry."""
    from bessai.registry import ProfileError, list_profiles, load_profile

    rows: list[dict[str, Any]] = []
    for path in list_profiles():
        try:
            profile = load_profile(path)
        except ProfileError as error:
            for problem in error.problems:
                typer.echo(f"error: {problem}", err=True)
            continue
        rows.append(
            {
                "name": profile.id,
                "manufacturer": profile.manufacturer,
                "model": profile.model,
                "kinds": profile.kinds,
                "points": len(profile.points),
                "status": profile.status,
                "control": profile.control is not None,
                "dead_man": profile.dead_man.kind if profile.dead_man else "none",
            }
        )
    if as_json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("name", no_wrap=True), "device", "kinds", "points", "status", "dead-man")
    for row in rows:
        device = f"{row['manufacturer']} {row['model']}"
        table.add_row(
            row["name"], device, ", ".join(row["kinds"]), str(row["points"]), row["status"], row["dead_man"]
        )
    Console().print(table)


def document() -> None:
    """Print the registry as a Markdown page, as in `docs/registry.md`."""
    from bessai.registry import ProfileError
    from bessai.registry.docs import registry_markdown

    try:
        typer.echo(registry_markdown(), nl=False)
    except ProfileError as error:
        fail(*error.problems)


def show(
    name: str = typer.Argument(help="Name in the registry, or a file."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show one profile: its points, how it is commanded, how it falls back, its caveats and sources."""
    from bessai.registry import ProfileError, load_profile

    try:
        profile = load_profile(name)
    except ProfileError as error:
        fail(*error.problems)
    if as_json:
        print_json(profile.model_dump(mode="json", by_alias=True, exclude_none=True))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    console = Console()
    console.print(f"[bold]{escape(profile.manufacturer)} {escape(profile.model)}[/] ({profile.status})")
    table = Table(
        Column("point", no_wrap=True),
        "address",
        "table",
        "type",
        "gain",
        "unit",
        "access",
        "poll",
        "description",
    )
    for key, point in profile.points.items():
        gain = f"{point.gain:g}" if point.gain != 1 else ""
        table.add_row(
            key, str(point.address), point.table, point.type, gain, point.unit or "", point.access, point.poll,
            escape(point.description),
        )  # fmt: skip
    console.print(table)
    if profile.dead_man is not None:
        console.print(f"[bold]dead-man[/]: {profile.dead_man.kind}. {escape(profile.dead_man.fallback)}")
    for caveat in profile.caveats:
        console.print(f"[yellow]caveat[/]: {escape(caveat.text)} [dim]({caveat.source})[/]")
    for key, source in profile.sources.items():
        console.print(f"[dim]source {key}: {escape(source.title)}, {escape(source.where)}[/]")
