"""Which interface does a backend client implement?"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct, field

from domain.content.items import Item
from domain.content.tools import FunctionCall, ToolConfig
from domain.errors import GanglionError
from domain.fleet.failure_classes import Failure
from domain.log.events import TokenUsage
from domain.log.token_logprobs import TokenLogprob
from domain.turns.response import Sampling


class BackendCall(Struct, frozen=True, kw_only=True):
    """One request to a model. `partial` is the text of the answer that readers already have, to be continued.

    `max_output_tokens` limits the rest of the answer; `traceparent` is the W3C trace context to send. `by_schema` means
    that the model cannot call functions: it reads calls as text. `is_held`: its answer has the form of
    `domain.content.schema_tool_calls`. `prediction` is the id of an answer that the backend already writes.
    """

    instructions: str | None
    items: Sequence[Item]
    sampling: Sampling
    max_output_tokens: int
    partial: str = ""
    traceparent: str = ""
    tools: ToolConfig = field(default_factory=ToolConfig)
    by_schema: bool = False
    is_held: bool = False
    prediction: str = ""


class Channel(StrEnum):
    """What a text of the model is."""

    ANSWER = "answer"
    REASONING = "reasoning"
    REFUSAL = "refusal"


class TextPiece(Struct, frozen=True, kw_only=True):
    """The next text of the model: one chunk of the backend, about one token.

    `logprobs` are those of the tokens of the text, where the backend sent them.
    """

    text: str
    channel: Channel = Channel.ANSWER
    logprobs: tuple[TokenLogprob, ...] = ()


class AnswerEnd(Struct, frozen=True, kw_only=True):
    """How an answer ended: complete (`stop`), cut at its token limit (`length`) or cut by a filter.

    `usage` is None where the backend does not count tokens. `calls` are the function calls of the model; their
    arguments are complete JSON. `is_calling`: the model had begun to call functions, of which a cut answer may have
    lost the last. `billed_s` are the seconds that the provider bills by its own word; None where it names none.
    """

    reason: Literal["stop", "length", "content_filter"]
    usage: TokenUsage | None
    calls: tuple[FunctionCall, ...] = ()
    is_calling: bool = False
    billed_s: float | None = None


class BackendError(GanglionError):
    """The backend did not complete its answer; `failure` describes what was observed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"the backend failed: {failure.kind} {failure.status or ''}".strip())
        self.failure = failure


@runtime_checkable
class WithdrawableStream(Protocol):
    """A stream whose request can be withdrawn before its end."""

    def withdraw(self) -> None:
        """Tell the backend to stop. The stream then ends after what the backend had sent by then."""
        ...


class PromptCounter(Protocol):
    """Counts the tokens of prompts at one backend."""

    async def count(self, call: BackendCall) -> int:
        """Return the tokens of a call's prompt. Raises BackendError."""
        ...


@runtime_checkable
class PredictionClient(Protocol):
    """A client whose backend writes an answer under an id, whoever reads it."""

    async def create(self, call: BackendCall) -> str:
        """Order an answer and return its id. Raises BackendError."""
        ...


class BackendClient(Protocol):
    """A client of one backend."""

    def stream(self, call: BackendCall) -> AbstractAsyncContextManager[AsyncIterator[TextPiece | AnswerEnd]]:
        """Open the stream of an answer, a `WithdrawableStream` where the wire allows. Its last piece is an AnswerEnd.

        The context is entered when the backend has accepted the request; leaving it closes the connection at once.
        Raises BackendError.
        """
        ...

    async def authenticate(self) -> None:
        """Fetch and cache the credentials for the next request. Raises BackendError."""
        ...

    async def probe(self) -> None:
        """Send a minimal request and return when the backend has answered it. Raises BackendError."""
        ...
