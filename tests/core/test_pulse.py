"""Which cycles beat, seen where the service manager listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessai.core.cycle import ControlCycle
from bessai.core.deadman import DeadMan
from bessai.core.guard import SafetyGuard
from bessai.core.heartbeat import Notifier
from bessai.core.limits import Limits
from bessai.core.plant import Plant as RealPlant
from bessai.core.pulse import Pulse
from bessai.core.requests import RequestBook
from bessai.core.unit import Unit
from bessai.model import (
    Condition,
    CycleRecord,
    Endpoint,
    GuardState,
    Operation,
    Priority,
    Request,
    Role,
    SystemClock,
)
from bessai.site import single_device_site
from support.modbus_device import ScriptedDevice
from support.notify import NotifySocket
from support.profiles import REGISTERS, battery
from support.small_records import Records

PERIOD = 0.1


class Scene:
    """A device on a real socket, a cycle, and a service manager that listens."""

    def __init__(self, device: ScriptedDevice, profile: Any, manager: NotifySocket, *, control: bool) -> None:
        self.device = device
        self.manager = manager
        self.book = RequestBook()
        site = single_device_site(profile, Endpoint(host="127.0.0.1", port=device.port))
        self.plant = RealPlant(site, SystemClock(), cycle=PERIOD, stale_after=3 * PERIOD)
        self.driver = self.plant.units[""]
        self.guard = SafetyGuard([Unit(profile, Limits(), DeadMan(profile, 0.2), control=control)])
        self.pulse = Pulse(Notifier({"NOTIFY_SOCKET": manager.address}), PERIOD)
        self.records = Records()
        self.cycle = ControlCycle(
            self.plant, self.guard, self.book, self.records, SystemClock(), PERIOD, pulse=self.pulse
        )

    def ask(self, power: float) -> None:
        now = asyncio.get_running_loop().time()
        self.book.put(Request(source="test", priority=Priority.OPERATOR, power=power, expires=now + 60))

    async def beats(self, cycles: int) -> list[bool]:
        """Which of the next cycles beat."""
        found = []
        for _ in range(cycles):
            self.manager.take()
            await self.cycle.step()
            found.append("WATCHDOG=1" in self.manager.take())
            await asyncio.sleep(PERIOD / 2)
        return found

    async def run(self, cycles: float) -> list[str]:
        """Let the cycle run as the gateway does; what the service manager heard meanwhile."""
        self.manager.take()
        stop = asyncio.Event()
        running = asyncio.create_task(self.cycle.run(stop))
        await asyncio.sleep(cycles * PERIOD)
        stop.set()
        await running
        return self.manager.take()

    async def until(self, check: Callable[[CycleRecord], bool]) -> CycleRecord:
        for _ in range(100):
            record = await self.cycle.step()
            if check(record):
                return record
            await asyncio.sleep(PERIOD / 2)
        raise AssertionError(f"not reached; last {record}")

    def feeds(self) -> int:
        """Writes that fed the device's dead-man, whole commands included."""
        return sum(pdu[:3] == bytes((6, 0, 20)) for pdu in self.device.requests)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path / "notify") as listener:
        yield listener


def _play(
    tmp_path: Path,
    manager: NotifySocket,
    body: Callable[[Scene], Awaitable[None]],
    *,
    control: bool = True,
) -> None:
    async def run() -> None:
        async with ScriptedDevice(dict(REGISTERS)) as device:
            profile = battery(tmp_path, connection={"timeout": 0.4, "retries": 0})
            scene = Scene(device, profile, manager, control=control)
            await body(scene)
            await scene.driver.close()

    asyncio.run(run())


def _powered(record: CycleRecord) -> bool:
    return record.decision.setpoint == 5.0 and record.verified


def test_ready_comes_with_the_first_cycle_and_verified_cycles_beat(
    tmp_path: Path, manager: NotifySocket
) -> None:
    async def body(scene: Scene) -> None:
        assert manager.take() == []
        await scene.cycle.step()
        assert manager.take()[0] == "READY=1"
        scene.ask(5.0)
        await scene.until(_powered)
        assert await scene.beats(10) == [True] * 10
        scene.pulse.stopping()
        assert manager.take()[0] == "STOPPING=1"

    _play(tmp_path, manager, body)


@pytest.mark.parametrize("control", [True, False])
def test_a_dead_device_is_an_alarm_and_no_reason_for_a_restart(
    tmp_path: Path, manager: NotifySocket, control: bool
) -> None:
    async def body(scene: Scene) -> None:
        await scene.until(lambda r: r.verified)
        await scene.device.stop()
        await scene.until(lambda r: not r.verified and bool(scene.cycle.active))
        assert all(await scene.beats(10))
        assert scene.pulse.status()["earned"]

    _play(tmp_path, manager, body, control=control)


def test_a_dead_man_test_is_no_reason_for_a_restart(tmp_path: Path, manager: NotifySocket) -> None:
    async def body(scene: Scene) -> None:
        scene.ask(5.0)
        await scene.until(_powered)
        loop = asyncio.get_running_loop()
        operation = Operation(
            kind="deadman_test", user="ana", role=Role.ENGINEER, reason="commissioning", seconds=60.0
        )
        assert scene.guard.operate(operation, loop.time(), 1) is None
        assert scene.guard.units[""].withheld
        assert all(await scene.beats(25))
        assert scene.guard.units[""].withheld

    _play(tmp_path, manager, body)


@pytest.mark.parametrize("what", ["decide", "command", "wrote", "feed", "fall_back after decide"])
def test_an_exception_in_the_guard_ends_heartbeat_and_feeding(
    tmp_path: Path, manager: NotifySocket, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(scene: Scene) -> None:
        scene.ask(5.0)
        await scene.until(_powered)

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            for name in ("decide", "fall_back") if " " in what else (what,):
                patched.setattr(scene.guard, name, broken)
            await scene.run(3)  # one cycle may end what was under way
            assert not any("WATCHDOG=1" in m for m in await scene.run(10))
            assert scene.pulse.why
            assert scene.cycle.failed or "cycle_failed" in {c.code for c in scene.cycle.active}
            assert not any(record.fed for record in scene.records.records[-8:]) or what == "fall_back"
            registers = scene.device.registers
            assert registers[24] in {0, 5000}
            if what != "feed":
                fed = scene.feeds()
                await scene.run(8)
                zero = registers[24] == 0
                assert zero or scene.feeds() == fed, "zero, or silence that lets the device fall back"
        await scene.until(_powered)
        assert await scene.beats(5) == [True] * 5
        assert not scene.cycle.failed

    _play(tmp_path, manager, body)


def test_a_cycle_that_fails_behind_its_feed_feeds_no_more(
    tmp_path: Path, manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm list comes after the feeding: its bug must not leave a fed device that nobody watches."""

    async def body(scene: Scene) -> None:
        scene.ask(5.0)
        await scene.until(_powered)

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(scene.cycle._alarms, "update", broken)
            assert not any("WATCHDOG=1" in m for m in await scene.run(10))
            assert scene.device.registers[24] == 0, "zero is commanded"
            assert scene.cycle.failed == "cycle failed: RuntimeError: a bug"
        await scene.until(_powered)

    _play(tmp_path, manager, body)


def test_a_reading_that_raises_beats_not(
    tmp_path: Path, manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(scene: Scene) -> None:
        await scene.until(lambda r: r.verified)

        async def broken() -> bool:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(scene.driver, "read_fast", broken)
            assert not any((await scene.beats(15))[1:]), "not even when the lost evidence is an alarm"
            assert "reading failed: RuntimeError: a bug" in scene.pulse.why
        await scene.until(lambda r: r.verified)
        assert all(await scene.beats(3))

    _play(tmp_path, manager, body)


def test_a_reading_that_never_ends_is_stuck(
    tmp_path: Path, manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(scene: Scene) -> None:
        await scene.until(lambda r: r.verified)
        release = asyncio.Event()

        async def hangs() -> bool:
            await release.wait()
            return False

        with monkeypatch.context() as patched:
            patched.setattr(type(scene.driver), "patience", property(lambda _: 8 * PERIOD))
            patched.setattr(scene.driver, "read_fast", hangs)
            beats = await scene.beats(30)
            assert any(beats[2:]), "the alarm explains it at first"
            assert not any(beats[-5:])
            assert "reading is under way for more than" in scene.pulse.why
            release.set()
        await scene.until(lambda r: r.verified)
        assert all(await scene.beats(3))

    _play(tmp_path, manager, body)


def test_a_writing_that_never_ends_is_stuck(
    tmp_path: Path, manager: NotifySocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(scene: Scene) -> None:
        await scene.until(lambda r: r.verified)

        async def hangs(*_: Any) -> Any:
            await asyncio.Event().wait()

        monkeypatch.setattr(type(scene.driver), "patience", property(lambda _: 8 * PERIOD))
        monkeypatch.setattr(scene.driver, "write", hangs)
        beats = await scene.beats(20)
        assert not any(beats[-5:])
        assert "writing is under way" in scene.pulse.why
        await scene.cycle.release(0.1)

    _play(tmp_path, manager, body)


@pytest.mark.parametrize(
    ("watchdog", "cycle", "said"),
    [(None, 60.0, False), (30.0, 1.0, False), (30.0, 15.0, False), (30.0, 16.0, True), (30.0, 60.0, True)],
)
def test_a_watchdog_shorter_than_the_cycle_is_said(
    manager: NotifySocket, watchdog: float | None, cycle: float, said: bool
) -> None:
    environ = {"NOTIFY_SOCKET": manager.address}
    if watchdog is not None:
        environ["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
    problem = Pulse(Notifier(environ), cycle).problem
    assert (problem is not None) == said
    assert problem is None or f"set it to {3 * cycle:g} s or more" in problem


def test_every_driver_has_a_bound_for_its_patience() -> None:
    from bessai.drivers import UniversalDriver
    from bessai.registry import compile_profile, load_profile

    for name in ("huawei_sun2000", "kaco_gridsave", "kostal_plenticore", "victron_ess", "janitza_umg"):
        driver = UniversalDriver(compile_profile(load_profile(name)), "127.0.0.1", 1)
        assert 60 <= driver.patience <= 600
        assert driver.patience >= driver.profile.connection.timeout * 4


def test_the_status_line_names_the_worst(manager: NotifySocket) -> None:
    pulse = Pulse(Notifier({"NOTIFY_SOCKET": manager.address}))
    record: Any = type("R", (), {"verified": True})()
    record.decision = type("D", (), {"state": GuardState.NORMAL})()
    pulse.beat(record, [], failed="", stuck="")
    pulse.beat(record, [Condition(code="soc_low", severity=2, message="x")], failed="", stuck="")  # type: ignore[arg-type]
    assert "STATUS=normal" in manager.take()
