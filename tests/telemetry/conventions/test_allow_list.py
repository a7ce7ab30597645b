"""Is every name in spans, metrics and log records on a list, and does none of them hold what a caller sent?

A library update that adds an attribute fails here. Each place where content can be has a canary of its own.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from activities.guard import log_and_mask
from domain.sources.catalog import Source, SourceKind, SourceQuery, Sources
from telemetry import names
from tests.api.harness import Api, api
from tests.checks import every
from tests.fakes.backends import FakeBackend, says

ALLOWED = frozenset(value for name, value in vars(names).items() if name.isupper() and isinstance(value, str))
"""The only names of attributes: no other file spells one."""

STAMPED = frozenset({"trace_id", "span_id"})
"""What `telemetry.log_records` adds to every record of the process, once a test has built the application in it."""
RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"} | STAMPED

PLACES = ("prompt", "instructions", "header", "query", "metadata", "tool", "answer", "row", "image", "user")
CANARIES = {place: f"canary-{place}-7b1f" for place in PLACES}


SOURCES = Sources(
    known={"orders": Source(name="orders", kind=SourceKind.HTTP, address="http://x", path="/", private=False)},
    defaults={"*": ("orders",)},
)


class Rows:
    """A source with one row of private data."""

    async def rows(self, source: Source, query: SourceQuery) -> list[dict[str, str]]:
        return [{"secret": CANARIES["row"]}]


@pytest.fixture
def watched(
    spans: InMemorySpanExporter, measured: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> Iterator[Any]:
    with caplog.at_level(logging.INFO):
        yield spans, measured, caplog


def body() -> dict[str, Any]:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"q": CANARIES["tool"]})}
    output = {"type": "function_call_output", "call_id": "c", "output": CANARIES["tool"]}
    return {
        "model": "auto",
        "instructions": CANARIES["instructions"],
        "input": [{"role": "user", "content": CANARIES["prompt"]}, call, output],
        "metadata": {"note": CANARIES["metadata"]},
        "safety_identifier": CANARIES["user"],
    }


async def requests_of_every_kind(one: Api) -> None:
    """Send turns that end well, are rejected, and fail, and reads of them."""
    steps = one.world.steps
    one.world.steps = {name: log_and_mask(name, step) for name, step in steps.items()}
    headers = {"x-canary": CANARIES["header"], "user-agent": CANARIES["header"]}
    made = await one.http.post(f"/v1/responses?q={CANARIES['query']}", json=body(), headers=headers)
    await one.orchestrations.ended()
    for path in ("", "/input_items", "/route"):
        await one.http.get(f"/v1/responses/{made.json()['id']}{path}?after={CANARIES['query']}", headers=headers)
    await one.http.post("/v1/responses", json={**body(), "temperature": CANARIES["prompt"]})
    await one.http.post("/v1/responses", content=b'{"input": "' + CANARIES["prompt"].encode())
    await one.http.get(f"/v1/chat/completions?metadata[a]={CANARIES['query']}")
    image = {"type": "input_image", "image_url": f"https://169.254.169.254/{CANARIES['image']}"}
    await one.http.post("/v1/responses", json={**body(), "input": [{"role": "user", "content": [image]}]})
    await one.http.get("/v1/models", headers={"authorization": f"Bearer {CANARIES['header']}"})


async def test_every_name_is_on_the_list_and_no_content_is_anywhere(watched: Any) -> None:
    spans: InMemorySpanExporter
    measured: InMemoryMetricReader
    caplog: pytest.LogCaptureFixture
    spans, measured, caplog = watched
    fake = FakeBackend(says(CANARIES["answer"]))
    one = api(fake, sources=SOURCES, connectors={SourceKind.HTTP: Rows()})
    await requests_of_every_kind(one)
    assert CANARIES["row"] in str(fake.calls[0].items) + str(fake.calls[0].instructions)
    finished = spans.get_finished_spans()
    assert {span.name for span in finished} >= {names.AGENT_SPAN, "chat model", "http_responses_create"}
    for span in finished:
        assert set(span.attributes or {}) <= ALLOWED, span.name
        assert not span.events, span.name
    text = "".join(span.to_json() for span in finished)
    found = measured.get_metrics_data()
    assert found
    for group in found.resource_metrics:
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            assert metric.name in ALLOWED
            assert every(set(point.attributes or {}) <= ALLOWED for point in metric.data.data_points), metric.name
    text += found.to_json()
    own = [record for record in caplog.records if record.name.startswith("ganglion")]
    for record in own:
        assert set(vars(record)) - RECORD_FIELDS <= ALLOWED, record.name
        text += json.dumps(vars(record), default=str)
    assert own
    assert not [place for place, canary in CANARIES.items() if canary in text]


def test_the_web_framework_records_nothing_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.telemetry.web_app_spans"], capture_output=True, text=True, check=True
    )
    spans, metrics = json.loads(done.stdout)
    assert spans == []
    assert "canary" not in metrics
