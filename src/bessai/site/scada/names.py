"""What a point list may name besides the points of the site: the gateway's own values, and what may be commanded.

The grid parameters are those of `bessai.grid.PARAMETERS`; a test keeps both in step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALARM = "alarm:"
"""Before the code of a condition: 1 while it is active."""
GRID = "grid."
"""Before the name of a grid parameter: its value in use. Names as values are numbers from 0, switches 0 or 1."""
LAST = "command."
"""Before a target: the last value that was accepted from the operator."""

LEASED = ("active_power", "active_power_max", "active_power_min", "reactive_power")
"""Targets that become a lease with the operator's priority; the others are commands of the grid functions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A value that a point list may name."""

    unit: str | None = None
    """Its unit; None for states and pure numbers."""
    states: Mapping[int, str] = field(default_factory=dict)
    """What each number means; empty for measured values."""
    switch: bool = False
    """True when it is 0 or 1 only."""
    en: str
    """What it is."""
    es: str
    """The same in Spanish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Source):
    """A value that may be commanded, or shown as the one in use."""

    command: bool = True
    """False: it may be seen only; changing it needs an authorisation."""


GUARD_STATES = ("starting", "normal", "derated", "hold", "tripped", "maintenance", "monitor")
"""`decision.state` is the position in this tuple."""

SOURCES: Mapping[str, Source] = {
    "decision.setpoint": Source(
        unit="kW", en="Active power commanded, + discharges", es="Potencia activa comandada, + descarga"
    ),
    "decision.asked": Source(
        unit="kW", en="Active power that the winning source asked for", es="Potencia activa solicitada"
    ),
    "decision.offset": Source(
        unit="kW",
        en="Active power on top that answers the grid's frequency",
        es="Potencia activa adicional por frecuencia",
    ),
    "decision.power_max": Source(
        unit="kW", en="Highest active power allowed now", es="Potencia activa máxima disponible"
    ),
    "decision.power_min": Source(
        unit="kW", en="Lowest active power allowed now", es="Potencia activa mínima disponible"
    ),
    "decision.reactive": Source(
        unit="kvar", en="Reactive power commanded, + exports", es="Potencia reactiva comandada, + inyecta"
    ),
    "decision.reactive_asked": Source(
        unit="kvar", en="Reactive power that the winning source asked for", es="Potencia reactiva solicitada"
    ),
    "decision.state": Source(
        states=dict(enumerate(GUARD_STATES)), en="State of the guard", es="Estado del resguardo"
    ),
    "decision.tripped": Source(switch=True, en="A trip stands", es="Desconexión por protección vigente"),
    "decision.limited": Source(
        switch=True, en="Less is done than was asked for", es="Se entrega menos de lo solicitado"
    ),
    "gateway.alive": Source(
        switch=True, en="The gateway measures and decides", es="El gateway mide y decide"
    ),
    "gateway.alarm": Source(
        switch=True, en="At least one alarm is active", es="Hay al menos una alarma activa"
    ),
    "gateway.data_age": Source(
        unit="s", en="Age of the oldest good value in the list", es="Antigüedad del dato válido más antiguo"
    ),
    "scada.events_lost": Source(
        switch=True,
        en="Events were lost because the buffer was full",
        es="Se perdieron eventos por desborde del búfer",
    ),
    "scada.in_command": Source(
        switch=True, en="A master that may command is linked", es="Hay enlace con un maestro con mando"
    ),
    "scada.fallback": Source(
        switch=True, en="The set-point is that of the lost link", es="Consigna de pérdida de enlace en uso"
    ),
}
"""The gateway's own values."""

_CURVES = ("droop", "ieee1547_freq_watt", "uk_dc", "uk_dm", "uk_dr")
_MODES = (
    *("off", "voltage", "voltage_droop", "power_factor", "reactive_power"),
    *("ieee1547_volt_var", "ieee1547_watt_var"),
)


def _shown(
    unit: str | None, en: str, es: str, choices: tuple[str, ...] = (), *, command: bool = False
) -> Target:
    return Target(unit=unit, en=en, es=es, states=dict(enumerate(choices)), command=command)


def _commanded(unit: str | None, en: str, es: str, choices: tuple[str, ...] = ()) -> Target:
    return _shown(unit, en, es, choices, command=True)


def _switched(en: str, es: str) -> Target:
    return Target(switch=True, en=en, es=es)


PARAMETERS: Mapping[str, Target] = {
    "frequency.enabled": _switched("Frequency response on", "Control de frecuencia activo"),
    "frequency.curve": _shown(None, "Frequency response curve", "Curva de respuesta de frecuencia", _CURVES),
    "frequency.droop": _shown("%", "Frequency droop", "Estatismo frecuencia-potencia"),
    "frequency.dead_band": _shown("mHz", "Frequency dead band", "Banda muerta de frecuencia"),
    "frequency.shape": _shown(None, "Shape at the dead band", "Forma en la banda muerta", ("offset", "step")),
    "frequency.response_time": _shown(
        "s", "Response time of the frequency control", "Tiempo de respuesta de frecuencia"
    ),
    "frequency.authority_up": _shown(
        "% Pn", "Most that the frequency response adds", "Aporte máximo por baja frecuencia"
    ),
    "frequency.authority_down": _shown(
        "% Pn", "Most that the frequency response takes away", "Reducción máxima por alta frecuencia"
    ),
    "frequency.soc_low": _shown("%", "Lower end of the reserve band", "Extremo inferior de la reserva"),
    "frequency.soc_high": _shown("%", "Upper end of the reserve band", "Extremo superior de la reserva"),
    "frequency.soc_taper": _shown("%", "Width over which the reserve fades", "Ancho de atenuación"),
    "frequency.recovery": _shown("% Pn", "Power that restores the reserve", "Potencia de recuperación"),
    "voltage.mode": _commanded(None, "Reactive power mode", "Modo de control de reactivos", _MODES),
    "voltage.setpoint": _commanded("% Un", "Voltage set-point", "Consigna de tensión"),
    "voltage.droop": _shown("%", "Voltage droop", "Estatismo de tensión"),
    "voltage.dead_band": _shown("% Un", "Voltage dead band", "Banda muerta de tensión"),
    "voltage.response_time": _shown(
        "s", "Response time of the voltage control", "Tiempo de respuesta de tensión"
    ),
    "voltage.power_factor": _commanded(
        None, "Power factor set-point, + exports kvar", "Consigna de factor de potencia, + inyecta kvar"
    ),
    "voltage.reactive_power": _commanded(
        "kvar", "Reactive power set-point, + exports", "Consigna de potencia reactiva, + inyecta"
    ),
    "active.setpoint": _commanded(
        "kW",
        "Active power set-point of the grid functions, + discharges",
        "Consigna de potencia activa, + descarga",
    ),
    "active.maximum": _commanded(
        "kW",
        "Highest active power at the point of connection",
        "Potencia activa máxima en el punto de conexión",
    ),
    "active.ramp": _shown("% Pn/min", "Active power ramp", "Rampa de potencia activa"),
    "active.curtailment_time": _shown(
        "s", "Longest time until a new maximum is kept", "Plazo para cumplir una limitación"
    ),
    "active.agc": _switched("Takes part in automatic generation control", "Participa en el AGC"),
    "active.volt_watt": _switched("Active power falls with high voltage", "Función volt-watt activa"),
}
"""The parameters of the grid functions."""

TARGETS: Mapping[str, Target] = {
    "active_power": Target(
        unit="kW", en="Active power set-point, + discharges", es="Consigna de potencia activa, + descarga"
    ),
    "active_power_max": Target(
        unit="kW", en="Upper limit of active power", es="Límite superior de potencia activa"
    ),
    "active_power_min": Target(
        unit="kW", en="Lower limit of active power", es="Límite inferior de potencia activa"
    ),
    "reactive_power": Target(
        unit="kvar",
        en="Reactive power request, + exports",
        es="Solicitud de potencia reactiva, + inyecta",
    ),
    **{name: target for name, target in PARAMETERS.items() if target.command},
}
"""What may be commanded."""


def source_of(name: str, known_alarms: Mapping[str, str]) -> Source | None:
    """What a name that is no point of the site stands for; None when nothing does.

    Args:
        name: as in the point list.
        known_alarms: codes of conditions, with what they mean in English and Spanish joined by a newline.
    """
    if name.startswith(ALARM):
        texts = known_alarms.get(name.removeprefix(ALARM))
        if texts is None:
            return None
        en, _, es = texts.partition("\n")
        return Source(switch=True, en=en, es=es)
    if name.startswith(GRID):
        return PARAMETERS.get(name.removeprefix(GRID))
    if name.startswith(LAST):
        target = TARGETS.get(name.removeprefix(LAST))
        return target and Source(
            unit=target.unit,
            states=target.states,
            switch=target.switch,
            en=f"Last accepted: {target.en[0].lower()}{target.en[1:]}",
            es=f"Última aceptada: {target.es[0].lower()}{target.es[1:]}",
        )
    return SOURCES.get(name)


def names_beside(known_alarms: Iterable[str]) -> list[str]:
    """Every name that `source_of` knows."""
    return [
        *SOURCES,
        *(GRID + name for name in PARAMETERS),
        *(LAST + name for name in TARGETS),
        *(ALARM + code for code in known_alarms),
    ]
