"""Does the orchestration of a turn, through the real SDK, take the right steps on each path?"""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.orchestrators.durable_host import DurableHost, EventType, replay, requests_of, steps, turns_of
from tests.orchestrators.histories.paths import LONG_PATHS, PATHS, SIZE, TURN, host_after, host_of

BEFORE = ["begin", "try_recall", "anticipate"]
AFTER = ["finish", "settle"]
TRY = ["route", "infer"]

ASKS = [*BEFORE, *TRY, "ask_approvals"]
RUNS = ["ask_approvals", "try_call_tool", "ask_approvals"]
EXPECTED = {
    "approved_in_place": [*ASKS, "timer", *RUNS, *TRY, *AFTER],
    "denied_in_place": [*ASKS, "timer", "ask_approvals", *TRY, *AFTER],
    "decided_before_the_wait": [*ASKS, "timer", *RUNS, *TRY, *AFTER],
    "expired_in_place": [*ASKS, "timer", "timer", "ask_approvals", *TRY, *AFTER],
    "woken_too_early": [*ASKS, "timer", "ask_approvals", "timer", *RUNS, *TRY, *AFTER],
    "two_decided": [*ASKS, "timer", "ask_approvals", "timer", *RUNS, *TRY, *AFTER],
    "waited_in_vain": [*ASKS, "timer", "ask_approvals", *AFTER],
    "cancelled_in_place": [*ASKS, "timer", *AFTER],
    "cancelled_before_it_asked": [*ASKS, *AFTER],
    "asked_again_in_place": [*BEFORE, *TRY, "try_call_tool", "ask_approvals", "timer", *RUNS, *TRY, *AFTER],
    "ended_in_an_approved_call": [*ASKS, "timer", "ask_approvals", "try_call_tool", *AFTER],
    "answered": [*BEFORE, *TRY, *AFTER],
    "cut": [*BEFORE, *TRY, *AFTER],
    "asked": [*BEFORE, *TRY, *AFTER],
    "unknown_and_asked": [*BEFORE, *TRY, "try_call_tool", *AFTER],
    "approved": ["begin", "try_call_tool", *BEFORE[1:], *TRY, *AFTER],
    "approved_and_cancelled": ["begin", "try_call_tool", *AFTER],
    "not_mine": ["begin"],
    "entered_after_waiting": ["enter", "timer", "enter", "timer", "enter", *BEFORE, *TRY, *AFTER],
    "woken_in_line": ["enter", "timer", "enter", *BEFORE, *TRY, *AFTER],
    "woken_while_looking": ["enter", "timer", "enter", "timer", "enter", *BEFORE, *TRY, *AFTER],
    "woken_before_looking": ["enter", "timer", "enter", *BEFORE, *TRY, *AFTER],
    "woken_twice": ["enter", "timer", "enter", "timer", "enter", *BEFORE, *TRY, *AFTER],
    "entered_at_once": ["enter", *BEFORE, *TRY, *AFTER],
    "cancelled_in_line": ["enter", "timer", *AFTER],
    "expired_in_line": ["enter", "timer", "enter", *AFTER],
    "waited": [*BEFORE, *TRY, "timer", *TRY, "timer", *TRY, *AFTER],
    "cancelled_while_waiting": [*BEFORE, *TRY, "timer", *AFTER],
    "cancelled_before_waiting": [*BEFORE, *TRY, "timer", *AFTER],
    "cancelled_in_answer": [*BEFORE, *TRY, *AFTER],
    "cancelled_with_nobody_free": [*BEFORE, "route", "timer", *AFTER],
    "elsewhere": [*BEFORE, *TRY, *TRY, *AFTER],
    "escalated": [*BEFORE, *TRY, *TRY, *AFTER],
    "escalated_before_calls": [*BEFORE, *TRY, *TRY, "try_call_tool", *TRY, *AFTER],
    "escalated_in_vain": [*BEFORE, *TRY, "route", *AFTER],
    "handed_over": [*BEFORE, *TRY, *TRY, *AFTER],
    "capped": [*BEFORE, *TRY, *TRY, *TRY, *AFTER],
    "capped_without_room": [*BEFORE, *TRY, "route", *AFTER],
    "capped_before_calls": [*BEFORE, *TRY, *TRY, "try_call_tool", *TRY, *AFTER],
    "nobody_free_for_a_while": [*BEFORE, "route", "timer", *TRY, *AFTER],
    "woken_for_a_place": [*BEFORE, "route", "timer", *TRY, *AFTER],
    "woken_before_it_waits": [*BEFORE, "route", "timer", *TRY, *AFTER],
    "woken_for_an_earlier_wait": [*BEFORE, *["route", "timer"] * 2, *TRY, *AFTER],
    "cancelled_in_line_for_a_backend": [*BEFORE, "route", "timer", *AFTER],
    "nobody": [*BEFORE, "route", *AFTER],
    "attempt_failed": [*BEFORE, *TRY, *AFTER],
    "step_repeated": [*BEFORE, "recall", "timer", "recall", *TRY, *AFTER],
    "called": [*BEFORE, *TRY, "try_call_tool", *TRY, *AFTER],
    "called_side_by_side": [*BEFORE, *TRY, "try_call_tools", *TRY, *AFTER],
    "called_side_by_side_and_one_repeated": [*BEFORE, *TRY, "try_call_tools", "call_tool", *TRY, *AFTER],
    "called_as_tasks": [
        *BEFORE,
        *TRY,
        "try_call_tools",
        *("timer", "try_call_tools", "call_tool"),
        *("timer", "call_tool", "timer", "call_tool"),
        *AFTER,
    ],
    "called_in_two_rounds": [*BEFORE, *[*TRY, "try_call_tool"] * 2, *TRY, *AFTER],
    "called_none_at_a_limit": [*BEFORE, *TRY, *TRY, *AFTER],
    "called_and_handed_back": [*BEFORE, *TRY, "try_call_tool", *AFTER],
    "called_in_many_rounds": [*BEFORE, *[*TRY, "try_call_tool"] * 16],
    "call_repeated": [*BEFORE, *TRY, "try_call_tool", "call_tool", *TRY, *AFTER],
    "cancelled_in_a_call": [*BEFORE, *TRY, "try_call_tool", *AFTER],
    "step_failed": [*BEFORE, *["route", "timer"] * 30, *AFTER],
}


@pytest.mark.parametrize("path", PATHS)
def test_each_path_takes_its_steps_to_its_end(path: str) -> None:
    host = host_of(path)
    assert host.done
    assert steps(host.history) == EXPECTED[path]


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] if path in LONG_PATHS else []) for path in PATHS]
)
def test_a_replay_schedules_the_same_at_every_turn(path: str) -> None:
    host = host_of(path)
    for handed, _ in turns_of(host.history):
        first, second = replay(host.request, handed), replay(host.request, handed)
        assert first == second
    assert host_after(PATHS[path]).history == host.history


def test_all_routes_after_an_escalation_name_it_and_none_of_its_attempts_escalates() -> None:
    history = host_of("escalated_before_calls").history
    named = [request.get("escalation", {}).get("backend") for request in requests_of(history, "route")]
    assert named == [None, "small", "small"]
    assert not any(request.get("escalates") for request in requests_of(history, "infer"))


def test_a_turn_ends_as_without_its_escalation_where_that_was_in_vain() -> None:
    [request] = requests_of(host_of("escalated_in_vain").history, "finish")
    assert (request["status"], request["code"]) == ("completed", "")


def output(path: str) -> Any:
    (completed,) = [event for event in host_of(path).history if event["EventType"] == EventType.EXECUTION_COMPLETED]
    return json.loads(completed["Result"])


def test_the_output_has_the_status_and_cost_of_the_turn() -> None:
    assert output("answered") == {"status": "completed", "cost": "0.0021"}
    assert output("not_mine") == {"status": "not this execution's turn"}


def test_the_results_of_a_round_make_the_input_of_the_next_round_larger() -> None:
    first, second, third = (
        each["size"]["likely"] for each in requests_of(host_of("called_in_two_rounds").history, "route")
    )
    assert (first, second, third) == (SIZE["likely"], 3 * SIZE["likely"], 5 * SIZE["likely"])
    assert [each["call"] for each in requests_of(host_of("called_in_two_rounds").history, "try_call_tool")] == [
        "mcp_1",
        "mcp_2",
    ]
    assert [each["attempt"] for each in requests_of(host_of("called_in_two_rounds").history, "infer")] == [1, 2, 3]


def test_a_call_that_failed_beside_others_is_repeated_alone() -> None:
    history = host_of("called_side_by_side_and_one_repeated").history
    assert [each["calls"] for each in requests_of(history, "try_call_tools")] == [["mcp_1", "mcp_2", "mcp_3"]]
    assert [each["call"] for each in requests_of(history, "call_tool")] == ["mcp_2"]


def test_a_round_of_three_calls_takes_twelve_events() -> None:
    history = host_of("called_side_by_side").history
    routes = [at for at, event in enumerate(history) if event.get("Name") == "route"]
    assert routes[1] - routes[0] == 12


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("answered", "completed", "", ""),
        ("cut", "incomplete", "max_output_tokens", ""),
        ("attempt_failed", "failed", "invalid_prompt", "status 400"),
        ("nobody", "failed", "server_error", "no backend takes it"),
        ("cancelled_in_answer", "failed", "server_error", ""),
        ("cancelled_while_waiting", "cancelled", "", ""),
        ("cancelled_in_line", "cancelled", "", ""),
        ("expired_in_line", "failed", "server_error", "the deadline passed"),
        (
            "step_failed",
            "failed",
            "server_error",
            "A step of the turn failed: Activity function 'route' failed:  StepFailed: route failed: KeyError",
        ),
    ],
)
def test_the_turn_is_finished_with_the_result_of_its_path(path: str, status: str, code: str, message: str) -> None:
    (finish,) = requests_of(host_of(path).history, "finish")
    assert finish == {**TURN, "status": status, "code": code, "message": message}


def test_each_step_gets_what_it_needs() -> None:
    history = host_of("answered").history
    (begin,) = requests_of(history, "begin")
    assert begin == {**TURN, "execution": begin["execution"]}
    assert requests_of(history, "try_recall") == [TURN]
    assert requests_of(history, "settle") == [{**TURN, "status": "completed", "code": ""}]
    assert requests_of(history, "route") == [{**TURN, "size": SIZE, "number": 1, "excluded": {}}]
    assert requests_of(history, "infer") == [
        {
            **TURN,
            "attempt": 1,
            "backend": "small",
            "worst_cost": "0.0042",
            "output_tokens": 512,
            "retries": 0,
            "has_alternative": True,
            "failures": {},
            "cold": False,
            "hold_s": None,
            "limit_s": None,
            "input_tokens": 0,
        }
    ]


def test_an_execution_keeps_its_name_and_another_execution_has_another() -> None:
    first, again = host_of("answered"), host_after([])
    again.now = datetime.fromisoformat("2026-11-22T06:00:00+00:00")
    again.history.clear()
    again.start()
    (one,), (other,) = requests_of(first.history, "begin"), requests_of(again.history, "begin")
    assert one["execution"] != other["execution"]


def test_a_first_turn_that_is_repeated_later_is_the_same_execution_by_the_name_of_its_start() -> None:
    named = {**TURN, "start": "drawn-once"}
    first, again = DurableHost(named), DurableHost(named)
    again.now = datetime.fromisoformat("2026-11-22T06:00:00+00:00")
    for host in (first, again):
        host.start()
    assert requests_of(first.history, "begin") == requests_of(again.history, "begin")
    assert requests_of(again.history, "begin") == [{**named, "execution": "drawn-once"}]


def test_a_turn_in_line_counts_its_waits() -> None:
    requests = requests_of(host_of("entered_after_waiting").history, "enter")
    assert requests == [{**TURN, "waits": waits} for waits in range(3)]


def test_a_turn_that_was_woken_looks_soon_again() -> None:
    requests = requests_of(host_of("woken_twice").history, "enter")
    assert [each["waits"] for each in requests] == [0, 0, 0]


def test_attempts_are_counted_and_failures_at_one_backend_too() -> None:
    requests = requests_of(host_of("waited").history, "infer")
    assert [(each["attempt"], each["retries"]) for each in requests] == [(1, 0), (2, 1), (3, 2)]
    handed_over = requests_of(host_of("handed_over").history, "infer")
    assert [(each["attempt"], each["retries"]) for each in handed_over] == [(1, 0), (2, 0)]


def test_after_a_failover_the_next_route_excludes_the_backend_with_the_reason() -> None:
    history = host_of("elsewhere").history
    assert [each["excluded"] for each in requests_of(history, "route")] == [{}, {"small": "status 500"}]
    assert [each["number"] for each in requests_of(history, "route")] == [1, 2]
    assert [each["backend"] for each in requests_of(history, "infer")] == ["small", "large"]


def test_a_wait_lasts_as_long_as_the_attempt_asked_for() -> None:
    history = host_of("waited").history
    timers = [event for event in history if event["EventType"] == EventType.TIMER_CREATED]
    waits = [datetime.fromisoformat(timer["FireAt"]) - datetime.fromisoformat(timer["Timestamp"]) for timer in timers]
    assert [wait.total_seconds() for wait in waits] == [2.0, 2.0]


def test_a_cancelled_wait_leaves_no_timer_that_keeps_the_instance_alive() -> None:
    host = host_of("cancelled_while_waiting")
    *_, (handed, _) = turns_of(host.history)
    (actions,) = replay(TURN, handed)["actions"]
    timers = [child for action in actions for child in action.get("compoundActions", ()) if child["actionType"] == 5]
    assert [timer["isCanceled"] for timer in timers] == [True]


def test_a_warm_turn_is_short() -> None:
    history = host_of("answered").history
    assert len(history) <= 40
    assert len(json.dumps(history).encode()) <= 64 * 1024


def test_the_route_after_a_capped_answer_has_what_was_written_until_its_round_ends() -> None:
    routes = requests_of(host_of("capped_before_calls").history, "route")
    assert [request.get("capped") for request in routes] == [
        None,
        {"backend": "small", "written": 512, "tried": 0},
        None,
    ]
    attempts = requests_of(host_of("capped_before_calls").history, "infer")
    assert [request.get("capped") for request in attempts] == [None, True, None]


def test_a_capped_answer_without_room_for_more_ends_incomplete() -> None:
    [request] = requests_of(host_of("capped_without_room").history, "finish")
    assert (request["status"], request["code"]) == ("incomplete", "max_output_tokens")
