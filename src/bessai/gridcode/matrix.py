"""`docs/compliance/ntsycs.md` and its Spanish twin: clause, function, test, who closes the loop, how sure we are."""

from __future__ import annotations

from collections.abc import Iterator

from bessai.gridcode.clauses import Clause, Language, clauses
from bessai.gridcode.words import limit_text, phrase

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "clause": "clause", "asks": "what it asks for", "limit": "limit", "loop": "who closes the loop",
        "function": "function", "test": "self-test", "confidence": "confidence", "pcs": "PCS", "ppc": "PPC",
        "gateway": "gateway", "provisional": "provisional", "none": "none", "not tested": "not tested",
    },
    "es": {
        "clause": "cláusula", "asks": "qué exige", "limit": "límite", "loop": "quién cierra el lazo",
        "function": "función", "test": "autoensayo", "confidence": "confianza", "pcs": "PCS", "ppc": "PPC",
        "gateway": "gateway", "provisional": "provisional", "none": "ninguna", "not tested": "no ensayado",
    },
}  # fmt: skip

_HEAD: dict[Language, str] = {
    "en": """# Grid code of Chile: what the gateway does for each clause

Made from `src/bessai/grid/clauses.json` by `bessai gridcode matrix`; edit the clauses, not this page.
[En español](ntsycs.es.md).

*AT-IBR* is the technical annex on converter-based plants that came with Resolución Exenta CNE 45/2026. Its text was
read in an extraction of the official document; figures and some formulas were lost in it. The main body of the NTSyCS
and the annex on SITR were not found.

**Confidence.** A: read in the official text. B: a secondary source. C: neither. Only A may be called compliance; B and
C are *provisional*: adjustable, and to be verified before anybody relies on them.

**Who closes the loop.** *PCS*: the converter's own control; no gateway can do it, and none can prove it without a fast
recorder. *PPC*: the plant controller at the point of connection; the gateway's functions do it where no other
controller has that part. *Gateway*: the gateway, in any plant.

**Self-test.** Rows of `bessai gridcode test`, which runs against the simulated plant: it shows that the gateway's
functions do what the clause asks of a plant whose converters follow quickly enough. It is no certificate of a plant.
""",
    "es": """# Código de red de Chile: qué hace el gateway por cada cláusula

Generado desde `src/bessai/grid/clauses.json` con `bessai gridcode matrix --lang es`; edite las cláusulas, no esta
página. [In English](ntsycs.md).

*AT-IBR* es el anexo técnico de instalaciones basadas en convertidores que llegó con la Resolución Exenta CNE 45/2026.
Su texto se leyó en una extracción del documento oficial, que perdió figuras y algunas fórmulas. El cuerpo principal de
la NTSyCS y el anexo SITR no se encontraron.

**Confianza.** A: leído en el texto oficial. B: una fuente secundaria. C: ninguna de las dos. Solo A puede llamarse
cumplimiento; B y C son *provisionales*: ajustables, y por verificar antes de confiar en ellas.

**Quién cierra el lazo.** *PCS*: el control del propio convertidor; ningún gateway puede hacerlo ni acreditarlo sin un
registrador rápido. *PPC*: el controlador de planta en el punto de conexión; lo hacen las funciones del gateway donde
ningún otro controlador tiene ese papel. *Gateway*: el gateway, en cualquier planta.

**Autoensayo.** Filas de `bessai gridcode test`, que corre contra la planta simulada: muestra que las funciones del
gateway hacen lo que la cláusula exige en una planta cuyos convertidores siguen con rapidez suficiente. No certifica una
planta.
""",
}


def matrix(language: Language) -> str:
    """The whole page."""
    return "\n".join([_HEAD[language], *_table(language), ""])


def _table(language: Language) -> Iterator[str]:
    words = WORDS[language]
    heads = ("clause", "asks", "limit", "loop", "function", "test", "confidence")
    yield "| " + " | ".join(words[head] for head in heads) + " |"
    yield "|" + " --- |" * len(heads)
    for clause in clauses().values():
        cells = (
            phrase(clause.article, language),
            clause.text(language),
            limit_text(clause.limit, clause.unit.split(",")[0], language) or "–",
            words[clause.closes_loop],
            f"`{clause.function}`" if clause.function else words["none"],
            _test(clause, language),
            confidence_text(clause.confidence, language),
        )
        yield "| " + " | ".join(cells) + " |"


def _test(clause: Clause, language: Language) -> str:
    if not clause.not_tested:
        return f"`{clause.test}`"
    return f"{WORDS[language]['not tested']}: {clause.not_tested[language]}"


def confidence_text(confidence: str, language: Language) -> str:
    """`A`, or the letter with the word provisional."""
    return confidence if confidence == "A" else f"{confidence}, {WORDS[language]['provisional']}"
