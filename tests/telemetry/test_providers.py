"""Does all that a process records reach the destination that its environment names?"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from settings import ROOT
from tests.telemetry.otlp_receiver import receiving

pytestmark = pytest.mark.slow

RECORDED_AT_ONCE = """
import os, sys
from telemetry.providers import set_up
from telemetry.turn_metrics import count_budget_alarm
from telemetry.spans import span
assert "opentelemetry.exporter.otlp.proto.http.trace_exporter" not in sys.modules
set_up({choice!r}, os.environ)
for number in range({spans}):
    with span(f"step {{number}}", {{}}):
        count_budget_alarm("one")
"""
LOGGED = """
import logging
logging.basicConfig(format="%(message)s|%(trace_id)s|%(span_id)s", level=logging.INFO)
with span("logged", {}) as opened:
    logging.getLogger("ganglion.test").info("inside")
    context = opened.get_span_context()
logging.getLogger("ganglion.test").info("outside")
logging.getLogger("ganglion.test").info("%032x %016x", context.trace_id, context.span_id)
"""
PROVIDED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
mine = TracerProvider()
mine.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"mine {span.name}\\n")))
trace.set_tracer_provider(mine)
"""


def run(program: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, whose environment has no other variables for telemetry."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "APPLICATIONINSIGHTS_"))}
    return subprocess.run(  # noqa: S603 - our own interpreter and our own words
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=own | dict(environment),
        check=True,
        capture_output=True,
        text=True,
    )


def recorded(choice: str, spans: int = 1) -> str:
    return RECORDED_AT_ONCE.format(choice=choice, spans=spans)


def test_what_is_recorded_before_the_exporters_are_there_reaches_the_otlp_receiver() -> None:
    with receiving() as receiver:
        run(recorded("standard", spans=500), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    assert {span.name for span in receiver.spans()} == {f"step {number}" for number in range(500)}
    assert {span.resource["service.name"] for span in receiver.spans()} == {"ganglion"}
    (alarms,) = receiver.points()
    assert (alarms.metric, alarms.value, alarms.kind) == ("ganglion.budget.alarms", 500, "sum")


def test_the_standard_variables_name_the_service_sample_and_choose_signals() -> None:
    with receiving() as receiver:
        chosen = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/v1/traces",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=mine,deployment.environment.name=test",
        }
        run(recorded("standard"), chosen)
        run(recorded("standard"), chosen | {"OTEL_TRACES_SAMPLER": "always_off"})
        run(recorded("standard"), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_EXPORTER": "none"})
        run(recorded("standard"), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_SDK_DISABLED": "true"})
        run(recorded("none"), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    (span,) = receiver.spans()
    assert span.resource["service.name"] == "mine"
    assert span.resource["deployment.environment.name"] == "test"
    assert [point.value for point in receiver.points()] == [1]


def test_the_console_shows_a_span_a_line_and_the_metrics() -> None:
    lines = [json.loads(line) for line in run(recorded("console"), {}).stdout.splitlines()]
    assert [line["name"] for line in lines if "name" in line] == ["step 0"]
    assert [metric["name"] for line in lines for metric in metrics_of(line)] == ["ganglion.budget.alarms"]
    assert run(recorded("none"), {}).stdout == ""


def metrics_of(line: dict[str, Any]) -> list[dict[str, Any]]:
    groups = line.get("resource_metrics", [])
    return [metric for group in groups for scope in group["scope_metrics"] for metric in scope["metrics"]]


def test_log_records_carry_the_ids_of_trace_and_span() -> None:
    lines = run(recorded("console") + LOGGED, {}).stderr.splitlines()
    inside, outside, ids = (line.split("|") for line in lines[-3:])
    assert inside == ["inside", *ids[0].split(" ")]
    assert outside == ["outside", "", ""]


def test_a_provider_that_is_there_already_is_used_as_it_is() -> None:
    with receiving() as receiver:
        done = run(PROVIDED + recorded("standard"), {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    assert done.stdout == "mine step 0\n"
    assert receiver.bodies == []


def test_an_endpoint_that_nobody_serves_fails_nothing() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert "Traceback" not in run(recorded("standard"), environment).stdout
