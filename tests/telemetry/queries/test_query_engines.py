"""Do the queries of boards and alarms run on recorded telemetry, in Prometheus and by Microsoft's parser of Kusto?"""

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from scripts.boards.kql import GRAIN, kql
from scripts.boards.panels import PANELS, Kind, Measure
from scripts.boards.promql import INTERVAL, prometheus_name, promql
from settings import ROOT
from tests.telemetry.queries.query_engines import (
    asked,
    diagnosed,
    exposition,
    kql_results,
    names_in_prometheus,
    prometheus,
)
from tests.telemetry.queries.recording import Recorded, record_everything, recorded

pytestmark = pytest.mark.campaign

RULES: list[dict[str, Any]] = json.loads((ROOT / "infra" / "azure" / "alerts.json").read_text(encoding="utf-8"))
PANEL_QUERIES = {panel.title: kql(panel).replace(GRAIN, "5m") for panel in PANELS}
RULE_QUERIES = {
    rule["name"]: rule["query"].replace("AppMetrics |", f"AppMetrics | where TimeGenerated > ago({rule['minutes']}m) |")
    for rule in RULES
}
SILENT = {"sweeper-silent", "no-telemetry"}
"""These fire when nothing is recorded."""


@pytest.fixture
async def metrics(measured: InMemoryMetricReader, spans: InMemorySpanExporter) -> dict[str, Recorded]:
    await record_everything()
    return {metric.name: metric for metric in recorded(measured)}


def test_microsofts_parser_finds_no_fault_in_the_queries_of_panels_and_rules() -> None:
    found = diagnosed(PANEL_QUERIES | RULE_QUERIES)
    assert {name: each["faults"] for name, each in found.items() if each["faults"]} == {}
    for panel in PANELS:
        series = ["series: string"] if panel.by else []
        assert found[panel.title]["columns"][0] == "TimeGenerated: datetime"
        assert [each for each in found[panel.title]["columns"] if each.startswith("series")] == series
    for name in RULE_QUERIES:
        assert found[name]["columns"] in (["value: real"], ["value: long"])


def test_the_parser_finds_a_misspelled_column() -> None:
    assert diagnosed({"bad": "AppMetrics | summarize value = max(Maximum)"})["bad"]["faults"]


def test_every_kusto_query_gives_rows_over_recorded_telemetry(metrics: dict[str, Recorded]) -> None:
    found = kql_results(metrics.values(), PANEL_QUERIES)
    assert {title for title, rows in found.items() if not rows} == set()
    shares = next(rows for panel, rows in zip(PANELS, found.values(), strict=True) if panel.measure is Measure.SHARE)
    assert 0 < shares[0][-1] < 1


def test_each_rule_fires_on_recorded_telemetry_and_is_silent_without(metrics: dict[str, Recorded]) -> None:
    after, before = kql_results(metrics.values(), RULE_QUERIES, minutes=15), kql_results([], RULE_QUERIES)
    fired = {rule["name"] for rule in RULES if fires(rule, after)}
    assert fired == set(RULE_QUERIES) - SILENT
    assert {rule["name"] for rule in RULES if fires(rule, before)} == SILENT


def fires(rule: dict[str, Any], found: dict[str, list[list[Any]]]) -> bool:
    values = [row[-1] for row in found[rule["name"]] if row[-1] is not None]
    return any(value > rule["threshold"] for value in values)


def test_opentelemetrys_exporter_gives_metrics_the_names_that_the_dashboard_reads(metrics: dict[str, Recorded]) -> None:
    found = names_in_prometheus(metrics[panel.metric.name] for panel in PANELS)
    for panel in PANELS:
        part = "_bucket" if panel.metric.kind is Kind.HISTOGRAM else ""
        assert prometheus_name(panel.metric) + part in found, panel.title


def test_prometheus_answers_every_panel_from_recorded_telemetry(tmp_path: Path, metrics: dict[str, Recorded]) -> None:
    now = int(time.monotonic()) + 1_700_000_000
    named = {prometheus_name(panel.metric): metrics[panel.metric.name] for panel in PANELS}
    with prometheus(tmp_path, exposition(named.items(), now)) as client:
        for panel in PANELS:
            query = promql(panel).replace(INTERVAL, "5m").replace("$job", ".*")
            series = asked(client, query, now)
            assert series, f"{panel.title}: {query}"
            values = [float(each["value"][1]) for each in series]
            assert any(math.isfinite(value) and value >= 0 for value in values), panel.title
