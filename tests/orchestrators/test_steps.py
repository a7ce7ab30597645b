"""What becomes of steps that fail, and which of several events ends a wait?"""

from typing import Any

import pytest

from domain import wire
from domain.place_wire import place_event
from orchestrators.steps import call_step, call_together, cancelled_within, first_within, seconds_now, wait_for_place
from tests.orchestrators.scripted_context import ScriptedContext, Task

CALLS: list[tuple[str, Any]] = [("one", {"a": 1}), ("two", {"b": 2})]


def test_a_step_is_repeated_where_it_fails() -> None:
    context = ScriptedContext()
    task: Any = call_step(context, "one", {"a": 1})
    assert (task.name, task.request, task.retries) == ("one", {"a": 1}, True)


def test_steps_in_parallel_are_not_repeated() -> None:
    context = ScriptedContext()
    found: list[wire.TriedWire] = [{"value": 1, "problem": ""}, {"value": 2, "problem": ""}]
    assert context.run(call_together(context, CALLS), lambda _: found) == found
    assert [(part.name, part.request, part.retries) for part in context.yielded[0].parts] == [
        ("one", {"a": 1}, False),
        ("two", {"b": 2}, False),
    ]


def test_where_an_earlier_instance_fails_at_packed_requests_no_step_has_a_result() -> None:
    context = ScriptedContext()
    found = context.run(call_together(context, CALLS), lambda _: KeyError("tenant"))
    assert found == [{"value": None, "problem": "'tenant'"}] * 2


def test_an_earlier_version_whose_requests_are_plain_fails_with_its_step() -> None:
    context = ScriptedContext(version="1.5")
    with pytest.raises(KeyError):
        context.run(call_together(context, CALLS), lambda _: KeyError("tenant"))


def test_a_timer_that_fires_is_no_event() -> None:
    context = ScriptedContext()
    event = context.wait_for_external_event("x")
    assert context.run(first_within(context, 5.0, [event]), context.fire) is None
    assert (seconds_now(context), context.yielded[0].timer.is_cancelled) == (1005.0, False)


def test_an_event_cancels_the_timer() -> None:
    context = ScriptedContext()
    first, second = context.wait_for_external_event("x"), context.wait_for_external_event("y")
    assert context.run(first_within(context, 5.0, [first, second]), lambda _: second) is second
    assert context.yielded[0].timer.is_cancelled


def test_a_wait_tells_whether_the_turn_was_cancelled() -> None:
    context = ScriptedContext()
    assert context.run(cancelled_within(context, 5.0), context.fire) is False
    assert context.run(cancelled_within(context, 5.0), lambda _: context.events[wire.CANCELLED_EVENT]) is True


@pytest.mark.parametrize(("event", "is_cancelled"), [(place_event(3), False), (wire.CANCELLED_EVENT, True)])
def test_a_place_ends_a_wait_and_is_no_cancel(*, event: str, is_cancelled: bool) -> None:
    context = ScriptedContext()
    assert context.run(wait_for_place(context, 3, 60.0), lambda _: context.events[event]) is is_cancelled
    assert context.yielded[0].timer.is_cancelled


def test_only_the_timer_and_a_cancel_end_the_wait_of_an_earlier_version() -> None:
    context = ScriptedContext(version="1.7")

    def answer(task: Task) -> Any:
        assert [part.name for part in task.parts] == ["timer", wire.CANCELLED_EVENT]
        return context.fire(task)

    assert context.run(wait_for_place(context, 3, 60.0), answer) is False
