"""The parts of the reading routes, without a gateway."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.core.describing import MASK, masked
from bessai.interfaces.api.answers import moment, time_text
from bessai.interfaces.api.archive import cycle_before, events_before, sequence_at
from bessai.interfaces.api.deciding import sentences, steps
from bessai.interfaces.api.gateway import Gateway
from bessai.interfaces.api.machine import disk_of, end_of_life, process_of, wear, whole_disk, written_per_day
from bessai.interfaces.api.problems import Problem
from bessai.interfaces.api.publishers import publisher, sinks_of
from bessai.interfaces.api.routes.overview import look
from bessai.journal import Journal, JournalReader
from bessai.model import wording
from support.api_server import plain_context, served
from support.records import DEVICE, LAYOUT, START_NS, make_event, make_record


def _unit(low: float | None, high: float | None, *limits: str, state: str = "normal") -> dict[str, Any]:
    return {"unit": "", "state": state, "bounds": {"low": low, "high": high}, "limited_by": list(limits)}


def _asked(source: str, priority: str, role: str, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "source": source, "priority": priority, "role": role, "bounds": {"low": low, "high": high},
        "power": 8.0 if role == "won" else None,
    }  # fmt: skip


def _decision(**more: Any) -> dict[str, Any]:
    return {
        "state": "normal", "setpoint": 3.0, "asked": 8.0, "target": 4.0, "source": "vpp", "reason": "peak",
        "bounds": {"low": -5.0, "high": 4.0}, "limited_by": ["request:grid", "ramp_up"],
        "units": [_unit(-10.0, 6.0, "soc_low", "cell_temperature_max", "write_interval")],
        "considered": [
            _asked("grid", "grid_operator", "narrowed", -5.0, 4.0),
            _asked("odd", "operator", "impossible", 5.0, 9.0),
            _asked("vpp", "power_plant", "won", None, None),
            _asked("plan", "schedule", "bounds_only", 0.0, 1.0),
        ],
        **more,
    }  # fmt: skip


def _rows(decision: dict[str, Any], reported: tuple[float | None, float | None]) -> list[tuple[Any, ...]]:
    return [(s["kind"], s["name"], s["low"], s["high"], s["power"]) for s in steps(decision, reported)]


def test_steps_narrow_in_the_order_of_the_guard_and_of_priority() -> None:
    assert _rows(_decision(), (-10.0, 10.0)) == [
        ("bounds", "reported", -10.0, 10.0, None),
        ("limit", "soc_low", None, None, None),  # what it left alone is not recorded
        ("limit", "cell_temperature_max", -10.0, 6.0, None),
        ("bounds", "guard", -10.0, 6.0, None),
        ("request", "grid", -5.0, 4.0, None),
        ("request", "odd", -5.0, 4.0, None),  # impossible: passed over
        ("request", "vpp", -5.0, 4.0, 8.0),
        ("request", "plan", -5.0, 4.0, None),  # of lower priority than the winner
        ("bounds", "left", -5.0, 4.0, 4.0),
        ("limit", "ramp_up", None, None, None),
        ("result", "setpoint", -5.0, 4.0, 3.0),
    ]


def test_without_a_winner_every_request_binds() -> None:
    decision = _decision(considered=[_asked("plan", "schedule", "bounds_only", 0.0, 1.0)], units=[])
    request = next(row for row in _rows(decision, (None, None)) if row[0] == "request")
    assert request == ("request", "plan", None, None, None)  # the guard's bounds are not recorded
    decision["units"] = [_unit(-10.0, 6.0), _unit(-5.0, 5.0), _unit(0.0, 0.0, state="monitor")]
    rows = {row[1]: row[2:4] for row in _rows(decision, (None, None))}
    assert rows["guard"] == (-15.0, 11.0)
    assert rows["plan"] == (0.0, 1.0)


def test_an_old_or_empty_record_leaves_everything_unknown() -> None:
    rows = _rows({"state": "monitor"}, (None, None))
    assert [row[1] for row in rows] == ["reported", "guard", "left", "setpoint"]
    assert all(value is None for row in rows for value in row[2:])
    assert sentences({}, "es") == [
        "nadie pide potencia, así que se ordena cero",
        wording.step_words("monitor")["es"],
    ]


def test_words_in_both_languages() -> None:
    said = sentences(_decision(), "en")
    assert said[0] == "vpp asks for 8 kW: peak"
    assert said[-1] == "the plant is commanded to 3 kW"
    assert len(sentences(_decision(), "es")) == len(said)
    document = json.loads((Path(wording.__file__).with_name("wording.json")).read_text(encoding="utf-8"))
    for part in document.values():
        for name, texts in part.items():
            assert set(texts) == {"en", "es"}, name
            assert texts["en"].count("{") == texts["es"].count("{"), name


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-29T06:00:00Z", 1795932000), ("2026-11-29T06:00:00", 1795932000), ("1795932000000", 1795932000),
        ("2026-11-29T03:00:00-03:00", 1795932000), ("2026-11-29T07:00:00 01:00", 1795932000),
        ("now", 1_000), ("-2m", 880), (None, 7), (" ", 7),
    ],
)  # fmt: skip
def test_times_that_come_in(text: str | None, seconds: int) -> None:
    assert moment("start", text, 7 * 10**9, now_ns=1_000 * 10**9) == seconds * 10**9


@pytest.mark.parametrize(
    "text", ["soon", "2026-13-01", "9" * 16, "-999999999d", "0001-01-01T00:00:00Z\x00", "\u0661"]
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Problem, match="start: is no time"):
        moment("start", text, 0)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("MQTT_PASSWORD", "abc", MASK), ("NATS_TOKEN", "abc", MASK), ("NATS_TOKEN", None, None),
        ("NATS_URL", "nats://a:b@h:1,nats://c@h:2", f"nats://{MASK}@h:1,nats://{MASK}@h:2"),
        ("MQTT_URL", "mqtts://u:p/a@h:1", f"mqtts://{MASK}@h:1"),
        ("MQTT_URL", "mqtts://u:p,a@h:1", f"mqtts://{MASK}@h:1"),
        ("X", "http://h/?a=1&access_token=abc&b=2", f"http://h/?a=1&access_token={MASK}&b=2"),
        ("MQTT_PASSWORD_FILE", "secret/file", "secret/file"), ("CYCLE_TIME", 1.0, 1.0),
    ],
)  # fmt: skip
def test_secrets_are_masked_at_their_source(name: str, value: object, shown: object) -> None:
    assert masked(name, value) == shown


def _status(power: float, quality: str = "good", **more: float) -> dict[str, Any]:
    values = {"soc": 40.0, "battery_power": power, "energy_capacity": 20.0, **more}
    points = {name: {"value": value, "quality": "good", "age": 0.5} for name, value in values.items()}
    points["battery_power"]["quality"] = quality
    return {"points": points, "units": {"": {}}}


def test_time_to_the_ends_of_the_window() -> None:
    charging = look(_status(-10.0), 10.0, 90.0)
    assert (charging.seconds_to_full, charging.seconds_to_empty) == (3600.0, None)
    assert look(_status(10.0), 10.0, 90.0).seconds_to_empty == 0.6 * 3600 * 0.5 * 2
    for unknown in (look(_status(-10.0, "stale"), 10.0, 90.0), look(_status(-10.0), None, None)):
        assert (unknown.seconds_to_full, unknown.seconds_to_empty) == (None, None)
    assert look(_status(-0.01), 10.0, 90.0).seconds_to_full is None


def test_the_load_balances_only_when_all_is_measured() -> None:
    whole = look(_status(1.0, active_power=3.0, grid_power=-2.0), None, None).flows.load
    assert whole is not None
    assert whole.value == 5.0
    assert look(_status(1.0, active_power=3.0), None, None).flows.load is None
    two = _status(1.0, active_power=3.0, grid_power=-2.0) | {"units": {"a": {}, "b": {}}}
    assert look(two, None, None).flows.load is None


COUNT = 1500


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of one cycle a second; each hundredth has an event."""
    folder = tmp_path_factory.mktemp("scan")
    held = Journal.open(folder, layout=LAYOUT, device=DEVICE, queue=COUNT + 1)
    for n in range(COUNT):
        events = (make_event(n),) if n % 100 == 99 else ()
        held.append(make_record(n, events=events))
    assert held.close(60)
    return folder


@pytest.fixture
def reader(data: Path) -> Iterator[JournalReader]:
    found = JournalReader(data)
    yield found
    found.close()


def test_a_scan_finds_the_same_events_however_it_is_cut(reader: JournalReader) -> None:
    direct = [
        (entry.sequence, event.code) for entry in reader.read_between(None, None) for event in entry.events
    ]
    assert len(direct) == COUNT // 100
    for limit, patience in ((1000, 9.0), (4, 9.0), (1000, -1.0)):
        found, before = [], reader.last_sequence() + 1
        for _ in range(COUNT):
            part, following = events_before(reader, before, 0, 1 << 62, limit, lambda _: True, patience)
            found += [(sequence, event.code) for sequence, _, event in part]
            if following is None:
                break
            assert following < before
            before = following
        assert found == direct[::-1]


def test_records_are_found_by_time(reader: JournalReader) -> None:
    entries = list(reader.read_between(None, None))
    for entry in (entries[0], entries[700], entries[-1]):
        assert sequence_at(reader, entry.wall_ns) == entry.sequence
        found = cycle_before(reader, entry.sequence + 1)
        assert found is not None
        assert (found.sequence, found.decision) == (entry.sequence, entry.decision)
    assert sequence_at(reader, entries[0].wall_ns - 1) == 0
    assert cycle_before(reader, entries[0].sequence) is None
    assert cycle_before(reader, 700, oldest_ns=1 << 62) is None
    assert time_text(START_NS).endswith("Z")


def test_many_viewers_cost_one_question(tmp_path: Path) -> None:
    asked = []

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readline())
            await asyncio.sleep(0.02)
            writer.write(b'{"ok": true, "status": {"site": "x"}}\n')
            writer.close()

        server = await asyncio.start_unix_server(serve, tmp_path / "s")
        gateway = Gateway(tmp_path / "s")
        told = await asyncio.gather(*(gateway.status() for _ in range(200)))
        assert {one["site"] for one in told} == {"x"}
        assert len(asked) == 1
        server.close()

    asyncio.run(run())


def test_a_silent_gateway_and_an_empty_journal_are_told(tmp_path: Path) -> None:
    with served(plain_context(tmp_path, tmp_path / "none")) as api:
        for path in ("/status", "/points", "/devices", "/configuration", "/grid", "/alarms", "/system"):
            answered = api.get(path)
            assert (answered.status, answered.json()["code"]) == (503, "gateway_silent"), path
        assert api.get("/events").json() == {"events": [], "next": None}
        assert api.get("/decisions").json()["times"] == []
        assert api.get("/decisions/latest").status == 404
        assert api.get("/history", points="soc").status == 422


def _disk_tree(root: Path) -> Path:
    """A partition on an eMMC, as /sys shows it, under an encrypted volume."""
    disk = root / "devices" / "mmcblk0"
    partition, mapped = disk / "mmcblk0p2", root / "devices" / "dm-0"
    for folder in (partition, disk / "device", mapped / "slaves"):
        folder.mkdir(parents=True)
    (partition / "partition").write_text("2\n")
    (mapped / "slaves" / "mmcblk0p2").symlink_to(partition)
    (root / "253:0").symlink_to(mapped)
    (disk / "device" / "life_time").write_text("0x02 0x05\n")
    (disk / "device" / "pre_eol_info").write_text("0x02\n")
    (disk / "stat").write_text("1 0 8 1 2 0 4096 9 0 1 1 0 0 0 0\n")
    return disk


def test_wear_is_what_the_kernel_tells_and_nothing_else(tmp_path: Path) -> None:
    disk = _disk_tree(tmp_path)
    assert whole_disk(tmp_path / "253:0") == disk
    assert (wear(disk), end_of_life(disk)) == (0.5, "warning")
    written = written_per_day(disk)
    assert written is not None
    assert written > 0
    for text in ("0x00 0x00", "", "none"):
        (disk / "device" / "life_time").write_text(text)
        assert wear(disk) is None
    (disk / "device" / "life_time").write_text("0x0b 0x01")
    assert wear(disk) == 1.0
    (disk / "device" / "pre_eol_info").write_text("0x00")
    assert end_of_life(disk) is None
    for name in ("life_time", "pre_eol_info"):
        (disk / "device" / name).unlink()
    (disk / "stat").unlink()
    assert (wear(disk), end_of_life(disk), written_per_day(disk)) == (None, None, None)
    assert whole_disk(tmp_path / "0:42") is None


def test_a_disk_and_a_process_that_there_are(tmp_path: Path) -> None:
    disk = disk_of(tmp_path)
    assert 0 < disk.free <= disk.total
    process = process_of(os.getpid())
    assert (process.rss or 0) > 1 << 20
    gone = process_of(2**22 + 1)
    assert (gone.rss, gone.cpu, gone.written) == (None, None, None)


def test_what_waits_is_as_old_as_its_oldest_record(data: Path, reader: JournalReader) -> None:
    entries = list(reader.read_between(None, None))
    sink = {"name": "mqtt", "state": "retrying", "cursor": 700, "backlog": 3, "delivered_ns": START_NS}
    found = publisher(sink, reader)
    assert found.oldest_waiting is not None
    next_ns = entries[700].wall_ns  # the one behind sequence 700
    assert found.oldest_waiting == pytest.approx((time.time_ns() - next_ns) / 1e9, abs=60)
    assert (found.delivered, found.failed, found.connected) == (time_text(START_NS), None, None)
    assert publisher({**sink, "cursor": entries[-1].sequence}, reader).oldest_waiting is None
    assert publisher({**sink, "backlog": 0}, reader).oldest_waiting is None
    status = {"service_plane": {"sinks": [sink, "odd", {"name": "x"}]}}
    assert sinks_of(status) == [sink]
    assert sinks_of({"service_plane": {"sinks": None}}) == []
