"""How do the panels become a dashboard of Grafana?"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from scripts.boards.panels import Kind, Measure, Panel
from scripts.boards.promql import label, promql

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 12
HEIGHT: Final = 8
UNITS: Final = {"s": "s", "1": "percentunit", "{USD}": "currencyUSD"}
"""Grafana's units of our own; the others are plain numbers."""

JOBS: Final = "label_values(ganglion_app_import_cpu_time_seconds_count, job)"


def dashboard(panels: Sequence[Panel]) -> dict[str, Any]:
    """Return a dashboard for import or provisioning; it asks for its data source."""
    return {
        "uid": "ganglion",
        "title": "Ganglion",
        "tags": ["ganglion"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": variables()},
        "panels": list(diagrams(panels)),
    }


def variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "job",
            "label": "Deployment",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": JOBS, "refId": "jobs"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def diagrams(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for group, iterated in groupby(panels, key=lambda panel: panel.group):
        members = list(iterated)
        number += 1
        yield {"id": number, "type": "row", "title": group, "collapsed": False, "gridPos": place(0, top, 24, 1)}
        top += 1
        for index, panel in enumerate(members):
            number += 1
            row, column = divmod(index, 2)
            yield diagram(panel, number, place(column * WIDTH, top + row * HEIGHT, WIDTH, HEIGHT))
        top += HEIGHT * ((len(members) + 1) // 2)


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def diagram(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    is_percentile = panel.measure is Measure.TOP and panel.metric.kind is Kind.HISTOGRAM
    legend = f"{{{{{label(panel.by)}}}}}" if panel.by else panel.title
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title + (", 99th percentile" if is_percentile else ""),
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": unit(panel)}, "overrides": []},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": promql(panel), "legendFormat": legend}],
    }


def unit(panel: Panel) -> str:
    if panel.measure is Measure.SHARE:
        return "percentunit"
    return "short" if panel.measure is Measure.COUNT else UNITS.get(panel.metric.unit, "short")
