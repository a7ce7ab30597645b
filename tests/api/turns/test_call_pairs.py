"""Is a function call without its result, or a result without its call, rejected by its id, and never a dead end?"""

from typing import Any

import httpx
import pytest

from clients.backends.port import AnswerEnd
from domain.content.items import ItemKind
from domain.content.tools import FunctionCall
from tests.api.abilities.test_tools import native
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says

TOOLS = [{"type": "function", "name": "sing", "parameters": {"type": "object"}}]
CALLED = (FunctionCall(name="sing", arguments="{}", call_id="call_1"),)
QUESTION = {"role": "user", "content": "and?"}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "sing", "arguments": "{}"}


def result(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "la"}


def calling(*, reason: Any = "stop") -> Api:
    """Return an API whose model first calls a function, then says yes."""
    return native([AnswerEnd(reason=reason, usage=None, calls=CALLED)], says("yes"))


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["param"]


UNPAIRED: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a result alone": ([QUESTION, result("c1")], "input[1].call_id", "c1"),
    "a result before its call": ([result("c1"), call("c1")], "input[0].call_id", "c1"),
    "a second result without a call": ([call("c1"), result("c1"), result("c2")], "input[2].call_id", "c2"),
    "a call alone": ([call("c1")], "input", "c1"),
    "one of two calls": ([call("c1"), call("c2"), result("c2")], "input", "c1"),
}


@pytest.mark.parametrize(("items", "param", "call_id"), UNPAIRED.values(), ids=UNPAIRED)
async def test_half_a_call_in_the_input_is_rejected_with_its_id(
    items: list[dict[str, Any]], param: str, call_id: str
) -> None:
    one = api()
    answer = await one.create({"input": items, "model": "auto"})
    assert error_of(answer) == (400, param)
    assert f"'{call_id}'" in answer.json()["error"]["message"]
    assert one.orchestrations.started == []


async def test_half_a_call_in_a_chat_is_rejected_too() -> None:
    called = {"id": "c1", "type": "function", "function": {"name": "sing", "arguments": "{}"}}
    halves = ({"role": "assistant", "tool_calls": [called]}, {"role": "tool", "tool_call_id": "c1", "content": "la"})
    for message in halves:
        answer = await api().http.post("/v1/chat/completions", json={"model": "auto", "messages": [message]})
        assert error_of(answer) == (400, "messages")


@pytest.mark.parametrize("stored_in", ["previous_response_id", "conversation"])
async def test_a_stored_call_needs_its_result_and_takes_it(stored_in: str) -> None:
    one = calling()
    where: dict[str, Any] = {}
    if stored_in == "conversation":
        where = {"conversation": (await one.http.post("/v1/conversations", json={})).json()["id"]}
    first = (await one.create({"input": "sing", "model": "auto", "tools": TOOLS, **where})).json()
    where = where or {"previous_response_id": first["id"]}
    rejected = await one.create({"input": "well?", "model": "auto", **where})
    assert error_of(rejected) == (400, "input")
    assert "'call_1'" in rejected.json()["error"]["message"]
    answered = (await one.create({"input": [result("call_1")], "model": "auto", **where})).json()
    assert answered["status"] == "completed"
    again = await one.create({"input": [result("other")], "model": "auto", "previous_response_id": answered["id"]})
    assert error_of(again) == (400, "input[0].call_id")


@pytest.mark.parametrize("stored_in", ["previous_response_id", "conversation"])
async def test_the_call_of_a_turn_that_did_not_complete_is_left_out(stored_in: str) -> None:
    one = calling(reason="length")
    where: dict[str, Any] = {}
    if stored_in == "conversation":
        where = {"conversation": (await one.http.post("/v1/conversations", json={})).json()["id"]}
    first = (await one.create({"input": "sing", "model": "auto", "tools": TOOLS, **where})).json()
    assert first["status"] == "incomplete"
    where = where or {"previous_response_id": first["id"]}
    second = await one.create({"input": "well?", "model": "auto", **where})
    assert second.json()["status"] == "completed"
    backend = one.world.backends["main"][1]
    assert isinstance(backend, FakeBackend)
    assert ItemKind.FUNCTION_CALL not in {item.kind for item in backend.calls[1].items}
