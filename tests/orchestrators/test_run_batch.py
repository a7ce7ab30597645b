"""Does the orchestration of a batch replay, run every chunk once, and keep its histories small?"""

import json
from typing import Any

import pytest

from domain.batches import batch_wire
from domain.batches.batch import CHUNK_LINES
from orchestrators.run_batch import CHUNKS_OF_A_HISTORY, LOOKS_OF_A_HISTORY, run_batch
from tests.orchestrators.durable_host import DurableHost, Event, EventType, Fires

BYTES = 65_536
EVENTS = 200
CHUNKS = 2 * CHUNKS_OF_A_HISTORY + 1
STEPS: dict[str, Any] = {
    batch_wire.CHECK_BATCH: {"lines": CHUNKS * CHUNK_LINES, "chunk": 0, "width": 32},
    batch_wire.FINISH_BATCH: {"status": "completed"},
}


def request() -> dict[str, Any]:
    return {
        "tenant": "11111111-2222-3333-4444-555555555555",
        "subject": "user:11111111-2222-3333-4444-555555555555",
        "response": f"batch_{'a' * 24}",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }


def open_tasks(host: DurableHost) -> list[Event]:
    """Return the activities and children that have not completed."""
    ended = (EventType.TASK_COMPLETED, EventType.CHILD_COMPLETED)
    done = {each["TaskScheduledId"] for each in host.history if each["EventType"] in ended}
    begun = (EventType.TASK_SCHEDULED, EventType.CHILD_CREATED)
    return [each for each in host.history if each["EventType"] in begun and each["EventId"] not in done]


def play(host: DurableHost, delays: list[float]) -> list[int]:
    """Complete every task, in the worst case one by one; return the chunks that ran. `delays` are those of looks."""
    host.start()
    chunks: list[int] = []
    while not host.done and host.next_request is None:
        for task in open_tasks(host):
            if task["EventType"] == EventType.CHILD_CREATED:
                chunks.append(json.loads(json.loads(task["Input"]))["chunk"])
                host.turn(EventType.CHILD_COMPLETED, TaskScheduledId=task["EventId"], Result='{"stopped": 0}')
                continue
            timed = {"delay_s": delays.pop(0)} if task["Name"] == batch_wire.TIME_BATCH else None
            host.turn(
                EventType.TASK_COMPLETED,
                TaskScheduledId=task["EventId"],
                Result=json.dumps(timed or STEPS[task["Name"]]),
            )
            if timed and timed["delay_s"] and host.next_request is None:
                host.apply(Fires())
    return chunks


@pytest.mark.slow
def test_a_long_batch_that_waits_long_runs_each_chunk_once_in_small_histories() -> None:
    delays, chunks, histories = [60.0] * (2 * LOOKS_OF_A_HISTORY - 1) + [0.0], list[int](), 0
    going: Any = request()
    while going:
        host = DurableHost(request=going, orchestrator=run_batch)
        chunks += play(host, delays)
        assert len(host.history) <= EVENTS
        assert len(json.dumps(host.history)) <= BYTES
        going, histories = host.next_request, histories + 1
    assert chunks == list(range(CHUNKS))
    assert delays == []
    assert histories > 2
