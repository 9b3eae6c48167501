"""`bessai scada`: the point list for the grid operator."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bessai.cli.common import fail, print_json

if TYPE_CHECKING:
    from bessai.cli.scada_list import PointList
    from bessai.site import Site
    from bessai.site.scada import Scada


class Format(StrEnum):
    """How the list is written."""

    CSV = "csv"
    XLSX = "xlsx"
    MD = "md"


class Language(StrEnum):
    """Language of titles and descriptions."""

    EN = "en"
    ES = "es"


SITE = typer.Option(None, "--site", help="Site file; without it that of the configuration (SITE_FILE).")


def register(app: typer.Typer) -> None:
    """Add the sub-commands."""
    group = typer.Typer(no_args_is_help=True, help="The point list for the grid operator (IEC 104, DNP3).")
    group.command()(points)
    group.command()(check)
    app.add_typer(group, name="scada")


def points(
    site: Path | None = SITE,
    form: Format | None = typer.Option(
        None, "--format", help="csv, xlsx or md; unset: by the name of --out, else md."
    ),
    out: Path | None = typer.Option(None, "--out", help="File to write; without it standard output."),
    language: Language = typer.Option(Language.EN, "--lang", help="en or es."),
) -> None:
    """Print the point list for the operator's sign-off: addresses, types, signs, scales, DNP3 indices.

    Exit codes: 0 printed, 2 the site file is not valid or has no list.
    """
    from bessai.cli.scada_list import PointList, as_csv, as_markdown

    loaded, scada = _load(site)
    form = form or _by_name(out)
    content = PointList(site=loaded.name or "–", scada=scada, language=language.value, made=datetime.now(UTC))
    if form is Format.XLSX:
        _write_xlsx(content, out)
        return
    text = as_csv(content) if form is Format.CSV else as_markdown(content)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        fail(f"--out {out}: cannot be written: {error.strerror}")
    typer.echo(f"{out}: {len(scada.points)} points, {len(scada.commands)} commands")


def check(
    site: Path | None = SITE, as_json: bool = typer.Option(False, "--json", help="Print JSON.")
) -> None:
    """Check the section `scada:` of a site file; tell what a preset misses at this site.

    Exit codes: 0 valid, 1 valid, but files of TLS cannot be read, 2 not valid or no list.
    """
    from bessai.site.scada import digest

    _, scada = _load(site)
    unreadable = _unreadable(scada)
    if as_json:
        print_json(
            {
                "valid": True,
                "points": len(scada.points),
                "commands": len(scada.commands),
                "list": digest(scada),
                "provisional": sum(point.provisional for point in scada.points),
                "missing": [{"point": name, "mend": mend} for name, mend in scada.missing],
                "unreadable": unreadable,
            }
        )
        raise typer.Exit(1 if unreadable else 0)
    typer.echo(f"valid: {len(scada.points)} points, {len(scada.commands)} commands, list {digest(scada)}")
    if scada.iec104 is None and scada.dnp3 is None:
        typer.echo("no link: neither `iec104` nor `dnp3` is given, so nobody is told")
    if count := sum(point.provisional for point in scada.points):
        typer.echo(f"{count} points come from the preset {scada.preset}, which is provisional")
    for name, mend in scada.missing:
        typer.echo(f"left out of the preset: {name}; {mend}")
    for file in unreadable:
        typer.echo(f"warning: {file} cannot be read; encrypted links need it", err=True)
    raise typer.Exit(1 if unreadable else 0)


def _load(file: Path | None) -> tuple[Site, Scada]:
    from bessai.core.environment import SettingsError, given_value
    from bessai.site import SiteError, load_site

    if file is None:
        try:
            name = given_value("SITE_FILE")
        except SettingsError as error:
            fail(*error.problems)
        if not name:
            fail("SITE_FILE is not set; give --site FILE")
        file = Path(name)
    try:
        site = load_site(file)
    except SiteError as error:
        fail(*error.problems)
    if site.scada is None:
        fail(f"{file}: has no section `scada:`; config/site.example.yaml shows one")
    return site, site.scada


def _by_name(out: Path | None) -> Format:
    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in {item.value for item in Format} else Format.MD


def _write_xlsx(content: PointList, out: Path | None) -> None:
    if out is None:
        fail("--format xlsx: give the file to write, for example --out points.xlsx")
    try:
        from bessai.cli.scada_sheet import write_xlsx
    except ImportError:
        fail(
            "--format xlsx needs the package XlsxWriter: install open-bess-edge[scada], or take --format csv"
        )
    try:
        write_xlsx(content, out)
    except OSError as error:
        fail(f"--out {out}: cannot be written: {error.strerror}")
    typer.echo(f"{out}: {len(content.scada.points)} points, {len(content.scada.commands)} commands")


def _unreadable(scada: Scada) -> list[str]:
    tls = scada.iec104.tls if scada.iec104 else None
    return (
        [] if tls is None else [file for file in (tls.ca, tls.cert, tls.key) if not os.access(file, os.R_OK)]
    )
