"""Do spans and metrics have the names, kinds, units and attributes of the conventions' own model?"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, Metric, Sum
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry import names
from telemetry.chat import conventions
from tests.fakes.backends import FakeBackend, interrupted, says
from tests.fakes.worlds import backend
from tests.telemetry.conventions.test_agent_telemetry import agent_turn
from tests.telemetry.conventions.test_traces import traced_turn, world_of

MODEL: dict[str, Any] = json.loads(Path(__file__).with_name("conventions.json").read_text(encoding="utf-8"))
NAMED_BY = {"chat": names.REQUEST_MODEL, "execute_tool": names.TOOL_NAME, "invoke_agent": names.AGENT_NAME}
KINDS = {"histogram": Histogram, "counter": Sum}


def metrics_named(measured: InMemoryMetricReader, prefix: str) -> Iterator[Metric]:
    found = measured.get_metrics_data()
    for group in found.resource_metrics if found else ():
        for scope in group.scope_metrics:
            yield from (metric for metric in scope.metrics if metric.name.startswith(prefix))


def assert_as_modelled(metric: Metric, model: dict[str, Any]) -> None:
    assert isinstance(metric.data, KINDS[model["instrument"]])
    assert metric.unit == model["unit"]
    for point in metric.data.data_points:
        own = {name for name in point.attributes or {} if not name.startswith("ganglion.")}
        assert own <= set(model["attributes"])
        assert set(model["required"]) <= own


async def turns_of_every_kind() -> None:
    await traced_turn(world_of(backend("main"), FakeBackend(says("four and twenty"))))
    await traced_turn(world_of(backend("main"), FakeBackend(interrupted("one"), says("one two"))))
    await agent_turn()


async def test_every_gen_ai_metric_is_one_of_the_model(
    spans: InMemorySpanExporter, measured: InMemoryMetricReader
) -> None:
    await turns_of_every_kind()
    found = [metric for metric in metrics_named(measured, "gen_ai.") if metric.name not in MODEL["metrics_before"]]
    assert {metric.name for metric in found} >= {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.execute_tool.duration",
    }
    for metric in found:
        assert_as_modelled(metric, MODEL["metrics"][metric.name])


async def test_every_span_with_an_operation_is_one_of_the_model(spans: InMemorySpanExporter) -> None:
    await turns_of_every_kind()
    told = [span for span in spans.get_finished_spans() if names.OPERATION in (span.attributes or {})]
    assert {operation_of(span) for span in told} == {"chat", "execute_tool", "invoke_agent"}
    for span in told:
        attributes, model = dict(span.attributes or {}), MODEL["spans"][operation_of(span)]
        own = {name for name in attributes if not name.startswith("ganglion.")}
        assert own <= set(model["attributes"])
        assert set(model["required"]) <= own
        assert not own & set(MODEL["content_attributes"])
        assert span.kind.name.lower() == model["kind"]
        second = attributes[NAMED_BY[operation_of(span)]]
        assert span.name == f"{operation_of(span)} {second}"
        for name, allowed in MODEL["values"].items():
            assert attributes.get(name, allowed[0]) in allowed


def operation_of(span: ReadableSpan) -> str:
    return str((span.attributes or {})[names.OPERATION])


@pytest.mark.parametrize(
    ("opt_in", "expected"),
    [("", False), ("gen_ai_latest_experimental", False), ("http, gen_ai/dup", True)],
)
async def test_the_older_names_are_recorded_where_the_opt_in_variable_asks_for_both(
    spans: InMemorySpanExporter, measured: InMemoryMetricReader, opt_in: str, *, expected: bool
) -> None:
    before = count_of_old_names(measured)
    conventions.choose(opt_in)
    try:
        await turns_of_every_kind()
    finally:
        conventions.choose("")
    assert (count_of_old_names(measured) > before) is expected
    for metric in metrics_named(measured, "gen_ai."):
        if metric.name in MODEL["metrics_before"]:
            assert_as_modelled(metric, MODEL["metrics_before"][metric.name])


def count_of_old_names(measured: InMemoryMetricReader) -> int:
    old = [metric for metric in metrics_named(measured, "gen_ai.") if metric.name in MODEL["metrics_before"]]
    return sum(point.count for metric in old if isinstance(metric.data, Histogram) for point in metric.data.data_points)
