"""What the sink says of itself, and the parts that need no master."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bessai.grid.parameters import PARAMETERS as GRID_PARAMETERS
from bessai.iec104.client import Client
from bessai.interfaces.scada.access import AddressList
from bessai.interfaces.scada.buffer import EventBuffer
from bessai.interfaces.scada.sink import Iec104Sink, grid_values
from bessai.site.scada import MonitorPoint, Scada
from support.feed_server import FeedServer
from support.outstation_scene import LOCAL, SCADA, VALUES, objects


@contextlib.contextmanager
def running(
    directory: Path, scada: Scada = SCADA, period: float = 0.1
) -> Iterator[tuple[Iec104Sink, FeedServer]]:
    stop = threading.Event()
    sink = Iec104Sink(scada, directory / "gateway.sock")
    with FeedServer(directory / "gateway.sock", VALUES, period) as feed:
        thread = threading.Thread(target=sink.run, args=(stop,))
        thread.start()
        try:
            feed.until(lambda: sink.ports and feed.watchers)
            yield sink, feed
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()


def test_it_serves_a_master_and_says_so(tmp_path: Path) -> None:
    async def master(port: int) -> int:
        async with await Client.connect("127.0.0.1", port) as client:
            await client.start()
            found = objects(await client.interrogate())
            feed.until(lambda: sink.status().delivered > 2)
            assert sink.status().details["masters"][0]["master"] == "127.0.0.1"
            return len(found)

    with running(tmp_path) as (sink, feed):
        feed.push()
        assert asyncio.run(master(sink.ports[0])) == len(SCADA.points) - 1
        status = sink.status()
        assert (status.name, status.state, status.last_error) == ("iec104", "ok", None)
        json.dumps(status.as_dict(), allow_nan=False)


def test_old_data_is_named_with_its_limit(tmp_path: Path) -> None:
    with running(tmp_path) as (sink, feed):
        feed.push()
        feed.until(lambda: sink.status().last_error is None)
        feed.ages["soc"] = 3.0  # used by AGC: 2 s
        feed.push()
        feed.until(lambda: "soc was not good for more than 2 s" in (sink.status().last_error or ""))
        feed.ages["soc"] = 0.1
        feed.ages["power"] = 6.0
        feed.push()
        feed.until(lambda: "power was not good for more than 5 s" in (sink.status().last_error or ""))
        assert sink.status().state == "retrying"


def test_a_slow_cycle_is_named(tmp_path: Path) -> None:
    with running(tmp_path, period=4.0) as (sink, feed):
        feed.push()
        feed.until(lambda: "a cycle takes 4 s" in (sink.status().last_error or ""))


def test_a_feed_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    points = (*SCADA.points, MonitorPoint(ioa=99, name="nowhere", kind="float"))
    stop = threading.Event()
    sink = Iec104Sink(replace(SCADA, points=points), tmp_path / "gateway.sock")
    with FeedServer(tmp_path / "gateway.sock", VALUES) as feed:
        thread = threading.Thread(target=sink.run, args=(stop,))
        thread.start()
        feed.until(lambda: "there is no point ['nowhere']" in (sink.status().last_error or ""))
        stop.set()
        thread.join(20)


def test_a_port_that_is_taken_ends_the_run_and_names_it(tmp_path: Path) -> None:
    with running(tmp_path) as (sink, _):
        again = Iec104Sink(Scada(iec104=replace(LOCAL, port=sink.ports[0])), tmp_path / "gateway.sock")
        with pytest.raises(OSError, match="address already in use"):
            again.run(threading.Event())


def test_parameters_of_the_grid_functions_become_numbers() -> None:
    answer = {
        "voltage.mode": "voltage_droop", "frequency.droop": 4.0,
        "frequency.enabled": True, "frequency.curve": "unheard of",
    }  # fmt: skip
    parameters = {name: {"value": value} for name, value in answer.items()}
    mode = GRID_PARAMETERS["voltage.mode"].choices.index("voltage_droop")
    assert grid_values({"ok": True, "grid": {"parameters": parameters}}) == {
        "grid.voltage.mode": float(mode),
        "grid.frequency.droop": 4.0,
        "grid.frequency.enabled": 1.0,
    }
    assert grid_values({"ok": False, "error": "there are no grid functions"}) == {}


def test_addresses_and_networks() -> None:
    allowed = AddressList(("10.1.0.5", "10.2.0.0/16", "fd00::/8"))
    assert [allowed.rank(a) for a in ("10.1.0.5", "10.2.3.4", "::ffff:10.2.3.4", "fd00::1")] == [0, 1, 1, 2]
    assert "10.1.0.6" not in allowed
    assert "" not in allowed
    assert "10.1.0.5" not in AddressList(())


def test_the_buffer_lets_go_of_what_every_master_has() -> None:
    buffer = EventBuffer(100)
    buffer.append([(b"a", 1), (b"b", 2)])
    assert (buffer.join("x"), buffer.join("y"), len(buffer)) == (0, 0, 3)
    buffer.acknowledge("x", 1)
    assert (len(buffer), buffer.waiting("x"), buffer.waiting("y")) == (3, 0, 3)
    buffer.acknowledge("y", 0)
    assert (len(buffer), buffer.waiting("y")) == (2, 2)
    buffer.acknowledge("y", 0)  # an old acknowledgement takes nothing back
    assert buffer.join("y") == 1
    block = buffer.block(0)  # was let go: the oldest that is left
    assert block is not None
    assert (block.number, block.data) == (1, b"b")
    buffer.append([(b"c", 99)])
    assert (buffer.lost, buffer.overflowed, len(buffer)) == (2, True, 99)
    buffer.settle(["x", "y"])
    assert (buffer.lost, buffer.overflowed) == (2, True)
    buffer.acknowledge("x", 2)
    buffer.settle(["x"])
    assert (buffer.lost, buffer.overflowed) == (2, False)
