"""Small charts as SVG inside the page: no script, readable on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from bessai.commissioning.results import Mark, Row

_WIDTH, _HEIGHT = 860, 270
_LEFT, _RIGHT, _BOTTOM = 56, 12, 34


def power_chart(rows: Sequence[Row], marks: Sequence[Mark], title: str) -> str:
    """Measured power against the setpoint in kW; empty when there is nothing to draw."""
    known = [v for r in rows for v in (r.setpoint, r.measured) if v is not None]
    if len(rows) < 2 or not known:
        return ""
    silent = [r.time for r in rows if r.phase.startswith("silence")]
    band = (silent[0], silent[-1]) if silent else None
    chart = _Chart(rows, min(0.0, *known), max(0.0, *known), _HEIGHT, bool(marks))
    return chart.draw(
        title,
        "kW",
        [
            ("setpoint", "setpoint", lambda r: r.setpoint, True),
            ("measured", "measured", lambda r: r.measured, False),
        ],
        marks,
        band,
    )


def timer_chart(rows: Sequence[Row], title: str) -> str:
    """The time left that the device shows, in s; empty when it shows none."""
    known = [r.remaining for r in rows if r.remaining is not None]
    if len(known) < 2:
        return ""
    chart = _Chart(rows, 0.0, max(1.0, *known), 170, False)
    return chart.draw(title, "s", [("timer", "time left", lambda r: r.remaining, False)], (), None)


_Series = tuple[str, str, Callable[[Row], float | None], bool]


class _Chart:
    def __init__(self, rows: Sequence[Row], low: float, high: float, height: int, marked: bool) -> None:
        self.rows = rows
        self.top = 62 if marked else 32
        self.height = height if marked else height - 30
        room = 0.08 * (high - low) or 1.0
        self.low, self.high = (low - room if low < 0 else 0.0), high + room
        self.start, self.end = rows[0].time, max(rows[-1].time, rows[0].time + 1.0)

    def x(self, time: float) -> float:
        share = (time - self.start) / (self.end - self.start)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.height - _BOTTOM - share * (self.height - self.top - _BOTTOM)

    def draw(
        self,
        title: str,
        unit: str,
        series: Sequence[_Series],
        marks: Sequence[Mark],
        band: tuple[float, float] | None,
    ) -> str:
        parts = [
            f'<svg viewBox="0 0 {_WIDTH} {self.height}" role="img" aria-label="{escape(title)}" class="chart">',
            f"<title>{escape(title)}</title>",
        ]
        if band is not None:
            left, right = self.x(band[0]), self.x(band[1])
            parts.append(
                f'<rect class="band" x="{left:.1f}" y="{self.top}" width="{right - left:.1f}" '
                f'height="{self.height - self.top - _BOTTOM}"/>'
            )
        parts += self._axes(unit)
        parts += [self._line(name, value, steps) for name, _, value, steps in series]
        parts += self._marks(marks)
        parts += self._legend(series, band is not None)
        return "".join(parts) + "</svg>"

    def _axes(self, unit: str) -> list[str]:
        parts = []
        bottom, right = self.height - _BOTTOM, _WIDTH - _RIGHT
        for value in _ticks(self.low, self.high, 5):
            y = self.y(value)
            kind = "zero" if value == 0 else "grid"
            parts.append(f'<line class="{kind}" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            parts.append(
                f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value in _ticks(self.start, self.end, 10):
            x = self.x(value)
            parts.append(f'<line class="grid" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>')
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
            )
        parts.append(f'<text class="tick" x="{right}" y="{self.height - 4}" text-anchor="end">seconds</text>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{self.top - 10}" text-anchor="end">{unit}</text>'
        )
        return parts

    def _line(self, name: str, value: Callable[[Row], float | None], steps: bool) -> str:
        path: list[str] = []
        pen = False
        for row in self.rows:
            seen = value(row)
            if seen is None:
                pen = False
                continue
            x, y = f"{self.x(row.time):.1f}", f"{self.y(seen):.1f}"
            path.append(f"M{x} {y}" if not pen else f"H{x}V{y}" if steps else f"L{x} {y}")
            pen = True
        return f'<path class="{name}" d="{"".join(path)}"/>'

    def _marks(self, marks: Sequence[Mark]) -> list[str]:
        """Vertical lines with their text in the first of three levels where it covers no other."""
        parts = []
        taken = [-1e9] * 3
        for mark in sorted(marks, key=lambda m: (m.time, m.text)):
            if not self.start <= mark.time <= self.end:
                continue
            text = f"{mark.text} ({mark.time:.1f} s)"
            x, width = self.x(mark.time), 6.2 * len(text) + 6
            flipped = x + width > _WIDTH
            left = x - width if flipped else x
            level = next((i for i, end in enumerate(taken) if left >= end), 2)
            taken[level] = max(taken[level], left + width)
            y = self.top - 5 - 13 * level
            parts.append(
                f'<line class="mark" x1="{x:.1f}" y1="{y - 9}" x2="{x:.1f}" y2="{self.height - _BOTTOM}"/>'
            )
            anchor, shift = ("end", -4) if flipped else ("start", 4)
            parts.append(
                f'<text class="note" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
            )
        return parts

    def _legend(self, series: Sequence[_Series], band: bool) -> list[str]:
        parts = []
        x = float(_LEFT)
        entries = [(name, label) for name, label, _, _ in series] + (
            [("band", "gateway silent")] if band else []
        )
        for name, label in entries:
            y = 10
            if name == "band":
                parts.append(f'<rect class="band" x="{x:.0f}" y="{y - 6}" width="18" height="10"/>')
            else:
                parts.append(f'<path class="{name}" d="M{x:.0f} {y}h18"/>')
            parts.append(f'<text class="tick" x="{x + 24:.0f}" y="{y + 4}">{escape(label)}</text>')
            x += 40 + 7 * len(label)
        return parts


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers inside the range, at most `most` of them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 9) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]
