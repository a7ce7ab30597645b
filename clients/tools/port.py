"""Which interface has a connector to a server of tools?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from domain.tools.catalog import ServerTool, ToolServer


class CallFailure(StrEnum):
    """How far a call came that gave no answer: whether it can have had an effect."""

    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"


class ToolError(Exception):
    """A call gave no answer. The message is safe to show: it has nothing of the server."""

    def __init__(self, failure: CallFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """A server's answer. `status` is an HTTP status; `text` is the result, or the body of an error."""

    status: int
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's classes


class ToolConnector(Protocol):
    """Calls tools of one kind of server."""

    async def call(self, server: ToolServer, tool: ServerTool, arguments: Mapping[str, Any], key: str) -> ToolAnswer:
        """Send one request and return its answer; `key` identifies the call, however often it is sent.

        Raises ToolError.
        """
        ...
