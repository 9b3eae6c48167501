"""The bundle and the installation script, below a root of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from support.wheels import wheel

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "infrastructure" / "install"
ENVIRON = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "SOURCE_DATE_EPOCH"}}


def run(*command: str | Path, code: int = 0) -> str:
    """Everything that a command says."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=ENVIRON
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose new environments find the packages of this one: unpacking pip takes seconds."""
    path = tmp_path_factory.mktemp("python") / "python3"
    path.write_text(
        f'#!/bin/sh\nif [ "$2" = venv ]; then\n  {sys.executable} -m venv --without-pip "$3" &&\n'
        f'  echo {sysconfig.get_path("purelib")} >"$(echo "$3"/lib/python3*/site-packages)/tests.pth"\n'
        f'else exec {sys.executable} "$@"; fi\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Path:
    """Made by the script, from a directory of wheels, without network."""
    here = tmp_path_factory.mktemp("bundle")
    house = here / "house"
    house.mkdir()
    other = wheel(house, "1.0", name="other")
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    (here / "requirements.txt").write_text(f"other==1.0 --hash=sha256:{digest}\n")
    run(
        INSTALL / "bundle.sh", "--wheel", wheel(here, "1.0.0"), "--requirements", here / "requirements.txt",
        "--find-links", house, "--out", here / "out", "--python", python,
    )  # fmt: skip
    (found,) = (here / "out").glob("bessai-1.0.0-linux-*.tar")
    return found


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    """Unpacked, to be spoilt."""
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="fully_trusted")
    return tmp_path / packed.stem


def test_from_bundle_to_installation_and_away(bundle: Path, python: Path, tmp_path: Path) -> None:
    root = tmp_path / "a root"
    said = run(bundle / "install.sh", "--root", root, "--python", python, "--serial", "--backup")
    assert "bessai config check" in said
    opt = root / "opt" / "bessai"
    assert '"version": "1.0.0"' in (opt / "current" / "slot.json").read_text(), "as the program itself says"
    assert sorted(opt.glob("a/lib/python3*/site-packages/other-1.0.dist-info"))
    assert os.access(opt / "settle", os.X_OK)
    settings = root / "etc" / "bessai" / "config" / ".env"
    assert settings.read_text() == (ROOT / "config" / ".env.example").read_text()
    assert settings.stat().st_mode & 0o777 == 0o640
    assert (root / "var" / "lib" / "bessai").stat().st_mode & 0o777 == 0o700
    units = root / "etc" / "systemd" / "system"
    assert (units / "bessai-gateway.service").is_file()
    assert [path.name for path in (units / "bessai-gateway.service.d").iterdir()] == ["serial.conf"]
    if os.geteuid() == 0 and shutil.which("systemd-sysusers"):
        assert "\nbessai:" in f"\n{(root / 'etc' / 'passwd').read_text()}"
        assert settings.stat().st_gid != 0, "the service's group reads the settings"

    # Again: what is missing comes back, what is there stays.
    settings.write_text("SITE_ID=mine\n")
    (opt / "settle").unlink()
    built = (opt / "a" / "slot.json").stat().st_mtime_ns
    assert "kept" in run(bundle / "install.sh", "--root", root, "--python", python)
    assert settings.read_text() == "SITE_ID=mine\n"
    assert (opt / "settle").exists()
    assert (opt / "a" / "slot.json").stat().st_mtime_ns == built

    assert "stay" in run(bundle / "install.sh", "--root", root, "--uninstall")
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert left - {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"} == {"etc/bessai/config/.env"} | {
        name for name in left if name.endswith((".lock", "-"))
    }
    run(bundle / "install.sh", "--root", root, "--uninstall", "--purge")
    assert not (root / "etc" / "bessai").exists()


def test_a_damaged_bundle_is_not_installed(bundle: Path, python: Path, tmp_path: Path) -> None:
    options = ("--root", tmp_path / "root", "--python", python)
    (bundle / "wheels" / "evil-9-py3-none-any.whl").write_bytes(b"")
    assert "not in SHA256SUMS: wheels/evil-9-py3-none-any.whl" in run(bundle / "install.sh", *options, code=2)
    (bundle / "wheels" / "evil-9-py3-none-any.whl").unlink()
    with (bundle / "requirements.txt").open("a") as file:
        file.write("evil\n")
    assert "damaged" in run(bundle / "install.sh", *options, code=2)
    sums = bundle / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if not line.endswith("  requirements.txt\n")))
    assert "not in SHA256SUMS: requirements.txt" in run(bundle / "install.sh", *options, code=2)
    assert not (tmp_path / "root" / "opt" / "bessai" / "current").exists()


def test_a_signed_bundle(bundle: Path, python: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    for name in ("ours", "theirs"):
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / name)
        run("openssl", "pkey", "-in", tmp_path / name, "-pubout", "-out", tmp_path / f"{name}.pub")
    sums = bundle / "SHA256SUMS"
    run(
        "openssl",
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        tmp_path / "ours",
        "-in",
        sums,
        "-out",
        f"{sums}.sig",
    )
    options = ("--root", tmp_path / "root", "--python", python, "--key")
    assert "not signed" in run(bundle / "install.sh", *options, tmp_path / "theirs.pub", code=2)
    # What openssl signs is what the update takes.
    from bessai.update import UpdateError
    from bessai.update.package import staged

    (tmp_path / "workshop").mkdir()
    assert "signed" in staged(bundle, tmp_path / "workshop", key=tmp_path / "ours.pub").checked
    with pytest.raises(UpdateError, match="was not made for this"):
        staged(bundle, tmp_path / "workshop", key=tmp_path / "theirs.pub")


def test_what_it_needs_is_told(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2\nexit 1\n")
    old.chmod(0o755)
    script = INSTALL / "install.sh"
    assert "Python 3.9.2 is too old" in run(script, "--root", tmp_path / "root", "--python", old, code=2)
    assert "unknown option" in run(script, "--wrong", code=2)
    assert "--uninstall" in run(script, "--help")
    assert "goes with --uninstall" in run(script, "--root", tmp_path / "root", "--purge", code=2)


@pytest.mark.parametrize("script", sorted(INSTALL.glob("*.sh")), ids=lambda path: path.name)
def test_the_scripts_are_plain_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    run("sh", "-n", script)
    if (check := shutil.which("shellcheck")) is None:
        pytest.skip("shellcheck is not installed")
    run(check, script)
