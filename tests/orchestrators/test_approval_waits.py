"""In what order does a turn ask, run approved calls and wait, and on which timers?"""

from typing import Any

import pytest

from domain import wire
from domain.approval_wire import ASK, AskedWire, decided_event
from orchestrators.approval_waits import (
    LEAST_WAIT_S,
    MAX_TIMER_S,
    DecisionEvents,
    SettledRequests,
    is_over,
    settle_requests,
)
from orchestrators.turn_waits import TurnWaits
from tests.orchestrators.scripted_context import ScriptedContext, Task
from tests.orchestrators.test_rounds import NONE, TURN, ended, size, tried


def asked(follows: Any, *opened: str, calls: tuple[str, ...] = (), until: float = 2000.0, added: int = 0) -> AskedWire:
    return {
        "follows": follows,
        "calls": list(calls),
        "open": list(opened),
        "until": until,
        "added": size(added) if added else NONE,
    }


@pytest.mark.parametrize("follows", ["answer", "end", "ended"])
def test_a_turn_whose_requests_are_answered_does_not_wait(follows: str) -> None:
    context, waits = ScriptedContext(), TurnWaits(in_place=True)
    settled = context.run(settle_requests(context, TURN, waits), lambda _: asked(follows, added=7))
    assert (settled.follows, settled.called, settled.added, waits.waits) == (follows, [], size(7), [])
    assert [task.name for task in context.yielded] == [ASK]


def test_approved_calls_run_before_the_turn_waits_for_the_others() -> None:
    context, waits = ScriptedContext(), TurnWaits(in_place=True)
    answers = iter([asked("call", "r2", calls=("a", "b")), asked("wait", "r2"), asked("answer", added=1)])

    def answer(task: Task) -> Any:
        if task.name == "any":
            context.now = 1500.0
            return context.events[decided_event("r2")]
        return next(answers) if task.name == ASK else [tried(ended(), ended("failed"))]

    settled = context.run(settle_requests(context, TURN, waits), answer)
    assert [each["outcome"] for each in settled.called] == ["completed", "failed"]
    assert [task.name for task in context.yielded] == [ASK, "all", ASK, "any", ASK]
    assert waits.waits == [{"backend": "", "reason": "approval", "since": 1000.0, "until": 1500.0}]


def test_a_cancelled_turn_asks_no_more() -> None:
    context = ScriptedContext()

    def answer(task: Task) -> Any:
        return context.events[wire.CANCELLED_EVENT] if task.name == "any" else asked("wait", "r1")

    settled = context.run(settle_requests(context, TURN, TurnWaits(in_place=True)), answer)
    assert settled.follows == "ended"
    assert [task.name for task in context.yielded] == [ASK, "any"]


@pytest.mark.parametrize(
    ("follows", "outcome", "over"),
    [
        ("call", "completed", False),
        ("wait", "failed", False),
        ("wait", "asks", False),
        ("call", "ended", True),
        ("wait", "stopped", True),
        ("answer", "completed", True),
        ("end", "completed", True),
    ],
)
def test_a_call_that_ended_the_turn_ends_its_wait(*, follows: str, outcome: str, over: bool) -> None:
    settled = SettledRequests()
    settled.follows = follows
    settled.add(NONE, [ended(outcome)])
    assert is_over(settled) is over


def test_what_answers_and_calls_add_is_summed() -> None:
    settled = SettledRequests()
    settled.add(size(10), [{"outcome": "completed", "added": size(1)}])
    settled.add(size(100))
    assert settled.added == {"expected": 111, "likely": 114, "ceiling": 117, "bytes": 444}


def test_a_long_wait_is_on_several_timers_and_ends_in_time() -> None:
    context = ScriptedContext()
    until = context.now + 2 * MAX_TIMER_S + 60
    events = DecisionEvents(context)
    assert context.run(events.wait(asked("wait", "r1", until=until)), context.fire) is False
    assert [task.timer.until for task in context.yielded] == [1000 + MAX_TIMER_S, 1000 + 2 * MAX_TIMER_S, until]


def test_a_wait_whose_end_has_passed_lasts_a_moment() -> None:
    context = ScriptedContext()
    context.run(DecisionEvents(context).wait(asked("wait", "r1", until=900.0)), context.fire)
    assert [task.timer.until for task in context.yielded] == [1000 + LEAST_WAIT_S]


def test_an_event_that_was_heard_is_not_waited_for_again_and_the_turn_looks_again_less_and_less_often() -> None:
    context = ScriptedContext()
    events, waiting = DecisionEvents(context), asked("wait", "r1", "r2", until=1e9)
    context.run(events.wait(waiting), lambda _: context.events[decided_event("r1")])
    for pause in (2.0, 4.0, 8.0):
        before = context.now
        context.run(events.wait(waiting), context.fire)
        assert context.now - before == pause
        assert decided_event("r1") not in [part.name for part in context.yielded[-1].parts]
