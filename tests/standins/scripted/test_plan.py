"""Which round of calls follows the results that a request has already?"""

from typing import Any

import pytest

from standins.scripted.chat_request import BadRequest, ScriptedRequest, request_from_body
from standins.scripted.plan import ENOUGH, PlannedRound, ScriptedCall, next_round

type Json = dict[str, Any]

FIND = ScriptedCall(name="find", arguments='{"number": "A-1"}')
NOTE = ScriptedCall(name="note", arguments="{}")
PLAN = ' [[["find", {"number": "A-1"}], ["note", {}]], [["note", {}]]] THEN all done '
RESULT: Json = {"role": "tool", "content": "x", "tool_call_id": "call_1"}
CALLED: Json = {
    "role": "assistant",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
}
TOOL: Json = {
    "type": "function",
    "function": {"name": "find", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}


def request(*more: Json, tools: bool = True) -> ScriptedRequest:
    messages = [{"role": "user", "content": "PLAN"}, *more]
    return request_from_body({"model": "m", "messages": messages, **({"tools": [TOOL]} if tools else {})})


@pytest.mark.parametrize(
    ("more", "following"),
    [
        ([], PlannedRound(calls=(FIND, NOTE))),
        ([CALLED, RESULT], PlannedRound(calls=(NOTE,))),
        ([CALLED, RESULT, RESULT], PlannedRound(calls=(NOTE,))),
        ([CALLED, RESULT, CALLED, RESULT], PlannedRound(text="all done ")),
        ([CALLED, RESULT, {"role": "user", "content": "again"}], PlannedRound(calls=(FIND, NOTE))),
    ],
)
def test_a_round_follows_the_results_of_the_round_before(more: list[Json], following: PlannedRound) -> None:
    assert next_round(request(*more), PLAN) == following


def test_the_text_comes_at_once_where_no_function_may_be_called() -> None:
    assert next_round(request(tools=False), PLAN) == PlannedRound(text="all done ")
    assert next_round(request(tools=False), "FOREVER") == PlannedRound(text=ENOUGH)


def test_forever_calls_the_first_function_with_arguments_of_its_schema() -> None:
    (call,) = next_round(request(CALLED, RESULT), " FOREVER ").calls
    assert call.name == "find"
    assert call.arguments.startswith("{")


@pytest.mark.parametrize("plan", ["", "NEVER", "[[]]", "[[]] THEN", "FOREVER THEN x"])
def test_what_is_no_plan_is_refused(plan: str) -> None:
    with pytest.raises(BadRequest, match="needs a list of rounds, THEN and a text, or FOREVER"):
        next_round(request(), plan)


@pytest.mark.parametrize("rounds", ["[[}]", "[1]", '[["find"]]', '[[["find"]]]', '[[["find", {}, 1]]]', "[[]]"])
def test_rounds_that_are_no_lists_of_calls_are_refused(rounds: str) -> None:
    with pytest.raises(BadRequest, match="the rounds of PLAN are not lists of calls"):
        next_round(request(), f"{rounds} THEN x")
