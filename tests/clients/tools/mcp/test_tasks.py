"""What does an answer about a task of an MCP server say of a call?"""

from typing import Any

import pytest
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from clients.tools.mcp.tasks import CALL_RESULT, TASK_STATE, UNUSABLE, CreatedTask, lost_task, state_answer
from clients.tools.port import AnsweredBy, CallFailure, TaskStatus, ToolAnswer, ToolError, ToolRequest, ToolTask
from domain.config.tools_toml import tools_from_toml
from tests.clients.tools.mcp.servers import FILE
from tests.fakes.worlds import OWNER

SERVER = tools_from_toml(FILE.format(url="https://shop.example"), {}, on_azure=False).known["shop"]
ASKED = ToolRequest(server=SERVER, tool=SERVER.tools["wait"], arguments={}, key="k", owner=OWNER, task="t1")


def created(**fields: Any) -> ToolTask:
    found = CALL_RESULT.validate_python({"resultType": "task", "taskId": "t1", "status": "working", **fields})
    assert isinstance(found, CreatedTask)
    return found.task()


def told(status: str, **fields: Any) -> ToolAnswer:
    return state_answer(TASK_STATE.validate_python({"taskId": "t1", "status": status, **fields}))


def test_times_are_in_seconds_and_have_their_usual_values_where_none_is_given() -> None:
    assert created() == ToolTask(id="t1", poll_s=1.0, ttl_s=None)
    assert created(ttlMs=60_000, pollIntervalMs=250) == ToolTask(id="t1", poll_s=0.25, ttl_s=60.0)
    assert created(pollIntervalMs=-5).poll_s == 0.0
    assert created(pollIntervalMs=0).poll_s == 0.0


@pytest.mark.parametrize("identifier", ["", "t" * 513])
def test_a_task_without_a_usable_id_is_no_answer(identifier: str) -> None:
    with pytest.raises(ToolError, match=UNUSABLE) as raised:
        created(taskId=identifier)
    assert raised.value.failure is CallFailure.NO_ANSWER
    assert created(taskId="t" * 512).id == "t" * 512


@pytest.mark.parametrize("field", ["ttlMs", "pollIntervalMs"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', "1" + "0" * 400])
def test_a_time_that_no_record_can_keep_is_no_usable_answer(field: str, number: str) -> None:
    result = f'{{"resultType": "task", "taskId": "t1", "status": "working", "{field}": {number}}}'
    message = jsonrpc_message_adapter.validate_json(f'{{"jsonrpc": "2.0", "id": 1, "result": {result}}}', by_name=False)
    assert isinstance(message, JSONRPCResponse)
    with pytest.raises(ValidationError):
        CALL_RESULT.validate_python(message.result, by_name=False)


@pytest.mark.parametrize("status", ["working", "input_required", "cancelled"])
def test_a_task_that_has_no_result_is_told_as_it_is(status: str) -> None:
    answer = told(status, pollIntervalMs=2000)
    assert (answer.is_success, answer.text) == (True, "")
    assert answer.task == ToolTask(id="t1", status=TaskStatus(status), poll_s=2.0)


def test_a_completed_task_is_the_result_of_its_call() -> None:
    result = {"content": [{"type": "text", "text": "refunded"}]}
    assert told("completed", result=result) == ToolAnswer(status=200, text="refunded")
    failed = told("completed", result={**result, "isError": True})
    assert (failed.by, failed.is_success) == (AnsweredBy.TOOL, False)


@pytest.mark.parametrize("result", [None, {}, {"content": "refunded"}, {"content": [{"type": "unknown"}]}])
def test_a_completed_task_without_a_readable_result_is_rejected(result: Any) -> None:
    with pytest.raises(ValidationError):
        told("completed", result=result)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ({"code": -32000, "message": "no money"}, -32000, "no money"),
        ({"code": "x", "message": 5}, INTERNAL_ERROR, ""),
        ({"code": True}, INTERNAL_ERROR, ""),
        ({"code": 10**400, "message": "m"}, INTERNAL_ERROR, "m"),
        ({}, INTERNAL_ERROR, ""),
        (None, INTERNAL_ERROR, ""),
    ],
)
def test_a_failed_task_has_an_error_that_a_record_can_keep(error: Any, code: int, text: str) -> None:
    answer = told("failed", error=error)
    assert answer == ToolAnswer(status=code, text=text, by=AnsweredBy.PROTOCOL)
    assert type(answer.status) is int


def test_a_task_is_lost_where_its_server_does_not_know_it() -> None:
    answer = lost_task(ASKED, ToolAnswer(status=INVALID_PARAMS, text="unknown task", by=AnsweredBy.PROTOCOL))
    assert answer.task == ToolTask(id="t1", status=TaskStatus.LOST)


@pytest.mark.parametrize(
    "answer",
    [
        ToolAnswer(status=503, text="busy"),
        ToolAnswer(status=INVALID_PARAMS, text="", by=AnsweredBy.HTTP),
        ToolAnswer(status=INTERNAL_ERROR, text="", by=AnsweredBy.PROTOCOL),
    ],
)
def test_after_any_other_error_the_task_is_asked_for_later(answer: ToolAnswer) -> None:
    with pytest.raises(ToolError, match=f"how far the task is .{answer.status}.") as raised:
        lost_task(ASKED, answer)
    assert raised.value.failure is CallFailure.NO_ANSWER
