"""How does a panel read the metrics in a log workspace of Azure Monitor?

`AppMetrics` has one row for each metric, attributes and export interval: `Sum`, `Min`, `Max` and the number of values
(`ItemCount`), without buckets. The exporter writes attributes as text into `Properties`
(learn.microsoft.com/azure/azure-monitor/reference/tables/appmetrics, read 2026-11-29).
"""

from typing import Final

from scripts.boards.panels import Measure, Panel

GRAIN: Final = "{TimeRange:grain}"
"""The interval that the workbook derives from the chosen time range."""

VALUES: Final = {
    Measure.TOTAL: "sum(Sum)",
    Measure.COUNT: "sum(ItemCount)",
    Measure.MEAN: "sum(Sum) / sum(ItemCount)",
    Measure.TOP: "max(Max)",
}


def kql(panel: Panel) -> str:
    """Return the query of a panel: rows of `TimeGenerated`, the attribute if the panel has one, and `value`."""
    filters = [f"AppMetrics | where Name == '{panel.metric.name}'"]
    filters += [f"where {attribute(name)} =~ '{value}'" for name, value in panel.where.items()]
    series = [f"extend series = {attribute(panel.by)}"] if panel.by else []
    by = ", series" if panel.by else ""
    return " | ".join([*filters, *series, f"summarize value = {value(panel)} by bin(TimeGenerated, {GRAIN}){by}"])


def value(panel: Panel) -> str:
    if panel.share_of is None:
        return VALUES[panel.measure]
    name, wanted = panel.share_of
    return f"sumif(Sum, {attribute(name)} == '{wanted}') / sum(Sum)"


def attribute(name: str) -> str:
    return f"tostring(Properties['{name}'])"
