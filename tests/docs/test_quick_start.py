"""The quick start of the README runs, command by command: a simulated inverter stands at its address.

`README.es.md` has the same commands, see `test_readmes.py`. What `make run` starts is tried in `tests/e2e`.
"""

from __future__ import annotations

import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bessai.cli.common import ask_gateway
from bessai.core.black_box.store import files_in
from support.gateway import BESSAI
from support.gateway import typed as run
from support.pages import ROOT, Typed, typed
from support.twin_process import TwinProcess

README = (ROOT / "README.md").read_text(encoding="utf-8")
START = README[: README.index("## Dashboard")]
DEVICE = README[README.index("## With a real device") : README.index("## Configuration")]
AROUND = {"make", "source"}
"""What sets up, see `test_make_starts_what_the_readme_says`."""
CODES = {
    "request": {0, 1},  # 1: the simulated battery is smaller than the README's
    "read": {0, 3},  # 3: the simulated inverter has no panels
    "reset": {1},  # nothing is tripped
}
"""Exit codes that are right besides 0."""


@pytest.mark.parametrize(
    ("target", "starts"), [("run", ".venv/bin/bessai demo"), ("test", ".venv/bin/python tests/run.py")]
)
def test_make_starts_what_the_readme_says(target: str, starts: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    assert ("make", target) in {one.words for one in typed(START)}
    made = (".venv/.runtime", ".venv/.development", "src/bessai/interfaces/api/page/index.html")
    words = ["make", "-n", *(word for file in made for word in ("-o", file)), target]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert starts in shown.stdout


def test_the_quick_start_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config" / ".env").unlink(missing_ok=True)
    (tmp_path / "registry").symlink_to(ROOT / "registry")
    monkeypatch.chdir(tmp_path)
    commands = [one for one in typed(DEVICE) if one.words[0] not in AROUND]
    assert len(commands) >= 20
    with ExitStack() as stack:
        twin = stack.enter_context(TwinProcess("huawei_sun2000"))
        place = {"192.168.8.1:502": f"127.0.0.1:{twin.port}"}
        for one in commands:
            words = tuple(place.get(word, word) for word in one.words)
            if words[0] == "cp":
                shutil.copy(words[1], words[2])
                edit(Path(words[2]), twin.port)
            elif words == ("bessai", "run"):
                stack.enter_context(gateway(tmp_path))
            elif words[:2] == ("bessai", "simulate"):
                port = stack.enter_context(simulator(words[1:]))
                place["5020"] = port
            else:
                check(one, words)


def check(one: Typed, words: tuple[str, ...]) -> None:
    """Run one command; it ends as it should."""
    assert words[0] == "bessai", f"line {one.line}: {words}"
    if "--follow" in words:
        assert "setpoint" in follow(words[1:])
        return
    if words[1] == "replay":
        words = ("bessai", "replay", str(frozen()))
    done = run(*words[1:])
    good = CODES.get(words[1], {0})
    assert done.returncode in good, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def edit(file: Path, port: int) -> None:
    """Set what the README calls required, and what a test needs."""
    text = file.read_text(encoding="utf-8")
    text, count = re.subn(
        r"^INVERTER_IP=.*$", f"INVERTER_IP=127.0.0.1\nINVERTER_PORT={port}", text, flags=re.MULTILINE
    )
    assert (count, "\nSITE_ID=" in text) == (1, True)
    file.write_text(f"{text}\nHTTP_PORT=0\nOTEL_SDK_DISABLED=true\nBLACK_BOX_AFTER=5\n", encoding="utf-8")


@contextmanager
def gateway(folder: Path) -> Iterator[None]:
    """`bessai run`, until it controls the device."""
    log = folder / "gateway.log"
    with log.open("wb") as told:
        process = subprocess.Popen([*BESSAI, "run"], cwd=folder, stderr=told)
    try:
        deadline = time.monotonic() + 90
        while True:
            answer = ask_gateway(Path("data"), {"op": "status"}, timeout=2)
            if answer and answer["status"].get("control", {}).get("state") == "normal":
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def simulator(words: tuple[str, ...]) -> Iterator[str]:
    """`bessai simulate …` on ports from a free one; that one."""
    process = subprocess.Popen(
        [*BESSAI, *words, "--port", str(free_ports(20))], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = ""
        for line in process.stdout:
            port = port or "".join(re.findall(r"127\.0\.0\.1:(\d+)", line)[:1])
            if "--write" not in words or line.startswith("site file"):
                break
        assert port
        yield port
    finally:
        process.terminate()
        process.communicate()


def free_ports(count: int) -> int:
    """The first of so many that nobody listens to, below those that the system gives away."""
    for first in random.sample(range(15_000, 30_000, count), 50):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


def follow(words: tuple[str, ...]) -> str:
    """The first lines of a command that goes on for ever."""
    process = subprocess.Popen([*BESSAI, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        return "".join(process.stdout.readline() for _ in range(3))
    finally:
        process.kill()
        process.communicate()


def frozen() -> Path:
    """A record of the black box, as RECORD of the README stands for one."""
    done = run("blackbox", "freeze", "--reason", "a noise")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 60
    while not (files := files_in(Path("data/blackbox"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return files[-1]
