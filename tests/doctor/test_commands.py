"""The two commands without a gateway: settings that cannot be read, wrong arguments, a bundle of what is there."""

from __future__ import annotations

import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.doctor import asking
from bessai.doctor import Checked, Look, chosen, examine, look_around
from bessai.doctor.bundle import gather
from bessai.doctor.parts import PARTS, Part
from support.gateway import typed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_settings_that_cannot_be_read_are_told_with_what_can_be_seen_all_the_same(here: Path) -> None:
    (here / "config").mkdir()
    (here / "config" / ".env").write_text("SITE_ID=a\nINVERTER_IP\n")
    done = typed("doctor", "--json", "--only", "settings,time_zone,disk_inodes")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    checks = {check["name"]: check for check in told["checks"]}
    assert "line 2: INVERTER_IP …: is no NAME=value" in checks["settings"]["findings"][0]["found"]
    assert checks["settings"]["findings"][1]["code"] == "elsewhere"
    assert checks["time_zone"]["verdict"] == "ok"
    assert (told["schema"], told["site"], told["verdict"]) == ("bessai.doctor/1", None, "bad")


def test_every_wrong_setting_is_named_in_spanish_too(here: Path) -> None:
    done = typed(
        "doctor",
        "--lang",
        "es",
        "--only",
        "configuration",
        SITE_ID="a",
        INVERTER_IP="a b",
        SOC_MIN="x",
        DATA_DIR=str(here),
    )
    assert done.returncode == 2
    assert "MAL" in done.stdout
    assert "corríjalo" in done.stdout
    for name in ("INVERTER_IP=a b", "SOC_MIN=x"):
        assert name in done.stdout
    assert "\x1b" not in done.stdout, "no colours but on a terminal"


def test_looking_makes_no_directory_that_the_gateway_could_not_use(here: Path) -> None:
    """As root it would be root's."""
    if os.geteuid() != 0:
        pytest.skip("this user is not root")
    done = typed(
        "doctor", "--only", "settings", SITE_ID="a", INVERTER_IP="127.0.0.1", DATA_DIR=str(here / "new")
    )
    assert done.returncode == 0, done.stdout
    assert not (here / "new").exists()


@pytest.mark.parametrize("arguments", [("--only", "disc"), ("--lang", "de")])
def test_wrong_arguments(here: Path, arguments: tuple[str, str]) -> None:
    done = typed("doctor", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {arguments[0]} {arguments[1]}")


def test_a_bundle_without_a_gateway(here: Path) -> None:
    given = {
        "SITE_ID": "plant / 1",
        "INVERTER_IP": "127.0.0.1",
        "INVERTER_PORT": "9",
        "DATA_DIR": str(here / "data"),
    }
    done = typed("support-bundle", "-o", "b.tar.gz", **given)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((here / "b.tar.gz").stat().st_mode) == 0o600
    with tarfile.open(here / "b.tar.gz") as tar:
        names = tar.getnames()
        manifest = tar.extractfile(names[0])
        assert manifest is not None
        said = manifest.read().decode()
    assert names[0].startswith("bessai-support-plant---1-")
    assert all(name.startswith(names[0].partition("/")[0]) for name in names)
    assert "status.json              no gateway runs" in said
    again = typed("support-bundle", "-o", "b.tar.gz", **given)
    assert again.returncode == 1
    assert "b.tar.gz is there already" in again.stderr


def test_what_breaks_or_does_not_fit_is_named_and_stops_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "Seed4711")

    def small(_: Look, __: Sequence[Checked]) -> Iterator[tuple[str, Any]]:
        yield "small.txt", "Seed4711, aloud"

    def breaks(_: Look, __: Sequence[Checked]) -> Iterator[tuple[str, Any]]:
        yield "half.txt", "half"
        raise OSError("no Seed4711")

    def vast(_: Look, __: Sequence[Checked]) -> Iterator[tuple[str, Any]]:
        yield "vast.txt", "x" * (2 << 20)

    parts = [Part(name=f"{make.__name__}.txt", about="", make=make) for make in (vast, breaks, small)]
    bundle = gather(Look(data_dir=here), [], max_bytes=1 << 20, parts=parts)
    assert [(m.name, m.content) for m in bundle.members] == [
        ("half.txt", b"half"),
        ("small.txt", "••••, aloud".encode()),
    ]
    assert dict(bundle.missing) == {
        "vast.txt": "2097152 bytes: more than the 1 MB allow",
        "breaks.txt": "no ••••",
    }
    assert "vast.txt" in bundle.manifest()


def test_a_log_that_is_cut_begins_with_a_whole_line(here: Path) -> None:
    log = here / "log.txt"
    secret, rest = "mqtts://gateway:Hidden4711-and-more@host refuses\n", "the rest\n" + "x" * 100
    for missing, begins in ((18, "the rest"), (-40, "mqtts://")):
        log.write_text(secret + rest.ljust((2 << 20) - len(secret) + missing, "x"))
        bundle = gather(
            replace(Look(data_dir=here), log=log), [], parts=[p for p in PARTS if p.name == "log.txt"]
        )
        (member,) = bundle.members
        assert member.content.decode().startswith(begins)
        assert b"4711" not in member.content


@pytest.mark.parametrize("below", ["", "sub/data"])
def test_a_user_who_may_not_look_in_is_told_so_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """As somebody runs it at first: without sudo."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    data = tmp_path / "data"
    (data / "tls").mkdir(parents=True)
    data.chmod(0o700)
    for name, value in (("SITE_ID", "a"), ("INVERTER_IP", "127.0.0.1"), ("DATA_DIR", str(data / below))):
        monkeypatch.setenv(name, value)
    os.seteuid(65534)
    try:
        directory = data / below
        look = look_around(directory, asking(directory), tmp_path / "no" / ".env")
        found = {
            one.name: [finding.text for finding in one.findings]
            for one in examine(look, chosen(["configuration,disk,rights,certificates,gateway,clock_journal"]))
        }
        bundle = gather(look, [])
    finally:
        os.seteuid(0)
    assert found["settings"] == ["problem"] or not below, "os.access asks for the real user, who is root here"
    assert found["certificates"] == found["clock_journal"] == ["unreadable"]
    assert found["running"] == ["silent"]
    assert not [name for name, texts in found.items() if "broke" in texts]
    assert "journal.json" in dict(bundle.missing)
