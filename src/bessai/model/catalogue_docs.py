"""`docs/alarms.md` and `docs/alarms.es.md`, made from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bessai.model.catalogue import LANGUAGES, CatalogueEntry, catalogue
from bessai.model.event import Severity

_HEAD = {
    "en": """# Alarms and events

Made from `src/bessai/model/catalogue.json` by `bessai alarms document`; edit the catalogue, not this page.
[En español](alarms.es.md).

An *alarm* needs a person: the plant was brought to its safe state or cannot be controlled. It stays in the list until
somebody acknowledges it, also after its cause is gone. A *warning* leaves the list by itself. A *condition* begins and
ends; an *event* happens once. Delays concern the announcement only: what keeps the plant safe acts in the same
cycle, and an alarm is announced at once whatever the table says. The gateway is not the safety function: BMS, relays
and fire systems are.

`bessai alarms` lists what stands, `bessai alarms explain CODE` shows one entry of this page.
""",
    "es": """# Alarmas y eventos

Generado desde `src/bessai/model/catalogue.json` con `bessai alarms document --lang es`; edite el catálogo, no esta
página. [In English](alarms.md).

Una *alarma* necesita a una persona: la planta fue llevada a su estado seguro o no se puede controlar. Permanece en la
lista hasta que alguien la reconoce, incluso después de que su causa desapareció. Una *advertencia* sale de la lista por
sí sola. Una *condición* comienza y termina; un *evento* ocurre una vez. Los retardos se refieren solo al aviso: lo que
mantiene segura la planta actúa en el mismo ciclo, y una alarma se avisa de inmediato sin importar lo que diga la tabla.
El gateway no es la función de seguridad: lo son el BMS, las protecciones y los sistemas contra incendio.

`bessai alarms` muestra lo vigente; `bessai alarms explain CODE --lang es` muestra una entrada de esta página.
""",
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "severity": "severity", "kind": "kind", "condition": "condition", "event": "event", "latches": "latches",
        "announced after": "announced after", "ended after": "ended after", "yes": "yes", "no": "no",
        "meaning": "Meaning", "cause": "Usual cause", "action": "What to do", "code": "code",
        "coming": "Not said by this version yet.", "info": "info", "warning": "warning", "alarm": "alarm",
    },
    "es": {
        "severity": "severidad", "kind": "tipo", "condition": "condición", "event": "evento",
        "latches": "con enclavamiento", "announced after": "se avisa tras", "ended after": "termina tras",
        "yes": "sí", "no": "no", "meaning": "Significado", "cause": "Causa habitual", "action": "Qué hacer",
        "code": "código", "coming": "Esta versión aún no lo emite.", "info": "información",
        "warning": "advertencia", "alarm": "alarma",
    },
}  # fmt: skip
"""The words around the texts, by language."""


def facts(entry: CatalogueEntry, language: str) -> dict[str, str]:
    """What the catalogue says of a code besides its texts, in words: heading to value."""
    words = WORDS[language]
    delays = {"announced after": entry.on, "ended after": entry.off} if entry.condition else {}
    return {
        words["severity"]: words[entry.severity.label],
        words["kind"]: words["condition" if entry.condition else "event"],
        words["latches"]: words["yes" if entry.latches else "no"],
        **{words[name]: f"{seconds:g} s" for name, seconds in delays.items()},
    }


def catalogue_markdown(language: str = "en") -> str:
    """The page in one language, ending with a line break.

    Raises:
        ValueError: there is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: use one of {', '.join(LANGUAGES)}")
    words = WORDS[language]
    entries = sorted(catalogue().values(), key=lambda entry: (-entry.severity, entry.code))
    head = [words[name] for name in ("code", "severity", "kind", "latches", "announced after", "ended after")]
    lines = [_HEAD[language], f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for entry in entries:
        told = facts(entry, language)
        cells = [f"[`{entry.code}`](#{entry.code})", *(told.get(name, "") for name in head[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    for severity in sorted(Severity, reverse=True):
        lines += ["", f"## {words[severity.label].capitalize()}"]
        for entry in entries:
            if entry.severity is severity:
                lines += ["", *_section(entry, language)]
    return "\n".join(lines) + "\n"


def _section(entry: CatalogueEntry, language: str) -> Iterator[str]:
    words, texts = WORDS[language], entry.texts[language]
    yield f"### {entry.code}"
    yield ""
    yield f"- **{words['meaning']}**: {texts.meaning}"
    yield f"- **{words['cause']}**: {texts.cause}"
    yield f"- **{words['action']}**: {texts.action}"
    if entry.coming:
        yield f"- *{words['coming']}*"
