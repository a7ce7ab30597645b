"""Which wires do backends speak, and what does each one send and read?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from clients.backends.chat_wire import ChatWire
from clients.backends.converse.wire import ConverseWire
from clients.backends.formats.decoders import Decoder
from clients.backends.invocations.lambda_invoke import LambdaWire
from clients.backends.invocations.sagemaker import SageMakerWire
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.backends.prompts.wire import PromptWire
from clients.backends.responses.wire import ResponsesWire
from domain.fleet.catalog import Adapter, Backend


class AnswerParser(Protocol):
    """Parses the frames of one answer."""

    text_received: bool

    @property
    def has_finish_reason(self) -> bool: ...

    @property
    def is_over(self) -> bool:
        """Tell whether the frames so far are the whole answer; the body may go on without meaning."""
        ...

    def read(self, data: bytes) -> Sequence[TextPiece]:
        """Parse one frame and return its texts. Raises BackendError where it is malformed."""
        ...

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where it did not end well."""
        ...

    def malformed(self, data: bytes) -> BackendError: ...


class Wire(Protocol):
    """What one kind of API expects and answers.

    Requests go to `address` with the extra `headers`; the paths of probes are relative to `base`.
    """

    address: str
    base: str
    headers: Mapping[str, str]

    def body(self, call: BackendCall) -> Mapping[str, Any]:
        """Return the body of a request. Raises ValueError where the wire cannot express the call."""
        ...

    def one_token(self) -> Mapping[str, Any]:
        """Return the body of a request for one token."""
        ...

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        """Return the decoder of an answer with these headers; None where it is none that the backend may send."""
        ...

    def parser(self) -> AnswerParser: ...


@runtime_checkable
class WrappingWire(Protocol):
    """A wire whose answers have a status of their own inside a success."""

    def inner_status(self, headers: Mapping[str, str], beginning: str) -> int | None:
        """Return that status, from the headers and the beginning of the body; None where there is none."""
        ...


WIRES: Mapping[Adapter, Callable[[Backend], Wire]] = {
    Adapter.OPENAI: ChatWire,
    Adapter.CONVERSE: ConverseWire,
    Adapter.RESPONSES: ResponsesWire,
    Adapter.SAGEMAKER: SageMakerWire,
    Adapter.LAMBDA: LambdaWire,
    Adapter.REPLICATE: ChatWire,
    Adapter.PROMPT: PromptWire,
}
"""Of a chat, a prediction has nothing but the address: see `clients.backends.predictions`."""


def wire_of(backend: Backend) -> Wire:
    return WIRES[backend.adapter](backend)
