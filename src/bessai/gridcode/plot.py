"""The plots of the report as plain geometry, which `page` writes as SVG and `paper` as PDF.

The first trace has the left axis; a last trace of another unit is drawn in a narrow panel below it, on the same time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bessai.gridcode.clauses import Language
from bessai.gridcode.rows import Evidence, Trace

WIDTH, HEIGHT = 760.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 28.0, 30.0
_PANEL = 60.0
_MOST = 1500
"""Points of a line at most."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline of a kind: `main`, `second`, `input`, `grid`, `step`."""

    kind: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place: `start`, `middle` or `end` of it is there."""

    at: Point
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Box:
    """The settling band."""

    at: Point
    width: float
    height: float


Shape = Line | Label | Box
_KINDS = ("main", "second")


def shapes(evidence: Evidence, language: Language) -> Iterator[Shape]:
    """Everything to draw, from the back to the front; y grows downwards."""
    main = [trace for trace in evidence.traces if trace.unit == evidence.traces[0].unit]
    others = [trace for trace in evidence.traces if trace.unit != evidence.traces[0].unit]
    bottom = HEIGHT - _BOTTOM - (_PANEL + 14 if others else 0.0)
    spans = [(min(trace.times), max(trace.times)) for trace in evidence.traces if trace.times]
    span = (min(low for low, _ in spans), max(high for _, high in spans))
    upper = _Panel(main, span, _TOP, bottom, evidence.band)
    if evidence.band is not None:
        high, low = upper.y(evidence.band[1]), upper.y(evidence.band[0])
        yield Box(
            (upper.x(max(0.0, span[0])), high), upper.x(span[1]) - upper.x(max(0.0, span[0])), low - high
        )
    yield from upper.axes(main[0].unit, 5)
    panels = [(upper, trace, _KINDS[min(i, 1)]) for i, trace in enumerate(main)]
    if others:
        lower = _Panel(others[:1], span, bottom + 14, HEIGHT - _BOTTOM, None)
        yield from lower.axes(others[0].unit, 3)
        panels.append((lower, others[0], "input"))
    yield from _time_axis(upper, span)
    if span[0] <= 0 <= span[1]:
        yield Line("step", [(upper.x(0.0), _TOP), (upper.x(0.0), HEIGHT - _BOTTOM)])
    for panel, trace, kind in reversed(panels):
        for points in panel.pieces(trace):
            yield Line(kind, points)
    at = _LEFT
    for _, trace, kind in panels:
        yield Line(kind, [(at, 10.0), (at + 18, 10.0)])
        text = trace.label[language]
        yield Label((at + 23, 14.0), text, "start")
        at += 40 + 5.6 * len(text)


class _Panel:
    def __init__(
        self,
        traces: Sequence[Trace],
        span: Point,
        top: float,
        bottom: float,
        band: tuple[float, float] | None,
    ) -> None:
        known = [value for trace in traces for value in trace.values if math.isfinite(value)] + list(
            band or ()
        )
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = 0.08 * (high - low) or max(1e-6, 0.01 * abs(high), 1e-3)
        self.low, self.high, self.top, self.bottom, self.span = low - room, high + room, top, bottom, span

    def x(self, time: float) -> float:
        share = (time - self.span[0]) / max(self.span[1] - self.span[0], 1e-9)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def axes(self, unit: str, most: int) -> Iterator[Shape]:
        for value in ticks(self.low, self.high, most):
            y = self.y(value)
            yield Line("grid", [(_LEFT, y), (WIDTH - _RIGHT, y)])
            yield Label((_LEFT - 6, y + 4), f"{value:g}", "end")
        yield Label((WIDTH - _RIGHT, self.top - 4), unit, "end")

    def pieces(self, trace: Trace) -> Iterator[list[Point]]:
        """The line, broken where a value is not known, and thinned where it is very dense."""
        every = max(1, len(trace.times) // _MOST)
        points: list[Point] = []
        for time, value in list(zip(trace.times, trace.values, strict=True))[::every]:
            if not math.isfinite(value):
                if len(points) > 1:
                    yield points
                points = []
                continue
            x, y = self.x(time), self.y(value)
            if trace.stepped and points:
                points.append((x, points[-1][1]))
            points.append((x, y))
        if len(points) > 1:
            yield points


def _time_axis(panel: _Panel, span: Point) -> Iterator[Shape]:
    bottom = HEIGHT - _BOTTOM
    for value in ticks(*span, 10):
        yield Line("grid", [(panel.x(value), bottom), (panel.x(value), bottom + 4)])
        yield Label((panel.x(value), bottom + 16), f"{value:g}", "middle")
    yield Label((WIDTH - _RIGHT, HEIGHT - 2), "s", "end")


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers inside the range, at most `most` of them or so."""
    raw = max(high - low, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 9) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]
