"""Limits by chemistry. Every number has a source, or says that it is judgement; the site's data sheet always wins.

`basis` tells where each part of each limit comes from: the key of one or more `sources`, or `judgement` with the
thought behind it. A part without a source stays out rather than being made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bessai.core.limits.level import CurrentLimit, Curve, Flag, Limit, TripLevel, WarningLevel
from bessai.core.limits.sources import SOURCES, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is assumed of every battery of one chemistry."""

    chemistry: str
    title: str
    levels: tuple[Limit, ...]
    cell_voltage: tuple[float, float]
    """V, lowest and highest a cell may ever have: times the cells in series, the limits of the DC voltage."""
    basis: Mapping[str, str]
    """`limit.part` to source keys or judgement."""

    @property
    def sources(self) -> dict[str, Source]:
        """The sources that `basis` names."""
        used = {word.strip(",;") for text in self.basis.values() for word in text.split()}
        return {key: source for key, source in SOURCES.items() if key in used}


_MG_DELAY = 5.0
_SAME_DELAY = "judgement: the delays of mg_lfp for every chemistry"


def _temperatures(
    charge: Curve, discharge: Curve, *, warning: float, trip: float
) -> tuple[tuple[Limit, ...], tuple[str, ...]]:
    """The three temperatures of a battery: each has both ends of the curves, since a device may have but one."""
    high = WarningLevel(at=warning, clear=warning - 2.0, delay=20.0)
    stop = TripLevel(at=trip, delay=_MG_DELAY)
    hot = {
        "battery_temperature_high": "battery_temperature",
        "cell_temperature_high": "cell_temperature_max",
    }
    limits = tuple(
        Limit(
            code=code, point=point, side="high", unit="°C", charge=charge, discharge=discharge, hysteresis=1.0,
            warning=high, trip=stop,
        )
        for code, point in hot.items()
    )  # fmt: skip
    low = Limit(
        code="cell_temperature_low", point="cell_temperature_min", side="low", unit="°C",
        charge=charge, discharge=discharge, hysteresis=1.0,
    )  # fmt: skip
    return (*limits, low), (*hot, low.code)


def _cells(
    *,
    charge: tuple[tuple[float, float], ...],
    discharge: tuple[tuple[float, float], ...],
    high: tuple[float, float, float],
    low: tuple[float, float, float],
) -> tuple[tuple[Limit, Limit], tuple[float, float]]:
    """Both cell voltages, and what they span; `high` and `low` are warning, its clearing, and trip in V."""
    limits = (
        Limit(
            code="cell_voltage_high", point="cell_voltage_max", side="high", unit="V",
            charge=Curve(charge), hysteresis=0.02,
            warning=WarningLevel(at=high[0], clear=high[1], delay=20.0),
            trip=TripLevel(at=high[2], delay=_MG_DELAY),
        ),
        Limit(
            code="cell_voltage_low", point="cell_voltage_min", side="low", unit="V",
            discharge=Curve(discharge), hysteresis=0.02,
            warning=WarningLevel(at=low[0], clear=low[1], delay=20.0),
            trip=TripLevel(at=low[2], delay=_MG_DELAY),
        ),
    )  # fmt: skip
    return limits, (low[2], high[2])


_HEALTH = Limit(
    code="soh_low", point="soh", side="low", unit="%", hysteresis=1.0, optional=True,
    warning=WarningLevel(at=70.0, clear=72.0, delay=60.0),
)  # fmt: skip

_COMMON_BASIS = {
    "soh_low.warning": "eve_lf304 (end of life at 70 % of its capacity); judgement: clearing and delay",
    "soh_low.hysteresis": "judgement: not used, nothing is derated",
}


def _preset(
    chemistry: str,
    title: str,
    temperatures: tuple[tuple[Limit, ...], tuple[str, ...]],
    cells: tuple[tuple[Limit, Limit], tuple[float, float]],
    basis: Mapping[str, str],
) -> Preset:
    (limits, names), (voltages, span) = temperatures, cells
    told: dict[str, str] = {}
    for name in names:
        parts = ("charge", "discharge") if name == "cell_temperature_low" else _PARTS
        told |= {f"{name}.{part}": basis[f"temperature.{part}"] for part in parts}
        told[f"{name}.hysteresis"] = "judgement: 1 °C, beyond the noise of a sensor"
    told |= {f"{limit.code}.hysteresis": "judgement: 20 mV, beyond the noise of a BMS" for limit in voltages}
    told |= {key: text for key, text in basis.items() if not key.startswith("temperature.")}
    return Preset(
        chemistry=chemistry,
        title=title,
        levels=(*limits, *voltages, _HEALTH),
        cell_voltage=span,
        basis=MappingProxyType({**told, **_COMMON_BASIS}),
    )


_PARTS = ("charge", "discharge", "warning", "trip")

LFP = _preset(
    "lfp",
    "Lithium iron phosphate (LFP)",
    _temperatures(
        Curve(((0.0, 0.0), (18.0, 1.0), (35.0, 1.0), (40.0, 0.0))),
        Curve(((0.0, 0.0), (12.0, 1.0), (45.0, 1.0), (55.0, 0.0))),
        warning=50.0,
        trip=60.0,
    ),
    _cells(
        charge=((3.45, 1.0), (3.60, 0.02), (3.65, 0.0)),
        discharge=((2.90, 0.0), (3.00, 1.0)),
        high=(3.60, 3.52, 3.65),
        low=(2.60, 2.80, 2.40),
    ),
    {
        "temperature.charge": "mg_lfp (18, 35 and 40 °C, as recorded in ADR 0005), openems_commercial (none at 0 °C)",
        "temperature.discharge": "mg_lfp (12, 45 and 55 °C, as in ADR 0005), openems_commercial (none at 0 and 55 °C)",
        "temperature.warning": "judgement: half-way down the discharge curve; " + _SAME_DELAY,
        "temperature.trip": "lishen_lp54, alpha_apl48 (no operation beyond 60 °C); " + _SAME_DELAY,
        "cell_voltage_high.charge": "openems_soltaro",
        "cell_voltage_high.warning": "mg_lfp",
        "cell_voltage_high.trip": "mg_lfp",
        "cell_voltage_low.discharge": "openems_home (none at 2.90 V); judgement: full from 3.00 V, as in ADR 0005",
        "cell_voltage_low.warning": "mg_lfp",
        "cell_voltage_low.trip": "mg_lfp",
    },
)

NMC = _preset(
    "nmc",
    "Lithium nickel manganese cobalt oxide (NMC)",
    _temperatures(
        Curve(((0.0, 0.0), (25.0, 1.0), (35.0, 1.0), (45.0, 0.0))),
        Curve(((-20.0, 0.0), (5.0, 1.0), (35.0, 1.0), (45.0, 0.0))),
        warning=50.0,
        trip=55.0,
    ),
    _cells(
        charge=((4.05, 1.0), (4.15, 0.0)),
        discharge=((3.00, 0.0), (3.225, 1.0)),
        high=(4.15, 4.05, 4.20),
        low=(2.80, 3.00, 2.70),
    ),
    {
        "temperature.charge": "openems_bmw (full from 25 to 35 °C, none at 45 °C), mg_he (none below 0 °C)",
        "temperature.discharge": "openems_bmw (full from 5 to 35 °C, none at 45 °C), mg_he (none below -20 °C)",
        "temperature.warning": "judgement: between the end of discharge and the trip; " + _SAME_DELAY,
        "temperature.trip": "mg_he (operation to 55 °C); " + _SAME_DELAY,
        "cell_voltage_high.charge": "mg_nmc (charged at 4.05 V, warning at 4.15 V); judgement: the line between",
        "cell_voltage_high.warning": "mg_nmc",
        "cell_voltage_high.trip": "mg_nmc",
        "cell_voltage_low.discharge": "mg_nmc (discharged at 3.00 V, nearly so at 3.225 V), openems_enfas (3.00 V)",
        "cell_voltage_low.warning": "mg_nmc",
        "cell_voltage_low.trip": "bpx_nmc (lower cut-off 2.7 V); " + _SAME_DELAY,
    },
)

LTO = _preset(
    "lto",
    "Lithium titanate (LTO)",
    _temperatures(
        Curve(((0.0, 0.0), (10.0, 1.0), (40.0, 1.0), (45.0, 0.0))),
        Curve(((-30.0, 0.0), (-10.0, 1.0), (45.0, 1.0), (55.0, 0.0))),
        warning=50.0,
        trip=60.0,
    ),
    _cells(
        charge=((2.60, 1.0), (2.70, 0.0)),
        discharge=((1.80, 0.0), (1.90, 1.0)),
        high=(2.70, 2.65, 2.80),
        low=(1.75, 1.85, 1.70),
    ),
    {
        "temperature.charge": "lto_charge (standard charge 0 to 45 °C); judgement: 10 and 40 °C",
        "temperature.discharge": "nichicon_slb (from -30 °C); judgement: the rest, as for LFP when hot",
        "temperature.warning": "judgement: half-way down the discharge curve; " + _SAME_DELAY,
        "temperature.trip": "nichicon_slb (to 60 °C); " + _SAME_DELAY,
        "cell_voltage_high.charge": "torex_lto (charging to 2.63 V, 2.70 V at most); judgement: 2.60 V",
        "cell_voltage_high.warning": "torex_lto (2.70 V); judgement: clearing; " + _SAME_DELAY,
        "cell_voltage_high.trip": "scib, nichicon_slb (2.8 V); " + _SAME_DELAY,
        "cell_voltage_low.discharge": "nichicon_slb (1.8 V); judgement: 1.90 V",
        "cell_voltage_low.warning": "judgement: between the end of discharge and the trip; " + _SAME_DELAY,
        "cell_voltage_low.trip": "scib (1.7 V above 0 °C); " + _SAME_DELAY,
    },
)

SODIUM_ION = _preset(
    "sodium_ion",
    "Sodium-ion, layered oxide and hard carbon",
    _temperatures(
        Curve(((-10.0, 0.0), (15.0, 1.0), (40.0, 1.0), (45.0, 0.0))),
        Curve(((-20.0, 0.0), (0.0, 1.0), (45.0, 1.0), (55.0, 0.0))),
        warning=50.0,
        trip=60.0,
    ),
    _cells(
        charge=((3.80, 1.0), (3.90, 0.0)),
        discharge=((2.00, 0.0), (2.20, 1.0)),
        high=(3.90, 3.80, 3.95),
        low=(1.90, 2.00, 1.80),
    ),
    {
        "temperature.charge": "zmartec_na (from -10 °C, full from 15 to 40 °C); judgement: 45 °C, less than tob_na",
        "temperature.discharge": "zmartec_na (-20 to 55 °C); judgement: 0 and 45 °C",
        "temperature.warning": "judgement: half-way down the discharge curve; " + _SAME_DELAY,
        "temperature.trip": "tob_na (discharge to 60 °C); " + _SAME_DELAY,
        "cell_voltage_high.charge": "judgement: ends 50 mV below the limit of tob_na",
        "cell_voltage_high.warning": "judgement: where charging ends; " + _SAME_DELAY,
        "cell_voltage_high.trip": "tob_na (limited charge voltage 3.95 V); " + _SAME_DELAY,
        "cell_voltage_low.discharge": "judgement: ends 0.2 V above the end of discharge of tob_na",
        "cell_voltage_low.warning": "judgement: between the end of discharge and the trip; " + _SAME_DELAY,
        "cell_voltage_low.trip": "tob_na (1.8 V); " + _SAME_DELAY,
    },
)

PRESETS: Mapping[str, Preset] = MappingProxyType({p.chemistry: p for p in (LFP, NMC, LTO, SODIUM_ION)})

CURRENT = CurrentLimit(tolerance=0.05, margin=2.0, warning_delay=5.0, trip_delay=20.0)
CURRENT_BASIS = (
    "judgement: 5 % and 2 A over what the BMS allows now; 20 s, in which a device follows a lower limit"
)

FLAGS: tuple[Flag, ...] = (
    Flag(
        code="fire_alarm", point="fire_alarm", required=(0,), action="trip", plant_wide=True,
        message="the fire system reports fire or smoke",
    ),
    Flag(
        code="gas_alarm", point="gas_alarm", required=(0,), action="trip", plant_wide=True,
        message="the gas detection reports gas",
    ),
    Flag(
        code="battery_alarm", point="battery_alarm", required=(0,), stops="none", optional=True,
        message="the battery's management reports an alarm",
    ),
    Flag(
        code="contactor_open", point="contactor_status", required=(1,), delay=2.0,
        message="the battery's contactor is not closed",
    ),
    Flag(
        code="breaker_open", point="breaker_status", required=(1,), delay=2.0,
        message="the breaker is not closed",
    ),
)  # fmt: skip
FLAG_BASIS = {
    "fire_alarm": "judgement: trips at once; filtering false alarms is the fire system's part",
    "gas_alarm": "judgement: trips at once; filtering false alarms is the gas detector's part",
    "battery_alarm": "judgement: warns only, since one alarm word does not say which direction is meant",
    "contactor_open": "judgement: holds while open, and 2 s longer against a bouncing contact",
    "breaker_open": "judgement: holds while open, and 2 s longer against a bouncing contact",
}


def series_levels(preset: Preset, cells: int) -> tuple[Limit, ...]:
    """What follows from the number of cells in series: DC voltage and insulation of the string.

    Voltages are the cell's warning and trip levels times the cells. Insulation follows UN Regulation 100 (see
    `SOURCES`): 100 Ω per volt of a DC bus trips, 500 Ω per volt warns, both at the string's highest voltage.
    """
    found = []
    for side, code in (("high", "cell_voltage_high"), ("low", "cell_voltage_low")):
        (cell,) = (limit for limit in preset.levels if limit.code == code)
        warning, trip = cell.warning, cell.trip
        found.append(
            Limit(
                code=f"dc_voltage_{side}", point="battery_voltage", side=cell.side, unit="V", optional=True,
                hysteresis=cell.hysteresis * cells,
                warning=warning and WarningLevel(
                    at=warning.at * cells, clear=warning.clear * cells, delay=warning.delay
                ),
                trip=trip and TripLevel(at=trip.at * cells, delay=trip.delay),
            )
        )  # fmt: skip
    volts = preset.cell_voltage[1] * cells
    found.append(
        Limit(
            code="insulation_low", point="insulation_resistance", side="low", unit="kΩ", optional=True,
            hysteresis=0.01 * volts,
            warning=WarningLevel(at=0.5 * volts, clear=0.6 * volts, delay=20.0),
            trip=TripLevel(at=0.1 * volts, delay=_MG_DELAY),
        )
    )  # fmt: skip
    return tuple(found)


SERIES_BASIS = {
    "dc_voltage_high": "cells in series times the cell's levels, with their delays",
    "dc_voltage_low": "cells in series times the cell's levels, with their delays",
    "insulation_low": "un_r100 (100 Ω/V for DC, 500 Ω/V for AC and DC together); judgement: delays and clearing",
}
