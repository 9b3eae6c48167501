"""Every metric of the gateway, once.

`METRICS` is the table: name, unit, kind, meaning, attributes and where the value comes from. An OTLP collector and
Prometheus are told the same: `otlp.Instruments` makes OpenTelemetry's instruments from it, `text.page` the page
`/metrics`, `document.metrics_markdown` the page `docs/metrics.md`. `figures.Figures` holds the figures of one moment; a
metric reads its samples from there. What is not known has no sample.

Units are those of UCUM. Power is in W here, though the rest of the gateway says kW: Prometheus and the collector have
a word for W only, so the name is the same whichever way the value goes.

To add one: a line in `plant` or `around`, then `bessai metrics document > docs/metrics.md`.
"""

from bessai.interfaces.metrics.around import CERTIFICATES, MACHINE, PAGE, SINKS
from bessai.interfaces.metrics.figures import Exemplar, Figures, Histogram
from bessai.interfaces.metrics.metric import Kind, Metric, Origin, Sample, label
from bessai.interfaces.metrics.plant import CONTROL, CYCLE, DEVICES, GATEWAY, JOURNAL

GROUPS: dict[str, tuple[Metric, ...]] = {
    "Gateway": GATEWAY,
    "Cycle": CYCLE,
    "Control and alarms": CONTROL,
    "Devices": DEVICES,
    "Journal": JOURNAL,
    "Destinations": SINKS,
    "Machine": MACHINE,
    "Certificates": CERTIFICATES,
    "Page": PAGE,
}
"""By what they are about."""

METRICS: tuple[Metric, ...] = tuple(metric for group in GROUPS.values() for metric in group)

__all__ = [
    "GROUPS",
    "METRICS",
    "Exemplar",
    "Figures",
    "Histogram",
    "Kind",
    "Metric",
    "Origin",
    "Sample",
    "label",
]
