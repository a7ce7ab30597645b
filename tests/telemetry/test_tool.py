"""Which kind of error does a call of a tool have in its span?"""

from typing import Any

import pytest

from domain.content.items import ItemStatus
from domain.tools.call_record import CallOutcome
from telemetry.tool import error_type


def outcome(error: Any = None, *, unknown: bool = False) -> CallOutcome:
    status = ItemStatus.FAILED if error or unknown else ItemStatus.COMPLETED
    return CallOutcome(status=status, error=error, unknown=unknown)


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        (outcome(), ""),
        (outcome({"type": "http_error", "code": 404}), "404"),
        (outcome({"type": "mcp_tool_execution_error", "content": []}), "mcp_tool_execution_error"),
        (outcome({"type": "http_error", "code": 504}, unknown=True), "unknown"),
        (outcome(unknown=True), "unknown"),
    ],
)
def test_an_error_has_the_status_of_the_server_or_its_type(ended: CallOutcome, kind: str) -> None:
    assert error_type(ended) == kind
