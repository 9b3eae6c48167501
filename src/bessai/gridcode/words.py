"""The report's words in both languages: limits, findings, and the phrases that tests use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bessai.gridcode.clauses import Language
from bessai.gridcode.rows import Row

Pair = tuple[str, str]
"""English and Spanish."""

VERDICTS: Mapping[str, Pair] = {
    "pass": ("pass", "cumple"),
    "fail": ("fail", "no cumple"),
    "not tested": ("not tested", "no ensayado"),
}

LIMITS: Mapping[str, Pair] = {
    "below": ("<", "<"), "at_most": ("≤", "≤"), "at_least": ("≥", "≥"), "above": (">", ">"), "within": ("±", "±"),
    "low": ("from", "desde"), "high": ("to", "hasta"), "expected": ("expected", "esperado"), "must": ("", ""),
    "reaction_below": ("reaction <", "reacción <"), "rise_below": ("rise <", "crecimiento <"),
    "settling_below": ("settling <", "establecimiento <"), "start_at_most": ("start ≤", "inicio ≤"),
    "recovery_at_most": ("recovery ≤", "recuperación ≤"), "t2_after_t1": ("T2 − T1 =", "T2 − T1 ="),
    "t3": ("T3 =", "T3 ="), "default": ("by default ±", "por defecto ±"), "agc_at_most": ("AGC ≤", "AGC ≤"),
    "stamp": ("stamp", "estampa"), "sync": ("synchronised to ±", "sincronía de ±"),
    "full_at_most": ("full ≤", "pleno ≤"),
    "sustained_min": ("held ≥", "sostenido ≥"), "early": ("early alert", "alerta temprana"),
    "update": ("update", "actualización"), "resolution": ("resolution", "resolución"), "frames": ("", ""),
    "band": ("band ±", "banda ±"), "overshoot_at_most": ("overshoot ≤", "sobreoscilación ≤"), "above_pu": (">", ">"),
    "upto_pu": ("≤", "≤"), "current_pu_min": ("≥", "≥"), "seconds_min": ("≥", "≥"), "days_min": ("≥", "≥"),
    "hours_min": ("≥", "≥"), "final_days": ("final report", "informe final"), "scr_min": ("SCR ≥", "SCR ≥"),
    "escr_min": ("ESCR ≥", "ESCR ≥"), "gain": ("gain", "ganancia"), "mode": ("", ""), "modes": ("", ""),
    "levels": ("voltage levels", "niveles de tensión"), "band_percent": ("band ±", "banda ±"),
    "within_percent": ("±", "±"), "within_percent_of_sn": ("±", "±"), "within_percent_of_pn": ("±", "±"),
}  # fmt: skip
"""What stands before the number of each meaning."""

_OWN_UNITS = {
    "band": "%", "overshoot_at_most": "%", "above_pu": "pu", "upto_pu": "pu", "current_pu_min": "pu",
    "seconds_min": "s",
    "days_min": "d", "hours_min": "h", "final_days": "d", "scr_min": "", "escr_min": "", "gain": "", "mode": "",
    "modes": "", "levels": "", "must": "", "band_percent": "%", "within_percent": "%", "within_percent_of_sn": "% Sn",
    "within_percent_of_pn": "% Pn",
}  # fmt: skip
"""Units of meanings that do not have the clause's."""

FINDINGS: Mapping[str, Pair] = {
    "samples": ("judged by", "juzgado por"), "interval": ("sampling interval (s)", "intervalo de muestreo (s)"),
    "other_samples": ("by the other recorder (s)", "por el otro registrador (s)"),
    "from_detection": ("from detection (s)", "desde la detección (s)"), "why": ("why", "motivo"),
    "error_percent": ("error (%)", "error (%)"), "of_rated_percent": ("of Pn (%)", "de Pn (%)"),
    "low_frequency_kw": ("at low frequency (kW)", "con baja frecuencia (kW)"),
    "high_frequency_kw": ("at high frequency (kW)", "con alta frecuencia (kW)"), "set": ("set", "ajustado"),
    "uncertainty": ("uncertainty ±", "incertidumbre ±"), "answer_at_60_mhz_kw": ("at −60 mHz (kW)", "a −60 mHz (kW)"),
    "answer_at_100_mhz_kw": ("at −100 mHz (kW)", "a −100 mHz (kW)"), "refused": ("refused", "rechazados"),
    "accepted": ("accepted", "aceptados"),
    "seen_after": ("seen by the gateway after (s)", "visto por el gateway tras (s)"),
    "written_after_seen": ("gateway's own part (s)", "parte del gateway (s)"),
    "voltage_percent": ("voltage (% Un)", "tensión (% Un)"),
    "effective_droop_percent": ("effective droop (%)", "estatismo efectivo (%)"),
    "error_percent_of_sn": ("error (% Sn)", "error (% Sn)"),
    "reactive_power_kvar": ("reactive power (kvar)", "potencia reactiva (kvar)"),
    "expected_kvar": ("expected (kvar)", "esperado (kvar)"),
    "active_power_kw": ("active power (kW)", "potencia activa (kW)"),
    "power_factor": ("power factor", "factor de potencia"),
    "reactive_power_to_power_factor_kvar": ("Q → PF (kvar)", "Q → FP (kvar)"),
    "power_factor_to_voltage_droop_kvar": ("PF → V with droop (kvar)", "FP → V con estatismo (kvar)"),
    "voltage_droop_to_voltage_kvar": ("V with droop → V (kvar)", "V con estatismo → V (kvar)"),
    "voltage_to_reactive_power_kvar": ("V → Q (kvar)", "V → Q (kvar)"),
    "wrong_modes_refused": ("wrong modes refused", "modos erróneos rechazados"),
    "told_by_gateway_s": ("told by the gateway (s)", "informado por el gateway (s)"),
    "maximum_kw": ("maximum (kW)", "máximo (kW)"),
    "power_at_the_end_kw": ("power at the end (kW)", "potencia al final (kW)"),
    "parameter": ("parameter", "parámetro"),
    "before": ("before", "antes"), "after": ("after", "después"),
    "refusals_recorded": ("refusals recorded", "rechazos registrados"),
    "seconds": ("reached after (s)", "alcanzado tras (s)"), "power_kw": ("power (kW)", "potencia (kW)"),
    "window": ("window (s)", "ventana (s)"),
    "found": ("", ""),
}  # fmt: skip

PHRASES: Mapping[str, str] = {
    "records": "registros del gateway", "witness": "testigo (valores reales del gemelo)", "unknown": "desconocidos",
    "refused": "rechazado", "accepted": "aceptado", "recorded": "registrado", "True": "sí", "False": "no",
    "refused outside, accepted at both ends": "rechazados fuera, aceptados en ambos extremos",
    "equivalent both ways": "equivalente en ambos sentidos",
    "no response at ±25 mHz with 30 mHz set": "sin respuesta a ±25 mHz con 30 mHz ajustados",
    "no bump between modes that ask for the same": "sin salto entre modos que piden lo mismo",
    "only the set-point of the mode in force counts; one mode at a time":
        "solo cuenta la consigna del modo vigente; un modo a la vez",
    "reached, kept, and told with the time that it took": "alcanzado, mantenido e informado con el tiempo que tomó",
    "refused while the plant takes no part in AGC, and nothing moves":
        "rechazada si la planta no participa en el AGC, y nada se mueve",
    "refused, and nothing is changed": "rechazado, y nada cambia",
    "in force, and recorded with old and new value, authorisation, user and role":
        "vigente, y registrado con valor anterior y nuevo, autorización, usuario y rol",
    "no number found": "sin número encontrado",
    "it did not happen": "no ocurrió",
    "the output did not change beyond its noise": "la salida no cambió más que su ruido",
}  # fmt: skip
"""English to Spanish, of what limits and findings say in words."""


def phrase(text: str, language: Language) -> str:
    """A phrase in a language; one without translation stays English."""
    return PHRASES.get(text, text) if language == "es" else text


def word(pair: Pair, language: Language) -> str:
    """One of two."""
    return pair[language == "es"]


def amount(value: Any, language: Language) -> str:
    """A number, a phrase or a dash, as the language writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return phrase(str(value), language) if language == "es" else ("yes" if value else "no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return phrase(value, language)
    text = f"{value:.6g}"
    return text.replace(".", ",") if language == "es" else text


def limit_text(limit: Mapping[str, Any], unit: str, language: Language) -> str:
    """The numbers of a limit in words, each with its unit; empty when there is none."""
    parts = []
    for name, value in limit.items():
        if name == "unit":
            continue
        before, after = word(LIMITS[name], language), _OWN_UNITS.get(name, unit)
        gap = "" if before.endswith("±") else " "
        parts.append(f"{before}{gap}{amount(value, language)} {after}".strip())
    return ", ".join(parts)


def row_limit(row: Row, language: Language) -> str:
    """A row's limit in words."""
    return limit_text(row.limit, str(row.limit.get("unit", row.clause.unit)).split(",")[0], language)


def main_finding(row: Row, language: Language) -> str:
    """What was measured, in short."""
    measured = row.measured
    if "found" in measured:
        return amount(measured["found"], language)
    if "value" not in measured:
        return "–"
    return f"{amount(measured['value'], language)} {measured.get('unit') or ''}".strip()


def details(row: Row, language: Language) -> Iterator[tuple[str, str]]:
    """What else was seen: words and amount."""
    for name, value in row.measured.items():
        if name not in {"value", "unit", "found"} and value != "":
            yield word(FINDINGS[name], language), amount(value, language)
