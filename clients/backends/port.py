"""What must a backend be able to do?"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from domain.content.items import Item
from domain.content.tools import FunctionCall, ToolConfig
from domain.errors import GanglionError
from domain.fleet.failure_classes import Failure
from domain.log.events import TokenUsage
from domain.turns.response import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCall:
    """One request to a model. `partial` is the part of the answer that was shown already, to go on from.

    `max_output_tokens` bounds what is still to come; `traceparent` is the W3C context to send along. `by_schema` says
    that the model knows no functions and is held to a schema instead, as `domain.content.schema_tool_calls` has it.
    """

    instructions: str | None
    items: Sequence[Item]
    sampling: Sampling
    max_output_tokens: int
    partial: str = ""
    traceparent: str = ""
    form: ToolConfig = field(default_factory=ToolConfig)
    by_schema: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """The next words of the answer: one chunk of the backend, about one token."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEnd:
    """The answer is whole (`stop`), or was cut at its limit (`length`) or by a filter; usage where the backend counts.

    `calls` are the functions that the model wants to have called, told whole.
    """

    reason: Literal["stop", "length", "content_filter"]
    usage: TokenUsage | None
    calls: tuple[FunctionCall, ...] = ()


class BackendError(GanglionError):
    """The backend did not answer to the end; `failure` holds what was seen."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"the backend failed: {failure.kind} {failure.status or ''}".strip())
        self.failure = failure


@runtime_checkable
class WithdrawableStream(Protocol):
    """A stream whose request can be withdrawn before its end."""

    def withdraw(self) -> None:
        """Tell the backend to stop. The stream then ends after what the backend had sent by then."""
        ...


class BackendClient(Protocol):
    """Talks to one backend."""

    def stream(self, call: BackendCall) -> AbstractAsyncContextManager[AsyncIterator[TextPiece | AnswerEnd]]:
        """Open the answer's stream, a `WithdrawableStream` where the wire allows. It ends with an AnswerEnd.

        The context is entered when the backend has accepted the request; leaving it closes the connection at once.
        Raises BackendError.
        """
        ...

    async def authenticate(self) -> None:
        """Have at hand what the next request proves who we are with. Raises BackendError."""
        ...

    async def probe(self) -> None:
        """Send the lightest of requests and return when the backend has answered it. Raises BackendError."""
        ...
