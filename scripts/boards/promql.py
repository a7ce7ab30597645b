"""How does a panel read the metrics in Prometheus?

Prometheus receives them by OTLP and derives its names as the OpenTelemetry specification says (compatibility with
Prometheus): dots become underscores, a unit that is no annotation becomes a suffix, a counter ends in `_total`.
"""

import re
from typing import Final

from scripts.boards.panels import Kind, Measure, Metric, Panel

INTERVAL: Final = "$__rate_interval"
"""The interval that Grafana derives from the time range and from how often metrics arrive."""

DEPLOYMENT: Final = 'job=~"$job"'
"""`job` is `service.name`, which tells deployments apart that report to the same Prometheus."""

SUFFIXES: Final = {"s": "_seconds"}
"""The suffixes of the units that the app uses; `1` gets one on gauges alone, and no gauge of the app has it."""


def promql(panel: Panel) -> str:
    """Return the query of a panel, with Grafana's variables."""
    name, labels = prometheus_name(panel.metric), selector(panel)
    by = f" by ({label(panel.by)})" if panel.by else ""
    increase = f"increase({name}{labels}[{INTERVAL}])"
    match panel.measure:
        case Measure.TOTAL:
            return f"sum{by} ({increase})"
        case Measure.COUNT:
            return f"sum{by} (increase({name}_count{labels}[{INTERVAL}]))"
        case Measure.MEAN:
            sums, counts = (f"sum{by} (rate({name}_{part}{labels}[{INTERVAL}]))" for part in ("sum", "count"))
            return f"{sums} / {counts}"
        case Measure.SHARE:
            part = f"sum (increase({name}{selector(panel, panel.share_of)}[{INTERVAL}]))"
            return f"({part} or vector(0)) / sum ({increase})"
        case Measure.TOP if panel.metric.kind is Kind.GAUGE:
            return f"max{by} ({name}{labels})"
        case Measure.TOP:
            buckets = ", ".join(filter(None, ["le", label(panel.by)]))
            return f"histogram_quantile(0.99, sum by ({buckets}) (rate({name}_bucket{labels}[{INTERVAL}])))"


def selector(panel: Panel, also: tuple[str, str] | None = None) -> str:
    wanted = [*panel.where.items(), *([also] if also else [])]
    return "{" + ", ".join([DEPLOYMENT, *(f'{label(name)}="{value}"' for name, value in wanted)]) + "}"


def prometheus_name(metric: Metric) -> str:
    """Return the name without the suffixes of a histogram's parts."""
    total = "_total" if metric.kind is Kind.COUNTER else ""
    return label(metric.name) + SUFFIXES.get(metric.unit, "") + total


def label(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
