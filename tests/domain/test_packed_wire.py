"""Is what is packed the same after it is unpacked, and does it take little room?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import wire
from domain.packed_wire import (
    DEFAULTS,
    IDS,
    packed_request,
    packed_result,
    plain_request,
    plain_result,
)

THREAD = "a" * 24
TURN: Any = {
    "tenant": "90492088-d02f-5189-b051-988f09c09808",
    "subject": "user:1860001a-ebe0-5b09-9591-b148b8226bd2",
    "response": f"resp_{THREAD}{'b' * 24}",
    "traceparent": f"00-{'c' * 32}-{'d' * 16}-01",
    "start": "e" * 24,
}
SIZE = {"expected": 933, "likely": 1344, "ceiling": 2276, "bytes": 2164}
SPENT = {"units": 12.5, "seconds": 0.072}
CALLS = [f"mcp_{THREAD}{each * 24}" for each in "123"]
REQUESTS: list[tuple[str, Any]] = [
    (wire.ROUTE, {**TURN, "size": SIZE, "number": 2, "excluded": {}}),
    (
        wire.INFER,
        {
            **TURN,
            "attempt": 2,
            "backend": "gpu-l4",
            "worst_cost": "0.000955800",
            "output_tokens": 1024,
            "retries": 0,
            "has_alternative": False,
            "failures": {},
            "cold": False,
            "hold_s": None,
            "limit_s": None,
            "input_tokens": 1344,
        },
    ),
    *[(wire.TRY_CALL_TOOL, {**TURN, "call": call}) for call in CALLS],
    (wire.TRY_CALL_TOOLS, {**TURN, "calls": CALLS}),
]
REASON = "gpu-l4 is up: estimated 0.0 s and $0.000140 for its tokens; the only eligible backend"
ROUTED = {
    "backend": "gpu-l4",
    "reason": REASON,
    "worst_cost": "0.000955800",
    "output_tokens": 1024,
    "has_alternative": False,
    "delay_s": 0.0,
    "cold": False,
    "hold_s": None,
    "limit_s": None,
    "input_tokens": 1344,
    "spent": SPENT,
}
ASKED = {"result": "calls", "code": "", "message": "", "delay_s": 0.0, "calls": CALLS, "added": SIZE}
INFERRED = {**ASKED, "hands_back": False, "spent": SPENT}
CALLED = {"value": {"outcome": "completed", "added": SIZE}, "problem": "", "spent": SPENT}
ENDS = [CALLED["value"], None, CALLED["value"]]
TOGETHER = {"value": {"calls": ENDS}, "problem": "", "spent": SPENT}
RESULTS: list[Any] = [ROUTED, INFERRED, CALLED, CALLED, CALLED, TOGETHER]


@pytest.mark.parametrize(("name", "request_"), REQUESTS)
def test_a_request_is_read_as_it_was_sent(name: str, request_: Any) -> None:
    assert plain_request(name, packed_request(name, request_)) == request_
    assert plain_request(name, request_) == request_


@pytest.mark.parametrize(
    ("name", "result"), [(name, result) for (name, _), result in zip(REQUESTS, RESULTS, strict=True)]
)
def test_a_result_is_read_as_it_was_given(name: str, result: Any) -> None:
    found = plain_result(packed_result(name, packed_request(name, REQUESTS[0][1]), result))
    same = {field: value for field, value in found.items() if field not in ("reason", "calls", "posture")}
    assert same == {field: value for field, value in result.items() if field not in ("reason", "calls")}


def test_the_ids_of_calls_stay_short_in_a_history_and_are_whole_in_a_step() -> None:
    inferred = plain_result(packed_result(wire.INFER, packed_request(*REQUESTS[1]), INFERRED))
    assert inferred["calls"] == [f"mcp_{each * 24}" for each in "123"]
    sent = [packed_request(wire.TRY_CALL_TOOL, {**TURN, "call": call}) for call in inferred["calls"]]
    assert [plain_request(wire.TRY_CALL_TOOL, each)["call"] for each in sent] == CALLS


@pytest.mark.parametrize(
    ("steps", "limit"), [((0, 1, 2, 3, 4), 2048), ((0, 1, 5), 1536)], ids=["a step for each call", "one step"]
)
def test_a_round_of_three_calls_takes_little_room(steps: tuple[int, ...], limit: int) -> None:
    sent = [packed_request(*REQUESTS[each]) for each in steps]
    given_back = [
        packed_result(REQUESTS[each][0], request, RESULTS[each]) for each, request in zip(steps, sent, strict=True)
    ]
    assert sum(len(json.dumps(each).encode()) for each in (*sent, *given_back)) <= limit


def test_a_route_without_a_backend_keeps_its_reason() -> None:
    result = {**ROUTED, "backend": None}
    found = plain_result(packed_result(wire.ROUTE, packed_request(*REQUESTS[0]), result))
    assert found["reason"] == REASON


def test_a_plain_request_has_a_plain_result() -> None:
    assert packed_result(wire.ROUTE, REQUESTS[0][1], ROUTED) is ROUTED
    assert plain_result([ROUTED, {"mine": True}]) == [ROUTED, {"mine": True}]


def test_the_request_of_another_step_is_sent_as_it_is() -> None:
    request = {**TURN, "execution": "1"}
    assert packed_request(wire.BEGIN, request) is request


words = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=10**9)
sizes = st.fixed_dictionaries(dict.fromkeys(SIZE, numbers))


@given(
    name=st.sampled_from(sorted(DEFAULTS)),
    turn=st.fixed_dictionaries(dict.fromkeys(("tenant", "subject", "traceparent"), words), optional={"start": words}),
    size=sizes,
    call=words,
    failures=st.dictionaries(words, numbers, max_size=3),
)
def test_whatever_a_request_says_it_says_it_after_it_was_packed(
    name: str, turn: Any, size: Any, call: str, failures: Any
) -> None:
    body = {**turn, "response": TURN["response"], "size": size, "call": call, "failures": failures}
    found = plain_request(name, json.loads(json.dumps(packed_request(name, body))))
    if turn.get("start", "?") == "" and IDS in packed_request(name, body):
        found["start"] = ""
    assert {field: found[field] for field in body} == body
