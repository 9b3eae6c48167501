"""An unsafe step is answered by the safe command in the next cycle: seeded trials, on the wire."""

from __future__ import annotations

import pytest

from simulation.profiles import pack
from simulation.seeds import base_seed, replay, scale
from simulation.trials import Case, Trials, between, quantile, shown

PARTS, TRIALS = 4, 2500 * scale()

CASES = (
    Case(name="cell voltage high", begin=shown("cell_voltage_max", between(3.651, 4.9))),
    Case(name="cell voltage low", begin=shown("cell_voltage_min", between(2.41, 2.9)), stops="discharge"),
    Case(
        name="cells too hot to charge", begin=shown("cell_temperature_max", between(40, 54.9)), stops="charge"
    ),
    Case(name="cells too hot", begin=shown("cell_temperature_max", between(55, 119))),
    Case(name="cells too cold", begin=shown("cell_temperature_min", between(-39, 0))),
    Case(name="pack too hot", begin=shown("battery_temperature", between(55, 119))),
    Case(name="pack too cold", begin=shown("battery_temperature", between(-39, 0))),
    Case(name="full", begin=shown("soc", between(95, 100)), stops="charge"),
    Case(name="empty", begin=shown("soc", between(0, 10)), stops="discharge"),
    Case(name="fault", begin=shown("device_status", lambda _: 2)),
    Case(name="fire", begin=shown("fire_alarm", lambda _: 1)),
    Case(name="gas", begin=shown("gas_alarm", lambda _: 1)),
    Case(name="fire as a state", begin=shown("device_status", lambda _: 3)),
    Case(name="insulation fault as a state", begin=shown("device_status", lambda _: 4)),
    Case(name="gas as a state", begin=shown("device_status", lambda _: 5)),
    Case(name="insulation", begin=shown("insulation_resistance", between(0, 40))),
    Case(name="DC voltage high", begin=shown("battery_voltage", between(409, 999))),
    Case(name="DC voltage low", begin=shown("battery_voltage", between(0, 268))),
    Case(name="contactor open", begin=shown("contactor_status", lambda _: 0)),
    Case(name="cell beyond its trip level", begin=shown("cell_voltage_min", between(0.1, 2.4))),
    Case(name="unknown state", begin=shown("device_status", lambda rng: rng.randint(6, 60000))),
    Case(name="BMS takes no charge", begin=shown("charge_power_max", lambda _: 0.0), stops="charge"),
    Case(name="BMS gives no discharge", begin=shown("discharge_power_max", lambda _: 0.0), stops="discharge"),
)


@pytest.mark.timeout(900 * scale())
@pytest.mark.parametrize("part", range(PARTS))
def test_the_next_cycle_commands_what_is_safe(part: int) -> None:
    seed = base_seed() + part
    trials = Trials(pack(), CASES, seed)
    outcomes = trials.run(TRIALS)
    assert sum(outcome.trials for outcome in outcomes.values()) == TRIALS
    misses = [miss for outcome in outcomes.values() for miss in outcome.misses]
    assert not misses, replay(seed - part, misses)
    since_known = [t for outcome in outcomes.values() for t in outcome.from_arrival]
    since_step = [t for outcome in outcomes.values() for t in outcome.seconds]
    cycle = trials.world.scenario.config.cycle
    print(
        f"seed {seed}: {TRIALS} trials, seconds from the reading p99 {quantile(since_known, 0.99):.3f}, "
        f"max {max(since_known):.3f}; from the step p99 {quantile(since_step, 0.99):.3f}, max {max(since_step):.3f}"
    )
    assert quantile(since_known, 0.99) < cycle, replay(seed - part)
    assert max(since_step) <= 2 * cycle, replay(seed - part)
    assert not trials.world.violations, replay(seed - part, trials.world.violations)
