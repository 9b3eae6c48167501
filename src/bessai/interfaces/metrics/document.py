"""The table of metrics as a Markdown page, `docs/metrics.md`."""

from __future__ import annotations

from bessai.interfaces.metrics import GROUPS, Kind, Metric, label

_HEAD = """# Metrics

<!-- Written by `bessai metrics document > docs/metrics.md`; do not edit. -->

Every metric of the gateway, once. An OTLP collector gets it by its OpenTelemetry name, Prometheus by the name beside
it, which is what the collector makes of the first: the same dashboards and rules work either way.
[Observability](observability.md) says how to look at them.

- Units are [UCUM](https://ucum.org)'s; in braces what is counted. Power is in W: discharge and export are positive.
- What is not known has no sample: a value that is not good, a device that tells nothing, a disk that hides its wear.
- A counter begins at zero when the process that counts it starts.
- *Page* metrics are sent by the page's process, all others by the service plane; `/metrics` has all of them.
"""


def metrics_markdown() -> str:
    """The page."""
    parts = [_HEAD]
    for title, metrics in GROUPS.items():
        parts.append(f"## {title}\n")
        parts.append("| OpenTelemetry | Prometheus | kind | unit | attributes | meaning | from |")
        parts.append("|---|---|---|---|---|---|---|")
        parts += [_row(metric) for metric in metrics]
        parts.append("")
    return "\n".join(parts)


def _row(metric: Metric) -> str:
    names = ", ".join(
        f"`{name}`" if label(name) == name else f"`{name}` (`{label(name)}`)" for name in metric.attributes
    )
    prometheus = f"`{metric.prometheus}`" + (
        ", `_bucket`, `_sum`, `_count`" if metric.kind is Kind.HISTOGRAM else ""
    )
    return (
        f"| `{metric.name}` | {prometheus} | {metric.kind.value} | `{metric.unit}` | {names} | {metric.text} "
        f"| {metric.origin.value} |"
    )
