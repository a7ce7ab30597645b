"""Does the orchestration of a chunk of lines replay, end, and keep its history small?"""

import json
from typing import Any

from domain.batches import batch_wire
from orchestrators.run_lines import MAX_EVENTS, run_lines
from tests.orchestrators.durable_host import DurableHost, Event, EventType

BYTES = 65_536
WIDTH = 8
ENDED = {"delay_s": 0.0, "stopped": 0}


def request_of(lines: list[int]) -> dict[str, Any]:
    return {
        "tenant": "11111111-2222-3333-4444-555555555555",
        "subject": "user:11111111-2222-3333-4444-555555555555",
        "response": f"batch_{'a' * 24}",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "chunk": 781,
        "lines": lines,
        "width": WIDTH,
    }


def open_tasks(host: DurableHost) -> list[Event]:
    done = {each["TaskScheduledId"] for each in host.history if each["EventType"] == EventType.TASK_COMPLETED}
    scheduled = [each for each in host.history if each["EventType"] == EventType.TASK_SCHEDULED]
    return [each for each in scheduled if each["EventId"] not in done]


def play(host: DurableHost, results: dict[int, list[dict[str, Any]]]) -> list[int]:
    """Complete every task, in the worst case one by one; return the lines that ran. `results` are those of a line."""
    host.start()
    ran: list[int] = []
    while not host.done and host.next_request is None and (tasks := open_tasks(host)):
        for task in tasks:
            value: Any = {"ended": 64, "spent": {"units": 1.0, "seconds": 0.1}}
            if task["Name"] == batch_wire.RUN_LINE:
                line = json.loads(json.loads(task["Input"])[0])["line"]
                ran.append(line)
                found = results[line].pop(0) if results.get(line) else ENDED
                value = {"value": found, "problem": "", "spent": {"units": 100.25, "seconds": 1.125}}
            host.turn(EventType.TASK_COMPLETED, TaskScheduledId=task["EventId"], Result=json.dumps(value))
        fires(host)
    return ran


def fires(host: DurableHost) -> None:
    """Let the timer fire that waits."""
    fired = {each["TimerId"] for each in host.history if each["EventType"] == EventType.TIMER_FIRED}
    for each in [each for each in host.history if each["EventType"] == EventType.TIMER_CREATED]:
        if each["EventId"] not in fired:
            host.turn(EventType.TIMER_FIRED, TimerId=each["EventId"], FireAt=each["FireAt"])


def test_a_chunk_of_64_lines_goes_on_in_small_histories() -> None:
    request, ran, histories = request_of(list(range(64))), list[int](), 0
    while request:
        host = DurableHost(request=request, orchestrator=run_lines)
        ran += play(host, {})
        assert len(host.history) <= MAX_EVENTS + 20
        assert len(json.dumps(host.history)) <= BYTES
        request, histories = host.next_request, histories + 1
    assert histories > 1
    assert sorted(ran) == list(range(64))


def test_a_line_that_waits_runs_again_after_its_wait() -> None:
    host = DurableHost(request=request_of([1, 2]), orchestrator=run_lines)
    ran = play(host, {2: [{"delay_s": 30.0, "stopped": 0}] * 2})
    assert host.done
    assert ran == [1, 2, 2, 2]
    assert len([each for each in host.history if each["EventType"] == EventType.TIMER_FIRED]) == 1


def test_nothing_runs_after_a_line_that_was_stopped() -> None:
    host = DurableHost(request=request_of(list(range(20))), orchestrator=run_lines)
    ran = play(host, {3: [{"delay_s": 0.0, "stopped": 1}]})
    assert host.done
    assert ran == list(range(WIDTH))
