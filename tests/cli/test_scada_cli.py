"""`bessai scada`: the list in each form, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.site import load_site
from bessai.site.scada import digest
from support.scada_site import PLANT, write_site

RUNNER = CliRunner()
LIST = """
iec104: {masters: [10.1.0.0/24], command: [10.1.0.5]}
dnp3: {masters: [10.1.0.9]}
preset: sitr
points:
  - {ioa: 201, name: inverter.device_status, type: double, on_when: [512], off_when: [0], description: "Run | stop"}
  - {ioa: 202, name: inverter.active_power, scale: 0.001, unit: MW, sign: -1, dead_band: 0.01, group: 3}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # away from a checkout's own config/.env
    monkeypatch.delenv("SITE_FILE", raising=False)
    return write_site(tmp_path, LIST)


def _run(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(make_app(), ["scada", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.output
    return result.output


def _digest(site: Path) -> str:
    scada = load_site(site).scada
    assert scada is not None
    return digest(scada)


def test_csv_holds_every_point_and_command(site: Path) -> None:
    text = _run("points", "--site", site, "--format", "csv")
    scada = load_site(site).scada
    assert scada is not None
    points, commands = text.split("\n\n")
    head = [line for line in points.splitlines() if line.startswith("#")]
    assert f"# list: {digest(scada)}" in head
    assert any("CA 1; COT 2, CA 2, IOA 3 octets" in line for line in head)
    assert any("provisional" in line for line in head)
    rows = list(csv.DictReader(line for line in points.splitlines() if not line.startswith("#")))
    assert [int(row["ioa"]) for row in rows] == [point.ioa for point in scada.points]
    power = next(row for row in rows if row["ioa"] == "202")
    assert power["type"] == "M_ME_NC_1 (13), M_ME_TF_1 (36)"
    assert (power["unit"], power["sign"], power["scale"], power["dead band"]) == ("MW", "−", "0.001", "0.01")
    assert (power["group"], power["source"], power["basis"]) == ("3", "inverter.active_power", "site")
    double = next(row for row in rows if row["ioa"] == "201")
    assert (double["states"].endswith("ON: 512; OFF: 0"), double["sign"]) == (True, "")
    assert {row["basis"] for row in rows} == {"site", "preset, provisional"}
    orders = list(csv.DictReader(io.StringIO(commands)))
    assert [int(row["ioa"]) for row in orders] == [command.ioa for command in scada.commands]
    assert orders[0]["type"] == "C_SE_NC_1 (50), C_SE_TC_1 (63)"
    assert (orders[0]["target"], orders[0]["select first"]) == ("active_power", "yes")


def test_a_spreadsheet_takes_no_text_for_a_formula_and_numbers_are_exact(tmp_path: Path) -> None:
    told = """
    iec104: {masters: [10.1.0.0/24]}
    points:
      - {ioa: 1, name: grid_power, description: "=HYPERLINK(1)", type: normalized, full_scale: 1234567.5}
      - {ioa: 2, name: soc, description: "+1\\n9,M_SP_NA_1", dead_band: 0.03125005}
    """
    site = write_site(tmp_path, told, PLANT.replace("atacama-1", '"x\\n=1+1"'))
    lines = _run("points", "--site", site, "--format", "csv").splitlines()
    assert not [line for line in lines if line.startswith(("=", "9"))]
    rows = list(csv.DictReader(line for line in lines[: lines.index("")] if not line.startswith("#")))
    assert [row["description"] for row in rows] == ["'=HYPERLINK(1)", "'+1 9,M_SP_NA_1"]
    assert (rows[0]["full scale"], rows[1]["dead band"]) == ("1234567.5", "0.03125005")


def test_markdown_has_places_for_signatures(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_FILE", str(site))
    text = _run("points")
    assert text.startswith("# Point list: atacama-1")
    assert "| grid operator |  |  |  |" in text
    assert "Run \\| stop" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in tables[:5]}) == 1, "columns fit"
    assert "Not available at this site: " in text
    assert "stored_energy" in text


def test_spanish(site: Path) -> None:
    text = _run("points", "--site", site, "--lang", "es")
    for words in ("# Lista de puntos", "Conformidad", "Consigna de potencia activa", "provisional", "firma"):
        assert words in text
    assert "Estado de carga de la batería" in text
    assert _digest(site) in text, "the same list in every language"


def test_xlsx(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed")
    out = tmp_path / "points.xlsx"
    assert "points" in _run("points", "--site", site, "--out", out)
    sheets = _cells(out)
    scada = load_site(site).scada
    assert scada is not None
    assert list(sheets) == ["Sign-off", "Points", "Commands"]
    assert digest(scada) in sheets["Sign-off"].values()
    assert "grid operator" in sheets["Sign-off"].values()
    points = sheets["Points"]
    addresses = [points[f"A{i}"] for i in range(2, len(scada.points) + 2)]
    assert [int(address) for address in addresses] == [point.ioa for point in scada.points]
    assert points["B2"] == "M_ME_NC_1 (13), M_ME_TF_1 (36)"
    assert len([name for name in sheets["Commands"] if name.startswith("A")]) == len(scada.commands) + 1
    assert "give the file to write" in _run("points", "--site", site, "--format", "xlsx", code=2)
    assert "cannot be written" in _run("points", "--site", site, "--out", tmp_path / "no" / "a.xlsx", code=2)


def test_without_the_package_it_says_so(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    monkeypatch.delitem(sys.modules, "bessai.cli.scada_sheet", raising=False)
    out = tmp_path / "points.xlsx"
    assert "install open-bess-edge[scada]" in _run("points", "--site", site, "--out", out, code=2)
    assert not out.exists()


def test_the_fingerprint_changes_with_what_is_agreed(site: Path) -> None:
    before = _digest(site)
    text = site.read_text()
    site.write_text(text.replace("10.1.0.9", "10.1.0.10"))
    assert _digest(site) == before, "who may connect is not part of the list"
    for old, new in (("sign: -1", "sign: 1"), ("ioa: 202", "ioa: 203"), ("0.01", "0.02")):
        site.write_text(text.replace(old, new))
        assert _digest(site) != before, old


def test_check(site: Path) -> None:
    told = _run("check", "--site", site)
    assert "valid: " in told
    assert "left out of the preset: stored_energy; `stored_energy: {" in told
    data = json.loads(_run("check", "--site", site, "--json"))
    assert (data["valid"], data["list"]) == (True, _digest(site))
    assert data["provisional"] == data["points"] - 2
    site.write_text(site.read_text().replace("dnp3:", "dnp3: {masters: [x]}\n  dnp4:"))
    assert "did you mean `dnp3`" in _run("check", "--site", site, code=2)


def test_check_looks_at_the_files_of_tls(site: Path) -> None:
    site.write_text(
        site.read_text().replace("iec104: {", "iec104: {tls: {ca: ca.pem, cert: cert.pem, key: key.pem}, ")
    )
    told = _run("check", "--site", site, code=1)
    assert f"{site.parent / 'key.pem'} cannot be read" in told
    for name in ("ca", "cert", "key"):
        (site.parent / f"{name}.pem").write_text("")
    _run("check", "--site", site)


def test_a_site_without_a_list(tmp_path: Path, site: Path) -> None:
    site.write_text(site.read_text().partition("scada:")[0])
    assert "has no section `scada:`" in _run("points", "--site", site, code=2)
    assert "SITE_FILE is not set" in _run("points", code=2)
    assert "there is no such file" in _run("check", "--site", tmp_path / "none.yaml", code=2)


def _cells(path: Path) -> dict[str, dict[str, str]]:
    """Every cell's text by sheet and address, read as the file format says."""
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        shared = ["".join(item.itertext()) for item in ET.fromstring(book.read("xl/sharedStrings.xml"))]
        names = [
            sheet.attrib["name"] for sheet in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{main}sheet")
        ]
        sheets: dict[str, dict[str, str]] = {}
        for number, name in enumerate(names, 1):
            cells = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")).iter(f"{main}c")
            sheets[name] = {
                cell.attrib["r"]: shared[int(value.text or 0)] if cell.get("t") == "s" else value.text or ""
                for cell in cells
                if (value := cell.find(f"{main}v")) is not None
            }
    return sheets
