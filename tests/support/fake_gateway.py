"""A gateway that grants leases and commands one simple device with a dead-man, all in its own simulated time.

It speaks the protocol of the local socket, in the process or on an `AnsweringSocket`, and can misbehave.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from bessai.commissioning import Pace

RANK = {"operator": 50, "grid_operator": 60, "schedule": 20}


@dataclass
class Misbehaviour:
    """What goes wrong; times are simulated seconds."""

    sign: float = 1.0
    never_falls: bool = False
    falls_after: float | None = None
    fallback: float = 0.0
    fed_by_another: bool = False
    alarm_when: str = ""
    dies_when: str = ""
    unclipped: bool = False
    keeps_lease: bool = False
    no_rearm: bool = False
    slow: float = 0.0
    keeps_feeding: bool = False
    offset: float = 0.0
    meter_sign: float = 1.0


@dataclass
class FakeGateway:
    """Device: first order, `lag` s; dead-man `time` s; gateway: a cycle a second."""

    time: float = 20.0
    lag: float = 1.0
    rated: float = 10.0
    soc: float = 50.0
    low: float = -10.0
    high: float = 10.0
    shows_remaining: bool = True
    wrong: Misbehaviour = field(default_factory=Misbehaviour)
    now: float = 1000.0
    measured: float = 0.0
    setpoint: float = 0.0
    withheld: bool = False
    dead: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    measured_log: list[float] = field(default_factory=list)
    state: str = "normal"
    limit: str = "plant"
    meter_period: float = 1.0
    narrow: bool = False
    """True: the unit's bounds are told as the requests left them, not as the guard allows."""
    old: bool = False

    def __post_init__(self) -> None:
        self._leases: dict[str, dict[str, Any]] = {}
        self._fed = self.now
        self._cycled = -math.inf
        self._told = 0.0
        self._source: str | None = None
        self._asked: float | None = None
        self._limited: list[str] = []
        self._metered = (-math.inf, 0.0)
        self._bounds = [self.low, self.high]
        self._charged, self._discharged = 120.0, 110.0
        self._tested: dict[str, Any] | None = None
        self._lock = threading.RLock()

    # time ---------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        with self._lock:
            end = self.now + seconds
            while self.now < end - 1e-9:
                step = min(0.1, end - self.now)
                self.now += step
                self._step(step)

    def _step(self, step: float) -> None:
        wrong = self.wrong
        if not self.dead and self.now - self._cycled >= 1.0 - 1e-9:
            self._cycled = self.now
            self._cycle()
        age = self.now - self._fed
        expired = age >= (self.time if wrong.falls_after is None else wrong.falls_after)
        if expired and not wrong.never_falls:
            self._told = wrong.fallback
        lag = self.lag + wrong.slow
        wanted = self._told * wrong.sign
        self.measured += (wanted - self.measured) * (1 - math.exp(-step / lag))
        self.soc -= self.measured * step / 3600 / 20 * 100
        self._charged += max(0.0, -self.measured) * step / 3600
        self._discharged += max(0.0, self.measured) * step / 3600
        self.measured_log.append(self.measured)

    def _cycle(self) -> None:
        live = sorted(
            (r for r in self._leases.values() if r["expires"] > self.now or self.wrong.keeps_lease),
            key=lambda r: -RANK[r.get("priority", "operator")],
        )
        low, high = (-100.0, 100.0) if self.wrong.unclipped else (self.low, self.high)
        self._source = self._asked = None
        self._limited = []
        narrowed: list[tuple[str, float, float]] = []
        for request in live:
            a, b = max(low, request.get("low", -math.inf)), min(high, request.get("high", math.inf))
            if a > b:
                continue
            if (a, b) != (low, high):
                narrowed.append(
                    (request["source"], request.get("low", -math.inf), request.get("high", math.inf))
                )
            if not self.wrong.unclipped:
                low, high = a, b
            if request.get("power") is not None:
                self._source, self._asked = request["source"], request["power"]
        self._bounds = [low, high] if self.narrow and not self.wrong.unclipped else [self.low, self.high]
        wanted = self._asked or 0.0
        self.setpoint = min(max(wanted, low), high)
        if self.setpoint != wanted:
            clipped = [f"request:{source}" for source, a, b in narrowed if not a <= wanted <= b]
            self._limited = clipped or [self.limit]
        if self.state not in {"normal", "derated"}:
            self.setpoint = 0.0
        feeding = self.wrong.keeps_feeding if self.withheld else not (self.wrong.no_rearm and self._tested)
        if feeding:
            self._told = self.setpoint
            self._fed = self.now

    # protocol -----------------------------------------------------------------------------------------------

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        with self._lock:
            if self.dead:
                return None
            self.messages.append(message)
            match message["op"]:
                case "status":
                    return self._status()
                case "device":
                    return {"ok": True, "device": {
                        "name": "", "profile": "huawei_sun2000", "model": "Fake <10>", "address": "fake:502",
                        "texts": {"serial_number": "SN & 1", "software_version": "V200"}, "connected": True,
                    }}  # fmt: skip
                case "request":
                    self._leases[message["source"]] = {**message, "expires": self.now + message["for"]}
                    return {"ok": True, "source": message["source"], "for": message["for"]}
                case "cancel":
                    return {"ok": True, "cancelled": self._leases.pop(message["source"], None) is not None}
                case "deadman_test":
                    if message["role"] != "engineer":
                        return {"ok": False, "error": "only an engineer may"}
                    self.withheld = True
                    return {"ok": True}
                case "deadman_test_end":
                    self.withheld = False
                    if message["result"] != "passed":
                        self.state = "tripped"
                    self._tested = {
                        "passed": message["result"] == "passed",
                        "wall_ns": 1,
                        "user": message["user"],
                    }
                    return {"ok": True}
                case op:
                    return {"ok": False, "error": f"op {op!r} is unknown"}

    def _status(self) -> dict[str, Any] | None:
        phase = "withheld" if self.withheld else "power" if self.setpoint else ""
        if self.wrong.dies_when and phase == self.wrong.dies_when:
            self.dead = True
            return None
        conditions = []
        if self.wrong.alarm_when and phase == self.wrong.alarm_when:
            conditions.append(
                {"code": "cell_too_hot", "severity": "alarm", "point": None, "message": "a cell is <hot>"}
            )
        if self.old:
            return {"ok": True, "status": {"version": "0.1", "control": {"state": "normal"}, "points": {}}}
        age = self.now - self._fed
        left = max(0.0, self.time - (age % 5 if self.wrong.fed_by_another else age))
        power = self.measured + self.wrong.offset
        armed = age < self.time and not (self.wrong.no_rearm and self._tested)
        return {"ok": True, "status": {
            "site": "fake & site", "version": "1.0", "conditions": conditions, "trips": self._trips(),
            "control": {
                "state": self.state, "setpoint": self.setpoint, "bounds": self._bounds,
                "asked": self._asked, "source": self._source, "limited_by": self._limited, "reasons": [],
            },
            "units": {"": {
                "state": self.state, "setpoint": self.setpoint, "bounds": self._bounds,
                "standing": self.setpoint, "measured": power, "limited_by": [], "connected": True, "problem": None,
                "dead_man": {
                    "kind": "duration", "time": self.time, "interval": 5.0, "armed": armed, "fed_age": age,
                    "remaining": left if self.shows_remaining else None, "withheld": self.withheld,
                    "tested": self._tested,
                },
            }},
            "points": self._points(power),
        }}  # fmt: skip

    def _trips(self) -> list[dict[str, Any]]:
        tripped = self.state == "tripped"
        return [{"code": "dead_man_test_failed", "message": "tripped"}] if tripped else []

    def _meter(self, power: float) -> dict[str, Any]:
        """Read every `meter_period` s only."""
        if self.now - self._metered[0] >= self.meter_period:
            self._metered = (self.now, self.wrong.meter_sign * power - 0.8)
        read, value = self._metered
        return {"value": value, "unit": "kW", "quality": "good", "age": self.now - read}

    def _points(self, power: float) -> dict[str, Any]:
        def point(value: float, unit: str | None) -> dict[str, Any]:
            return {"value": value, "unit": unit, "quality": "good", "age": 0.2}

        return {
            "soc": point(self.soc, "%"),
            "battery_power": point(power, "kW"),
            "battery_voltage": point(400.0, "V"),
            "battery_current": point(power * 1000 / 400.0, "A"),
            "frequency": point(50.0, "Hz"),
            "cell_voltage_min": point(3.30, "V"),
            "cell_voltage_max": point(3.36, "V"),
            "charge_power_max": point(self.rated, "kW"),
            "discharge_power_max": point(self.rated, "kW"),
            "grid_power": self._meter(power),
            "energy_charged_total": point(self._charged, "kWh"),
            "energy_discharged_total": point(self._discharged, "kWh"),
            "pv_1_voltage": {"value": None, "unit": "V", "quality": "not_available", "age": None},
        }


class FakePace(Pace):
    """Time that passes when somebody sleeps; `at` runs once its simulated second has come."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.interrupt_when: str = ""

    def monotonic(self) -> float:
        return self.gateway.now

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000 + int(self.gateway.now * 1e9)

    def sleep(self, seconds: float) -> None:
        self.gateway.advance(seconds)
        if self.interrupt_when == "withheld" and self.gateway.withheld:
            self.interrupt_when = ""
            raise KeyboardInterrupt
        if self.interrupt_when == "power" and self.gateway.setpoint:
            self.interrupt_when = ""
            raise KeyboardInterrupt
