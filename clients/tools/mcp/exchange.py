"""What happens to one request that the MCP library sends: may it be sent, and what came back?

The library hides HTTP. Its transport is ours, and finds the exchange of a request in the context that it was made in.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from clients.tools.port import CallFailure


@dataclass(slots=True, kw_only=True)
class McpExchange:
    """One request. `headers` go with it, and `calls_left` calls of tools may be sent.

    `status` and `text` are those of an answer without success; `failure` and `reason` tell why there is no answer.
    """

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    calls_left: int = 0
    status: int = 0
    text: str = ""
    is_protocol_error: bool = False
    failure: CallFailure | None = None
    reason: str = ""

    def fail(self, failure: CallFailure, reason: str) -> None:
        self.failure, self.reason = failure, reason

    def take_call(self) -> bool:
        """Tell whether a call of a tool may be sent, and count it: nothing here ever sends a call twice."""
        self.calls_left -= 1
        return self.calls_left >= 0


current_exchange: Final[ContextVar[McpExchange | None]] = ContextVar("current_exchange", default=None)
