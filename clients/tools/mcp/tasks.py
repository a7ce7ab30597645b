"""How does an MCP server run a call as a task, which is asked for until it has ended?

The extension `io.modelcontextprotocol/tasks` belongs to MCP since the revision of 2026-07-28. A server may answer a
call with the id of a task; its result comes with a later answer (https://github.com/modelcontextprotocol/ext-tasks).
"""

from typing import Annotated, Any, ClassVar, Final, Literal

from mcp.client.extension import ClientExtension, advertise
from mcp.client.session import ClientSession
from mcp_types import INVALID_PARAMS, CallToolResult, InputRequiredResult, Request, RequestParams, Result
from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter

from clients.tools.mcp.results import SUCCESS, answer_of
from clients.tools.port import AnsweredBy, CallFailure, TaskStatus, ToolAnswer, ToolError, ToolRequest, ToolTask

TASKS: Final = "io.modelcontextprotocol/tasks"
LONGEST_ID: Final = 512
USUAL_POLL_MS: Final = 1000
INTERNAL_ERROR: Final = -32603
LARGEST_CODE: Final = 2**53 - 1
"""Every reader of JSON keeps whole numbers up to this one (RFC 8259, section 6)."""

UNUSABLE: Final = "The server gave the call a task without a usable id."


class TaskFields(Result):
    """What every answer about a task has; times are in milliseconds, and `ttl_ms` counts from its creation.

    They are finite, unlike some that the library reads: no record could keep others.
    """

    model_config = ConfigDict(populate_by_name=True)

    task_id: str = Field(alias="taskId")
    status: TaskStatus
    ttl_ms: FiniteFloat | None = Field(default=None, alias="ttlMs")
    poll_ms: FiniteFloat | None = Field(default=None, alias="pollIntervalMs")

    def task(self) -> ToolTask:
        if not 0 < len(self.task_id) <= LONGEST_ID:
            raise ToolError(CallFailure.NO_ANSWER, UNUSABLE)
        ttl_s = None if self.ttl_ms is None else self.ttl_ms / 1000
        poll_ms = USUAL_POLL_MS if self.poll_ms is None else self.poll_ms
        return ToolTask(id=self.task_id, status=self.status, poll_s=max(poll_ms, 0) / 1000, ttl_s=ttl_s)


class CreatedTask(TaskFields):
    """The answer to a call that runs as a task."""

    result_type: Literal["task"] = Field(alias="resultType")


class TaskState(TaskFields):
    """How far a task is, with its result or its error where it has ended."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class TaskParams(RequestParams):
    model_config = ConfigDict(populate_by_name=True)

    task_id: str = Field(serialization_alias="taskId")


class GetTask(Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param: ClassVar[str | None] = "taskId"


class CancelTask(Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams
    name_param: ClassVar[str | None] = "taskId"


type CallResult = CreatedTask | CallToolResult | InputRequiredResult
CALL_RESULT: Final[TypeAdapter[CallResult]] = TypeAdapter(Annotated[CallResult, Field(union_mode="left_to_right")])
TASK_STATE: Final[TypeAdapter[TaskState]] = TypeAdapter(TaskState)
CANCELLED: Final[TypeAdapter[Result]] = TypeAdapter(Result)


def extension() -> ClientExtension:
    """Return what tells servers that calls may run as tasks. Servers of older revisions do not know it."""
    return advertise(TASKS)


async def task_answer(session: ClientSession, request: ToolRequest) -> ToolAnswer:
    """Ask how far a task is, or let it be cancelled."""
    params = TaskParams(task_id=request.task)
    if request.cancels:
        await session.send_request(CancelTask(params=params), CANCELLED)
        return ToolAnswer(status=SUCCESS, text="", task=ToolTask(id=request.task, status=TaskStatus.CANCELLED))
    return state_answer(await session.send_request(GetTask(params=params), TASK_STATE))


def error_code(code: object) -> int:
    """Return the code of an error of JSON-RPC; INTERNAL_ERROR where it is none that a record could keep."""
    if isinstance(code, bool) or not isinstance(code, int):
        return INTERNAL_ERROR
    return code if abs(code) <= LARGEST_CODE else INTERNAL_ERROR


def lost_task(request: ToolRequest, answer: ToolAnswer) -> ToolAnswer:
    """Return what an error means to whoever asks for a task: it is lost, or should be asked for later."""
    if answer.by is not AnsweredBy.PROTOCOL or answer.status != INVALID_PARAMS:
        raise ToolError(CallFailure.NO_ANSWER, f"The server did not tell how far the task is ({answer.status}).")
    return ToolAnswer(status=SUCCESS, text="", task=ToolTask(id=request.task, status=TaskStatus.LOST))


def state_answer(state: TaskState) -> ToolAnswer:
    """Return what a task that was asked for has answered: its end, or that it has not ended."""
    match state.status:
        case TaskStatus.COMPLETED:
            return answer_of(CallToolResult.model_validate(state.result or {}, by_name=False))
        case TaskStatus.FAILED:
            error = state.error or {}
            message = error.get("message")
            text = message if isinstance(message, str) else ""
            return ToolAnswer(status=error_code(error.get("code")), text=text, by=AnsweredBy.PROTOCOL)
        case _:
            return ToolAnswer(status=SUCCESS, text="", task=state.task())
