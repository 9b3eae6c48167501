"""The fixed texts of the report, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bessai.gridcode.clauses import Language
from bessai.gridcode.report import Report

TEXTS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Grid-code self-test",
        "twin": "Against the simulated plant, in simulated time",
        "plant": "On the plant, through the running gateway",
        "pass": "No row that was tested fails.",
        "fail": "At least one row fails.",
        "not tested": "Nothing was tested.",
        "sabotage": "Run with a deliberate fault",
        "facts": "What was tested", "rows": "Results", "figures": "Samples",
        "figures_text": "The red line is the step, the green band the settling band. Seconds since the step.",
        "untested": "Not tested", "untested_why": "Nothing is claimed about these clauses; each says why.",
        "method": "How it was measured",
        "method_text": (
            "Times are those of the annex (AT-IBR Art. 1-4): reaction from the change of the input to the start of the "
            "change of the output; rise from 10 to 90 % of the settled mean; settling until the output stays in its "
            "band, judged from the step and told from the detection as well; overshoot over the change. A time ends at "
            "the sample that shows it, so none is measured too short, and a limit is judged only where at least four "
            "sampling intervals fit into it. The gateway's records are the meter's samples that it worked with; the "
            "witness holds the true values of the simulated plant. Only clauses with confidence A were read in the "
            "official text and may be called compliance; B and C are provisional. This shows what the gateway does "
            "with a plant of the simulated speed. It is no certificate of a plant."
        ),
        "clause": "Clause", "row": "Row", "limit": "Limit", "measured": "Measured", "verdict": "Verdict",
        "confidence": "Confidence", "asks": "What it asks for", "why": "Why not", "loop": "Who closes the loop",
        "figure": "Figure", "provisional": "provisional", "pcs": "PCS", "ppc": "PPC", "gateway": "gateway",
        "site": "Plant", "version": "Software", "date": "Date", "seed": "Seed of chance",
    },
    "es": {
        "title": "Autoensayo de código de red",
        "twin": "Contra la planta simulada, en tiempo simulado",
        "plant": "En la planta, a través del gateway en marcha",
        "pass": "Ninguna fila ensayada incumple.",
        "fail": "Al menos una fila no cumple.",
        "not tested": "Nada fue ensayado.",
        "sabotage": "Ejecutado con una falla deliberada",
        "facts": "Qué se ensayó", "rows": "Resultados", "figures": "Muestras",
        "figures_text": "La línea roja es el escalón, la banda verde la de establecimiento. Segundos desde el escalón.",
        "untested": "No ensayado", "untested_why": "Nada se afirma sobre estas cláusulas; cada una dice por qué.",
        "method": "Cómo se midió",
        "method_text": (
            "Los tiempos son los del anexo (AT-IBR Art. 1-4): reacción, desde el cambio de la entrada hasta el "
            "inicio del cambio de la salida; crecimiento, de 10 a 90 % de la media establecida; "
            "establecimiento, hasta que la salida queda en su banda, juzgado desde el escalón e informado "
            "también desde la detección; sobreoscilación sobre el cambio. Un tiempo termina en la muestra que "
            "lo evidencia, así que ninguno se mide de menos, y un límite se juzga solo donde caben al menos "
            "cuatro intervalos de muestreo. Los registros del gateway son las muestras del medidor con que "
            "trabajó; el testigo tiene los valores reales de la planta simulada. Solo las cláusulas de "
            "confianza A se leyeron en el texto oficial y pueden llamarse cumplimiento; B y C son "
            "provisionales. Esto muestra qué hace el gateway con una planta de la rapidez simulada. No "
            "certifica una planta."
        ),
        "clause": "Cláusula", "row": "Fila", "limit": "Límite", "measured": "Medido", "verdict": "Veredicto",
        "confidence": "Confianza", "asks": "Qué exige", "why": "Por qué no", "loop": "Quién cierra el lazo",
        "figure": "Figura", "provisional": "provisional", "pcs": "PCS", "ppc": "PPC", "gateway": "gateway",
        "site": "Planta", "version": "Software", "date": "Fecha", "seed": "Semilla del azar",
    },
}  # fmt: skip

FACTS: Mapping[str, str] = {
    "rated power": "potencia nominal", "apparent power": "potencia aparente", "energy": "energía",
    "nominal voltage": "tensión nominal", "short-circuit ratio of the grid": "razón de cortocircuito de la red",
    "lag of active power": "retardo de la potencia activa",
    "lag of reactive power": "retardo de la potencia reactiva",
    "control cycle": "ciclo de control", "meter read every": "medidor leído cada",
    "answer of a device after": "respuesta de un dispositivo tras",
    "samples of the witness every": "muestras del testigo cada",
    "converter": "convertidor", "meter": "medidor", "user": "usuario", "role": "rol", "reason": "motivo",
    "authorisation": "autorización", "highest power": "potencia máxima", "longest time": "tiempo máximo",
}  # fmt: skip
"""Spanish words of the facts."""


_POINT = re.compile(r"(?<=^\d)\.(?=\d+ )")
"""The point of an amount such as 0.15 s."""


def facts_of(report: Report, language: Language) -> Iterator[tuple[str, str]]:
    """Header of the report: words and amounts."""
    texts = TEXTS[language]
    yield texts["site"], report.site
    yield texts["version"], report.version
    yield texts["date"], report.date
    if report.seed is not None:
        yield texts["seed"], str(report.seed)
    for name, text in report.facts.items():
        if language == "es":
            yield FACTS.get(name, name).capitalize(), _POINT.sub(",", text)
        else:
            yield name.capitalize(), text
