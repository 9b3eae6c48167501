"""Installed, updated, broken on purpose, rolled back: real environments, real processes, power that flows.

The wheels of the quick test borrow this tree's code (`support.wheels`). The long one builds the real wheel and the real
bundle, with every locked package, and installs it by the script: it wants the package index once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bessai.cli.common import GatewayError, ask_gateway
from bessai.journal import JournalReader
from bessai.update.formats import written
from bessai.update.slots import Slots
from support.profiles import BATTERY, CONTROL, DEAD_MAN, document
from support.twin_process import TwinProcess
from support.wheels import changed, environment, wheel

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "infrastructure" / "install"
LOOP = """
trap 'kill $pid 2>/dev/null; exit' TERM
while :; do
    "$PREFIX/settle" 2>>"$PREFIX/log"
    "$PREFIX/current/bin/bessai" run 2>>"$PREFIX/log" & pid=$!
    echo $pid >"$PREFIX/pid"
    wait $pid
    sleep 1
done
"""
"""What systemd does with the unit: settle, start, start again."""
QUIET = """
if 'bessai.interfaces' in me:
    import time
    time.sleep(1000)
if me[-1] == 'run':
    import os
    os.execv(sys.executable, [sys.executable, '-m', 'bessai.core'])
"""
"""What the quick test spares, for its imports take seconds: a service plane that only sits there, and a `bessai run`
that becomes the control plane without looking at the settings first."""
OWN = ("PYTHONPATH", "SITE_ID", "INVERTER_IP")


class Plant:
    """An installation with a gateway that commands a twin."""

    def __init__(self, root: Path, profile: Path, port: int, install: Callable[[Path], Path]) -> None:
        self.etc, self.data = root / "etc", root / "data"
        (self.etc / "config").mkdir(parents=True)
        (self.etc / "config" / ".env").write_text(
            f"SITE_ID=update-test\nINVERTER_IP=127.0.0.1\nINVERTER_PORT={port}\nDRIVER_PROFILE_PATH={profile}\n"
            "CYCLE_TIME=0.5\nWATCHDOG_TIMEOUT=2\nHTTP_PORT=0\nOTEL_SDK_DISABLED=true\n"
        )
        self.prefix = install(root)
        environ = {k: v for k, v in os.environ.items() if k not in OWN}
        self.environ = environ | {"DATA_DIR": str(self.data), "PREFIX": str(self.prefix)}
        self.service = subprocess.Popen(["/bin/sh", "-c", LOOP], cwd=self.etc, env=self.environ)

    def end(self) -> None:
        self.service.terminate()
        self.service.wait(20)

    def status(self) -> dict[str, Any]:
        try:
            answer = ask_gateway(self.data, {"op": "status"})
        except GatewayError:
            return {}
        return (answer or {}).get("status") or {}

    def until(self, check: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 60
        while not ((found := self.status()) and check(found)):
            assert time.monotonic() < deadline, f"{found}\n{(self.prefix / 'log').read_text()}"
            time.sleep(0.2)

    def until_well(self, version: str) -> None:
        self.until(lambda status: status["healthy"] and status["version"] == version)

    def bessai(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.prefix / "current" / "bin" / "bessai", *words],
            capture_output=True, text=True, check=False, cwd=self.etc, env=self.environ, timeout=900,
        )  # fmt: skip

    def update(self, *words: str) -> subprocess.CompletedProcess[str]:
        restart = f"kill $(cat '{self.prefix}/pid')"
        times = ("--watch", "2s", "--within", "60s")
        return self.bessai("update", *times, "--yes", "--restart-command", restart, *words)

    def events(self) -> set[str]:
        found: set[str] = set()
        deadline = time.monotonic() + 30
        while (
            "update_rolled_back" not in found and time.monotonic() < deadline
        ):  # a record is written each cycle
            entries = JournalReader(self.data).tail(1000)
            found = {event.code for entry in entries for event in entry.events}
            time.sleep(0.2)
        return found


def borrowed(root: Path) -> Path:
    """An installation whose packages are those of this environment; its prefix."""
    prefix = root / "opt"
    environment(prefix / "a", wheel(root, "1.0.0", more=QUIET))
    (prefix / "a" / "slot.json").write_text(json.dumps({"version": "1.0.0", "formats": written()}))
    (prefix / "current").symlink_to("a")
    shutil.copy(INSTALL / "settle.sh", prefix / "settle")
    return prefix


@contextmanager
def running(tmp_path: Path, install: Callable[[Path], Path]) -> Iterator[Plant]:
    """A twin, and a gateway that commands it."""
    profile = tmp_path / "test.json"
    profile.write_text(json.dumps(document(BATTERY, control=CONTROL, dead_man=DEAD_MAN)))
    with TwinProcess(profile) as twin:
        plant = Plant(tmp_path, profile, twin.port, install)
        try:
            yield plant
        finally:
            plant.end()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with running(tmp_path, borrowed) as plant:
        yield plant


def test_update_broken_update_and_way_back(plant: Plant, tmp_path: Path) -> None:
    plant.until_well("1.0.0")

    # While power flows nothing is restarted, nor even built.
    asked = ask_gateway(
        plant.data, {"op": "request", "power": 2, "for": 600, "reason": "test", "source": "test"}
    )
    assert asked is not None
    assert asked["ok"]
    plant.until(lambda status: bool(status["control"]["setpoint"]))
    good = wheel(tmp_path, "2.0.0", more=QUIET)
    done = plant.update("--from", str(good))
    assert done.returncode == 4, done.stdout + done.stderr
    assert "power flows" in done.stderr
    assert not (plant.prefix / "b").exists()
    ask_gateway(plant.data, {"op": "cancel", "source": "test"})

    # A good one: told where it is, watched, and it stays.
    done = plant.update("--from", str(good), "--wait", "30s", "--reason", "release 2.0.0")
    assert done.returncode == 0, done.stdout + done.stderr
    plant.until_well("2.0.0")
    assert Slots(plant.prefix).current() == "b"

    # A broken one: `bessai run` dies. It is taken back by itself, and the journal tells so.
    judgement = {"version": "3.0.0", "formats": written(), "problems": [], "unreadable": []}
    broken = wheel(
        tmp_path,
        "3.0.0",
        more="if 'run' in me: raise SystemExit('broken on purpose')\n"
        f"if 'inspect' in me: print({json.dumps(judgement)!r}); raise SystemExit(0)\n",
    )
    done = plant.update("--from", str(broken), "--answer", "4s")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "does not answer" in done.stdout
    assert "broken on purpose" in (plant.prefix / "log").read_text()
    assert plant.status()["version"] == "2.0.0"
    assert {"gateway_updated", "update_rolled_back"} <= plant.events()
    assert not (plant.prefix / "pending").exists()
    assert not (plant.prefix / "settled").exists()


def told(*command: str | Path) -> str:
    """What a command says."""
    environ = {k: v for k, v in os.environ.items() if k not in OWN}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_real_wheel_from_bundle_to_way_back(tmp_path: Path) -> None:
    """Minutes: 74 packages are packed once and installed three times."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    told(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (first,) = tmp_path.glob("*.whl")
    wheels = tmp_path / "wheels"

    def bundle(file: Path, *more: str | Path) -> Path:
        told(INSTALL / "bundle.sh", "--wheel", file, "--python", sys.executable, "--out", tmp_path, *more)
        (packed,) = tmp_path.glob(f"bessai-{file.name.split('-')[1]}-*.tar")
        return packed

    def install(root: Path) -> Path:
        told("tar", "-xf", bundle(first), "-C", root)
        (top,) = (path for path in root.glob("bessai-*") if path.is_dir())
        shutil.copytree(top / "wheels", wheels)
        told(top / "install.sh", "--root", root / "machine", "--python", python)
        prefix = root / "machine" / "opt" / "bessai"
        told(
            prefix / "current" / "bin" / "bessai",
            "demo",
            "--for",
            "5",
            "--plain",
            "--data-dir",
            root / "demo",
        )
        return prefix

    with running(tmp_path, install) as plant:
        plant.until(lambda status: status["healthy"] and bool(status["service_plane"].get("sinks")))
        good = bundle(changed(first, "2.0.0"), "--find-links", wheels)
        done = plant.update("--from", str(good))
        assert done.returncode == 0, done.stdout + done.stderr
        plant.until_well("2.0.0")

        # A wheel alone takes its packages from the slot that runs. This one starts, and its device is never found.
        ill = "if 'bessai.core' in me:\n    import os\n    os.environ['INVERTER_PORT'] = '1'\n"
        done = plant.update("--from", str(changed(first, "3.0.0", ill)))
        assert done.returncode == 1, done.stdout + done.stderr
        assert "new alarms: evidence_lost" in done.stdout
        plant.until_well("2.0.0")
        assert "update_rolled_back" in plant.events()
