"""Does an OTLP receiver get the whole story of a cold turn whose worker was killed, without a word of content?"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import replace
from typing import Any

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.callers import Reading, asking, counted
from tests.end_to_end.cold import COLD_MODEL, SPEED, ColdScene, cold_scene, sleeping
from tests.end_to_end.waiting import eventually
from tests.telemetry.otlp_receiver import Receiver, SeenSpan, receiving

METRICS = {
    "gen_ai.client.inference.duration",
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.client.inference.time_per_output_chunk",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "gen_ai.invoke_agent.duration",
    "ganglion.app.import.cpu_time",
    "ganglion.backend.cold_start.duration",
    "ganglion.backend.wakes",
    "ganglion.cost",
    "ganglion.turn.duration",
    "ganglion.turn.wait.duration",
    "ganglion.turns",
}
"""What a cold turn measures; the sweeper's metrics come with its own minute."""

LENGTH, RATE = 400, 40.0
EXPORTED_S = 2.0
"""A killed worker loses the spans of its last second: it dies later than that after the start, amid ten of answer."""

START_S = 30.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
AGENT = "invoke_agent ganglion"
SECRET = "What nobody but the model may read."
ARRIVED_S = 20.0
STEPS = {"begin", "anticipate", "try_recall", "route", "infer", "finish", "settle"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[LocalCluster]:
    options = sleeping(
        tmp_path_factory.mktemp("telemetry"),
        GANGLION_TELEMETRY="standard",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_METRIC_EXPORT_INTERVAL="500",
    )
    with LocalCluster(replace(options, rate=RATE)) as started:
        yield started


def of_the_trace(receiver: Receiver) -> list[SeenSpan]:
    return [span for span in receiver.spans() if span.trace_id == TRACE]


async def test_a_cold_turn_with_a_crash_is_one_trace_that_shows_the_break(
    cluster: LocalCluster, receiver: Receiver
) -> None:
    async with cold_scene(cluster) as cold:
        await cold.asleep(start_s=START_S)
        response_id = await turn_with_a_crash(cold)
    await eventually(turn_in(receiver), within_s=ARRIVED_S, what="the span of the turn")
    spans = of_the_trace(receiver)
    (turn,) = [span for span in spans if span.name == AGENT]
    assert turn.attributes["gen_ai.response.id"] == response_id
    assert {span.name for span in spans} >= STEPS | {"attempt", "wait", "warm_up", "chat scripted"}
    assert [span.name for span in spans if span.parent_id not in {each.span_id for each in spans} | {CALLER}] == []
    assert next(span for span in spans if span.span_id == turn.parent_id).parent_id == CALLER
    assert_break_shows(turn, spans)
    await eventually(metrics_in(receiver), within_s=ARRIVED_S, what="the metrics of a cold turn")
    (line,) = lines_of(cluster, response_id)
    assert (line["status"], line["backend"], line["start"]) == ("completed", "scripted-gpu", "cold")
    assert (line["trace_id"], line["span_id"]) == (TRACE, turn.span_id)
    assert float(line["dollars"]) == turn.attributes["ganglion.cost.usd"]
    assert SECRET not in cluster.log("devhost")
    assert SECRET.encode() not in b"".join(receiver.bodies)


async def turn_with_a_crash(cold: ColdScene) -> str:
    """Run a turn on a sleeping GPU and kill the worker in the midst of its answer; return the response's id."""
    cold.caller.http.headers["traceparent"] = f"00-{TRACE}-{CALLER}-01"
    reading = Reading(body={**asking(f"COUNT {LENGTH}", COLD_MODEL), "instructions": SECRET, "stream": True})
    await cold.caller.follow_on(reading, until=20)
    await asyncio.sleep(EXPORTED_S)
    killed = await asyncio.to_thread(cold.cluster.kill_worker)
    await asyncio.to_thread(cold.cluster.wait_worker, killed)
    await cold.caller.follow_on(reading)
    assert reading.types[-1] == "response.completed", reading.response
    await cold.books.assert_exact(reading, counted(LENGTH))
    return reading.id


def turn_in(receiver: Receiver) -> Callable[[], Awaitable[bool | None]]:
    async def look() -> bool | None:
        return True if AGENT in {span.name for span in of_the_trace(receiver)} else None

    return look


def metrics_in(receiver: Receiver) -> Callable[[], Awaitable[bool | None]]:
    async def look() -> bool | None:
        return True if {point.metric for point in receiver.points()} >= METRICS else None

    return look


def lines_of(cluster: LocalCluster, response_id: str) -> list[dict[str, Any]]:
    """Return the structured lines about a turn in the log of the app."""
    found = [line[line.index("{") :] for line in cluster.log("devhost").splitlines() if '"turn_ended"' in line]
    return [line for line in map(json.loads, found) if line["response"] == response_id]


def assert_break_shows(turn: SeenSpan, spans: Sequence[SeenSpan]) -> None:
    """Check that the run which died and the one that went on are both there, one after the other, within the turn."""
    first, second = sorted((span for span in spans if span.name == "attempt"), key=lambda span: span.start)
    assert (first.attributes["ganglion.attempt.number"], first.attributes["ganglion.attempt.delivery"]) == (1, 1)
    assert (second.attributes["ganglion.attempt.number"], second.attributes["ganglion.attempt.delivery"]) == (1, 2)
    assert (first.is_error, first.attributes["error.type"]) == (True, "interrupted")
    assert not second.is_error
    (warm_up,), waits = ([span for span in spans if span.name == name] for name in ("warm_up", "wait"))
    assert warm_up.end - warm_up.start >= START_S / SPEED - 0.5
    for each in (first, second, warm_up, *waits):
        assert turn.start <= each.start <= each.end <= turn.end
    assert max(wait.end for wait in waits) <= first.start <= first.end <= second.start
    (chat,) = [span for span in spans if span.name == "chat scripted"]
    assert chat.parent_id == second.span_id
