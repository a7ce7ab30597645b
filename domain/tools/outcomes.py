"""Which outcome has a call, and what is its caller told?"""

from typing import Final

from domain.content.items import ItemStatus
from domain.tools.call_record import CallOutcome, RemoteTask

EXECUTION: Final = "mcp_tool_execution_error"
HTTP: Final = "http_error"
PROTOCOL: Final = "mcp_protocol_error"

INVALID_PARAMS: Final = -32602
"""The code of JSON-RPC for arguments that do not match a schema; MCP's servers use it too."""

UNKNOWN: Final = (
    "The result of this call was lost, and it is unknown whether the call has taken effect. It was not sent again."
)
NOT_CONFIGURED: Final = "This tool is no longer configured for this caller. The call was not sent."
NOT_APPROVED: Final = "This call needs an approval, and has none. It was not sent."
TOOL_CHANGED: Final = (
    "The tool is not offered, or has changed since this call was asked for. The call was not sent by this turn."
)
NOT_LISTED: Final = "Whether the tool is as it was when this call was asked for is not known: {} The call was not sent."
NOT_SENT: Final = "The call was not sent in time. It has had no effect."

REPEATED: Final = (
    "This call was made twice before, with the same result both times. It was not run again: use that result."
)
OVER_BUDGET: Final = "This call is not covered by a budget. It was not sent."
DEADLINE_PASSED: Final = "The turn has time for its answer only. The call was not sent."
TASK_LATE: Final = "The server's task for this call did not end in time, and was cancelled."
TASK_LOST: Final = "The server no longer knows its task for this call."
TASK_CANCELLED: Final = "The server has cancelled its task for this call."
TASK_ASKED: Final = "The server's task for this call asked back, which is not supported, and was cancelled."
TURN_ENDED: Final = "The turn has ended. The call was not sent, or its connection was closed."


def completed(output: str, *, whole: int = 0, images: tuple[str, ...] = ()) -> CallOutcome:
    return CallOutcome(status=ItemStatus.COMPLETED, output=output, whole=whole, images=images)


def failed(message: str) -> CallOutcome:
    """Return the outcome of a call that failed: it has had no effect, or may be sent again under its key."""
    return CallOutcome(status=ItemStatus.FAILED, error={"type": EXECUTION, "content": message})


def invalid_arguments(problem: str) -> CallOutcome:
    """Return the outcome of a call whose arguments do not match the tool's schema."""
    message = f"The call was not sent. {problem[:1].upper()}{problem[1:]}."
    error = {"type": PROTOCOL, "code": INVALID_PARAMS, "message": message}
    return CallOutcome(status=ItemStatus.FAILED, error=error)


def failed_over_http(status: int, message: str) -> CallOutcome:
    """Return the outcome of a call that the server answered with an error."""
    return CallOutcome(status=ItemStatus.FAILED, error={"type": HTTP, "code": status, "message": message})


def failed_over_protocol(code: int, message: str) -> CallOutcome:
    """Return the outcome of a call that the server answered with an error of JSON-RPC."""
    return CallOutcome(status=ItemStatus.FAILED, error={"type": PROTOCOL, "code": code, "message": message})


def unknown() -> CallOutcome:
    return CallOutcome(status=ItemStatus.INCOMPLETE, error={"type": EXECUTION, "content": UNKNOWN}, unknown=True)


def running(task: RemoteTask) -> CallOutcome:
    """Return what is known of a call that its server runs as a task."""
    return CallOutcome(status=ItemStatus.IN_PROGRESS, task=task)
