"""The point list as a table: the same columns in CSV, Markdown and XLSX, in English or Spanish."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bessai.site.scada import TYPE_NAMES, CommandPoint, MonitorPoint, Scada, digest

Cell = str | float | int | None

COLUMNS: Mapping[str, Sequence[str]] = {
    "en": (
        *("ioa", "type", "description", "unit", "sign", "scale", "full scale", "dead band", "group"),
        *("cyclic s", "AGC", "source", "states", "DNP3 object", "DNP3 index", "DNP3 class", "basis"),
    ),
    "es": (
        *("ioa", "tipo", "descripción", "unidad", "signo", "escala", "fondo de escala", "banda muerta"),
        *(
            "grupo",
            "cíclico s",
            "AGC",
            "origen",
            "estados",
            "objeto DNP3",
            "índice DNP3",
            "clase DNP3",
            "base",
        ),
    ),
}
COMMAND_COLUMNS: Mapping[str, Sequence[str]] = {
    "en": (
        *("ioa", "type", "description", "unit", "sign", "scale", "full scale", "min", "max", "select first"),
        *("read back at", "target", "values", "DNP3 object", "DNP3 index", "basis"),
    ),
    "es": (
        *("ioa", "tipo", "descripción", "unidad", "signo", "escala", "fondo de escala", "mín", "máx"),
        *("selección previa", "lectura en", "destino", "valores", "objeto DNP3", "índice DNP3", "base"),
    ),
}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Point list",
        "site": "site",
        "made": "made",
        "list": "list",
        "points": "Points",
        "commands": "Commands",
        "yes": "yes",
        "no": "no",
        "file": "site",
        "preset": "preset, provisional",
        "convention": "Signs before `sign`: positive active power discharges, positive reactive power is exported; "
        "− means that the operator sees or sends the opposite.",
        "provisional": "The preset {preset} is provisional: it was made from secondary sources, not from the official "
        "annex. The operator's own list counts.",
        "missing": "Not available at this site",
        "bits": "bit {bit}",
        "sign_off": "Sign-off",
        "role": "for",
        "name": "name",
        "date": "date",
        "signature": "signature",
        "operator": "grid operator",
        "owner": "plant",
    },
    "es": {
        "title": "Lista de puntos",
        "site": "instalación",
        "made": "emitida",
        "list": "lista",
        "points": "Puntos",
        "commands": "Mandos",
        "yes": "sí",
        "no": "no",
        "file": "instalación",
        "preset": "preestablecida, provisional",
        "convention": "Signos antes de `signo`: la potencia activa positiva descarga, la reactiva positiva se inyecta; "
        "− significa que el operador ve o envía el opuesto.",
        "provisional": "La lista preestablecida {preset} es provisional: se hizo con fuentes secundarias, no con el "
        "anexo oficial. Vale la lista propia del operador.",
        "missing": "No disponible en esta instalación",
        "bits": "bit {bit}",
        "sign_off": "Conformidad",
        "role": "por",
        "name": "nombre",
        "date": "fecha",
        "signature": "firma",
        "operator": "operador de la red",
        "owner": "planta",
    },
}

_OBJECTS: Mapping[str, str] = {
    "single": "Binary Input (g1, g2)",
    "double": "Binary Inputs (g1, g2): ON, OFF",
    "normalized": "Analog Input (g30, g32)",
    "scaled": "Analog Input (g30, g32)",
    "float": "Analog Input (g30, g32)",
    "counter": "Counter (g20, g22)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PointList:
    """What is printed."""

    site: str
    """Name of the site."""
    scada: Scada
    """Its list."""
    language: str
    """`en` or `es`."""
    made: datetime
    """When it is printed, UTC."""

    def word(self, name: str) -> str:
        """A title in the list's language."""
        return _WORDS[self.language][name]

    def header(self) -> list[tuple[str, str]]:
        """What the list is of: label and value."""
        link, dnp3 = self.scada.iec104, self.scada.dnp3
        rows = [
            (self.word("site"), self.site),
            (self.word("made"), self.made.strftime("%Y-%m-%d %H:%M UTC")),
            (self.word("list"), digest(self.scada)),
        ]
        if link is not None:
            ports = [f"TCP {link.port}"] if link.port else []
            ports += [f"TLS {link.tls.port}"] if link.tls else []
            sizes = f"COT {link.cause_size}, CA {link.address_size}, IOA {link.object_size} octets"
            timers = f"k {link.k}, w {link.w}, t1 {link.t1:g} s, t2 {link.t2:g} s, t3 {link.t3:g} s"
            told = f"{', '.join(ports)}; CA {link.common_address}; {sizes}; {timers}"
            rows.append(("IEC 60870-5-104", told))
        if dnp3 is not None:
            rows.append(("DNP3", f"TCP {dnp3.port}; outstation {dnp3.outstation}, master {dnp3.master}"))
        return rows

    def notes(self) -> list[str]:
        """What the reader must know."""
        notes = [self.word("convention")]
        if self.scada.preset is not None:
            notes.append(self.word("provisional").format(preset=self.scada.preset))
        if self.scada.missing:
            names = ", ".join(name for name, _ in self.scada.missing)
            notes.append(f"{self.word('missing')}: {names}")
        return notes

    def points(self) -> list[list[Cell]]:
        """One row a point, in `COLUMNS`."""
        return [self._point(point) for point in self.scada.points]

    def commands(self) -> list[list[Cell]]:
        """One row a command, in `COMMAND_COLUMNS`."""
        return [self._command(command) for command in self.scada.commands]

    def _point(self, point: MonitorPoint) -> list[Cell]:
        state = point.kind in ("single", "double")
        return [
            point.ioa,
            f"{_type(point.type_id)}, {_type(point.timed_type_id)}",
            point.description_es if self.language == "es" else point.description,
            point.unit,
            None if state else _sign(point.sign),
            None if state else point.scale,
            point.full_scale,
            None if state else point.dead_band,
            point.group,
            point.period,
            self.word("yes") if point.agc else None,
            point.name if point.second is None else f"{point.name} / {point.second}",
            self._states(point),
            _OBJECTS[point.kind],
            point.index if point.kind != "double" else f"{point.index}, {point.index + 1}",
            point.event_class,
            self.word("preset" if point.provisional else "file"),
        ]

    def _states(self, point: MonitorPoint) -> str | None:
        parts = [_values(point.states)]
        if point.bit is not None:
            parts.append(self.word("bits").format(bit=point.bit))
        for word, when in (("ON", point.on_when), ("OFF", point.off_when)):
            if when is not None:
                parts.append(f"{word}: {', '.join(str(value) for value in sorted(when))}")
        return "; ".join(part for part in parts if part) or None

    def _command(self, command: CommandPoint) -> list[Cell]:
        switch = not command.is_setpoint
        return [
            command.ioa,
            f"{_type(command.type_id)}, {_type(command.timed_type_id)}",
            command.description_es if self.language == "es" else command.description,
            command.unit,
            None if switch else _sign(command.sign),
            None if switch else command.scale,
            command.full_scale,
            command.low,
            command.high,
            self.word("yes" if command.sbo else "no"),
            command.feedback,
            command.target,
            _values(command.choices) or None,
            "Binary Output (g10, g12)" if switch else "Analog Output (g40, g41)",
            command.index,
            self.word("preset" if command.provisional else "file"),
        ]


def as_csv(content: PointList) -> str:
    """The list as CSV: lines with # tell what it is of, then the points, an empty line, and the commands."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    for label, value in content.header():
        stream.write(f"# {label}: {_line(value)}\r\n")
    for note in content.notes():
        stream.write(f"# {_line(note)}\r\n")
    writer.writerow(COLUMNS[content.language])
    writer.writerows([_inert(cell) for cell in row] for row in content.points())
    stream.write("\r\n")
    writer.writerow(COMMAND_COLUMNS[content.language])
    writer.writerows([_inert(cell) for cell in row] for row in content.commands())
    return stream.getvalue()


def as_markdown(content: PointList) -> str:
    """The list as a Markdown page with places for signatures."""
    lines = [f"# {content.word('title')}: {_line(content.site)}", ""]
    lines += [f"- {label}: {_line(value)}" for label, value in content.header()[1:]]
    lines += ["", *(line for note in content.notes() for line in (note, ""))]
    for title, columns, rows in (
        ("points", COLUMNS, content.points()),
        ("commands", COMMAND_COLUMNS, content.commands()),
    ):
        lines += [f"## {content.word(title)}", "", *_table(columns[content.language], rows), ""]
    names = [content.word(name) for name in ("role", "name", "date", "signature")]
    blank: list[list[Cell]] = [[content.word(role), None, None, None] for role in ("owner", "operator")]
    lines += [f"## {content.word('sign_off')}", "", *_table(names, blank)]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    shown = [[_line(_plain(cell)).replace("|", "\\|") for cell in row] for row in rows]
    return [
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(row)} |" for row in shown),
    ]


def _plain(cell: Cell) -> str:
    return "" if cell is None else f"{cell:.12g}" if isinstance(cell, float) else str(cell)


def _line(text: str) -> str:
    return " ".join(text.split())


def _inert(cell: Cell) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = _line(_plain(cell))
    return f"'{text}" if isinstance(cell, str) and len(text) > 1 and text[0] in "=+-@" else text


def _type(number: int) -> str:
    return f"{TYPE_NAMES[number]} ({number})"


def _sign(sign: int) -> str:
    return "+" if sign > 0 else "−"


def _values(states: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in states.items())
