"""What simulated days have found: each seed stays, so that it is not found again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from bessai.model import ALL, Operation, Priority, Request, Role
from bessai.registry import Profile
from simulation.assembly import Config
from simulation.profiles import huawei, pack
from simulation.scenario import Scenario
from simulation.tally import replay, run
from simulation.world import World


def quiet(profile: Profile, **more: Any) -> World:
    """A plant in which nothing happens by chance."""
    scenario = Scenario(
        seed=1,
        profile=profile,
        config=Config(**more),
        fault_every=math.inf,
        request_every=math.inf,
        people_every=math.inf,
    )
    return World(scenario)


async def charged(world: World, power: float, lease: float) -> None:
    """Wait until a power flows that is leased for so many seconds."""
    while not world.oracle.commanded:
        if world.oracle.leased_until <= world.loop.now:
            expires = world.loop.now + lease
            world.ask(Request(source="o", priority=Priority.OPERATOR, power=power, expires=expires))
        await asyncio.sleep(0.25)


def lose(world: World, lost: Callable[[int], bool]) -> None:
    """From now on the device forgets the writes for which this says so; it is told the register."""
    device = world.device
    write = device._write

    def forgetful(code: int, unit: int, pdu: bytes, now: float) -> bytes:
        device.disturbed = lost(pdu[1] << 8 | pdu[2])
        device.faults.writes_lost = 1.0 if device.disturbed else 0.0
        reply: bytes = write(code, unit, pdu, now)
        return reply

    device._write = forgetful


def engineer(kind: str, **more: Any) -> Operation:
    """What an engineer asks for."""
    return Operation(kind=kind, user="e", role=Role.ENGINEER, reason="a test", **more)


@pytest.mark.soak
def test_a_command_does_not_outlive_the_evidence_it_was_decided_on() -> None:
    """The device falls silent in a reading, a request comes, and the command waits behind the read.

    When the device answered again the evidence had been stale for more than two cycles and zero was decided, but the
    old power was written first, half a second before the zero.
    """
    result = run("huawei_sun2000", 836995695, 10_600.0)
    assert not result.broken, replay(result, "huawei_sun2000")


def test_a_feed_does_not_outlive_its_cycle() -> None:
    """A feed waited two seconds behind a silent device, and would have kept it alive on evidence that was gone."""
    result = run("huawei_sun2000", 20261126, 2_500.0)
    assert not result.broken, replay(result, "huawei_sun2000")


def test_what_a_dead_man_test_held_ends_with_it() -> None:
    """The last lease ended while nothing was written: the power has two cycles from the end of the test, not none.

    The judge counted from the lease, and was at once outside of its patience when the test was over.
    """
    world = quiet(huawei(), ramp=1000.0)
    ended: list[float] = []

    async def script() -> None:
        await charged(world, -5.0, lease=20.0)
        while world.operate(engineer("deadman_test")) is not None:  # noqa: ASYNC110 - not verified yet
            await asyncio.sleep(0.5)
        await asyncio.sleep(
            40.0 - world.loop.now % 1.0 - 0.1
        )  # a step of the device meets the zero under way
        assert world.oracle.commanded < 0
        assert world.operate(engineer("deadman_test_end", passed=False)) is None
        began = world.loop.now
        while world.oracle.commanded:  # noqa: ASYNC110 - time is simulated
            await asyncio.sleep(0.05)
        ended.append(world.loop.now - began)

    result = world.run_with(script())
    assert not result.violations
    assert ended[0] <= 2.0


def test_a_zero_whose_first_registers_were_lost_is_told_as_zero() -> None:
    """Three writes were acknowledged and forgotten, and the registers held those values already: zero was true.

    The judge took the fourth, which alone took effect, for a feed, and the power before it for the one that stands.
    """
    world = quiet(huawei())
    lost = iter([True, True, True])

    async def script() -> None:
        await charged(world, -5.0, lease=20.0)
        await asyncio.sleep(10.0)
        assert world.oracle.left == -5.0
        lose(world, lambda _: next(lost, False))
        await asyncio.sleep(20.0)
        assert next(lost, None) is None
        assert world.oracle.left == world.oracle.commanded == 0.0

    result = world.run_with(script())
    assert not result.violations


def test_a_lost_last_write_leaves_what_the_registers_say() -> None:
    """The device had fallen back, took the setpoint, and forgot the mode, which the register held already.

    The judge called the read-back untrue. Every register held what was told: only the power shows that the device
    stays at its fallback, and the next feed that arrives brings it there.
    """
    world = quiet(pack())
    forgets = [True]

    async def script() -> None:
        await asyncio.sleep(20.0)
        world.seat.begin("silent", 20.0)
        await asyncio.sleep(20.0)
        assert world.device.twin.fallbacks == 1
        lose(world, lambda register: register == 20 and forgets[0])  # the pack's mode
        world.ask(
            Request(source="o", priority=Priority.OPERATOR, power=-5.0, expires=world.loop.now + 1000.0)
        )
        for _ in range(60):
            await asyncio.sleep(0.5)
            if world.oracle.left == -5.0:
                break
        assert (world.oracle.left, world.oracle.commanded) == (-5.0, 0.0)
        await asyncio.sleep(3.0)
        forgets[0] = False
        await asyncio.sleep(5.0)
        assert world.oracle.commanded == -5.0

    result = world.run_with(script())
    assert not result.violations


def test_a_trip_may_be_reset_before_any_record_tells_it() -> None:
    """A dead-man test failed and was reset within one cycle: nothing stands, and nothing had to."""
    world = quiet(pack())

    async def script() -> None:
        await charged(world, -5.0, lease=1000.0)
        while world.operate(engineer("deadman_test")) is not None:  # noqa: ASYNC110 - not verified yet
            await asyncio.sleep(0.5)
        await asyncio.sleep(2.0)
        assert world.operate(engineer("deadman_test_end", passed=False)) is None
        assert world.operate(engineer("reset", code=ALL)) is None
        await asyncio.sleep(10.0)
        assert not world.plane.guard.latch.standing  # type: ignore[union-attr]

    result = world.run_with(script())
    assert not result.violations


def test_a_zero_that_is_forgotten_does_not_keep_the_old_power_alive() -> None:
    """The device acknowledges each setpoint of zero and forgets it, and takes the mode that follows.

    The first attempt cannot know, and feeds the old power. The attempts after it did so too, every two seconds: the
    device's dead-man never came. Now they read back before they feed.
    """
    world = quiet(huawei())
    setpoint = world.seat.profile.points["forced_charge_power"].address
    other = world.seat.profile.points["forced_discharge_power"].address

    async def script() -> None:
        await charged(world, 5.0, lease=20.0)
        await asyncio.sleep(10.0)
        world.seat.block()  # what is lost keeps the gateway from the device
        lose(world, lambda register: register in {setpoint, other})
        await asyncio.sleep(20.0)
        assert world.oracle.commanded == 5.0
        assert world.loop.now - world.oracle.fed_at > 5.0
        await asyncio.sleep(world.oracle.dead_man_time)
        assert world.oracle.commanded == 0.0
        assert world.device.twin.fallbacks == 1

    result = world.run_with(script())
    assert not result.violations
