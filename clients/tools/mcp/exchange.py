"""What happens to one request that the MCP library sends: may it be sent, and what came back?

The library hides HTTP. Its transport is ours, and finds the exchange of a request in the context that it was made in.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from msgspec import Struct, field

from clients.tools.port import CallFailure


class RequestEnd:
    """Until when one HTTP request may last. Each step of it is held to that end, which may be moved to now."""

    def __init__(self, *, within_s: float | None = None) -> None:
        self.at = None if within_s is None else asyncio.get_running_loop().time() + within_s
        self.step: asyncio.Timeout | None = None

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Hold a step to the end; raises TimeoutError."""
        self.step = asyncio.timeout_at(self.at)
        try:
            async with self.step:
                yield
        finally:
            self.step = None

    def now(self) -> None:
        """End the request: nobody waits for it any more."""
        self.at = asyncio.get_running_loop().time()
        if self.step and not self.step.expired():
            self.step.reschedule(self.at)


class McpExchange(Struct, kw_only=True):
    """One request. `headers` go with it, and `calls_left` calls of tools may be sent; `end` is that of the call.

    `status` and `text` are those of an answer without success; `failure` and `reason` tell why there is no answer.
    """

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    calls_left: int = 0
    end: RequestEnd = field(default_factory=RequestEnd)
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
