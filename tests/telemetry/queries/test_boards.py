"""Do the boards read metrics and attributes that the app records, and are the committed files what the table gives?"""

import json

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from scripts.boards.__main__ import DASHBOARD, WORKBOOK, text_of
from scripts.boards.grafana import dashboard
from scripts.boards.kql import kql
from scripts.boards.panels import DURABILITY, ERRORS, LATENCY, MONEY, PANELS, STARTS, Measure
from scripts.boards.promql import promql
from scripts.boards.workbook import workbook
from tests.telemetry.queries.recording import record_everything, recorded

WRITTEN_BY = "python -m scripts.boards writes it"


def test_the_committed_boards_are_what_the_table_gives() -> None:
    assert WORKBOOK.read_text(encoding="utf-8") == text_of(workbook(PANELS)), WRITTEN_BY
    assert DASHBOARD.read_text(encoding="utf-8") == text_of(dashboard(PANELS)), WRITTEN_BY


def test_each_group_has_panels_and_each_panel_a_title_of_its_own() -> None:
    assert list(dict.fromkeys(panel.group for panel in PANELS)) == [MONEY, STARTS, LATENCY, ERRORS, DURABILITY]
    titles = [panel.title for panel in PANELS]
    assert len(titles) == len(set(titles))


def test_both_boards_show_every_panel() -> None:
    queries = [item["content"]["query"] for item in json.loads(WORKBOOK.read_text())["items"] if item["type"] == 3]
    diagrams = [each for each in json.loads(DASHBOARD.read_text())["panels"] if each["type"] == "timeseries"]
    assert queries == [kql(panel) for panel in PANELS]
    assert [each["targets"][0]["expr"] for each in diagrams] == [promql(panel) for panel in PANELS]


async def test_each_panel_reads_a_metric_and_attributes_that_the_app_records(
    measured: InMemoryMetricReader, spans: InMemorySpanExporter
) -> None:
    await record_everything()
    found = {metric.name: metric for metric in recorded(measured)}
    for panel in PANELS:
        metric = found[panel.metric.name]
        assert (metric.kind, metric.unit) == (panel.metric.kind, panel.metric.unit), panel.title
        read = {panel.by, *panel.where, *(panel.share_of[:1] if panel.share_of else ())} - {""}
        assert read <= metric.attributes, panel.title
        assert bool(panel.share_of) is (panel.measure is Measure.SHARE)
