from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from bessai.interfaces.build import build_sinks
from bessai.interfaces.performance_sink import PerformanceSink
from bessai.interfaces.settings import ServiceSettings
from bessai.interfaces.sink import keep_running
from bessai.journal import read_cursors
from bessai.performance import Performance, read_plant
from performance.conftest import POC, Write, fold
from performance.test_writer import busy, same, told
from support import performance_process
from support.records import wait_until

GRID = """\
plant: {rated_power: 1000, rated_apparent_power: 1100, nominal_voltage: 400}
points: {voltage: grid_voltage}
values: {frequency.enabled: true}
records: {reserve_deviation: 0.2, after: 2}
"""


def grid_file(directory: Path) -> Path:
    path = directory / "grid.yaml"
    path.write_text(GRID)
    return path


def service(directory: Path) -> PerformanceSink:
    """As the service plane builds it from its environment."""
    settings = ServiceSettings.from_environment(
        {
            "SITE_ID": "s", "DATA_DIR": str(directory), "GRID_FILE": str(grid_file(directory)),
            "HISTORY_MAX_MB": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        }
    )  # fmt: skip
    (sink,) = (sink for sink in build_sinks(settings) if isinstance(sink, PerformanceSink))
    return sink


def test_it_follows_the_journal(write: Write, tmp_path: Path) -> None:
    sink, stop = service(tmp_path), threading.Event()
    sink._poll = sink._period = 0.01
    thread = threading.Thread(target=keep_running, args=(sink, stop))
    thread.start()
    try:
        write(busy(300))
        wait_until(lambda: sink.status().cursor == 300)
        write(busy(200, begin=1500.0))
        wait_until(lambda: sink.status().cursor == 500)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert (sink.status().state, sink.status().delivered, sink.status().missed) == ("ok", 500, 0)
    assert read_cursors(tmp_path)["performance"] == 500
    plant = read_plant(tmp_path / "grid.yaml", POC.names)
    followed = told(Performance(tmp_path, plant))
    (tmp_path / "performance.db").unlink()
    same(followed, told(fold(tmp_path, plant)))


def test_killed_at_any_point_it_neither_loses_nor_doubles_anything(write: Write, tmp_path: Path) -> None:
    write(busy(500))
    grid, chance = grid_file(tmp_path), random.Random(5)
    plant = read_plant(grid, POC.names)
    expected = told(fold(tmp_path, plant))
    for file in tmp_path.glob("performance.db*"):
        file.unlink()
    stored, kills = [0], 0
    while stored[-1] < 500:
        command = [sys.executable, performance_process.__file__, str(tmp_path), str(grid)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            if kills < 2:
                time.sleep(chance.uniform(0.01, 0.08))
                process.send_signal(signal.SIGKILL)
                kills += 1
            assert process.wait(60) in {0, -signal.SIGKILL}
        stored.append(Performance(tmp_path, plant).sequence())
    assert stored == sorted(stored)
    same(told(Performance(tmp_path, plant)), expected)


def test_without_a_grid_file_nothing_is_recorded(tmp_path: Path) -> None:
    environment = {"SITE_ID": "s", "DATA_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    sinks = build_sinks(ServiceSettings.from_environment(environment))
    assert "performance" not in {sink.name for sink in sinks}
