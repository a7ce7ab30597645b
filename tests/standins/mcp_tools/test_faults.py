"""Does the MCP server misbehave where its fault says so, and as often?"""

import json
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from standins.mcp_tools.faults import CALL, DISCOVER, McpFaults, Silence, parsed, read_body, replayed

CALLED: dict[str, Any] = {"jsonrpc": "2.0", "id": 7, "method": CALL}


def faults(fault: dict[str, Any], *, is_old: bool = False) -> McpFaults:
    found = McpFaults(is_old=is_old)
    found.set(fault)
    return found


def answer(fault: dict[str, Any], body: dict[str, Any] = CALLED, session: str = "s") -> Response:
    found = faults(fault).answer(body, session)
    assert found is not None
    return found


def test_without_a_fault_the_sdk_answers() -> None:
    assert faults({}).answer(CALLED, "s") is None
    assert faults({"status": 503}).answer({"method": "tools/list"}, "s") is None


@pytest.mark.parametrize(
    ("fault", "status", "kind", "text"),
    [
        ({"status": 503}, 503, "application/json", "as planned"),
        ({"redirect": "https://elsewhere"}, 307, None, ""),
        ({"text": "hello"}, 200, "text/plain", "hello"),
        ({"type": "image/png"}, 200, "image/png", "hello"),
        ({"bytes": 50}, 200, "application/json", "x" * 50),
        ({"ends": True}, 200, "text/event-stream", ": nothing"),
    ],
)
def test_each_fault_has_its_answer(fault: dict[str, Any], status: int, kind: str | None, text: str) -> None:
    found = answer(fault)
    assert (found.status_code, (found.headers.get("content-type") or "").partition(";")[0] or None) == (status, kind)
    assert text in bytes(found.body).decode()


def test_an_answer_to_another_request_has_another_id() -> None:
    assert json.loads(bytes(answer({"other_id": True}).body))["id"] != CALLED["id"]
    assert json.loads(bytes(answer({"bytes": 1}).body))["id"] == CALLED["id"]


def test_a_limited_fault_is_over_after_its_times() -> None:
    found = faults({"status": 503, "times": 2})
    assert [found.answer(CALLED, "s") is None for _ in range(4)] == [False, False, True, True]


def test_sessions_are_forgotten_once() -> None:
    found = faults({"forget": True})
    assert found.answer(CALLED, "") is None
    first = found.answer(CALLED, "s")
    assert first is not None
    assert first.status_code == 404
    assert found.answer(CALLED, "s") is None


def test_an_old_server_does_not_know_discovery() -> None:
    found = faults({}, is_old=True).answer({"id": 1, "method": DISCOVER}, "")
    assert found is not None
    assert (found.status_code, json.loads(bytes(found.body))["error"]["code"]) == (400, -32601)
    assert faults({}).answer({"id": 1, "method": DISCOVER}, "") is None


def test_what_is_silent_gets_no_answer_until_its_caller_leaves() -> None:
    found = faults({"silent": ["tools/list"]})
    assert isinstance(found.answer({"method": "tools/list"}, "s"), Silence)
    assert found.answer(CALLED, "s") is None


async def test_a_server_that_asks_back_ends_its_answer_when_it_was_answered() -> None:
    found = faults({"pings": True})
    asking = found.answer(CALLED, "s")
    assert isinstance(asking, StreamingResponse)
    parts = aiter(asking.body_iterator)
    assert '"method": "ping"' in str(await anext(parts))
    refused = found.answer({"id": "asked", "result": {}}, "s")
    assert refused is not None
    assert refused.status_code == 404
    assert [part async for part in parts] == []


@pytest.mark.parametrize(("content", "body"), [(b'{"id": 1}', {"id": 1}), (b"[1]", {}), (b"no JSON", {}), (b"", {})])
def test_a_body_that_is_no_object_is_an_empty_one(content: bytes, body: dict[str, Any]) -> None:
    assert parsed(content) == body


async def test_a_request_that_was_read_is_given_to_the_sdk_again() -> None:
    messages = [{"body": b"a", "more_body": True}, {"body": b"b"}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    content = await read_body(receive)
    again = replayed(content, receive)
    assert content == b"ab"
    assert await again() == {"type": "http.request", "body": b"ab", "more_body": False}
    assert await again() == {"type": "http.disconnect"}
