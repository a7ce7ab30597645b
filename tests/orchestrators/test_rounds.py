"""In which steps do the calls of a round run, when are tasks looked at, and how large is the next input?"""

from typing import Any

import pytest

from domain import wire
from orchestrators.rounds import CALLS_OF_A_STEP, LEAST_WAIT_S, next_look, run_calls, size_after
from tests.orchestrators.scripted_context import ScriptedContext, Task

TURN: wire.TurnWire = {
    "tenant": "t",
    "subject": "user:s",
    "response": f"resp_{'a' * 24}{'b' * 24}",
    "traceparent": "",
    "start": "",
}
NONE: wire.SizeWire = {"expected": 0, "likely": 0, "ceiling": 0, "bytes": 0}


def size(tokens: int, **counts: Any) -> wire.SizeWire:
    found: wire.SizeWire = {"expected": tokens, "likely": tokens + 1, "ceiling": tokens + 2, "bytes": 4 * tokens}
    return {**found, "counts": counts} if counts else found


def ended(outcome: Any = "completed") -> wire.CalledToolWire:
    return {"outcome": outcome, "added": NONE}


def running(until: float) -> wire.CalledToolWire:
    return {"outcome": "running", "added": NONE, "until": until}


def tried(*calls: wire.CalledToolWire | None) -> wire.TriedWire:
    return {"value": {"calls": list(calls)}, "problem": ""}


FAILED: wire.TriedWire = {"value": None, "problem": "the store is away"}


def names(context: ScriptedContext) -> list[str]:
    """Return the names of the tasks that were waited for, those of parallel ones joined."""
    return ["+".join(part.name for part in task.parts) or task.name for task in context.yielded]


def test_a_round_without_calls_takes_no_step() -> None:
    context = ScriptedContext()
    assert context.run(run_calls(context, TURN, []), lambda _: None) == []
    assert context.yielded == []


def test_calls_run_in_groups_and_those_of_a_group_that_failed_again_one_by_one() -> None:
    context, calls = ScriptedContext(), [f"c{number}" for number in range(CALLS_OF_A_STEP + 2)]

    def answer(task: Task) -> Any:
        if task.name == "all":
            assert [part.request["calls"] for part in task.parts] == [calls[:CALLS_OF_A_STEP], calls[CALLS_OF_A_STEP:]]
            return [tried(*[ended()] * CALLS_OF_A_STEP), FAILED]
        return ended("failed")

    found = context.run(run_calls(context, TURN, calls), answer)
    assert [each["outcome"] for each in found] == ["completed"] * CALLS_OF_A_STEP + ["failed"] * 2
    assert [task.request["call"] for task in context.yielded[1:]] == calls[CALLS_OF_A_STEP:]
    assert {(task.name, task.retries) for task in context.yielded[1:]} == {(wire.CALL_TOOL, True)}


def test_a_call_without_a_result_among_others_is_run_again_in_its_place() -> None:
    context = ScriptedContext()
    answers = iter([[tried(ended(), None, ended("incomplete"))], ended("failed")])
    found = context.run(run_calls(context, TURN, ["a", "b", "c"]), lambda _: next(answers))
    assert [each["outcome"] for each in found] == ["completed", "failed", "incomplete"]
    assert context.yielded[1].request["call"] == "b"


@pytest.mark.parametrize(("version", "steps"), [("1.6", 3), ("1.7", 1), ("1.9", 1)])
def test_earlier_versions_run_each_call_in_a_step_of_its_own(version: str, steps: int) -> None:
    context = ScriptedContext(version=version)

    def answer(task: Task) -> Any:
        one: wire.TriedWire = {"value": ended(), "problem": ""}
        return [one] * 3 if steps == 3 else [tried(ended(), ended(), ended())]

    assert len(context.run(run_calls(context, TURN, ["a", "b", "c"]), answer)) == 3
    assert len(context.yielded[0].parts) == steps


def test_a_task_is_looked_at_when_it_is_due_until_it_has_ended() -> None:
    context = ScriptedContext()
    answers = iter([[{"value": running(1010.0), "problem": ""}], running(1010.2), ended()])
    found = context.run(
        run_calls(context, TURN, ["a"]), lambda task: context.fire(task) if task.name == "any" else next(answers)
    )
    assert [each["outcome"] for each in found] == ["completed"]
    assert [task.timer.until for task in context.yielded if task.name == "any"] == [1010.0, 1010.0 + LEAST_WAIT_S]
    looks = [task.request for task in context.yielded if task.name == wire.CALL_TOOL]
    assert [(each["call"], each["looks"]) for each in looks] == [("a", True), ("a", True)]


def test_tasks_that_are_due_soon_are_looked_at_in_one_step_and_later_ones_are_not() -> None:
    context = ScriptedContext()
    begun = [tried(running(1100.0), running(1125.0), running(1126.0), ended())]
    answers = iter([begun, [tried(ended(), ended())], ended()])
    context.run(
        run_calls(context, TURN, list("abcd")), lambda task: context.fire(task) if task.name == "any" else next(answers)
    )
    assert names(context)[2] == wire.TRY_CALL_TOOLS
    assert context.yielded[2].parts[0].request["calls"] == ["a", "b"]
    assert [task.timer.until for task in context.yielded if task.name == "any"] == [1125.0, 1126.0]


def test_a_cancelled_turn_looks_at_all_its_tasks_at_once() -> None:
    context = ScriptedContext()
    answers = iter([[tried(running(1100.0), running(9000.0))], [tried(ended("ended"), ended("ended"))]])

    def answer(task: Task) -> Any:
        return context.events[wire.CANCELLED_EVENT] if task.name == "any" else next(answers)

    found = context.run(run_calls(context, TURN, ["a", "b"]), answer)
    assert [each["outcome"] for each in found] == ["ended", "ended"]
    assert context.yielded[1].timer.is_cancelled
    assert context.yielded[2].parts[0].request["calls"] == ["a", "b"]


@pytest.mark.parametrize(
    ("version", "times", "at"),
    [
        ("1.9", [1004.0, 1005.0, 1005.1], 1005.0),
        ("1.9", [1100.0, 1125.0, 1125.1], 1125.0),
        ("1.9", [990.0, 990.9, 1000.0], 990.9),
        ("1.9", [1200.0], 1200.0),
        ("1.8", [1004.0, 1005.0], 1004.0),
    ],
)
def test_a_look_waits_a_quarter_longer_or_a_second_for_further_tasks(
    version: str, times: list[float], at: float
) -> None:
    assert next_look(ScriptedContext(version=version), times) == at


def test_the_next_input_has_what_the_calls_and_the_text_beside_them_add() -> None:
    called: list[wire.CalledToolWire] = [{"outcome": "completed", "added": size(10)}, ended()]
    assert size_after(size(100), size(1), called) == {"expected": 111, "likely": 114, "ceiling": 117, "bytes": 444}
    assert size_after(size(100), None) == size(100)


def test_counted_tokens_grow_by_the_estimate_of_what_was_added() -> None:
    counted = {"expected": 50, "likely": 50, "ceiling": 50, "counted_by": "tokenizer"}
    grown = size_after(size(100, small=counted), size(1), [])
    assert grown.get("counts") == {"small": {"expected": 51, "likely": 52, "ceiling": 53, "counted_by": "tokenizer"}}
