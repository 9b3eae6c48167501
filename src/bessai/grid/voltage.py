"""Reactive power that regulates voltage, power factor or itself: one mode at a time.

    target = law of the mode, inside the P-Q curve
    q     += (target - q) * (1 - exp(-dt / time constant))          the kvar wished at the point of connection
    kvar   = q + trim                                               what the plant is told

The law of the voltage modes is solved for the kvar that the measured voltage calls for once the plant gives it:
V = V0 + x·Q with the measured V and Q gives V0, and Q = (V_set - V0) / (droop + x). It is an integrator (with no
droop the voltage is met exactly, whatever x is) that cannot wind up, since it starts from the measured Q in each
cycle. By the small-gain rule it is stable, whatever the delay of meter and converter, while the grid is at most twice
as weak as x says. Mode and set-point change without a jump, because q goes on from where it is.

The trim makes up for cables and transformers between converter and meter: it moves slowly towards a measured Q that
is what was wished, in every mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bessai.grid.capability import Capability
from bessai.grid.config import GridConfig
from bessai.grid.curves import VOLT_VAR, WATT_VAR
from bessai.grid.evidence import OPEN_LOOP, RELEASE, Evidence, Steady, clip, share_of
from bessai.grid.settings import VoltageSettings
from bessai.model import Condition, Severity

STEP = 0.001
"""Share of Sn by which the kvar must change before the device is told."""
WEAK_GRID = 3.0
"""Short-circuit power in Sn that is assumed when it is not configured: the weakest of AT-IBR Art. 4-8."""
_TRIM_TIME = 10.0
"""Seconds in which the trim makes up for 63 % of an error."""
_TRIM_MAX = 0.25
"""Share of Sn: the most that cables and transformers take or give. A larger error is a device that does not follow."""
_OWN_NEED = 0.1
"""Share of Sn: less than this at the start is the plant's own need, more was commanded."""
_BY_VOLTAGE = frozenset({"voltage", "voltage_droop", "ieee1547_volt_var"})
_BY_POWER = frozenset({"power_factor", "ieee1547_watt_var"})


class ReactiveControl:
    """The reactive power of one plant.

    Args:
        config: the plant.
        settings: present values.
        cycle: seconds of a control cycle, the delay between a command and its measurement.
    """

    def __init__(self, config: GridConfig, settings: VoltageSettings, *, cycle: float) -> None:
        self.settings = settings
        self.limited_by = ""
        """`capability`, `not_granted` (the plant was told other kvar), `not_followed` (the meter sees other kvar), or
        nothing. The trim stands while it is something."""
        self.target: float | None = None
        """kvar at the point of connection that the mode asks for."""
        self.command: float | None = None
        """kvar that the plant is told; None while nothing is asked for."""
        self._config = config
        self._capability = Capability(config.rated_power, config.rated_apparent_power, config.capability)
        self._x = config.rated_apparent_power / (
            config.short_circuit_power or WEAK_GRID * config.rated_apparent_power
        )
        self._lag = 2 * cycle + 0.1
        self._output = Steady(STEP * config.rated_apparent_power)
        self._q = 0.0
        self._trim = 0.0
        self._expected = 0.0
        self._held: tuple[float, float] | None = None
        self._last: float | None = None
        self._input: Evidence | None = None
        self._running = False
        self._granted = True

    @property
    def trim(self) -> float:
        """Kvar that make up for what lies between converter and meter."""
        return self._trim

    def step(self, voltage: Evidence, active: Evidence, reactive: float | None, now: float) -> float | None:
        """The kvar of this cycle; None when the plant is told nothing.

        Args:
            voltage: in V.
            active: in kW at the point of connection.
            reactive: kvar measured there; None when it is not known.
            now: monotonic seconds.
        """
        dt = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last, self.limited_by = now, ""
        mode = self.settings.mode
        self._input = voltage if mode in _BY_VOLTAGE else active if mode in _BY_POWER else None
        if mode == "off":
            self.target = None
            return self._stop(dt)
        if not self._running:
            self._start(reactive)
        low, high = self._capability.at(active.held)
        if self._input is not None and not self._input.known:
            return self._release(self._input, low, high)
        self._held = None
        self._adjust(self._target(voltage, active, reactive), reactive, low, high, dt)
        self.command = clip(self._output.follow(self._q + self._trim), low, high) + 0.0
        return self.command

    def told(self, reactive: float | None) -> None:
        """The kvar that were granted in this cycle: others than the wish are no doing of cables."""
        asked, step = self.command, self._output.step
        self._granted = asked is None or (reactive is not None and abs(reactive - asked) <= step)

    def _start(self, reactive: float | None) -> None:
        """From what flows now, so that nothing jumps."""
        self._running, self._held = True, None
        flowing = reactive or 0.0
        if self.command is not None:  # switched on again while it goes to 0
            self._q = self.command - self._trim
        elif abs(flowing) <= _OWN_NEED * self._config.rated_apparent_power:
            self._q, self._trim = flowing, -flowing
        else:
            self._q, self._trim = flowing, 0.0
        self._expected = self._q

    def _adjust(self, target: float, reactive: float | None, low: float, high: float, dt: float) -> None:
        settings, apparent = self.settings, self._config.rated_apparent_power
        # the trim has its part of what the converter can
        low, high = low - self._trim, high - self._trim
        self.target = clip(target, low, high)
        if self.target != target:
            self.limited_by = "capability"
        lag = (
            VOLT_VAR.open_loop_time / OPEN_LOOP
            if settings.mode == "ieee1547_volt_var"
            else settings.time_constant
        )
        self._q = clip(self._q + (self.target - self._q) * share_of(dt, lag), low, high)
        if not self._granted:
            self.limited_by = "not_granted"
            self._expected = self._q if reactive is None else reactive
            return
        self._expected += (self._q - self._expected) * share_of(dt, self._lag)
        if reactive is None or self.limited_by:
            return
        error, most = self._expected - reactive, _TRIM_MAX * apparent
        if abs(error) <= most:
            self._trim = clip(self._trim + error * share_of(dt, _TRIM_TIME), -most, most)
        else:
            self.limited_by = "not_followed"

    def _target(self, voltage: Evidence, active: Evidence, reactive: float | None) -> float:
        settings, apparent = self.settings, self._config.rated_apparent_power
        if settings.mode == "reactive_power":
            return settings.reactive_power
        if settings.mode == "power_factor":
            # the sign is that of the power factor, whichever way the active power flows
            ratio = math.sqrt(1 / settings.power_factor**2 - 1)
            return math.copysign(abs(active.value or 0.0) * ratio, settings.power_factor)
        if settings.mode == "ieee1547_watt_var":
            return WATT_VAR.curve((active.value or 0.0) / self._config.rated_power) * apparent
        at = (voltage.value or 0.0) / self._config.nominal_voltage
        if settings.mode == "ieee1547_volt_var":
            return VOLT_VAR.curve(at) * apparent
        flowing = (self._q if reactive is None else reactive) / apparent
        missing = settings.setpoint - (at - self._x * flowing)
        beyond = max(0.0, abs(missing) - settings.dead_band)
        return math.copysign(beyond, missing) / (settings.droop + self._x) * apparent

    def _release(self, lost: Evidence, low: float, high: float) -> float:
        """The measurement is lost: what flows is held, then goes to 0."""
        if self._held is None:
            self._held = self._q, self._trim
        self._q, self._trim = self._held[0] * lost.weight, self._held[1] * lost.weight
        self._expected, self.target = self._q, None
        self.command = clip(self._output.follow(self._q + self._trim), low, high) + 0.0
        return self.command

    def _stop(self, dt: float) -> float | None:
        """Switched off: what flows goes to 0 evenly, then nothing is asked for."""
        if self._running:
            self._running = False
            self._held = (self.command or 0.0, 0.0)
        if self.command is None or self._held is None:
            return None
        start = self._held[0]
        left = abs(self.command) - abs(start) * dt / RELEASE
        if left <= 0:
            self.command = self._held = None
            self._q = self._trim = 0.0
            self._output.follow(0.0)
            return None
        self.command = math.copysign(left, start)
        self._q, self._trim = self.command, 0.0
        self._output.follow(self.command)
        return self.command

    def conditions(self) -> Sequence[Condition]:
        """What is wrong now."""
        if not self._running or self._input is None or not self._input.lost:
            return ()
        if self.settings.mode in _BY_VOLTAGE:
            return (
                Condition(
                    code="grid_voltage_lost",
                    severity=Severity.ALARM,
                    message="The grid voltage is not known; reactive power is held, then goes to zero.",
                    point=self._config.points.voltage,
                ),
            )
        return (
            Condition(
                code="grid_power_lost",
                severity=Severity.ALARM,
                message="The power at the point of connection is not known; reactive power goes to zero.",
                point=self._config.points.active_power,
            ),
        )

    def status(self) -> dict[str, Any]:
        """Input, output and limits, for people and tools."""
        return {
            "mode": self.settings.mode,
            "target": self.target,
            "command": self.command,
            "trim": self._trim,
            "limited_by": self.limited_by,
        }
