"""Is a turn one trace from its request to its backend, in the words of the conventions and without its content?"""

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from copy import replace
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from activities.guard import log_and_mask
from clients.backends.port import AnswerEnd, BackendClient, TextPiece
from clients.orchestrations import turn_wire
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import WATCHED_FROM
from domain.fleet.failure_classes import Failure, FailureKind
from domain.wire import WaitWire
from telemetry.names import AGENT_SPAN
from telemetry.spans import current_traceparent, parent, span
from telemetry.turn_end import waits_for_backends
from tests.activities.cold_starts import Cluster, cold_gpu, cold_of
from tests.checks import at_most, every
from tests.clients.backends.model_server import DONE, ModelServer, backend_at, frame, serving, usage
from tests.fakes.backends import Act, FakeBackend, http_backend, interrupted, rejects, says
from tests.fakes.clocks import FakeClock, in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import PRICE, World, backend

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
LOST = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)
STEPS = ["begin", "anticipate", "try_recall", "route", "infer", "finish", "settle"]


def world_of(one: Backend, client: BackendClient) -> World:
    clock = FakeClock()
    return World(store=MemoryStore(clock), clock=clock, backends={one.name: (one, client)})


async def traced_turn(world: World, text: str = "hello") -> str:
    """Run a turn whose steps are guarded as the application guards them; return its response's id."""
    world.steps = {name: log_and_mask(name, step) for name, step in world.steps.items()}
    response = await world.admit(text, traceparent=TRACEPARENT)
    await world.run(response)
    return response.id


def by_name(spans: InMemorySpanExporter) -> Mapping[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def span_id(span: ReadableSpan) -> str:
    assert span.context
    return trace.format_span_id(span.context.span_id)


def parent_id(span: ReadableSpan) -> str:
    assert span.parent
    return trace.format_span_id(span.parent.span_id)


async def test_one_trace_reaches_from_the_request_through_every_step_to_the_backend(
    spans: InMemorySpanExporter,
) -> None:
    acts = [frame("four"), frame(" and twenty", reason="stop"), usage(), DONE]
    async with serving(ModelServer(acts)) as model, httpx.AsyncClient(trust_env=False) as http:
        at = replace(backend_at(model.url), price=PRICE)
        response_id = await traced_turn(world_of(at, http_backend(at, http, silence_s=5)))
    found = by_name(spans)
    turn, attempt, chat = found[AGENT_SPAN], found["attempt"], found["chat model"]
    steps = [span.name for span in spans.get_finished_spans() if span not in (turn, attempt, chat)]
    assert steps == STEPS
    assert {trace.format_trace_id(span.context.trace_id) for span in found.values() if span.context} == {TRACE}
    assert parent_id(turn) == SPAN
    assert {parent_id(found[name]) for name in STEPS} == {span_id(turn)}
    assert (parent_id(attempt), parent_id(chat)) == (span_id(found["infer"]), span_id(attempt))
    attributes = dict(turn.attributes or {})
    assert attributes["ganglion.turn.status"] == "completed"
    assert attributes["gen_ai.response.id"] == response_id
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (7, 2)
    assert model.request_headers[0]["traceparent"] == f"00-{TRACE}-{span_id(chat)}-01"


async def test_a_call_is_recorded_by_the_semantic_conventions(
    spans: InMemorySpanExporter, measured: InMemoryMetricReader
) -> None:
    response_id = await traced_turn(world_of(backend("main"), FakeBackend(says("four and twenty"))))
    chat = by_name(spans)["chat model"]
    attributes = dict(chat.attributes or {})
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "test",
        "gen_ai.request.model": "model",
        "gen_ai.response.id": response_id,
        "gen_ai.conversation.id": "a" * 24,
        "gen_ai.output.type": "text",
        "gen_ai.request.max_tokens": 512,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.model": "model",
        "gen_ai.response.time_to_first_chunk": 0.0,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "server.address": "127.0.0.1",
        "server.port": 1,
        "ganglion.backend": "main",
        "ganglion.attempt.result": "done",
    }
    assert chat.kind is trace.SpanKind.CLIENT
    assert chat.status.status_code is StatusCode.UNSET
    assert "gen_ai.client.inference.duration" in instruments(measured)


@pytest.mark.parametrize(
    ("script", "kind"),
    [(rejects(424), "wait"), (rejects(400), "invalid_prompt"), (interrupted("one"), "wait")],
)
async def test_a_call_that_fails_says_how(spans: InMemorySpanExporter, script: list[Act], kind: str) -> None:
    await traced_turn(world_of(backend("main"), FakeBackend(script, rejects(400))))
    calls = [span for span in spans.get_finished_spans() if span.name == "chat model"]
    assert every(call.status.status_code is StatusCode.ERROR for call in calls)
    assert (calls[0].attributes or {})["error.type"] == kind


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-01"])
def test_a_trace_that_is_not_named_begins_anew(spans: InMemorySpanExporter, traceparent: str) -> None:
    with span("step", {}, under=parent(traceparent)) as opened:
        assert opened.get_span_context().is_valid
    assert spans.get_finished_spans()[0].parent is None


def test_a_step_runs_in_the_trace_context_of_its_turn() -> None:
    assert current_traceparent() == ""
    with span("step", {}, under=parent(TRACEPARENT)):
        assert current_traceparent().startswith(f"00-{TRACE}-")


def instruments(measured: InMemoryMetricReader) -> set[str]:
    found = measured.get_metrics_data()
    assert found is not None
    return {metric.name for each in found.resource_metrics for scope in each.scope_metrics for metric in scope.metrics}


type Points = dict[tuple[str, str], tuple[float, float]]


def points(measured: InMemoryMetricReader, name: str, attribute: str) -> Points:
    """Return the count and the sum of a metric for each backend and value of an attribute."""
    found = measured.get_metrics_data()
    assert found is not None
    metrics = (metric for each in found.resource_metrics for scope in each.scope_metrics for metric in scope.metrics)
    told: Points = {}
    for point in (point for metric in metrics if metric.name == name for point in metric.data.data_points):
        given = dict(point.attributes or {})
        key = str(given.get("ganglion.backend", "")), str(given.get(attribute, ""))
        told[key] = (point.value, point.value) if isinstance(point, NumberDataPoint) else (point.count, point.sum)
    return told


def cold_turn(name: str, gpu: SleepingGpu, start_s: float) -> None:
    """Run a turn on a GPU of this name that sleeps; it may fail."""

    async def story() -> None:
        cluster = Cluster(backends={name: (cold_gpu(cold_of(start_s), name=name), gpu)})
        await cluster.run([await cluster.world.admit("hello")])

    in_no_time(story())


def test_a_cold_start_is_measured_with_its_warm_up_and_its_wait(
    measured: InMemoryMetricReader,
) -> None:
    cold_turn("sleepy", SleepingGpu(start_s=lambda: 60.0), 60.0)
    started = points(measured, "ganglion.backend.cold_start.duration", "")
    assert started[("sleepy", "")] == (1, pytest.approx(60, abs=1))
    woken = points(measured, "ganglion.backend.wakes", "ganglion.wake.outcome")
    assert {key: told for key, told in woken.items() if key[0] == "sleepy"} == {("sleepy", "held"): (1, 1)}
    waited = points(measured, "ganglion.turn.wait.duration", "ganglion.wait.reason")
    watched_from_s = WATCHED_FROM * 60
    assert waited[("sleepy", "start")] == (1, pytest.approx(watched_from_s - 2, abs=1))


def test_an_unproven_and_a_rejected_warm_up_are_counted_apart(measured: InMemoryMetricReader) -> None:
    unproven = Failure(kind=FailureKind.CREDENTIALS_REFUSED, body="no")
    refused = Failure(kind=FailureKind.STATUS, status=403)
    cold_turn("keyless", SleepingGpu(start_s=lambda: 60.0, authentication_failure=lambda: unproven), 60.0)
    cold_turn("closed", SleepingGpu(start_s=lambda: 60.0, rejection=lambda: refused), 60.0)
    found = points(measured, "ganglion.backend.wakes", "ganglion.wake.outcome")
    assert (found[("keyless", "unproven")], found[("closed", "refused")]) == ((3, 3), (3, 3))
    assert points(measured, "ganglion.turn.wait.duration", "ganglion.wait.reason")[("", "pause")][0] >= 4


@pytest.mark.parametrize("reason", ["turn", "approval", "budget", "room", "throttled"])
def test_only_waits_for_a_backend_are_measured_as_such(reason: str) -> None:
    wait: WaitWire = {"backend": "gpu", "reason": reason, "since": 1.0, "until": 3.0}
    assert list(waits_for_backends([wait])) == ([wait] if reason in {"room", "throttled"} else [])


def garbled(body: str) -> list[Act]:
    return [Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=True)]


def refused(status: int, body: str) -> list[Act]:
    return [Failure(kind=FailureKind.STATUS, status=status, headers={"retry-after": "1", "x": body}, body=body)]


class Exploding(FakeBackend):
    """Breaks in a way that nobody foresaw, with content in its error."""

    def __init__(self, text: str) -> None:
        super().__init__(says(text))
        self.text = text

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        async for act in super().play(script):
            yield act
            raise ValueError(self.text)


SCENES: Sequence[Callable[[str], FakeBackend]] = (
    lambda secret: FakeBackend(says(f"one {secret} two")),
    lambda secret: FakeBackend(says(f"one {secret}", reason="length")),
    lambda secret: FakeBackend(interrupted(secret), says(f"{secret} again")),
    lambda secret: FakeBackend(garbled(secret), says(secret)),
    lambda secret: FakeBackend(refused(400, f'{{"error":"{secret} is wrong"}}')),
    lambda secret: FakeBackend(refused(429, secret), refused(503, secret), says(secret)),
    Exploding,
)


def recorded(step: Callable[[Any], Awaitable[Any]], told: list[str]) -> Callable[[Any], Awaitable[Any]]:
    async def run(given: Any) -> Any:
        told.append(repr(given))
        try:
            result = await step(given)
        except Exception as error:
            told.append("".join(traceback.format_exception(error)))
            raise
        told.append(repr(result))
        return result

    return run


@settings(max_examples=at_most(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secret=st.text(st.sampled_from("JKQVXZ"), min_size=6, max_size=12),
    scene=st.sampled_from(SCENES),
    rate=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**32),
)
async def test_what_callers_and_models_say_is_in_no_span_log_metric_error_or_message_of_the_host(  # noqa: PLR0917 - fixtures and what is given
    spans: InMemorySpanExporter,
    measured: InMemoryMetricReader,
    caplog: pytest.LogCaptureFixture,
    secret: str,
    scene: Callable[[str], FakeBackend],
    rate: float,
    seed: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    spans.clear()
    world = world_of(backend("main"), scene(secret))
    response = await world.admit(f"tell me of {secret}", traceparent=TRACEPARENT)
    chance = Random(seed)  # noqa: S311 - drawn faults, which come and go: no step's thirty tries all meet one
    flaky = FlakyStore(world.store, chance, Faults(rate=rate, kinds=LOST))
    one, client = world.backends["main"]
    told: list[str] = []
    again = World(store=flaky, clock=world.clock, backends={"main": (one, client)})
    again.steps = {name: recorded(log_and_mask(name, step), told) for name, step in again.steps.items()}
    await again.run(response)
    told += [span.to_json() for span in spans.get_finished_spans()]
    told += [caplog.text, str(measured.get_metrics_data()), repr(turn_wire(response))]
    assert every(secret not in each for each in told)
