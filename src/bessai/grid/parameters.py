"""Every adjustable number and switch of the grid functions: its limits, the clause they come from, and how sure we are.

Only a limit with confidence `A` was read in the official text; all others are provisional. A site may narrow them
(`bounds` in GRID_FILE), never widen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Value = float | bool | str
"""A number, a switch, or one of the choices."""

NONE = "none"
"""The choice of an optional number that stands for no number."""

Confidence = Literal["A", "B", "C"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that can be adjusted."""

    name: str
    unit: str
    """Empty for switches and choices."""
    default: Value
    low: float | None = None
    """Lowest number; None where the plant decides (see `GridConfig.limits`), or where there is no number."""
    high: float | None = None
    """Highest number, likewise."""
    choices: tuple[str, ...] = ()
    """What may stand besides a number, or instead of one."""
    least: float | None = None
    """Smallest magnitude of a number."""
    clause: str
    """Where the limits come from; empty when they are ours."""
    confidence: Confidence
    """A: read in the official text. B: a secondary source. C: neither; B and C are provisional."""
    description_en: str
    description_es: str
    kind: Literal["parameter", "command"]
    """A `parameter` changes only with an authorisation (AT-IBR Art. 6-2), a `command` is daily operation."""
    type: Literal["number", "switch", "choice"]

    @property
    def provisional(self) -> bool:
        """True when the limits were not read in the official text."""
        return self.confidence != "A"


def _number(name: str, unit: str, default: Value, low: float | None, high: float | None, clause: str,
            confidence: Confidence, en: str, es: str, *, kind: Literal["parameter", "command"] = "parameter",
            optional: bool = False, least: float | None = None) -> Parameter:  # fmt: skip
    return Parameter(
        name=name, unit=unit, default=default, low=low, high=high, choices=(NONE,) if optional else (),
        least=least, clause=clause, confidence=confidence, description_en=en, description_es=es, kind=kind,
        type="number",
    )  # fmt: skip


def _switch(name: str, default: bool, clause: str, confidence: Confidence, en: str, es: str) -> Parameter:
    return Parameter(
        name=name, unit="", default=default, clause=clause, confidence=confidence, description_en=en,
        description_es=es, kind="command", type="switch",
    )  # fmt: skip


def _choice(name: str, choices: tuple[str, ...], clause: str, confidence: Confidence, en: str, es: str,
            kind: Literal["parameter", "command"]) -> Parameter:  # fmt: skip
    return Parameter(
        name=name, unit="", default=choices[0], choices=choices, clause=clause, confidence=confidence,
        description_en=en, description_es=es, kind=kind, type="choice",
    )  # fmt: skip


VOLTAGE_MODES = (
    "off", "voltage", "voltage_droop", "power_factor", "reactive_power", "ieee1547_volt_var", "ieee1547_watt_var",
)  # fmt: skip
FREQUENCY_CURVES = ("droop", "ieee1547_freq_watt", "uk_dc", "uk_dm", "uk_dr")
SHAPES = ("offset", "step")

_ALL = (
    _switch("frequency.enabled", False, "AT-IBR Art. 3-6", "A",
            "Active power answers the frequency.", "La potencia activa responde a la frecuencia."),
    _choice("frequency.curve", FREQUENCY_CURVES, "AT-IBR Art. 3-6; others: other countries", "C",
            "Law of the response: the annex's droop, or the named curve of another country.",
            "Ley de la respuesta: el estatismo del anexo, o la curva de otro país.", "parameter"),
    _number("frequency.droop", "%", 5.0, 2.0, 5.0, "AT-IBR Art. 3-6 e", "A",
            "Frequency deviation in % of nominal that asks for the rated power.",
            "Desviación de frecuencia en % de la nominal que pide la potencia nominal."),
    _number("frequency.dead_band", "mHz", 30.0, 0.0, 30.0, "AT-IBR Art. 3-6 f", "A",
            "Deviation to either side that is not answered.", "Desviación a cada lado que no se responde."),
    _choice("frequency.shape", SHAPES, "AT Desempeño del Control de Frecuencia (shows both; ask CEN)", "A",
            "Beyond the dead band the response counts from its edge (offset) or from nominal (step).",
            "Fuera de la banda muerta la respuesta cuenta desde su borde (offset) o desde la nominal (step).",
            "parameter"),
    _number("frequency.response_time", "s", 0.0, 0.0, 4.0, "AT-IBR Art. 3-6 b", "A",
            "Rise time from 10 to 90 % that the gateway adds; 0 answers at once.",
            "Tiempo de crecimiento de 10 a 90 % que agrega el gateway; 0 responde de inmediato."),
    _number("frequency.authority_up", "% Pn", 100.0, 0.0, 100.0, "", "C",
            "Most power that low frequency may add.", "Mayor potencia que la baja frecuencia puede sumar."),
    _number("frequency.authority_down", "% Pn", 100.0, 0.0, 100.0, "", "C",
            "Most power that high frequency may take away.",
            "Mayor potencia que la alta frecuencia puede restar."),
    _number("frequency.soc_low", "%", 10.0, 0.0, 100.0, "", "C",
            "State of charge at which nothing is left to add.",
            "Estado de carga en que no queda nada que sumar."),
    _number("frequency.soc_high", "%", 90.0, 0.0, 100.0, "", "C",
            "State of charge at which nothing is left to take away.",
            "Estado de carga en que no queda nada que restar."),
    _number("frequency.soc_taper", "%", 5.0, 0.1, 50.0, "", "C",
            "Width inside the reserve band over which the exhausting direction fades.",
            "Ancho dentro de la banda de reserva en que se atenúa la dirección que la agota."),
    _number("frequency.recovery", "% Pn", 0.0, 0.0, 10.0, "", "C",
            "Most power that brings the state of charge to the middle while frequency is in the dead band; 0: none.",
            "Mayor potencia que lleva el estado de carga al centro dentro de la banda muerta; 0: ninguna."),
    _choice("voltage.mode", VOLTAGE_MODES, "AT-IBR Art. 3-3 b, c; ieee1547_*: other countries", "A",
            "What reactive power regulates; one mode at a time.",
            "Qué regula la potencia reactiva; un modo a la vez.", "command"),
    _number("voltage.setpoint", "% Un", 100.0, 90.0, 110.0, "", "C",
            "Voltage to keep at the point of connection.", "Tensión a mantener en el punto de conexión.",
            kind="command"),
    _number("voltage.droop", "%", 5.0, 2.0, 10.0, "AT-IBR Art. 3-3 i", "A",
            "Voltage deviation in % of nominal that asks for the rated apparent power as reactive power.",
            "Desviación de tensión en % de la nominal que pide la potencia aparente nominal como reactiva."),
    _number("voltage.dead_band", "% Un", 0.0, 0.0, 5.0, "", "C",
            "Voltage deviation to either side that is not answered.",
            "Desviación de tensión a cada lado que no se responde."),
    _number("voltage.response_time", "s", 0.5, 0.1, 60.0, "AT-IBR Art. 3-3 e: < 1 s; CEN may allow more", "C",
            "Rise time from 10 to 90 % of the reactive power that the gateway commands.",
            "Tiempo de crecimiento de 10 a 90 % de la potencia reactiva que manda el gateway."),
    _number("voltage.power_factor", "", 1.0, -1.0, 1.0, "", "C",
            "Power factor to keep; positive exports kvar (overexcited), negative imports.",
            "Factor de potencia a mantener; positivo inyecta kvar (sobreexcitado), negativo absorbe.",
            kind="command", least=0.8),
    _number("voltage.reactive_power", "kvar", 0.0, None, None, "", "C",
            "Reactive power to keep; positive exports.", "Potencia reactiva a mantener; positiva inyecta.",
            kind="command"),
    _number("active.setpoint", "kW", NONE, None, None, "", "C",
            "Active power that the grid operator or its AGC asks for; positive discharges.",
            "Potencia activa que pide el operador de la red o su AGC; positiva descarga.",
            kind="command", optional=True),
    _number("active.maximum", "kW", NONE, None, None, "", "C",
            "Highest active power at the point of connection (curtailment).",
            "Mayor potencia activa en el punto de conexión (limitación).", kind="command", optional=True),
    _number("active.ramp", "% Pn/min", NONE, 0.0, 20.0, "AT-IBR Art. 4-7 (text is for GFL)", "A",
            "Fastest change of the scheduled power, at start-up and in normal operation; 0 holds it.",
            "Cambio más rápido de la potencia programada, en la partida y en operación normal; 0 la mantiene.",
            optional=True),
    _number("active.curtailment_time", "s", 60.0, 1.0, 3600.0, "", "C",
            "Longest time until the measured power keeps to a new maximum, before it is an alarm.",
            "Mayor tiempo hasta que la potencia medida cumpla un nuevo máximo, antes de ser alarma."),
    _switch("active.agc", False, "", "C",
            "The plant takes part in AGC; its set-points are refused while off.",
            "La planta participa en el AGC; sus consignas se rechazan mientras no."),
    _switch("active.volt_watt", False, "IEEE 1547-2018 volt-watt, as coded by OpenDER v2.2", "C",
            "High voltage limits the active power (other countries).",
            "La tensión alta limita la potencia activa (otros países)."),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameter] = MappingProxyType({one.name: one for one in _ALL})
"""By name, in the order of the documentation."""
