"""The metrics as Prometheus reads them: its own text, or OpenMetrics, which has exemplars too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bessai.interfaces.metrics import METRICS
from bessai.interfaces.metrics.figures import Exemplar, Figures, Histogram
from bessai.interfaces.metrics.metric import Kind, Metric, label

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_open(accept: str) -> bool:
    """True when the header `Accept` asks for OpenMetrics, as a Prometheus that stores exemplars does."""
    for part in accept.lower().split(","):
        media, *parameters = (one.strip() for one in part.split(";"))
        if media == "application/openmetrics-text":
            return not any(one in {"q=0", "q=0.0"} for one in parameters)
    return False


def page(figures: Figures, *, openmetrics: bool = False) -> str:
    """The whole page. What is not known is left out."""
    lines: list[str] = []
    for metric in METRICS:
        samples = list(_known(metric.samples(figures)))
        if samples:
            lines += _head(metric, openmetrics=openmetrics)
            for attributes, value in samples:
                lines += _lines(metric.prometheus, attributes, value, openmetrics=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _known(
    samples: Iterable[tuple[Mapping[str, str], float | Histogram | None]],
) -> Iterator[tuple[Mapping[str, str], float | Histogram]]:
    for attributes, value in samples:
        if isinstance(value, Histogram) or (value is not None and math.isfinite(value)):
            yield attributes, value


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    family = metric.prometheus
    if openmetrics and metric.kind is Kind.COUNTER:
        family = family.removesuffix("_total")
    yield f"# HELP {family} {metric.text}"
    yield f"# TYPE {family} {metric.kind.value}"
    unit = metric.unit_word
    if openmetrics and unit:
        yield f"# UNIT {family} {unit}"


def _lines(
    name: str, attributes: Mapping[str, str], value: float | Histogram, *, openmetrics: bool
) -> Iterator[str]:
    if not isinstance(value, Histogram):
        yield f"{name}{_labels(attributes)} {_number(value)}"
        return
    total = 0
    for i, (edge, count) in enumerate(zip((*value.edges, math.inf), value.counts, strict=True)):
        total += count
        bound = "+Inf" if edge == math.inf else repr(float(edge))
        exemplar = value.exemplars.get(i) if openmetrics else None
        yield (
            f"{name}_bucket{_labels({**attributes, 'le': bound})} {total}"
            f"{'' if exemplar is None else _exemplar(exemplar)}"
        )
    yield f"{name}_sum{_labels(attributes)} {_number(value.sum)}"
    yield f"{name}_count{_labels(attributes)} {total}"


def _exemplar(exemplar: Exemplar) -> str:
    ids = _labels({"trace_id": exemplar.trace_id, "span_id": exemplar.span_id})
    return f" # {ids} {_number(exemplar.value)} {exemplar.wall_ns / 1e9:.3f}"


def _number(value: float) -> str:
    return f"{value:.12g}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{label(name)}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
